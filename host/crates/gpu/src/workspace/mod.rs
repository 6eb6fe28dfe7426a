//! One user's part of a device: what it has there, and what it has it do.

mod dispatch;
mod objects;
mod reading;
mod recording;
mod writing;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wgpu::BufferUsages;

use crate::device::{Device, HANG_TIMEOUT};
use crate::download::Transfer;
use crate::error::Error;
use crate::left::Left;
use crate::limits;
use crate::owner::Owner;
use crate::tensor::Spare;
use crate::usage::{Pass, Usage};

pub use dispatch::{Binding, Filter};
pub use objects::{Buffer, Image, Uploaded};
pub(crate) use recording::Grid;
use recording::{Times, UNIFORMS};

/// What one user has on a device. Commands are recorded in the order of the calls, and go to the device with
/// [`submit`](Self::submit). What is made is all zero unless it is said to hold something: nothing of others is ever seen.
#[derive(Debug)]
pub struct Workspace {
    device: Arc<Device>,
    owner: Arc<Owner>,
    encoder: Option<wgpu::CommandEncoder>,
    /// Uniforms of what is recorded, and the buffer they go to.
    uniforms: Vec<u8>,
    uniform_buffer: wgpu::Buffer,
    times: Option<Times>,
    /// Passes that were recorded.
    passes: Vec<Pass>,
    transfers: Vec<Arc<Transfer>>,
    /// What was sent, and nobody waits for.
    left: Arc<Left>,
    /// What of that was found to be done, and to be late.
    swept: (Usage, Option<Duration>),
    /// For how long it may take.
    time: Duration,
    /// What only recorded commands read from.
    stagings: Arc<Mutex<Vec<wgpu::Buffer>>>,
    /// Textures of images that are gone, and buffers of tensors.
    spare: Vec<wgpu::Texture>,
    pub(crate) spare_tensors: Arc<Spare>,
    rounds: u64,
    dispatches: u32,
    tasks: u32,
    /// Bytes that may still be made, and those of this frame that nothing was submitted for yet.
    room: usize,
    made: usize,
    /// Why commands of this frame were not taken: what is recorded after them would work on what they were to make.
    refused: Option<Error>,
}

/// The least number of bytes that anything counts as: the host and the driver keep something of each.
const LEAST: usize = 4 << 10;

impl Workspace {
    /// With nothing in it.
    pub fn new(device: &Arc<Device>) -> Result<Self, Error> {
        Self::with_owner(device, Owner::new())
    }

    /// The same, of a user that may have had one before: what the device has not finished of that still counts as the user's.
    pub fn of(user: &str, device: &Arc<Device>) -> Result<Self, Error> {
        Self::with_owner(device, device.owners.named(user))
    }

    fn with_owner(device: &Arc<Device>, owner: Arc<Owner>) -> Result<Self, Error> {
        let uniforms = wgpu::BufferDescriptor {
            label: None,
            size: UNIFORMS as u64,
            usage: BufferUsages::UNIFORM | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        };
        device.tried(|| Self {
            device: device.clone(),
            owner,
            encoder: None,
            uniforms: Vec::new(),
            uniform_buffer: device.device.create_buffer(&uniforms),
            times: device.clock.map(|_| Times::new(&device.device)),
            passes: Vec::new(),
            transfers: Vec::new(),
            left: Arc::default(),
            swept: Default::default(),
            time: HANG_TIMEOUT,
            stagings: Arc::default(),
            spare: Vec::new(),
            spare_tensors: Arc::default(),
            rounds: limits::ROUNDS,
            dispatches: limits::DISPATCHES,
            tasks: limits::TASKS,
            room: limits::BYTES,
            made: 0,
            refused: None,
        })
    }

    /// The device it is on.
    pub fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// A frame begins: there may be as many dispatches, rounds of loops and bytes as a frame may have. What the device is to do for
    /// it, and nobody waits for, may take `time`.
    pub fn begin(&mut self, time: Duration) {
        (self.time, self.made) = (time, 0);
        (self.rounds, self.dispatches, self.tasks) = (limits::ROUNDS, limits::DISPATCHES, limits::TASKS);
        let unfinished = self.owner.bytes.load(Ordering::Relaxed);
        self.room = limits::BYTES_UNFINISHED.saturating_sub(unfinished).min(limits::BYTES);
        self.refused = None;
    }

    /// Whether the device was given up since it did not finish what this user had it do.
    pub fn held_up_device(&self) -> bool {
        self.device.was_held_up_by(self.owner.id)
    }

    /// What the device has done that nobody waited for, since the last call of this; and for how long it may take, if some is late
    /// for no fault of others.
    pub fn settle(&mut self) -> (Usage, Option<Duration>) {
        self.sweep();
        std::mem::take(&mut self.swept)
    }

    fn sweep(&mut self) {
        let (usage, late) = self.left.sweep();
        self.swept.0 += usage;
        self.swept.1 = self.swept.1.or(late);
    }

    /// What is made stays until the device has done what was recorded with it, whoever drops it before.
    fn take_room(&mut self, bytes: usize) -> Result<(), Error> {
        let bytes = bytes.max(LEAST);
        self.check_room(bytes)?;
        self.room -= bytes;
        self.made += bytes;
        Ok(())
    }

    /// Refuses more bytes than may still be made.
    pub(crate) fn check_room(&self, bytes: usize) -> Result<(), Error> {
        if bytes <= self.room {
            return Ok(());
        }
        Err(Error::Limit(format!(
            "no more than {} bytes of images, buffers and copies a frame, and {} of frames that are not done",
            limits::BYTES,
            limits::BYTES_UNFINISHED
        )))
    }

    /// One more operation on tensors.
    pub(crate) fn take_task(&mut self) -> Result<(), Error> {
        let left = self.tasks.checked_sub(1);
        self.tasks = left.ok_or_else(|| Error::Limit(format!("no more than {} operations a frame", limits::TASKS)))?;
        Ok(())
    }

    fn check_size(&self, width: u32, height: u32) -> Result<(), Error> {
        let most = self.device.device.limits().max_texture_dimension_2d;
        if [width, height].iter().all(|side| (1..=most).contains(side)) {
            return Ok(());
        }
        Err(Error::Invalid(format!("an image of {width}×{height}: sides are from 1 to {most}")))
    }

    /// An error if the device is gone, or took no more of this frame.
    fn check(&self) -> Result<(), Error> {
        self.device.check()?;
        self.refused.clone().map_or(Ok(()), Err)
    }
}
