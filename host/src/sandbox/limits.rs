//! What one instance may use.

use std::time::{Duration, Instant};

use wasmtime::ResourceLimiter;

/// Bounds of one instance. The same for all instances of a host.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Bytes in all linear memories, tables and retained frames together.
    pub memory: usize,
    /// Bytes that one call may make the host copy out of the guest.
    pub copied: usize,
    /// Live handles.
    pub handles: usize,
    /// Running time of one frame; the wall time is twice that at most.
    pub frame_budget: Duration,
    /// Bytes a second of log lines.
    pub log_rate: usize,
    /// Bytes of data published within one flush.
    pub data_flush: usize,
    /// Pixels of a picture that replaces another.
    pub pixels: u64,
}

impl Limits {
    /// The usual bounds, for pictures of this many pixels at most.
    pub fn for_pixels(pixels: u64) -> Self {
        Self {
            memory: 256 << 20,
            // A picture in the widest format, and a quarter of it for everything else.
            copied: usize::try_from(pixels.saturating_mul(5)).unwrap_or(usize::MAX),
            handles: 1_000,
            frame_budget: Duration::from_millis(40),
            log_rate: 64 << 10,
            data_flush: 60 << 10,
            pixels,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::for_pixels(3840 * 2160)
    }
}

/// Bytes that a table's element takes in the host.
const TABLE_ELEMENT: usize = 8;

/// Memories and tables that one instance may have: a component can consist of many core instances.
const MAX_PARTS: usize = 64;

/// Counts an instance's bytes as one sum, whatever they are used for.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    used: usize,
    /// A growth was refused since this was last asked.
    refused: bool,
}

impl Budget {
    pub fn new(limit: usize) -> Self {
        Self { limit, used: 0, refused: false }
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Whether memory was refused since the last call of this.
    pub fn take_refused(&mut self) -> bool {
        std::mem::take(&mut self.refused)
    }

    /// Counts `bytes` more if there is room.
    pub fn reserve(&mut self, bytes: usize) -> bool {
        let fits = self.used.checked_add(bytes).is_some_and(|used| used <= self.limit);
        if fits {
            self.used += bytes;
        } else {
            self.refused = true;
        }
        fits
    }

    /// Counts `bytes` less.
    pub fn release(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
    }
}

impl ResourceLimiter for Budget {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.reserve(desired.saturating_sub(current)))
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.reserve(desired.saturating_sub(current).saturating_mul(TABLE_ELEMENT)))
    }

    fn instances(&self) -> usize {
        MAX_PARTS
    }

    fn tables(&self) -> usize {
        MAX_PARTS
    }

    fn memories(&self) -> usize {
        MAX_PARTS
    }
}

/// Lets through so many bytes within a span, and counts what it does not.
#[derive(Debug)]
pub struct Rate {
    bytes: usize,
    span: Duration,
    began: Instant,
    passed: usize,
    refused: u64,
}

impl Rate {
    pub fn new(bytes: usize, span: Duration) -> Self {
        Self { bytes, span, began: Instant::now(), passed: 0, refused: 0 }
    }

    /// Whether `bytes` more pass now.
    pub fn pass(&mut self, bytes: usize) -> bool {
        if self.began.elapsed() >= self.span {
            self.began = Instant::now();
            self.passed = 0;
        }
        let passes = self.passed + bytes <= self.bytes;
        if passes {
            self.passed += bytes;
        } else {
            self.refused += 1;
        }
        passes
    }

    /// What was refused since the last call of this.
    pub fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_and_tables_share_one_sum() {
        let mut budget = Budget::new(1_000);
        assert!(budget.memory_growing(0, 600, None).unwrap());
        assert!(budget.table_growing(0, 40, None).unwrap());
        assert!(!budget.memory_growing(0, 100, None).unwrap(), "600 + 320 + 100 is more than 1000");
        assert!(budget.take_refused());
        assert!(budget.reserve(80));
    }
}
