//! Compiling an upload, in a child process: a component that is slow or greedy to compile takes the child with it, and its
//! memory never stays with the host. `compile` is what the child does.

use std::path::Path;
use std::time::{Duration, Instant};

use rillbox_gpu::{Choice, Gpu};
use rustix::process::{Resource, Rlimit, Signal, nice, set_parent_process_death_signal, setrlimit};
use serde_json::Map;
use thiserror::Error;

use super::engine::{Component, Engine, LoadError};
use super::http::HttpAccess;
use super::instance::{Failure, Identity, Instance};
use super::limits::Limits;
use super::segments::{self, MAX_PASSIVE};
use super::shaders::ShaderReader;
use crate::registry::{Description, DescriptionError, ParamsSchema};

/// Wall time of the child.
pub const TIME: Duration = Duration::from_secs(30);

/// Writable memory of the child.
pub const MEMORY: u64 = 2 << 30;

/// How long the child may outlive its time, where nobody ends it.
const GRACE: Duration = Duration::from_secs(5);

/// How much further back in the queue for processors the child stands than streams.
const NICE: i32 = 5;

/// Threads that the child compiles by: a large component, such as one with an interpreter in it, would take all of its time by one.
const THREADS: usize = 2;

/// Stack of each, as much as a process' first thread usually has.
const STACK: usize = 8 << 20;

/// Exit status of the child when the upload is at fault.
pub const REFUSED: i32 = 65;

/// Why the child did not compile.
#[derive(Debug, Error)]
pub enum ChildError {
    /// The upload is at fault.
    #[error(transparent)]
    Refused(#[from] ComponentError),
    /// A file, or the sandbox itself.
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

/// Why a component is no processor.
#[derive(Debug, Error)]
pub enum ComponentError {
    /// It does not fit the contract.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It cannot be instantiated.
    #[error("no instance can be made: {0}")]
    Instance(#[source] Failure),
    /// It cannot say what it is.
    #[error("`describe`: {0}")]
    Describe(#[source] Failure),
    /// What it says is not taken.
    #[error(transparent)]
    Description(#[from] DescriptionError),
    /// It imports what the operator must grant, and does not ask for it.
    #[error(
        "the component imports {0} and does not ask for it: add the capability `http:HOST`, `http:{{KEY OF A PARAM}}` or `http` to \
         its description"
    )]
    Import(String),
    /// Its passive element segments would take memory that nobody counts.
    #[error("the component has {0} elements in passive segments, more than {MAX_PASSIVE}")]
    Segments(u64),
    /// It makes more native code than is kept.
    #[error("its native code has {0} bytes, more than {MAX_CODE}")]
    TooMuchCode(usize),
}

/// Bytes of native code at most: it is read, and its seal checked, before each start of a stream.
const MAX_CODE: usize = 256 << 20;

/// What the hidden subcommand `compile` does, in the child: compiles `wasm` into `code`, asks the component to describe
/// itself, and gives the description.
///
/// Lowers the process' own limits first; only for a process that does nothing else.
pub fn compile(wasm: &Path, code: &Path) -> Result<Description, ChildError> {
    limit_process(TIME, THREADS as u32 * TIME, MEMORY)?;
    let threads = rayon::ThreadPoolBuilder::new().num_threads(THREADS).stack_size(STACK);
    threads.build_global().map_err(anyhow::Error::from)?;
    let bytes = std::fs::read(wasm).map_err(anyhow::Error::from)?;
    let limits = Limits { instances: 1, ..Limits::default() };
    let engine = Engine::start(limits, Gpu::new(Choice::Cpu), ShaderReader::none()).map_err(anyhow::Error::from)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(anyhow::Error::from)?;
    let examined = runtime.block_on(examine(&engine, &bytes))?;
    if examined.code.len() > MAX_CODE {
        return Err(ComponentError::TooMuchCode(examined.code.len()).into());
    }
    std::fs::write(code, examined.code).map_err(anyhow::Error::from)?;
    Ok(examined.description)
}

/// A component that fits the contract.
pub struct Examined {
    /// Native code.
    pub code: Vec<u8>,
    /// The same, ready to be instantiated.
    pub component: Component,
    /// What it says of itself.
    pub description: Description,
}

/// Compiles and describes a component in this process, which takes as much of it as the component makes it take: for the child,
/// and for tests that know what they hand in.
pub async fn examine(engine: &Engine, wasm: &[u8]) -> Result<Examined, ComponentError> {
    let elements = segments::passive(wasm);
    if elements > MAX_PASSIVE {
        return Err(ComponentError::Segments(elements));
    }
    let (code, component) = engine.precompile(wasm)?;
    let identity = Identity {
        stream: "upload".to_owned(),
        processor: "describe".to_owned(),
        started: Instant::now(),
        http: HttpAccess::none(),
    };
    let mut instance = Instance::new(engine, &component, &identity).await.map_err(ComponentError::Instance)?;
    let description = instance.describe().await.map_err(ComponentError::Describe)?;
    check(&description)?;
    check_imports(engine, &component, &description)?;
    Ok(Examined { code, component, description })
}

/// What the host will do with a description, done here first: a schema that is too much for this process is refused before
/// the host has seen it.
fn check(description: &Description) -> Result<(), DescriptionError> {
    description.check()?;
    let schema = ParamsSchema::parse(&description.params_schema)?;
    // Whether no params at all fit does not matter.
    let _ = ParamsSchema::compile(&schema)?.check(&Map::new());
    Ok(())
}

/// What a component imports and the operator must grant, it asks for in its description.
fn check_imports(engine: &Engine, component: &Component, description: &Description) -> Result<(), ComponentError> {
    let asks = description.capabilities.iter().any(|name| name == "http" || name.starts_with("http:"));
    match component.import_of(engine, "wasi:http/") {
        Some(import) if !asks => Err(ComponentError::Import(import)),
        _ => Ok(()),
    }
}

/// Bounds what this process may take of wall time, of its processors' time and of memory, for good, and puts it behind the host's
/// own work.
pub(super) fn limit_process(time: Duration, processor: Duration, memory: u64) -> Result<(), anyhow::Error> {
    // A host that is killed cannot end its children.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    std::thread::Builder::new().name("deadline".to_owned()).spawn(move || {
        std::thread::sleep(time + GRACE);
        std::process::exit(1);
    })?;
    let cap = |limit| Rlimit { current: Some(limit), maximum: Some(limit) };
    // Data, not address space: memories reserve far more addresses than they use.
    setrlimit(Resource::Data, cap(memory))?;
    // Beyond the first the system says why it ends the process, at the second it no longer asks.
    let seconds = processor.as_secs();
    setrlimit(Resource::Cpu, Rlimit { current: Some(seconds), maximum: Some(seconds + 1) })?;
    setrlimit(Resource::Core, cap(0))?;
    // Streams come first.
    nice(NICE)?;
    Ok(())
}
