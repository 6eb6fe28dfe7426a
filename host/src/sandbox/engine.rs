//! The engine: how guests are compiled and run, and the threads that run them.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::Path;
use std::sync::Arc;

use rillbox_gpu::Gpu;
use thiserror::Error;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;
use tracing::Instrument;
use wasmtime::component::Linker;
use wasmtime::component::types::ComponentItem;
use wasmtime::{Config, InstanceAllocationStrategy, WasmFeatures};

use super::bindings::LiveProcessorPre;
use super::context::Guest;
use super::graphics::Uses;
use super::imports;
use super::limits::Limits;
use super::pool::pool;
use super::shaders::ShaderReader;
use super::standing::{Offenders, Standing};
use super::ticker::{Activity, Ticker};

/// Stack of a guest's WebAssembly code.
const WASM_STACK: usize = 512 << 10;

/// Stack of a guest's fiber: its code's and the host calls' on top.
const FIBER_STACK: usize = 2 << 20;

/// Guests' threads for each core: what one does within an import nobody ends, and the others find a thread meanwhile.
const THREADS: usize = 4;
const MOST_THREADS: usize = 32;

/// Which of the guests' threads a task runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Those that have as much of the machine as everything else.
    Foreground,
    /// Those for whoever took too much of it lately: what is left.
    Background,
}

/// Niceness of the background threads.
const BACKGROUND_NICE: i32 = 15;

/// Gives this thread the niceness of a priority.
fn give_way(priority: Priority) {
    // A thread has a niceness of its own on Linux alone. One that cannot give way has its share, as the others do.
    if cfg!(target_os = "linux") && priority == Priority::Background {
        let _ = rustix::process::nice(BACKGROUND_NICE);
    }
}

/// Why guests cannot be run.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The engine itself.
    #[error("the sandbox did not start: {0}")]
    Engine(#[source] wasmtime::Error),
    /// The guests' threads.
    #[error("the sandbox did not start: {0}")]
    Threads(#[from] io::Error),
}

/// Why a component is not loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// It does not fit the contract.
    #[error("{}", plainly(.0))]
    Contract(#[source] wasmtime::Error),
    /// Compiled code does not fit this host.
    #[error("compiled code does not load: {0:#}")]
    Code(#[source] wasmtime::Error),
}

/// Compiles and runs guests; a clone is one more reference.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    engine: wasmtime::Engine,
    linker: Linker<Guest>,
    limits: Limits,
    gpu: Gpu,
    shaders: ShaderReader,
    activity: Activity,
    /// Executors of guests' own threads, by [`Priority`]. They are apart from the host's, so that no guest holds up a socket or
    /// a timer.
    executors: [Handle; 2],
    /// Those that the executors belong to; taken when they end.
    runtimes: Option<[Runtime; 2]>,
    /// Processors that took too much lately.
    offenders: Offenders,
    _ticker: Ticker,
}

impl Drop for Inner {
    fn drop(&mut self) {
        for runtime in self.runtimes.take().into_iter().flatten() {
            runtime.shutdown_background();
        }
    }
}

/// A loaded component, ready to be instantiated.
#[derive(Clone)]
pub struct Component {
    pub(super) pre: LiveProcessorPre<Guest>,
    /// What is made ready on the GPU before it loads.
    pub(super) uses: Uses,
}

impl Component {
    /// The first import whose name begins like this.
    pub(super) fn import_of(&self, engine: &Engine, start: &str) -> Option<String> {
        let kind = self.pre.instance_pre().component().component_type();
        kind.imports(engine.wasmtime()).map(|(name, _)| name.to_owned()).find(|name| name.starts_with(start))
    }
}

impl Engine {
    /// Reserves room for instances, and starts the guests' threads, and the ticker. Guests' shaders are for
    /// `gpu`, once `shaders` has read them.
    pub fn start(limits: Limits, gpu: Gpu, shaders: ShaderReader) -> Result<Self, EngineError> {
        Self::start_with(limits, gpu, shaders, |_| Ok(()))
    }

    /// As [`start`](Self::start), with `extend` to change what guests are offered.
    pub(super) fn start_with(
        limits: Limits,
        gpu: Gpu,
        shaders: ShaderReader,
        extend: impl FnOnce(&mut Linker<Guest>) -> wasmtime::Result<()>,
    ) -> Result<Self, EngineError> {
        let engine = wasmtime_engine(&limits).map_err(EngineError::Engine)?;
        let mut linker = linker(&engine).map_err(EngineError::Engine)?;
        extend(&mut linker).map_err(EngineError::Engine)?;
        let threads = std::thread::available_parallelism().map_or(1, |cores| (THREADS * cores.get()).min(MOST_THREADS));
        let runtime = |priority| {
            let name = if priority == Priority::Foreground { "guest" } else { "guest-behind" };
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(threads).thread_name(name).enable_time().on_thread_start(move || give_way(priority));
            builder.build()
        };
        let runtimes = [runtime(Priority::Foreground)?, runtime(Priority::Background)?];
        let executors = runtimes.each_ref().map(|runtime| runtime.handle().clone());
        let ticker = Ticker::start(&engine)?;
        let activity = ticker.activity();
        Ok(Self(Arc::new(Inner {
            engine,
            linker,
            limits,
            gpu,
            shaders,
            activity,
            executors,
            runtimes: Some(runtimes),
            offenders: Offenders::default(),
            _ticker: ticker,
        })))
    }

    /// Bounds of each instance.
    pub fn limits(&self) -> Limits {
        self.0.limits
    }

    /// What guests' shaders run on.
    pub fn gpu(&self) -> &Gpu {
        &self.0.gpu
    }

    /// What reads them first.
    pub fn shaders(&self) -> &ShaderReader {
        &self.0.shaders
    }

    /// Runs a task that owns an instance. It ends with the engine at the latest. What it logs is the current span's.
    pub fn spawn<F>(&self, priority: Priority, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.0.executors[priority as usize].spawn(task.in_current_span())
    }

    /// Runs tasks on the foreground threads.
    pub(super) fn front(&self) -> &Handle {
        &self.0.executors[Priority::Foreground as usize]
    }

    /// What is known of the processor of this `name@version`.
    pub fn standing(&self, processor: &str) -> Standing {
        Standing::new(processor, &self.0.offenders)
    }

    /// Tasks that own an instance or make one.
    pub fn tasks(&self) -> usize {
        self.0.executors.iter().map(|executor| executor.metrics().num_alive_tasks()).sum()
    }

    /// A name for everything that compiled code depends on: it may be loaded by engines of the same name only.
    pub fn compatibility(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.0.engine.precompile_compatibility_hash().hash(&mut hasher);
        env!("CARGO_PKG_VERSION").hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }

    /// Loads what [`Engine::precompile`] made.
    ///
    /// The caller vouches for the file: it must have been written by this host, for an engine of the same
    /// [`compatibility`](Self::compatibility), and be whole.
    pub fn load(&self, code: &Path) -> Result<Component, LoadError> {
        // SAFETY: compiled code is native code and is trusted like it. The registry alone calls this, with files that it wrote
        // itself from the compiler's output, under a name of digest and compatibility, and whose digest it has checked.
        #[allow(unsafe_code)]
        let component = unsafe { wasmtime::component::Component::deserialize_file(&self.0.engine, code) }
            .map_err(LoadError::Code)?;
        self.prepare(&component)
    }

    /// Compiles a component, and checks that it imports what is offered and exports what is asked.
    pub(super) fn precompile(&self, wasm: &[u8]) -> Result<(Vec<u8>, Component), LoadError> {
        let component = wasmtime::component::Component::new(&self.0.engine, wasm).map_err(LoadError::Contract)?;
        let prepared = self.prepare(&component)?;
        Ok((component.serialize().map_err(LoadError::Contract)?, prepared))
    }

    fn prepare(&self, component: &wasmtime::component::Component) -> Result<Component, LoadError> {
        let pre = self.0.linker.instantiate_pre(component).map_err(LoadError::Contract)?;
        let engine = &self.0.engine;
        let imports = |interface: &str, function: &str| {
            component.component_type().imports(engine).any(|(name, item)| match item.ty {
                ComponentItem::ComponentInstance(instance) => {
                    name.starts_with(interface) && instance.exports(engine).any(|(name, _)| name.contains(function))
                }
                _ => false,
            })
        };
        // Tensors of pictures are to be where they are fastest; what else there is of tensors is on the CPU.
        let uses = Uses {
            tensors: imports("rillbox:processor/tensor@", "tensor.from-frame"),
            shaders: imports("rillbox:processor/shader@", ""),
        };
        Ok(Component { pre: LiveProcessorPre::new(pre).map_err(LoadError::Contract)?, uses })
    }

    pub(super) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.0.engine
    }

    pub(super) fn activity(&self) -> &Activity {
        &self.0.activity
    }
}

