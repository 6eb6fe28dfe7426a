//! What a guest has on the GPU, and pictures that are on their way from there.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rillbox_gpu::{
    Choice, Color, Download, Error, Gpu, HUNG, Matrix, Planes, Program, Range, Usage, Workspace, limits,
};
use rillbox_media as media;
use rillbox_media::Picture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::instance::Failure;
use super::shaders::ShaderReader;

/// Frames of one guest that may be on their way at once, so that the next is worked on while the last comes down.
const IN_FLIGHT: usize = 3;

/// How long a processor's start waits for a GPU to be opened and its kernels to be made.
const PREPARE: Duration = Duration::from_secs(20);

/// The GPU as one guest has it. Nothing is opened before the guest asks for something.
pub struct Graphics {
    gpu: Gpu,
    shaders: ShaderReader,
    workspace: Option<Workspace>,
    reports: Arc<Mutex<Report>>,
    room: Arc<Semaphore>,
    /// Whether tensors of pictures are made there.
    tensors: bool,
    /// Bytes of images, buffers and tensors.
    pub memory: usize,
    /// What the operations of this call are taken to take there.
    pub spent: Duration,
    /// For how long an earlier frame held the GPU, if that was too long.
    pub overrun: Duration,
}

/// What became of frames after their calls.
#[derive(Debug, Default)]
struct Report {
    usage: Usage,
    failure: Option<Failure>,
}

impl Graphics {
    pub fn new(gpu: Gpu, shaders: ShaderReader) -> Self {
        Self {
            gpu,
            shaders,
            workspace: None,
            reports: Arc::default(),
            room: Arc::new(Semaphore::new(IN_FLIGHT)),
            tensors: false,
            memory: 0,
            spent: Duration::ZERO,
            overrun: Duration::ZERO,
        }
    }

    /// Compiles a shader, or finds it where it was before. It waits for a child and for the driver.
    pub fn compiler(&self) -> impl FnOnce(&str) -> Result<Program, Error> + Send + use<> {
        let (gpu, shaders) = (self.gpu.clone(), self.shaders.clone());
        move |wgsl| {
            let device = gpu.open()?;
            if wgsl.len() <= limits::SOURCE && !device.has(wgsl) {
                shaders.read(wgsl)?;
            }
            device.compile(wgsl)
        }
    }

    pub fn workspace(&mut self) -> Result<&mut Workspace, Error> {
        let workspace = match self.workspace.take() {
            Some(workspace) => workspace,
            None => Workspace::new(&self.gpu.open()?)?,
        };
        Ok(self.workspace.insert(workspace))
    }

    /// Tensors of pictures will be on the GPU, if there is one.
    pub async fn prepare_tensors(&mut self) {
        if self.gpu.choice() == Choice::Cpu {
            return;
        }
        let gpu = self.gpu.clone();
        let preparing = tokio::task::spawn_blocking(move || gpu.open()?.prepare_tensors());
        let failed = match tokio::time::timeout(PREPARE, preparing).await {
            Ok(Ok(Ok(()))) => return self.tensors = true,
            // There is none, which is as good: the CPU does the same.
            Ok(Ok(Err(Error::Unsupported(_)))) => return,
            Ok(Ok(Err(error))) => error.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => format!("the GPU was not ready within {} s", PREPARE.as_secs()),
        };
        tracing::warn!(failed, "tensors stay on the CPU");
    }

    /// Whether tensors of pictures are made on the GPU.
    pub fn has_tensors(&self) -> bool {
        self.tensors
    }

    /// Waits until there is room for one more frame. A failure of an earlier one is told now.
    pub async fn room(&mut self) -> Result<Option<OwnedSemaphorePermit>, Failure> {
        let Some(workspace) = &self.workspace else { return Ok(None) };
        if let Some(failure) = report(&self.reports).failure.take() {
            if let Failure::Overrun(time) = failure {
                self.overrun = time;
            }
            return Err(failure);
        }
        if workspace.device().is_lost() {
            let failure = lost(workspace);
            if let Failure::Overrun(time) = failure {
                self.overrun = time;
            }
            return Err(failure);
        }
        // The semaphore is never closed.
        Ok(self.room.clone().acquire_owned().await.ok())
    }

