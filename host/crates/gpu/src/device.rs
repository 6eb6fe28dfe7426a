//! The device that was chosen: opened when somebody needs it, and opened anew when it was lost.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use wgpu::{DeviceType, Features};

use crate::choice::Choice;
use crate::color::Kernels;
use crate::download::Transfer;
use crate::error::Error;
use crate::limits;
use crate::program::{Compiled, Program, Programs};
use crate::source::Source;
use crate::submission::Submitter;
use crate::tensor;

/// A device that was chosen. A clone is one more reference.
#[derive(Clone, Debug)]
pub struct Gpu(Arc<Place>);

#[derive(Debug)]
struct Place {
    choice: Choice,
    state: Mutex<State>,
    /// Held by whoever opens one, which may take long: others want to know what there is.
    opening: Mutex<()>,
    /// How often a device was opened.
    opened: AtomicU64,
    /// Bytes to and from devices that were lost.
    moved: [AtomicU64; 2],
}

#[derive(Debug)]
enum State {
    Closed,
    Open(Arc<Device>),
    /// There is none: asking again would cost time and memory.
    None(Error),
}

impl Gpu {
    /// Opens nothing yet.
    pub fn new(choice: Choice) -> Self {
        Self(Arc::new(Place {
            choice,
            state: Mutex::new(State::Closed),
            opening: Mutex::default(),
            opened: AtomicU64::new(0),
            moved: Default::default(),
        }))
    }

    /// The device. It is opened if it is not, or was lost, which takes a fraction of a second.
    pub fn open(&self) -> Result<Arc<Device>, Error> {
        let _opening = self.0.opening.lock().unwrap_or_else(PoisonError::into_inner);
        match &*self.state() {
            State::Open(device) if !device.is_lost() => return Ok(device.clone()),
            State::None(error) => return Err(error.clone()),
            _ => {}
        }
        let opened = Device::open(self.0.choice).map(Arc::new);
        let state = match &opened {
            Ok(device) => State::Open(device.clone()),
            // Asking again would give the same.
            Err(error @ Error::Unsupported(_)) => State::None(error.clone()),
            Err(_) => State::Closed,
        };
        if let State::Open(lost) = std::mem::replace(&mut *self.state(), state) {
            let (sent, received) = lost.moved();
            self.0.moved[0].fetch_add(sent, Ordering::Relaxed);
            self.0.moved[1].fetch_add(received, Ordering::Relaxed);
        }
        if let Ok(device) = &opened {
            self.0.opened.fetch_add(1, Ordering::Relaxed);
            tracing::info!(name = device.info.name, driver = device.info.driver, "GPU opened");
        }
        opened
    }

    /// The device, if it is open.
    pub fn opened(&self) -> Option<Arc<Device>> {
        match &*self.state() {
            State::Open(device) => Some(device.clone()),
            _ => None,
        }
    }

    /// Bytes that have gone to this device and those before it, and come from them.
    pub fn moved(&self) -> (u64, u64) {
        let (sent, received) = self.opened().map_or((0, 0), |device| device.moved());
        let [sent_before, received_before] = [0, 1].map(|way| self.0.moved[way].load(Ordering::Relaxed));
        (sent_before + sent, received_before + received)
    }

