//! What a guest has on the GPU, and pictures that are on their way from there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rillbox_gpu::{
    Color, Device, Download, Error, Gpu, HANG_TIMEOUT, Matrix, Planes, Program, Range, Workspace, limits,
};
use rillbox_media as media;
use rillbox_media::Picture;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::instance::Failure;
use super::shaders::ShaderReader;
use super::work::Work;

/// Frames of one guest that may be on their way at once, so that the next is worked on while the last comes down.
const IN_FLIGHT: usize = 3;

/// How long a processor's start waits for a GPU to be opened and its kernels to be made.
const PREPARE: Duration = Duration::from_secs(20);

/// What a processor uses of a GPU.
#[derive(Clone, Copy, Debug)]
pub struct Uses {
    /// Tensors of pictures.
    pub tensors: bool,
    /// Shaders.
    pub shaders: bool,
}

/// The GPU as one guest has it. Nothing is opened for one that uses nothing of it.
pub struct Graphics {
    gpu: Gpu,
    /// Whose it is on the device: a stream's instances of one processor, one after the other.
    user: String,
    /// The guests' foreground threads.
    front: Handle,
    shaders: ShaderReader,
    /// The device, or why there is none.
    device: Result<Arc<Device>, Error>,
    workspace: Option<Workspace>,
    /// Why a picture did not come that was made in an earlier call: what the guest is to be told.
    failure: Arc<Mutex<Option<Failure>>>,
    room: Arc<Semaphore>,
    /// Whether tensors of pictures are made there.
    tensors: bool,
    /// What this call may take.
    time: Duration,
    /// Bytes of images, buffers and tensors.
    pub memory: usize,
    /// Estimated GPU time of this call's operations.
    pub spent: Duration,
    /// For how long an earlier frame held the GPU, if that was too long.
    pub overrun: Duration,
}

impl Graphics {
    pub fn new(gpu: Gpu, user: String, front: Handle, shaders: ShaderReader) -> Self {
        Self {
            gpu,
            user,
            front,
            shaders,
            device: Err(Error::Unsupported("a GPU is there from `load` on".to_owned())),
            workspace: None,
            failure: Arc::default(),
            room: Arc::new(Semaphore::new(IN_FLIGHT)),
            tensors: false,
            time: Duration::ZERO,
            memory: 0,
            spent: Duration::ZERO,
            overrun: Duration::ZERO,
        }
    }

    /// Compiles a shader, or finds it where it was before. It waits for a child and for the driver.
    pub fn compiler(&self) -> impl FnOnce(&str) -> Result<Program, Error> + Send + use<> {
        let (device, shaders) = (self.device.clone(), self.shaders.clone());
        move |wgsl| {
            let device = device?;
            if wgsl.len() <= limits::SOURCE && !device.has(wgsl) {
                shaders.read(wgsl)?;
            }
            device.compile(wgsl)
        }
    }

    pub fn workspace(&mut self) -> Result<&mut Workspace, Error> {
        let workspace = match self.workspace.take() {
            Some(workspace) => workspace,
            None => {
                let mut workspace = Workspace::of(&self.user, self.device.as_ref().map_err(Clone::clone)?)?;
                workspace.begin(self.time);
                workspace
            }
        };
        Ok(self.workspace.insert(workspace))
    }

    /// Opens the GPU, if there is one, and makes ready what the processor uses of it. Where there is none, tensors are on the
    /// CPU, which does the same.
    pub async fn prepare(&mut self, uses: Uses) {
        if !uses.tensors && !uses.shaders {
            return;
        }
        let gpu = self.gpu.clone();
        let open = move || {
            let device = gpu.open()?;
            if uses.tensors {
                device.prepare_tensors()?;
            }
            Ok(device)
        };
        // A thread is as nice as the one that starts it, and those of the GPU serve all streams.
        let preparing = self.front.spawn(async { tokio::task::spawn_blocking(open).await });
        let failed = |why: String| {
            tracing::warn!(why, "the processor has no GPU");
            Err(Error::Unsupported(why))
        };
        self.device = match tokio::time::timeout(PREPARE, preparing).await {
            Ok(Ok(Ok(device @ (Ok(_) | Err(Error::Unsupported(_)))))) => device,
            Ok(Ok(Ok(Err(error)))) => failed(error.to_string()),
            Ok(Ok(Err(error)) | Err(error)) => failed(error.to_string()),
            Err(_elapsed) => failed(format!("the GPU was not ready within {} s", PREPARE.as_secs())),
        };
        self.tensors = uses.tensors && self.device.is_ok();
    }