/// Why a component was refused. What one may have at most is a property of the pool, of which whoever uploads one need not know.
fn plainly(error: &wasmtime::Error) -> String {
    format!("{error:#}")
        .replace(" in this pooling allocator configuration", "")
        .replace(" in the pooling allocator", "")
        .replace("pooling allocator requirements", "what an instance may have")
}

/// An engine with a pool, or, on a machine that cannot reserve one, without.
fn wasmtime_engine(limits: &Limits) -> wasmtime::Result<wasmtime::Engine> {
    let mut pooled = config();
    pooled.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)));
    // The pool is reserved here, so that this is where it shows whether it can be.
    wasmtime::Engine::new(&pooled).or_else(|error| {
        let instances = limits.instances;
        tracing::warn!(
            error = format!("{error:#}"),
            instances,
            "no room can be reserved for instances of processors: each is made on demand, which takes longer. Allow the process \
             more address space (`ulimit -v`, overcommit), or ask for fewer streams"
        );
        wasmtime::Engine::new(&config())
    })
}

/// What code may not use, said outright: most of it is not even compiled into this build of wasmtime.
const OFF: WasmFeatures = WasmFeatures::GC
    .union(WasmFeatures::EXCEPTIONS)
    .union(WasmFeatures::LEGACY_EXCEPTIONS)
    .union(WasmFeatures::THREADS)
    .union(WasmFeatures::SHARED_EVERYTHING_THREADS)
    .union(WasmFeatures::MEMORY64)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::CUSTOM_PAGE_SIZES)
    .union(WasmFeatures::FUNCTION_REFERENCES)
    .union(WasmFeatures::STACK_SWITCHING)
    .union(WasmFeatures::CM_ASYNC)
    .union(WasmFeatures::CM_THREADING);

/// Untrusted code on a small surface: WebAssembly 2 with SIMD and components, and nothing of [`OFF`].
fn config() -> Config {
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .epoch_interruption(true)
        .wasm_features(OFF, false)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(FIBER_STACK)
        .async_stack_zeroing(true);
    config
}

fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    imports::add_to_linker(&mut linker)?;
    Ok(linker)
}
