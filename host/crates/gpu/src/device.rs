//! An open device, and what becomes of it when it does not answer any more.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use wgpu::{DeviceType, Features};

use crate::adapter::adapter;
use crate::choice::Choice;
use crate::color::ColorKernels;
use crate::download::Transfer;
use crate::error::Error;
use crate::limits;
use crate::owner::Owners;
use crate::pool::Pool;
use crate::program::{Compiled, Program, Programs};
use crate::source::Source;
use crate::submission::Submitter;
use crate::tensor;

/// What a device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// As its driver names it.
    pub name: String,
    /// The driver and its version.
    pub driver: String,
    /// A program on the CPU, and no GPU at all.
    pub software: bool,
}

impl Info {
    fn of(info: wgpu::AdapterInfo) -> Self {
        Self {
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            software: info.device_type == DeviceType::Cpu,
            name: info.name,
        }
    }
}

/// An open device.
#[derive(Debug)]
pub struct Device {
    pub(crate) device: wgpu::Device,
    pub(crate) submitter: Submitter,
    pub(crate) owners: Owners,
    pub(crate) kernels: ColorKernels,
    pub(crate) samplers: [wgpu::Sampler; 2],
    /// Nanoseconds a count of the device's clock, where it has one.
    pub(crate) clock: Option<f32>,
    /// Mapped, to be written to.
    pub(crate) uploads: Arc<Pool>,
    pub(crate) downloads: Pool,
    /// Downloads that are under way.
    pub(crate) waiting: AtomicUsize,
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
    tensor_kernels: OnceLock<tensor::Kernels>,
    programs: Mutex<Programs>,
    /// Somebody waits for work that is late.
    watched: AtomicBool,
    lost: Arc<OnceLock<String>>,
    /// Whose commands it was with when it was given up.
    culprit: OnceLock<u64>,
    info: Info,
}

/// A device that is with the commands of one submission for so long does not answer any more.
pub const HANG_TIMEOUT: Duration = Duration::from_secs(2);

/// Bindings of one kind that a device is asked for.
const BINDINGS: u32 = limits::BINDINGS as u32 + 1;

/// How often the thread that watches a device looks whether it goes on.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

impl Device {
    pub(crate) fn open(choice: Choice) -> Result<Self, Error> {
        let adapter = adapter(choice)?;
        let info = adapter.get_info();
        let descriptor = descriptor(&adapter, &info)?;
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))
            .map_err(|error| Error::Lost(format!("{} cannot be opened: {error}", info.name)))?;
        let lost = noted_loss(&device);
        let has_clock = descriptor.required_features.contains(Features::TIMESTAMP_QUERY);
        let clock = has_clock.then(|| queue.get_timestamp_period());
        let samplers = samplers(&device);
        let kernels = ColorKernels::new(&device);
        let uploads = Arc::<Pool>::default();
        let submitter = Submitter::start(&device, queue, &uploads, &lost)?;
        Ok(Self {
            device,
            submitter,
            owners: Owners::default(),
            kernels,
            samplers,
            clock,
            uploads,
            downloads: Pool::default(),
            waiting: AtomicUsize::new(0),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            tensor_kernels: OnceLock::new(),
            programs: Mutex::default(),
            watched: AtomicBool::new(false),
            lost,
            culprit: OnceLock::new(),
            info: Info::of(info),
        })
    }

    /// What it is.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Whether it is gone.
    pub fn is_lost(&self) -> bool {
        self.lost.get().is_some()
    }

    /// An error if it is gone.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self.lost.get() {
            Some(why) => Err(Error::Lost(why.clone())),
            None => Ok(()),
        }
    }

    /// Whether it was given up since it did not finish what this owner had it do.
    pub(crate) fn was_held_up_by(&self, owner: u64) -> bool {
        self.culprit.get() == Some(&owner)
    }

    /// Looks after the device until it has finished what is late, and gives it up if it gets no further. To close it would be to
    /// wait for it: it stays as it is until it has finished after all.
    pub(crate) fn watch(self: &Arc<Self>, late: Arc<Transfer>) {
        if self.watched.swap(true, Ordering::Relaxed) {
            return;
        }
        let device = self.clone();
        let watcher = std::thread::Builder::new().name("gpu-watch".to_owned()).spawn(move || {
            while matches!(late.done(POLL_INTERVAL), Err(Error::Late)) {
                let Some(culprit) = device.submitter.held_for(HANG_TIMEOUT) else { continue };
                // The first reason stays.
                let _ = device.culprit.set(culprit);
                if device.lost.set("it does not answer".to_owned()).is_ok() {
                    tracing::error!(
                        name = device.info.name,
                        "the GPU does not answer: it is given up, and opened anew"
                    );
                    return device.come_to_rest();
                }
            }
            device.watched.store(false, Ordering::Relaxed);
        });
        if watcher.is_err() {
            self.watched.store(false, Ordering::Relaxed);
        }
    }

    /// Waits until the device has nothing left to do, or no longer is one.
    fn come_to_rest(&self) {
        let wait = || wgpu::PollType::Wait { submission_index: None, timeout: Some(HANG_TIMEOUT) };
        while matches!(self.device.poll(wait()), Err(wgpu::PollError::Timeout)) {}
    }

    /// Closes it, as if it had been taken out.
    pub fn close(&self) {
        // The first reason stays.
        let _ = self.lost.set("it was closed".to_owned());
        self.device.destroy();
    }

    /// Results that are waited for.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Bytes sent to it, and received from it.
    pub fn moved(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.received.load(Ordering::Relaxed))
    }

    /// Checks and compiles a shader, or finds it where it was before. It can take a good part of a second, and needs the stack of
    /// a thread.
    pub fn compile(&self, wgsl: &str) -> Result<Program, Error> {
        self.check()?;
        if let Some(compiled) = self.programs().get(wgsl) {
            return Ok(Program(compiled));
        }
        let compiled = Arc::new(Compiled::new(self, Source::check(wgsl)?)?);
        self.programs().keep(wgsl, compiled.clone());
        Ok(Program(compiled))
    }

    /// Whether a shader is there as it was compiled before.
    pub fn has(&self, wgsl: &str) -> bool {
        self.programs().get(wgsl).is_some()
    }

    /// Makes the kernels of tensors, if they are not there yet, which can take seconds in software.
    pub fn prepare_tensors(&self) -> Result<(), Error> {
        self.check()?;
        self.tried(|| _ = self.tensor_kernels())
    }

    pub(crate) fn tensor_kernels(&self) -> &tensor::Kernels {
        self.tensor_kernels.get_or_init(|| tensor::Kernels::new(&self.device))
    }

    fn programs(&self) -> MutexGuard<'_, Programs> {
        self.programs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A buffer from a pool, or a new one.
    pub(crate) fn buffer(&self, pool: &Pool, size: u64, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer, Error> {
        let mapped_at_creation = usage.contains(wgpu::BufferUsages::MAP_WRITE);
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation };
        match pool.take(size) {
            Some(buffer) => Ok(buffer),
            None => self.tried(|| self.device.create_buffer(&descriptor)),
        }
    }

    /// Does `work`, and turns what the device finds wrong with it into an error.
    pub(crate) fn tried<T>(&self, work: impl FnOnce() -> T) -> Result<T, Error> {
        tried(&self.device, &self.lost, work)
    }
}