    /// A call begins.
    pub fn begin(&mut self) {
        (self.spent, self.overrun) = (Duration::ZERO, Duration::ZERO);
        if let Some(workspace) = &mut self.workspace {
            workspace.begin();
        }
    }

    /// A call has ended, which could have taken `time`: what it recorded is done.
    pub fn submit(&mut self, time: Duration) -> Result<(), Failure> {
        let Some(workspace) = &mut self.workspace else { return Ok(()) };
        workspace.submit().map_err(|error| match error {
            Error::Lost(_) => lost(workspace),
            // What was recorded is not done: what the guest keeps may not be what it should be.
            Error::Busy if self.memory > 0 => Failure::Lost,
            error => failure(error, time),
        })
    }

    /// A picture that will be there within `time`.
    pub fn pending(
        &self,
        download: Download,
        color: media::Color,
        time: Duration,
        room: Option<OwnedSemaphorePermit>,
    ) -> Pending {
        let until = Instant::now() + time;
        Pending { download, color, time, until, reports: self.reports.clone(), _room: room }
    }

    /// Counts work that a guest waited for itself.
    pub fn note(&self, usage: Usage) {
        report(&self.reports).usage += usage;
    }

    /// Work on the GPU since the last call of this.
    pub fn take_usage(&self) -> Usage {
        std::mem::take(&mut report(&self.reports).usage)
    }
}

fn report(reports: &Mutex<Report>) -> std::sync::MutexGuard<'_, Report> {
    reports.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A picture on its way from the GPU.
#[derive(Debug)]
pub struct Pending {
    download: Download,
    color: media::Color,
    time: Duration,
    until: Instant,
    reports: Arc<Mutex<Report>>,
    _room: Option<OwnedSemaphorePermit>,
}

impl Pending {
    /// Waits for the picture. If there is none, the guest's next call fails for the same reason.
    pub fn picture(self) -> Result<Picture, Failure> {
        let Self { download, color, time, until, reports, .. } = self;
        let left = until.saturating_duration_since(Instant::now());
        let made = download.wait(left, |planes| picture(&planes, color)).map_err(|error| failure(error, time));
        let result = made.and_then(|(picture, usage)| {
            report(&reports).usage += usage;
            picture.map_err(|error| Failure::Reported(error.to_string()))
        });
        if let Err(failure) = &result {
            report(&reports).failure = Some(failure.clone());
        }
        result
    }
}

/// Why a guest's device is gone.
fn lost(workspace: &Workspace) -> Failure {
    if workspace.held_up_device() { Failure::Overrun(HUNG) } else { Failure::Lost }
}

fn failure(error: Error, time: Duration) -> Failure {
    match error {
        Error::Late => Failure::Overrun(time),
        Error::Lost(_) => Failure::Lost,
        Error::Busy => Failure::Busy,
        error => Failure::Reported(error.to_string()),
    }
}

/// A picture as the GPU takes it.
pub fn planes(picture: &Picture) -> Planes<'_> {
    let planes = [0, 1, 2].map(|plane| picture.plane(plane));
    Planes { width: picture.width(), height: picture.height(), planes }
}

fn picture(planes: &Planes<'_>, color: media::Color) -> Result<Picture, media::PictureError> {
    Picture::from_planes(planes.width, planes.height, planes.planes, color)
}

/// A color in the GPU's terms.
pub fn color(color: media::Color) -> Color {
    let matrix = match color.matrix {
        media::ColorMatrix::Bt601 => Matrix::Bt601,
        media::ColorMatrix::Bt709 => Matrix::Bt709,
        media::ColorMatrix::Bt2020 => Matrix::Bt2020,
    };
    let range = match color.range {
        media::ColorRange::Limited => Range::Limited,
        media::ColorRange::Full => Range::Full,
    };
    Color { matrix, range }
}
