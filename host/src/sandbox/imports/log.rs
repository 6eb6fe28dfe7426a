//! `log`: a guest's lines in the host's log.

use std::fmt::Write;
use std::time::Duration;

use crate::sandbox::bindings::rillbox::processor::log as wit;
use crate::sandbox::context::Guest;
use crate::sandbox::instance::Identity;
use crate::sandbox::rate::Rate;

/// Longest line, in bytes; the rest is cut.
const MAX_LINE: usize = 8 << 10;

/// Bytes that a line costs besides its text and the names of its stream and processor: its time, its level, the keys of all that.
const OVERHEAD: usize = 200;

/// How often the names are written: by the line itself, by the span that it is in, and among all spans.
const NAMED: usize = 3;

/// Writes lines with the names of their stream and processor, a limited number of bytes a second, whether they were logged or printed.
pub struct GuestLog {
    stream: String,
    processor: String,
    /// Bytes that a line costs besides its text.
    overhead: usize,
    rate: Rate,
    /// Lines dropped since one was written, and since they were last asked for.
    dropped: u64,
    refusals: u64,
}

impl GuestLog {
    pub fn new(identity: &Identity, bytes_per_second: usize) -> Self {
        Self {
            stream: identity.stream.clone(),
            processor: identity.processor.clone(),
            overhead: OVERHEAD + NAMED * (written(&identity.stream) + written(&identity.processor)),
            rate: Rate::new(bytes_per_second, Duration::from_secs(1)),
            dropped: 0,
            refusals: 0,
        }
    }

    /// Writes one line, unless this second's bytes are spent. Control characters are escaped.
    pub fn line(&mut self, level: wit::Level, message: &str, fields: &str) {
        let Some(message) = self.passed(clip(message), clip(fields)) else {
            self.dropped += 1;
            self.refusals += 1;
            return;
        };
        let fields = clip(fields);
        let (stream, processor) = (&self.stream, &self.processor);
        let refused = std::mem::take(&mut self.dropped);
        if refused > 0 {
            tracing::warn!(target: "guest", stream, processor, refused, "lines were dropped: the guest logs too much");
        }
        match level {
            wit::Level::Error => tracing::error!(target: "guest", stream, processor, fields, "{message}"),
            wit::Level::Warn => tracing::warn!(target: "guest", stream, processor, fields, "{message}"),
            wit::Level::Info => tracing::info!(target: "guest", stream, processor, fields, "{message}"),
            wit::Level::Debug => tracing::debug!(target: "guest", stream, processor, fields, "{message}"),
            wit::Level::Trace => tracing::trace!(target: "guest", stream, processor, fields, "{message}"),
        }
    }

    /// The message as it is written, if it and its fields pass. Escaping is only worth it where they may.
    fn passed(&mut self, message: &str, fields: &str) -> Option<String> {
        let frames = if self.dropped > 0 { 2 * self.overhead } else { self.overhead };
        if !self.rate.has(frames + message.len() + fields.len()) {
            return None;
        }
        let message = message.escape_debug().to_string();
        self.rate.pass(frames + written(&message) + written(fields)).then_some(message)
    }

    /// How many lines were dropped since the last call of this.
    pub fn take_refusals(&mut self) -> u64 {
        std::mem::take(&mut self.refusals)
    }
}

/// Bytes of a text where it is written, which escapes it once more.
fn written(text: &str) -> usize {
    text.len() + text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count()
}

fn clip(line: &str) -> &str {
    &line[..line.floor_char_boundary(MAX_LINE)]
}

/// Key-value pairs as text, no more of them than fill a line: a guest may give millions.
fn text(fields: &[(String, String)]) -> String {
    let mut text = String::new();
    for (key, value) in fields {
        if text.len() >= MAX_LINE {
            break;
        }
        let gap = if text.is_empty() { "" } else { " " };
        // Writing into a string does not fail.
        let _ = write!(text, "{gap}{}={:?}", clip(key).escape_debug(), clip(value));
    }
    text
}

impl wit::Host for Guest {
    fn log(&mut self, level: wit::Level, message: String, fields: Vec<(String, String)>) -> wasmtime::Result<()> {
        self.stdio.log(level, &message, &text(&fields));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches text that grows with the pairs of a hostile guest.
    #[test]
    fn fields_fill_a_line_and_no_more() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(text(&[pair("a", "1"), pair("b", "x\"y")]), r#"a="1" b="x\"y""#);
        assert_eq!(text(&[pair("\u{1}", "1")]), r#"\u{1}="1""#, "what is written is what was counted");
        let endless = vec![pair("k", &"\u{1}".repeat(100_000)); 1_000];
        assert!(text(&endless).len() < 8 * MAX_LINE);
    }
}
