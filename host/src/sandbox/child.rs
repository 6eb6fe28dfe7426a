//! The host's side of compiling: it runs the child, holds it to its time, and makes of its end an answer.

use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::compile::{MEMORY, REFUSED, TIME};
use super::engine::Engine;
use crate::registry::{CompileError, Compiler, Description};

/// Children at once: each may take 2 GiB and two cores.
const CHILDREN: usize = 2;

/// How long a component waits for its turn.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes that are read of what a child says. A description is smaller, and the rest of a complaint tells nothing.
const MAX_SAID: u64 = 1 << 20;

/// Bytes of a complaint that are told, from its start and from its end.
const MAX_TOLD: usize = 1_000;

/// Exit status of a Rust program that panicked.
const PANICKED: i32 = 101;

/// Runs the host's own program as the child.
pub struct ChildCompiler {
    engine: Engine,
    program: PathBuf,
    turns: Semaphore,
}

impl ChildCompiler {
    /// `program` is the `rillbox` binary.
    pub fn new(engine: Engine, program: PathBuf) -> Self {
        Self { engine, program, turns: Semaphore::new(CHILDREN) }
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>, CompileError> {
        match tokio::time::timeout(QUEUE_TIMEOUT, self.turns.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(CompileError::Busy),
        }
    }

    /// The child sees its two files and nothing of the host's: no environment, no input, no descriptor but the two that it
    /// answers on.
    fn start(&self, wasm: &Path, code: &Path) -> Result<Child, CompileError> {
        // Libraries, and whoever started the host, may have opened some that do not close by themselves.
        close_fds::set_fds_cloexec_threadsafe(3, &[]);
        let child = Command::new(&self.program)
            .arg("compile")
            .args([wasm, code])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        child.map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                CompileError::failed(format!("{} is not there to compile with", self.program.display()))
            }
            _ => CompileError::failed(error),
        })
    }
}

impl Compiler for ChildCompiler {
    fn compatibility(&self) -> String {
        self.engine.compatibility()
    }

    fn is_precompiled(&self, bytes: &[u8]) -> bool {
        wasmtime::Engine::detect_precompiled(bytes).is_some()
    }

    async fn compile(&self, wasm: &Path, code: &Path) -> Result<Description, CompileError> {
        let _turn = self.turn().await?;
        let mut child = self.start(wasm, code)?;
        let heard = match tokio::time::timeout(TIME, hear(&mut child)).await {
            Ok(heard) => heard.map_err(CompileError::failed),
            Err(_elapsed) => Err(CompileError::Refused(format!("compiling took longer than {} s", TIME.as_secs()))),
        };
        if heard.is_err() {
            // Gone before the next one's turn comes.
            let _ = child.kill().await;
        }
        let Heard { status, said, complaint } = heard?;
        if status.success() {
            return serde_json::from_slice(&said).map_err(CompileError::failed);
        }
        Err(outcome(status, &String::from_utf8_lossy(&complaint)))
    }
}

struct Heard {
    status: ExitStatus,
    said: Vec<u8>,
    complaint: Vec<u8>,
}

/// What the child says until its end; beyond the limit it finds its pipe closed.
async fn hear(child: &mut Child) -> std::io::Result<Heard> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (said, complaint) = tokio::try_join!(read(stdout), read(stderr))?;
    Ok(Heard { status: child.wait().await?, said, complaint })
}

async fn read(from: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        from.take(MAX_SAID).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

/// What the end of a child means. All that a component can bring about is the component's fault.
fn outcome(status: ExitStatus, complaint: &str) -> CompileError {
    let said = ends(complaint.trim());
    let memory = || CompileError::Refused(format!("compiling took more than {} MiB of memory", MEMORY >> 20));
    match (status.code(), status.signal().and_then(Signal::from_named_raw)) {
        (Some(REFUSED), _) => CompileError::Refused(said),
        (Some(PANICKED), _) => CompileError::Refused(format!("the compiler does not get through it: {said}")),
        (Some(_), _) => CompileError::failed(said),
        (None, Some(Signal::ABORT)) if complaint.contains("memory allocation") => memory(),
        (None, Some(Signal::KILL)) => memory(),
        (None, Some(Signal::XCPU)) => CompileError::Refused(format!("compiling took longer than {} s", TIME.as_secs())),
        (None, Some(Signal::ABORT | Signal::SEGV | Signal::BUS)) => {
            CompileError::Refused(format!("it is nested too deeply for the compiler ({status})"))
        }
        (None, _) => CompileError::Refused(format!("compiling was ended by the system ({status})")),
    }
}

/// The start of a text and, where it is long, its end.
fn ends(text: &str) -> String {
    if text.len() <= 2 * MAX_TOLD {
        return text.to_owned();
    }
    let (first, last) = (text.floor_char_boundary(MAX_TOLD), text.ceil_char_boundary(text.len() - MAX_TOLD));
    format!("{} … {}", &text[..first], &text[last..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(raw: i32, complaint: &str) -> Option<String> {
        match outcome(ExitStatus::from_raw(raw), complaint) {
            CompileError::Refused(reason) => Some(reason),
            _ => None,
        }
    }

    #[test]
    fn what_a_component_brings_about_is_its_fault_and_named() {
        let exit = |code: i32| code << 8;
        assert_eq!(refusal(exit(REFUSED), " no such export\n").unwrap(), "no such export");
        assert!(refusal(exit(PANICKED), "panicked at").unwrap().contains("panicked"));
        assert!(refusal(6, "memory allocation of 8 bytes failed").unwrap().contains("memory"));
        assert!(refusal(6, "thread 'main' has overflowed its stack").unwrap().contains("nested"));
        assert!(refusal(9, "").unwrap().contains("memory"));
        assert!(refusal(11, "").unwrap().contains("nested"));
        assert!(refusal(24, "").unwrap().contains("30 s"));
        assert!(refusal(exit(1), "the disk is full").is_none(), "the host's own trouble");
    }

    #[test]
    fn a_long_complaint_keeps_both_its_ends() {
        let told = ends(&format!("first{}last", "é".repeat(5_000)));
        assert!(told.starts_with("first") && told.ends_with("last") && told.len() < 2_100);
    }
}
