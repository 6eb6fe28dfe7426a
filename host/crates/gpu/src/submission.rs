//! The threads that hand recorded commands to a device and wait for it, so that nobody who records some is held up by a driver.

use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::device::tried;
use crate::download::Transfer;
use crate::error::Error;
use crate::line::Line;
use crate::owner::Owner;
use crate::pool::Pool;
use crate::usage::Pass;

/// Commands in the order in which they were recorded, and what belongs to them.
#[derive(Debug)]
pub(crate) struct Submission {
    pub owner: Arc<Owner>,
    /// Bytes of what was made for them.
    pub bytes: usize,
    pub encoder: wgpu::CommandEncoder,
    pub uniforms: Vec<u8>,
    pub uniform_buffer: wgpu::Buffer,
    /// What they read from: to be written to again once they have.
    pub stagings: Vec<wgpu::Buffer>,
    pub transfers: Vec<Arc<Transfer>>,
    pub passes: Vec<Pass>,
}

/// A submission and its number in the line.
#[derive(Debug)]
struct Numbered {
    number: u64,
    submission: Submission,
}

/// Submissions that may wait for the thread that hands them over. When there are more, the device does not keep up, and they are
/// refused.
const QUEUE: usize = 256;

/// Where recorded commands go.
#[derive(Debug)]
pub(crate) struct Submitter {
    submissions: SyncSender<Numbered>,
    line: Arc<Mutex<Line>>,
}

fn locked(line: &Mutex<Line>) -> MutexGuard<'_, Line> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Submitter {
    /// Starts the threads; they end with the device's last user.
    pub fn start(
        device: &wgpu::Device,
        queue: wgpu::Queue,
        uploads: &Arc<Pool>,
        lost: &Arc<OnceLock<String>>,
    ) -> Result<Self, Error> {
        let (sender, submissions) = sync_channel::<Numbered>(QUEUE);
        let (submitted, indices) = sync_channel(QUEUE);
        let line = Arc::new(Mutex::new(Line::new(Instant::now())));
        let (waiting, gone) = (device.clone(), lost.clone());
        spawn("gpu-wait", move || {
            for index in indices {
                wait_for(&waiting, &index, &gone);
            }
        })?;
        let (device, uploads, lost, of_all) = (device.clone(), uploads.clone(), lost.clone(), line.clone());
        spawn("gpu-submit", move || {
            for Numbered { number, submission } in submissions {
                let transfers = submission.transfers.clone();
                locked(&of_all).give(submission.owner.id, Instant::now());
                let taken = tried(&device, &lost, || submission.submit(number, &queue, &uploads, &of_all));
                locked(&of_all).taken(Instant::now());
                match taken {
                    // The other thread ends after this one.
                    Ok(index) => drop(submitted.send(index)),
                    Err(error) => {
                        transfers.iter().for_each(|transfer| transfer.failed(&error));
                        locked(&of_all).leave(number, Instant::now());
                    }
                }
            }
        })?;
        Ok(Self { submissions: sender, line })
    }

    /// See [`Line::is_held_by`].
    pub fn is_held_by(&self, owner: u64) -> bool {
        locked(&self.line).is_held_by(owner, Instant::now())
    }

    /// See [`Line::held_for`].
    pub fn held_for(&self, time: Duration) -> Option<u64> {
        locked(&self.line).held_for(time, Instant::now())
    }

    pub fn submit(&self, submission: Submission) -> Result<(), Error> {
        // In the line before the thread can be done with it.
        let mut line = locked(&self.line);
        let (owner, bytes) = (submission.owner.clone(), submission.bytes);
        let (refused, error) = match self.submissions.try_send(Numbered { number: line.next(), submission }) {
            Ok(()) => {
                line.join(owner, bytes, Instant::now());
                return Ok(());
            }
            Err(TrySendError::Full(refused)) => (refused, Error::Busy),
            Err(TrySendError::Disconnected(refused)) => (refused, Error::Lost("its thread is gone".to_owned())),
        };
        refused.submission.transfers.iter().for_each(|transfer| transfer.failed(&error));
        Err(error)
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.map(drop).map_err(|error| Error::Lost(format!("no thread: {error}")))
}

/// How long the driver is asked to wait before it is seen whether there still is a device.
const PATIENCE: Duration = Duration::from_secs(1);

/// Waits until the device has done something, and tells whoever waits for it.
fn wait_for(device: &wgpu::Device, index: &wgpu::SubmissionIndex, lost: &OnceLock<String>) {
    let wait = || wgpu::PollType::Wait { submission_index: Some(index.clone()), timeout: Some(PATIENCE) };
    while lost.get().is_none() && matches!(device.poll(wait()), Err(wgpu::PollError::Timeout)) {}
}

impl Submission {
    fn submit(
        self,
        number: u64,
        queue: &wgpu::Queue,
        uploads: &Arc<Pool>,
        line: &Arc<Mutex<Line>>,
    ) -> wgpu::SubmissionIndex {
        if !self.uniforms.is_empty() {
            queue.write_buffer(&self.uniform_buffer, 0, &self.uniforms);
        }
        let index = queue.submit([self.encoder.finish()]);
        // All that is done is told of at once, however late the thread that waits is.
        let line = line.clone();
        queue.on_submitted_work_done(move || locked(&line).done(number, Instant::now()));
        for staging in self.stagings {
            let (pool, mapped) = (uploads.clone(), staging.clone());
            staging.map_async(wgpu::MapMode::Write, .., move |done| {
                if done.is_ok() {
                    pool.give(mapped);
                }
            });
        }
        for (place, transfer) in self.transfers.iter().enumerate() {
            // What the passes took counts once.
            let passes = if place + 1 == self.transfers.len() { self.passes.clone() } else { Vec::new() };
            transfer.submitted(passes);
        }
        index
    }
}