    /// Whether tensors of pictures are made on the GPU.
    pub fn has_tensors(&self) -> bool {
        self.tensors
    }

    /// Counts what the GPU has done that nobody waited for. A failure of what an earlier call had it do is told now.
    pub fn settle(&mut self, work: &mut Work) -> Result<(), Failure> {
        let Ok(device) = &self.device else { return Ok(()) };
        let (usage, late) = self.workspace.as_mut().map(Workspace::settle).unwrap_or_default();
        work.note_gpu(usage);
        let told = locked(&self.failure).take().or(late.map(Failure::Overrun));
        let Some(failure) = told.or_else(|| device.is_lost().then(|| self.lost())) else { return Ok(()) };
        if let Failure::Overrun(time) = failure {
            self.overrun = time;
        }
        Err(failure)
    }

    /// Waits until there is room for one more frame.
    pub async fn room(&mut self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        self.room.clone().acquire_owned().await.ok()
    }

    /// Why the device is gone.
    fn lost(&self) -> Failure {
        let blame = self.workspace.as_ref().is_some_and(Workspace::held_up_device);
        if blame { Failure::Overrun(HANG_TIMEOUT) } else { Failure::Lost }
    }

    /// A call begins, which may take `time`; and as long again what it has the GPU do.
    pub fn begin(&mut self, time: Duration) {
        (self.spent, self.overrun, self.time) = (Duration::ZERO, Duration::ZERO, time);
        if let Some(workspace) = &mut self.workspace {
            workspace.begin(time);
        }
    }

    /// A call has ended: what it recorded is done.
    pub fn submit(&mut self) -> Result<(), Failure> {
        let Some(workspace) = &mut self.workspace else { return Ok(()) };
        let submitted = workspace.submit();
        submitted.map_err(|error| match error {
            Error::Lost(_) => self.lost(),
            // What was recorded is not done: what the guest keeps may not be what it should be.
            Error::Busy if self.memory > 0 => Failure::Lost,
            error => failure(error, self.time),
        })
    }

    /// A picture that will be there within the time that the call could have taken.
    pub fn pending(&self, download: Download, color: media::Color, room: Option<OwnedSemaphorePermit>) -> Pending {
        let (time, until) = (self.time, Instant::now() + self.time);
        Pending { download, color, time, until, failure: self.failure.clone(), _room: room }
    }
}

fn locked(failure: &Mutex<Option<Failure>>) -> MutexGuard<'_, Option<Failure>> {
    failure.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A picture on its way from the GPU.
#[derive(Debug)]
pub struct Pending {
    download: Download,
    color: media::Color,
    time: Duration,
    until: Instant,
    failure: Arc<Mutex<Option<Failure>>>,
    _room: Option<OwnedSemaphorePermit>,
}

impl Pending {
    /// Waits for the picture; and what the GPU did for it. If there is none because of the guest, or its work is lost, the guest's
    /// next call fails for the same reason.
    pub fn picture(self) -> Result<(Picture, Work), Failure> {
        let left = self.until.saturating_duration_since(Instant::now());
        let made = self.download.wait(left, |planes| picture(&planes, self.color));
        let result = made.map_err(|error| failure(error, self.time)).and_then(|(picture, usage)| {
            let mut work = Work::default();
            work.note_gpu(usage);
            Ok((picture.map_err(|error| Failure::Reported(error.to_string()))?, work))
        });
        if let Err(failure) = &result
            && !matches!(failure, Failure::Busy)
        {
            *locked(&self.failure) = Some(failure.clone());
        }
        result
    }
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
