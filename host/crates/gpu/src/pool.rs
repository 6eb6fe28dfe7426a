//! Buffers between host and device that are used again.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Buffers that are kept for what comes next, with when they came. What is in them is overwritten before anybody reads them.
#[derive(Debug, Default)]
pub(crate) struct Pool(Mutex<VecDeque<(wgpu::Buffer, Instant)>>);

/// How many are kept, of how many bytes in all, and for how long.
const KEPT: usize = 32;
const KEPT_BYTES: u64 = 128 << 20;
const KEPT_FOR: Duration = Duration::from_secs(10);

impl Pool {
    /// The one of exactly this size that has been here for longest.
    pub fn take(&self, size: u64) -> Option<wgpu::Buffer> {
        let mut kept = self.kept();
        let place = kept.iter().position(|(buffer, _)| buffer.size() == size)?;
        kept.remove(place).map(|(buffer, _)| buffer)
    }

    pub fn give(&self, buffer: wgpu::Buffer) {
        let mut kept = self.kept();
        kept.push_back((buffer, Instant::now()));
        let mut bytes: u64 = kept.iter().map(|(buffer, _)| buffer.size()).sum();
        // What nobody takes is at the front.
        while let Some((first, since)) = kept.front()
            && (kept.len() > KEPT || bytes > KEPT_BYTES || since.elapsed() > KEPT_FOR)
        {
            bytes -= first.size();
            kept.pop_front();
        }
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<(wgpu::Buffer, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
