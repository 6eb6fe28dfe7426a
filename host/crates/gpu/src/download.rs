//! Results on their way from the device.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use wgpu::BufferUsages;

use crate::device::Device;
use crate::error::Error;
use crate::left::Awaited;
use crate::planes::{Planes, PlanesLayout};
use crate::usage::{Pass, Usage};

/// Bytes that are copied to where they can be read, once what was recorded before them is done.
#[derive(Debug)]
pub(crate) struct Transfer {
    device: Arc<Device>,
    owner: u64,
    buffer: wgpu::Buffer,
    bytes: usize,
    /// When it was handed on, and how long it may take from then on.
    sent: OnceLock<(Instant, Duration)>,
    /// It was late through the fault of others, who may have slowed its own work down as well.
    is_excused: AtomicBool,
    progress: Arc<Progress>,
}

/// How far a transfer is.
#[derive(Debug, Default)]
struct Progress {
    /// What was timed before it, in the buffer's last bytes, once it can be read.
    ended: Mutex<Option<Result<Vec<Pass>, Error>>>,
    changed: Condvar,
    /// When that was.
    at: OnceLock<Instant>,
}

impl Progress {
    fn end(&self, how: Result<Vec<Pass>, Error>) {
        // Once.
        let _ = self.at.set(Instant::now());
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(how);
        self.changed.notify_all();
    }
}

/// How often whoever waits looks whether there still is a device.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Room for the times of this many passes.
pub(crate) const TIMED: usize = 32;
pub(crate) const TIMES: u64 = 16 * TIMED as u64;

