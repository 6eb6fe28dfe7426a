//! NVIDIA's GPUs, by their management library, which is loaded the first time that somebody asks.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Longest that the library is waited for. A driver in trouble may never answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// One GPU at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// NVML's index.
    pub index: u32,
    /// Unique and lasting.
    pub uuid: String,
    /// The product's.
    pub name: String,
    /// Bytes.
    pub memory_total: u64,
    /// Bytes.
    pub memory_free: u64,
    /// Major and minor version of its CUDA compute capability.
    pub compute_capability: (i32, i32),
    /// Percent of the last period in which a kernel ran.
    pub busy: u32,
    /// Percent of the last period in which its memory was read or written.
    pub memory_busy: u32,
}

/// Asks for the GPUs of this machine.
#[derive(Clone)]
pub struct Gpus {
    /// `None` where there is no library or no driver.
    library: Arc<OnceLock<Option<Nvml>>>,
    /// One asks at a time, so that a library that hangs takes one thread at most.
    turn: Arc<Semaphore>,
}

impl Gpus {
    /// Loads nothing yet.
    pub fn new() -> Self {
        Self { library: Arc::default(), turn: Arc::new(Semaphore::new(1)) }
    }

    /// The GPUs at this moment; none where there is no NVIDIA, or where it does not answer in time.
    pub async fn read(&self) -> Vec<Gpu> {
        let reading = async {
            let turn = self.turn.clone().acquire_owned().await.ok()?;
            let library = self.library.clone();
            let task = tokio::task::spawn_blocking(move || {
                let gpus = library.get_or_init(load).as_ref().map(read);
                drop(turn);
                gpus
            });
            task.await.ok()?
        };
        match timeout(PATIENCE, reading).await {
            Ok(gpus) => gpus.unwrap_or_default(),
            Err(_elapsed) => {
                tracing::warn!("the GPUs' library does not answer");
                Vec::new()
            }
        }
    }
}

impl Default for Gpus {
    fn default() -> Self {
        Self::new()
    }
}

fn load() -> Option<Nvml> {
    Nvml::init().inspect_err(|error| tracing::info!(%error, "no NVIDIA GPUs")).ok()
}

fn read(library: &Nvml) -> Vec<Gpu> {
    let count = library.device_count().unwrap_or(0);
    let gpu = |index| match gpu(library, index) {
        Ok(gpu) => Some(gpu),
        Err(error) => {
            tracing::warn!(index, %error, "a GPU cannot be read");
            None
        }
    };
    (0..count).filter_map(gpu).collect()
}

fn gpu(library: &Nvml, index: u32) -> Result<Gpu, NvmlError> {
    let device = library.device_by_index(index)?;
    let (memory, capability) = (device.memory_info()?, device.cuda_compute_capability()?);
    // A GPU that is cut into instances tells nothing of its use.
    let usage = device.utilization_rates().ok();
    Ok(Gpu {
        index,
        uuid: device.uuid()?,
        name: device.name()?,
        memory_total: memory.total,
        memory_free: memory.free,
        compute_capability: (capability.major, capability.minor),
        busy: usage.as_ref().map_or(0, |usage| usage.gpu),
        memory_busy: usage.as_ref().map_or(0, |usage| usage.memory),
    })
}
