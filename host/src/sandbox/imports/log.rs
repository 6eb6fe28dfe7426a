//! `log`: a guest's lines in the host's log.

use std::time::Duration;

use crate::sandbox::bindings::rillbox::processor::log as wit;
use crate::sandbox::context::Guest;
use crate::sandbox::instance::Identity;
use crate::sandbox::limits::Rate;

/// Longest line, in bytes; the rest is cut.
const MAX_LINE: usize = 8 << 10;

/// Writes lines with the names of their stream and processor, so many bytes a second.
pub struct GuestLog {
    stream: String,
    processor: String,
    rate: Rate,
}

impl GuestLog {
    pub fn new(identity: &Identity, bytes_per_second: usize) -> Self {
        Self {
            stream: identity.stream.clone(),
            processor: identity.processor.clone(),
            rate: Rate::new(bytes_per_second, Duration::from_secs(1)),
        }
    }

    /// Writes one line, unless this second's bytes are spent. Control characters are escaped.
    pub fn line(&mut self, level: wit::Level, message: &str, fields: &str) {
        let message = clip(message);
        let fields = clip(fields);
        if !self.rate.pass(message.len() + fields.len()) {
            return;
        }
        let (stream, processor) = (&self.stream, &self.processor);
        let refused = self.rate.take_refused();
        if refused > 0 {
            tracing::warn!(target: "guest", stream, processor, refused, "lines were dropped: the guest logs too much");
        }
        let message = message.escape_debug().to_string();
        match level {
            wit::Level::Error => tracing::error!(target: "guest", stream, processor, fields, "{message}"),
            wit::Level::Warn => tracing::warn!(target: "guest", stream, processor, fields, "{message}"),
            wit::Level::Info => tracing::info!(target: "guest", stream, processor, fields, "{message}"),
            wit::Level::Debug => tracing::debug!(target: "guest", stream, processor, fields, "{message}"),
            wit::Level::Trace => tracing::trace!(target: "guest", stream, processor, fields, "{message}"),
        }
    }
}

fn clip(line: &str) -> &str {
    &line[..line.floor_char_boundary(MAX_LINE)]
}

impl wit::Host for Guest {
    fn log(&mut self, level: wit::Level, message: String, fields: Vec<(String, String)>) -> wasmtime::Result<()> {
        let fields: Vec<String> = fields.iter().map(|(key, value)| format!("{key}={value:?}")).collect();
        self.log.line(level, &message, &fields.join(" "));
        Ok(())
    }
}
