//! Compiling an upload, in a child process: a component that is slow or greedy to compile takes the child with it, and its
//! memory never stays with the host.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, setrlimit};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::engine::Engine;
use super::instance::{Identity, Instance};
use super::limits::Limits;
use crate::registry::{CompileError as Refusal, Compiler, Description};

/// Wall time of the child.
const TIME: Duration = Duration::from_secs(30);

/// Writable memory of the child.
const MEMORY: u64 = 2 << 30;

/// Bytes of everything that a component says of itself.
const MAX_DESCRIPTION: usize = 256 << 10;

/// Bytes that are read of each of the child's outputs: a description, with every byte of it escaped.
const MAX_OUTPUT: u64 = 2 << 20;

/// Why the child did not compile.
#[derive(Debug, Error)]
pub enum CompileError {
    /// The upload is at fault.
    #[error("{0}")]
    Refused(String),
    /// A file, or the sandbox itself.
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

/// What the hidden subcommand `compile` does, in the child: compiles `wasm` into `code`, asks the component to describe
/// itself, and gives the description.
///
/// Lowers the process' own limits first; only for a process that does nothing else.
pub fn compile(wasm: &Path, code: &Path) -> Result<Description, CompileError> {
    limit_process()?;
    let bytes = std::fs::read(wasm).map_err(anyhow::Error::from)?;
    let engine = Engine::start(Limits { instances: 1, ..Limits::default() }).map_err(anyhow::Error::from)?;
    let (compiled, component) = engine.precompile(&bytes).map_err(|error| CompileError::Refused(error.to_string()))?;
    std::fs::write(code, compiled).map_err(anyhow::Error::from)?;
    let identity = Identity { stream: "upload".to_owned(), processor: "describe".to_owned(), started: Instant::now() };
    let refused = |what: &str, failure: &dyn std::fmt::Display| CompileError::Refused(format!("{what}: {failure}"));
    let describe = async move {
        let made = Instance::new(&engine, &component, &identity).await;
        let mut instance = made.map_err(|failure| refused("no instance can be made", &failure))?;
        instance.describe().await.map_err(|failure| refused("`describe`", &failure))
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(anyhow::Error::from)?;
    check_size(runtime.block_on(describe)?)
}

/// What a component says of itself is kept, and sent to whoever asks.
fn check_size(description: Description) -> Result<Description, CompileError> {
    let Description { name, version, params_schema, capabilities, .. } = &description;
    let names: usize = capabilities.iter().map(|capability| capability.len() + size_of::<String>()).sum();
    let bytes = name.len() + version.len() + params_schema.len() + names;
    if bytes > MAX_DESCRIPTION {
        let why = format!("the component says {bytes} bytes of itself, more than {MAX_DESCRIPTION}");
        return Err(CompileError::Refused(why));
    }
    Ok(description)
}

fn limit_process() -> Result<(), anyhow::Error> {
    let cap = |limit| Rlimit { current: Some(limit), maximum: Some(limit) };
    // Data, not address space: memories reserve far more addresses than they use.
    setrlimit(Resource::Data, cap(MEMORY))?;
    setrlimit(Resource::Cpu, cap(2 * TIME.as_secs()))?;
    setrlimit(Resource::Core, cap(0))?;
    Ok(())
}

/// Runs the host's own program as the child.
pub struct ChildCompiler {
    engine: Engine,
    program: PathBuf,
}

impl ChildCompiler {
    /// `program` is the `rillbox` binary.
    pub fn new(engine: Engine, program: PathBuf) -> Self {
        Self { engine, program }
    }
}

impl Compiler for ChildCompiler {
    fn compatibility(&self) -> String {
        self.engine.compatibility()
    }

    fn is_precompiled(&self, bytes: &[u8]) -> bool {
        wasmtime::Engine::detect_precompiled(bytes).is_some()
    }

    async fn compile(&self, wasm: &Path, code: &Path) -> Result<Description, Refusal> {
        let spawned = tokio::process::Command::new(&self.program)
            .arg("compile")
            .args([wasm, code])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let failed = |error: std::io::Error| Refusal::Failed(error.to_string());
        let mut child = match spawned {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(Refusal::Failed(format!("{} is not there to compile with", self.program.display())));
            }
            spawned => spawned.map_err(failed)?,
        };
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let ended = async { tokio::join!(said(stdout), said(stderr), child.wait()) };
        let Ok((description, complaint, status)) = tokio::time::timeout(TIME, ended).await else {
            return Err(Refusal::Refused(format!("compiling took longer than {} s", TIME.as_secs())));
        };
        let status = status.map_err(failed)?;
        if status.success() {
            return serde_json::from_slice(&description).map_err(|error| Refusal::Failed(error.to_string()));
        }
        let complaint = String::from_utf8_lossy(&complaint).trim().to_owned();
        Err(match status.code() {
            Some(REFUSED) => Refusal::Refused(complaint),
            Some(_) => Refusal::Failed(complaint),
            None => Refusal::Refused(format!("compiling was ended by the system ({status}): too large")),
        })
    }
}

/// What the child writes into a pipe, which is closed on it when it writes too much: it has run a guest's code.
async fn said(pipe: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        // What was read before an error is all there is.
        let _ = pipe.take(MAX_OUTPUT).read_to_end(&mut bytes).await;
    }
    bytes
}

/// Exit status of the child when the upload is at fault.
pub const REFUSED: i32 = 65;
