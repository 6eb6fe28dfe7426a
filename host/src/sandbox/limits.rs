//! What one instance may use.

use std::time::Duration;

use wasmtime::ResourceLimiter;

/// Bounds of one instance, the same for all instances of a host, and how many there may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Instances alive at once, those included that are being made or thrown away. Without a pool there is no such bound.
    pub instances: u32,
    /// Bytes in all linear memories and tables, retained frames, sound, tensors, and images and buffers on the GPU together.
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
            instances: 1_024,
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

    /// Room for this many streams: a stream may have an instance for pictures and one for sound, and as many again while one
    /// takes the other's place; some more describe uploads.
    pub fn for_streams(self, streams: usize) -> Self {
        Self { instances: u32::try_from(streams).unwrap_or(u32::MAX).saturating_mul(4).saturating_add(16), ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::for_pixels(3840 * 2160)
    }
}

/// Core instances, memories and tables that one instance may have: a component can consist of many core modules.
pub const MAX_PARTS: u32 = 64;
pub const MAX_MEMORIES: u32 = 4;
pub const MAX_TABLES: u32 = 16;

/// Elements of one table.
pub const MAX_TABLE_ELEMENTS: usize = 1 << 16;

/// Bytes that a table's element takes in the host.
const TABLE_ELEMENT: usize = 8;

/// What was refused to a guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// Growths of memories and tables, and frames, tensors, images and buffers, that had no room.
    pub memory: u64,
    /// Handles beyond the most there may be.
    pub handles: u64,
    /// Values and events beyond what may be sent.
    pub outputs: u64,
    /// Lines beyond what may be logged.
    pub log_lines: u64,
    /// Operations on tensors that would take longer than they may, and dispatches of shaders beyond what a frame may have.
    pub operations: u64,
}

/// Counts an instance's bytes as one sum, whatever they are used for.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    used: usize,
    /// Bytes that would be in use had the last refused request been granted.
    wanted: Option<usize>,
    refusals: u64,
}

impl Budget {
    pub fn new(limit: usize) -> Self {
        Self { limit, used: 0, wanted: None, refusals: 0 }
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Forgets what was refused: what comes now has other reasons.
    pub fn begin(&mut self) {
        self.wanted = None;
    }

    /// If memory was refused since [`begin`](Self::begin): bytes that would be in use with it.
    pub fn wanted(&self) -> Option<usize> {
        self.wanted
    }

    /// How often something was refused since the last call of this.
    pub fn take_refusals(&mut self) -> u64 {
        std::mem::take(&mut self.refusals)
    }

    /// Whether there is room for this many bytes; if not, that counts as a refusal.
    pub fn fits(&mut self, bytes: usize) -> bool {
        let fits = self.reserve(bytes);
        if fits {
            self.release(bytes);
        }
        fits
    }

    /// Counts `bytes` more if there is room.
    pub fn reserve(&mut self, bytes: usize) -> bool {
        let sum = self.used.saturating_add(bytes);
        let fits = sum <= self.limit;
        if fits {
            self.used = sum;
        } else {
            self.wanted = Some(sum);
            self.refusals += 1;
        }
        fits
    }

    /// Counts `bytes` less.
    pub fn release(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
    }

    /// Counts the growth of a memory or table, unless it has a maximum of its own that forbids it.
    ///
    /// A growth that is granted counts even if the system then has no memory for it: the engine tells of failures that were
    /// never granted, too, and to take those back would count too little.
    fn grow(&mut self, current: usize, desired: usize, maximum: Option<usize>, unit: usize) -> bool {
        maximum.is_none_or(|maximum| desired <= maximum)
            && self.reserve(desired.saturating_sub(current).saturating_mul(unit))
    }
}

impl ResourceLimiter for Budget {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow(current, desired, maximum, 1))
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let maximum = maximum.unwrap_or(usize::MAX).min(MAX_TABLE_ELEMENTS);
        Ok(self.grow(current, desired, Some(maximum), TABLE_ELEMENT))
    }

    fn instances(&self) -> usize {
        MAX_PARTS as usize
    }

    fn tables(&self) -> usize {
        MAX_TABLES as usize
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES as usize
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
        assert_eq!((budget.wanted(), budget.take_refusals()), (Some(1_020), 1));
        assert!(budget.reserve(80));
    }

    /// Catches growths that cannot be, and count all the same.
    #[test]
    fn growth_beyond_a_maximum_is_not_counted() {
        let mut budget = Budget::new(1_000);
        assert!(!budget.memory_growing(100, 600, Some(500)).unwrap(), "more than the memory's own maximum");
        assert!(!budget.table_growing(0, MAX_TABLE_ELEMENTS + 1, None).unwrap());
        assert_eq!((budget.used(), budget.wanted()), (0, None));
    }
}
