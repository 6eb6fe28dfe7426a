//! Compiling an upload, in a child process: a component that is slow or greedy to compile takes the child with it, and its
//! memory never stays with the host.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, setrlimit};
use thiserror::Error;

use super::engine::{Component, Engine};
use super::http::HttpAccess;
use super::instance::{Identity, Instance};
use super::limits::Limits;
use crate::registry::{CompileError as Refusal, Compiler, Description};

/// Wall time of the child.
const TIME: Duration = Duration::from_secs(30);

/// Writable memory of the child.
const MEMORY: u64 = 2 << 30;

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
    let engine = Engine::start(Limits::default()).map_err(anyhow::Error::from)?;
    let (compiled, component) = engine.precompile(&bytes).map_err(|error| CompileError::Refused(error.to_string()))?;
    std::fs::write(code, compiled).map_err(anyhow::Error::from)?;
    let identity = Identity {
        stream: "upload".to_owned(),
        processor: "describe".to_owned(),
        started: Instant::now(),
        http: HttpAccess::none(),
    };
    let describe = async {
        let mut instance = Instance::new(&engine, &component, &identity).await?;
        instance.describe().await
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(anyhow::Error::from)?;
    let described = runtime.block_on(describe);
    let description = described.map_err(|failure| CompileError::Refused(format!("`describe`: {failure}")))?;
    check_imports(&engine, &component, &description)?;
    Ok(description)
}

/// What a component imports and the operator must grant, it asks for in its description.
fn check_imports(engine: &Engine, component: &Component, description: &Description) -> Result<(), CompileError> {
    let asks = description.capabilities.iter().any(|name| name == "http" || name.starts_with("http:"));
    match component.import_of(engine, "wasi:http/") {
        Some(import) if !asks => Err(CompileError::Refused(format!(
            "the component imports {import} and does not ask for it: add the capability `http:HOST`, `http:{{KEY OF A PARAM}}` or \
             `http` to its description"
        ))),
        _ => Ok(()),
    }
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
        let child = tokio::process::Command::new(&self.program)
            .arg("compile")
            .args([wasm, code])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .output();
        let output = match tokio::time::timeout(TIME, child).await {
            Err(_elapsed) => return Err(Refusal::Refused(format!("compiling took longer than {} s", TIME.as_secs()))),
            Ok(Err(error)) if error.kind() == ErrorKind::NotFound => {
                return Err(Refusal::Failed(format!("{} is not there to compile with", self.program.display())));
            }
            Ok(output) => output.map_err(|error| Refusal::Failed(error.to_string()))?,
        };
        if output.status.success() {
            return serde_json::from_slice(&output.stdout).map_err(|error| Refusal::Failed(error.to_string()));
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(match output.status.code() {
            Some(REFUSED) => Refusal::Refused(said),
            Some(_) => Refusal::Failed(said),
            None => Refusal::Refused(format!("compiling was ended by the system ({}): too large", output.status)),
        })
    }
}

/// Exit status of the child when the upload is at fault.
pub const REFUSED: i32 = 65;
