//! What a guest logs and prints: lines of the one log it has, and the last words before a trap.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use crate::sandbox::bindings::rillbox::processor::log::Level;
use crate::sandbox::imports::log::GuestLog;
use crate::sandbox::instance::Identity;

/// Longest text without a line break that is kept, and most that one call may write, in bytes.
const MAX_PENDING: usize = 4 << 10;

/// Bytes of what was printed last that are kept.
const MAX_LAST: usize = 900;

/// The log, standard output and standard error of one guest. WASI writes to it through handles of its own, hence the lock; only one of them
/// writes at a time.
#[derive(Clone)]
pub struct Stdio(Arc<Mutex<Lines>>);

struct Lines {
    log: GuestLog,
    pending: Vec<u8>,
    last: String,
}

impl Stdio {
    pub fn new(identity: &Identity, bytes_per_second: usize) -> Self {
        let log = GuestLog::new(identity, bytes_per_second);
        Self(Arc::new(Mutex::new(Lines { log, pending: Vec::new(), last: String::new() })))
    }

    /// A call begins: what was printed before it is no longer what came last.
    pub fn begin(&self) {
        self.lines().last.clear();
    }

    /// The lines printed since the call began, as one text: a panic's message when the guest trapped.
    pub fn take_last_words(&self) -> String {
        let mut lines = self.lines();
        lines.end_line();
        std::mem::take(&mut lines.last)
    }

    /// Writes a line that the guest logs.
    pub fn log(&self, level: Level, message: &str, fields: &str) {
        self.lines().log.line(level, message, fields);
    }

    /// How many lines were dropped since the last call of this.
    pub fn take_refusals(&self) -> u64 {
        self.lines().log.take_refusals()
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn print(&self, bytes: &[u8]) {
        let mut lines = self.lines();
        for byte in bytes {
            if *byte == b'\n' || lines.pending.len() >= MAX_PENDING {
                lines.end_line();
            }
            if *byte != b'\n' {
                lines.pending.push(*byte);
            }
        }
    }
}

impl Lines {
    fn end_line(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        let line = String::from_utf8_lossy(&pending);
        if line.trim().is_empty() {
            return;
        }
        self.log.line(Level::Info, &line, "");
        if !self.last.is_empty() {
            self.last.push(' ');
        }
        self.last.push_str(line.trim());
        let first = self.last.floor_char_boundary(self.last.len().saturating_sub(MAX_LAST));
        self.last.drain(..first);
    }
}

impl IsTerminal for Stdio {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stdio {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    /// Printed at once rather than by a task of its own, so that a panic's message is there before its trap.
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Stdio {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > MAX_PENDING {
            return Err(StreamError::trap("more was written than `check-write` allows"));
        }
        self.print(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_PENDING)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Stdio {
    async fn ready(&mut self) {}
}