/// What an adapter is asked for. An error if it lacks what cannot be done without.
fn descriptor(adapter: &wgpu::Adapter, info: &wgpu::AdapterInfo) -> Result<wgpu::DeviceDescriptor<'static>, Error> {
    let (offered, features) = (adapter.limits(), adapter.features());
    if !features.contains(Features::MAPPABLE_PRIMARY_BUFFERS) {
        return Err(Error::Unsupported(format!("{} has no buffers that the host reaches, too", info.name)));
    }
    let required_limits = wgpu::Limits {
        max_texture_dimension_2d: offered.max_texture_dimension_2d,
        max_storage_buffer_binding_size: offered.max_storage_buffer_binding_size,
        max_buffer_size: offered.max_buffer_size,
        // A shader's bindings may all be of one kind, with one more for the host's own.
        max_storage_buffers_per_shader_stage: offered.max_storage_buffers_per_shader_stage.min(BINDINGS),
        max_storage_textures_per_shader_stage: offered.max_storage_textures_per_shader_stage.min(BINDINGS),
        max_uniform_buffers_per_shader_stage: offered.max_uniform_buffers_per_shader_stage.min(BINDINGS),
        ..wgpu::Limits::default()
    };
    let required_features = features & (Features::TIMESTAMP_QUERY | Features::MAPPABLE_PRIMARY_BUFFERS);
    Ok(wgpu::DeviceDescriptor { required_limits, required_features, ..Default::default() })
}

/// Where it is noted why the device was lost, once it is.
fn noted_loss(device: &wgpu::Device) -> Arc<OnceLock<String>> {
    let lost = Arc::new(OnceLock::new());
    let note = lost.clone();
    device.set_device_lost_callback(move |reason, message| {
        tracing::warn!(?reason, message, "the GPU was lost");
        // The first reason stays.
        let _ = note.set(message);
    });
    // Whatever may fail is done in a scope of its own; what is left is a fault of the host, and no reason to end it.
    device.on_uncaptured_error(Arc::new(|error| tracing::error!(%error, "an error of the GPU that nobody expected")));
    lost
}

/// One for each `Filter`.
fn samplers(device: &wgpu::Device) -> [wgpu::Sampler; 2] {
    [wgpu::FilterMode::Nearest, wgpu::FilterMode::Linear].map(|filter| {
        let descriptor = wgpu::SamplerDescriptor { mag_filter: filter, min_filter: filter, ..Default::default() };
        device.create_sampler(&descriptor)
    })
}

/// Does `work`, and turns what the device finds wrong with it into an error.
pub(crate) fn tried<T>(device: &wgpu::Device, lost: &OnceLock<String>, work: impl FnOnce() -> T) -> Result<T, Error> {
    let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
    let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let internal = device.push_error_scope(wgpu::ErrorFilter::Internal);
    let result = work();
    let [internal, validation, memory] = [internal, validation, memory].map(|scope| pollster::block_on(scope.pop()));
    if let Some(why) = lost.get() {
        return Err(Error::Lost(why.clone()));
    }
    match (memory, validation.or(internal)) {
        (Some(_), _) => Err(Error::Limit("the GPU has no memory left".to_owned())),
        (_, Some(error)) => Err(Error::Invalid(error.to_string())),
        _ => Ok(result),
    }
}