    /// How often a device was lost and replaced.
    pub fn reopened(&self) -> u64 {
        self.0.opened.load(Ordering::Relaxed).saturating_sub(1)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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

/// An open device.
#[derive(Debug)]
pub struct Device {
    pub(crate) device: wgpu::Device,
    pub(crate) submitter: Submitter,
    pub(crate) kernels: Kernels,
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

/// How often it is seen whether it goes on.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

impl Device {
    fn open(choice: Choice) -> Result<Self, Error> {
        let adapter = adapter(choice)?;
        let info = adapter.get_info();
        let offered = adapter.limits();
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
        if !adapter.features().contains(Features::MAPPABLE_PRIMARY_BUFFERS) {
            return Err(Error::Unsupported(format!("{} has no buffers that the host reaches, too", info.name)));
        }
        let required_features = adapter.features() & (Features::TIMESTAMP_QUERY | Features::MAPPABLE_PRIMARY_BUFFERS);
        let descriptor = wgpu::DeviceDescriptor { required_limits, required_features, ..Default::default() };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))
            .map_err(|error| Error::Lost(format!("{} cannot be opened: {error}", info.name)))?;
        let lost = Arc::new(OnceLock::new());
        let note = lost.clone();
        device.set_device_lost_callback(move |reason, message| {
            tracing::warn!(?reason, message, "the GPU was lost");
            // The first reason stays.
            let _ = note.set(message);
        });
        // Whatever may fail is done in a scope of its own; what is left is a fault of the host, and no reason to end it.
        device
            .on_uncaptured_error(Arc::new(|error| tracing::error!(%error, "an error of the GPU that nobody expected")));
        let filter = |filter| wgpu::SamplerDescriptor { mag_filter: filter, min_filter: filter, ..Default::default() };
        let samplers =
            [wgpu::FilterMode::Nearest, wgpu::FilterMode::Linear].map(|mode| device.create_sampler(&filter(mode)));
        let clock = required_features.contains(Features::TIMESTAMP_QUERY).then(|| queue.get_timestamp_period());
        let kernels = Kernels::new(&device);
        let uploads = Arc::<Pool>::default();
        let submitter = Submitter::start(&device, queue, &uploads, &lost)?;
        let info = Info {
            name: info.name,
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            software: info.device_type == DeviceType::Cpu,
        };
        Ok(Self {
            device,
            submitter,
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
            info,
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

/// Whether the system has anything that could be a GPU: to ask Vulkan costs time and memory, most of all where it has one in
/// software.
fn might_have_one() -> bool {
    let is_one = |entry: &std::fs::DirEntry, prefix: &str| entry.file_name().to_string_lossy().starts_with(prefix);
    let has = |directory: &str, prefix: &str| {
        std::fs::read_dir(directory).is_ok_and(|entries| entries.flatten().any(|entry| is_one(&entry, prefix)))
    };
    !cfg!(target_os = "linux") || has("/dev/dri", "render") || has("/dev", "nvidia") || has("/dev", "dxg")
}

/// Finds the device that was chosen.
fn adapter(choice: Choice) -> Result<wgpu::Adapter, Error> {
    let none = |why: String| Err(Error::Unsupported(why));
    if choice == Choice::Cpu {
        return none("this host works without a GPU (--device cpu)".to_owned());
    }
    if choice == Choice::Auto && !might_have_one() {
        return none("there is no GPU on this host (--device gpu:N takes one in software, too)".to_owned());
    }
    let descriptor = wgpu::InstanceDescriptor {
        backends: wgpu::Backends::VULKAN,
        flags: wgpu::InstanceFlags::empty(),
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    };
    let instance = wgpu::Instance::new(descriptor);
    let mut adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::VULKAN));
    let kind = |adapter: &wgpu::Adapter| adapter.get_info().device_type;
    let names: Vec<_> = adapters.iter().map(|adapter| adapter.get_info().name).collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let best = |adapters: &[wgpu::Adapter]| {
        [DeviceType::DiscreteGpu, DeviceType::IntegratedGpu, DeviceType::VirtualGpu]
            .into_iter()
            .find_map(|wanted| adapters.iter().position(|adapter| kind(adapter) == wanted))
    };
    let place = match choice {
        Choice::Gpu(place) => Some(place),
        Choice::Any => best(&adapters).or(Some(0)),
        _ => best(&adapters),
    };
    match place {
        Some(place) if place < adapters.len() => Ok(adapters.swap_remove(place)),
        Some(place) => none(format!("there is no GPU {place} (--device); Vulkan knows: {names}")),
        None => none(format!(
            "there is no GPU on this host; Vulkan knows: {names} (--device gpu:N takes one in software, too)"
        )),
    }
}

/// Buffers that are kept for what comes next, with when they came. What is in them is overwritten before anybody reads them.
#[derive(Debug, Default)]
pub(crate) struct Pool(Mutex<VecDeque<(wgpu::Buffer, Instant)>>);

/// So many are kept, of so many bytes in all, for so long.
const KEPT: usize = 32;
const KEPT_BYTES: u64 = 128 << 20;
const KEPT_FOR: Duration = Duration::from_secs(10);

impl Pool {
    /// The one of exactly this size that has been here for longest.
    pub fn take(&self, size: u64) -> Option<wgpu::Buffer> {
        let mut kept = self.kept();
        let place = kept.iter().position(|(buffer, _)| buffer.size() == size)?;
        kept.remove(place).map(|(buffer, _)| buffer)
    }

    pub fn give(&self, buffer: wgpu::Buffer) {
        let mut kept = self.kept();
        kept.push_back((buffer, Instant::now()));
        let mut bytes: u64 = kept.iter().map(|(buffer, _)| buffer.size()).sum();
        // What nobody takes is at the front.
        while let Some((first, since)) = kept.front()
            && (kept.len() > KEPT || bytes > KEPT_BYTES || since.elapsed() > KEPT_FOR)
        {
            bytes -= first.size();
            kept.pop_front();
        }
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<(wgpu::Buffer, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