impl Transfer {
    /// Of this many bytes, a multiple of 8.
    pub fn new(device: &Arc<Device>, owner: u64, bytes: usize) -> Result<Arc<Self>, Error> {
        let usage = BufferUsages::MAP_READ | BufferUsages::COPY_DST | BufferUsages::STORAGE;
        let buffer = device.buffer(&device.downloads, bytes as u64 + TIMES, usage)?;
        device.waiting.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(Self {
            device: device.clone(),
            owner,
            buffer,
            bytes,
            sent: OnceLock::new(),
            is_excused: AtomicBool::new(false),
            progress: Arc::default(),
        }))
    }

    /// Where the device copies to: the bytes, then the times.
    pub fn buffer(&self) -> &wgpu::Buffer {
        &self.buffer
    }

    pub fn times_at(&self) -> u64 {
        self.bytes as u64
    }

    /// It goes to the device, and may take so long.
    pub fn send(&self, time: Duration) {
        // Once.
        let _ = self.sent.set((Instant::now(), time));
    }

    /// The copy was handed to the device.
    pub fn submitted(&self, passes: Vec<Pass>) {
        let progress = self.progress.clone();
        self.buffer.map_async(wgpu::MapMode::Read, .., move |mapped| {
            progress.end(mapped.map(|()| passes).map_err(|error| Error::Lost(error.to_string())));
        });
    }

    pub fn failed(&self, error: &Error) {
        self.progress.end(Err(error.clone()));
    }

    /// Waits until it can be read; what was timed.
    pub fn done(&self, timeout: Duration) -> Result<Vec<Pass>, Error> {
        let Progress { ended, changed, .. } = &*self.progress;
        let until = Instant::now() + timeout;
        let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            // What a device leaves behind that is gone is of no use.
            self.device.check()?;
            if let Some(ended) = &*ended {
                return ended.clone();
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::Late);
            }
            // Nobody tells of a device that is gone.
            let waited = changed.wait_timeout(ended, left.min(POLL_INTERVAL));
            ended = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the device, and hands out the bytes.
    pub fn wait<T>(self: &Arc<Self>, timeout: Duration, read: impl FnOnce(&[u8]) -> T) -> Result<(T, Usage), Error> {
        let done = self.done(timeout);
        // Most of the time may have been that of others.
        if matches!(done, Err(Error::Late)) && !self.is_owners_fault() {
            return Err(Error::Busy);
        }
        self.read(&done?, read)
    }

    /// What the work before it took, or [`Error::Late`] if it is not done. What is done is to be asked for once.
    pub fn usage(&self) -> Result<Usage, Error> {
        let passes = self.done(Duration::ZERO)?;
        self.read(&passes, |_| ()).map(|((), usage)| usage)
    }

    /// Nobody is to be blamed for it any more.
    pub fn excuse(&self) {
        self.is_excused.store(true, Ordering::Relaxed);
    }

    /// For how long it may take at most, if it takes, or took, longer, and that is its owner's fault.
    pub fn overdue(self: &Arc<Self>, usage: &Result<Usage, Error>) -> Option<Duration> {
        let (sent, time) = *self.sent.get()?;
        if self.is_excused.load(Ordering::Relaxed) {
            return None;
        }
        let is_late = match usage {
            // Whatever it waited for. Not every device's clock is to be trusted alone.
            Ok(usage) => {
                let ended = self.progress.at.get().copied().unwrap_or_else(Instant::now);
                usage.time().min(ended.saturating_duration_since(sent)) > time
            }
            Err(Error::Late) => sent.elapsed() > time && self.is_owners_fault(),
            Err(_) => false,
        };
        is_late.then_some(time)
    }

    /// It is late: whether that is due to what its owner had the device do. Somebody sees to it that the device goes on.
    fn is_owners_fault(self: &Arc<Self>) -> bool {
        self.device.watch(self.clone());
        self.device.submitter.is_held_by(self.owner)
    }

    fn read<T>(&self, passes: &[Pass], read: impl FnOnce(&[u8]) -> T) -> Result<(T, Usage), Error> {
        let gone = |error: wgpu::MapRangeError| Error::Lost(error.to_string());
        let view = self.buffer.get_mapped_range(..).map_err(gone)?;
        let (bytes, times) = view.split_at(self.bytes);
        let counts = bytemuck::cast_slice(&times[..16 * passes.len().min(TIMED)]);
        let usage = Usage::of(passes, counts, self.device.clock);
        let result = read(bytes);
        drop(view);
        self.buffer.unmap();
        self.device.received.fetch_add(self.bytes as u64, Ordering::Relaxed);
        self.device.downloads.give(self.buffer.clone());
        Ok((result, usage))
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.device.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A picture on its way from the device, as planes.
#[derive(Debug)]
pub struct Download {
    pub(crate) result: Awaited,
    pub(crate) layout: PlanesLayout,
}

impl Download {
    /// The device it comes from.
    pub fn device(&self) -> &Arc<Device> {
        &self.result.transfer().device
    }

    /// Waits for the planes, no longer than `timeout`, and hands them to `read`; and what the work before them took.
    pub fn wait<T>(self, timeout: Duration, read: impl FnOnce(Planes<'_>) -> T) -> Result<(T, Usage), Error> {
        let Self { result, layout } = self;
        result.wait(timeout, |bytes| read(layout.split(bytes)))
    }
}

/// Bytes on their way from the device.
#[derive(Debug)]
pub struct Bytes {
    pub(crate) result: Awaited,
    /// Bytes a row, and from one row to the next.
    pub(crate) row: (usize, usize),
    pub(crate) bytes: usize,
}

impl Bytes {
    /// Waits for them, no longer than `timeout`; and what the work before them took.
    pub fn wait(self, timeout: Duration) -> Result<(Vec<u8>, Usage), Error> {
        let (row, count) = (self.row.0, self.bytes);
        self.wait_with(timeout, |bytes, stride| {
            let mut read = Vec::with_capacity(count);
            for bytes in bytes.chunks(stride) {
                read.extend_from_slice(&bytes[..row.min(count - read.len())]);
            }
            read
        })
    }

    /// The same, where `read` is handed the bytes where they are, with how many there are from one row to the next.
    pub fn wait_with<T>(self, timeout: Duration, read: impl FnOnce(&[u8], usize) -> T) -> Result<(T, Usage), Error> {
        let stride = self.row.1;
        self.result.wait(timeout, |bytes| read(bytes, stride))
    }
}
