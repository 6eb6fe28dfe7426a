//! Reading a guest's shader in a child process first. naga nests calls as deeply as a text's operators, and makes the values of its
//! constants before anybody can say how large they are: what is too much for it takes the child with it, and not the host.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rillbox_gpu::Error;

use super::compile::{REFUSED, limit_process};

/// Processor time of the child, and wall time of one that does not get it.
const TIME: Duration = Duration::from_secs(2);
const WALL: Duration = Duration::from_secs(10);

/// Writable memory of the child.
const MEMORY: u64 = 256 << 20;

/// Stack on which the child reads: half of what the host's own threads have, so that what it gets through, they do.
const STACK: usize = 1 << 20;

/// Exit status of the child when the shader is more than may be.
const TOO_MUCH: i32 = REFUSED + 1;

/// Whoever reads guests' shaders before the host does. A clone is one more reference.
#[derive(Clone, Debug)]
pub struct ShaderReader(Option<Arc<Path>>);

impl ShaderReader {
    /// Has `program`, the `rillbox` binary, do it in a child.
    pub fn child(program: &Path) -> Self {
        Self(Some(program.into()))
    }

    /// Does it in this process: for shaders that are known.
    pub fn none() -> Self {
        Self(None)
    }

    /// Says what is wrong with a shader, if anything is. It waits for the child, which ends by itself.
    pub fn read(&self, wgsl: &str) -> Result<(), Error> {
        let Some(program) = &self.0 else { return Ok(()) };
        close_fds::set_fds_cloexec_threadsafe(3, &[]);
        let child = Command::new(program.as_os_str())
            .arg("read-shader")
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let failed = |error: std::io::Error| Error::Unsupported(format!("shaders cannot be read: {error}"));
        let mut child = child.map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A child that does not listen has ended, which says more.
            let _ = stdin.write_all(wgsl.as_bytes());
        }
        let output = child.wait_with_output().map_err(failed)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        match output.status.code() {
            Some(0) => Ok(()),
            Some(REFUSED) => Err(Error::Invalid(said)),
            Some(TOO_MUCH) => Err(Error::Limit(said)),
            _ => Err(Error::Limit(format!(
                "the shader is nested too deeply, or takes more than {} MiB or {} s to be read",
                MEMORY >> 20,
                TIME.as_secs()
            ))),
        }
    }
}

/// What the hidden subcommand `read-shader` does, in the child: reads WGSL from standard input and says what is wrong with it.
///
/// Lowers the process' own limits first; only for a process that does nothing else.
pub fn read_shader() -> ExitCode {
    let read = limit_process(WALL, TIME, MEMORY).and_then(|()| {
        let reader = std::thread::Builder::new().stack_size(STACK).spawn(|| {
            let mut wgsl = String::new();
            std::io::stdin().read_to_string(&mut wgsl).map(|_| rillbox_gpu::check(&wgsl))
        })?;
        Ok(reader.join().map_err(|_| anyhow::anyhow!("it panicked"))??)
    });
    let (status, said) = match read {
        Ok(Ok(())) => return ExitCode::SUCCESS,
        Ok(Err(Error::Invalid(why))) => (REFUSED, why),
        Ok(Err(Error::Limit(why))) => (TOO_MUCH, why),
        Ok(Err(error)) => (1, error.to_string()),
        Err(error) => (1, error.to_string()),
    };
    print!("{said}");
    ExitCode::from(status as u8)
}
