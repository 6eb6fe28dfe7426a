//! The threads that hand recorded commands to a device and wait for it, so that nobody who records some is held up by a driver.

use std::collections::VecDeque;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::device::{Pool, tried};
use crate::download::Transfer;
use crate::error::Error;
use crate::usage::Pass;

/// Commands in the order in which they were recorded, and what belongs to them.
#[derive(Debug)]
pub(crate) struct Submission {
    /// Whose they are.
    pub owner: u64,
    pub encoder: wgpu::CommandEncoder,
    pub uniforms: Vec<u8>,
    pub uniform_buffer: wgpu::Buffer,
    /// What they read from: to be written to again once they have.
    pub stagings: Vec<wgpu::Buffer>,
    pub transfers: Vec<Arc<Transfer>>,
    pub passes: Vec<Pass>,
}

/// So many wait for the device; one that leaves more waiting does not keep up.
const QUEUE: usize = 256;

/// Where recorded commands go.
#[derive(Debug)]
pub(crate) struct Submitter {
    submissions: SyncSender<Submission>,
    line: Arc<Mutex<Line>>,
}

/// Whose commands the device has not finished yet, in their order, and since when it has been with the first.
#[derive(Debug)]
struct Line {
    owners: VecDeque<u64>,
    since: Instant,
}

impl Line {
    fn join(&mut self, owner: u64) {
        if self.owners.is_empty() {
            self.since = Instant::now();
        }
        self.owners.push_back(owner);
    }

    fn done(&mut self) {
        self.owners.pop_front();
        self.since = Instant::now();
    }
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
        let (sender, submissions) = sync_channel::<Submission>(QUEUE);
        let (submitted, indices) = sync_channel(QUEUE);
        let line = Arc::new(Mutex::new(Line { owners: VecDeque::new(), since: Instant::now() }));
        let (waiting, gone, of_waiting) = (device.clone(), lost.clone(), line.clone());
        spawn("gpu-wait", move || {
            for index in indices {
                wait_for(&waiting, &index, &gone);
                locked(&of_waiting).done();
            }
        })?;
        let (device, uploads, lost, of_failed) = (device.clone(), uploads.clone(), lost.clone(), line.clone());
        spawn("gpu-submit", move || {
            for submission in submissions {
                let transfers = submission.transfers.clone();
                match tried(&device, &lost, || submission.submit(&queue, &uploads)) {
                    // The other thread ends after this one.
                    Ok(index) => drop(submitted.send(index)),
                    Err(error) => {
                        transfers.iter().for_each(|transfer| transfer.failed(&error));
                        locked(&of_failed).done();
                    }
                }
            }
        })?;
        Ok(Self { submissions: sender, line })
    }

    /// Whether the device has been with commands of this owner for so long.
    pub fn is_with(&self, owner: u64, time: Duration) -> bool {
        let line = locked(&self.line);
        line.owners.front() == Some(&owner) && line.since.elapsed() >= time
    }

    pub fn submit(&self, submission: Submission) -> Result<(), Error> {
        // In the line before the thread can be done with it.
        let mut line = locked(&self.line);
        let owner = submission.owner;
        self.submissions.try_send(submission).map_err(|refused| match refused {
            TrySendError::Full(_) => Error::Busy,
            TrySendError::Disconnected(_) => Error::Lost("its thread is gone".to_owned()),
        })?;
        line.join(owner);
        Ok(())
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
    fn submit(self, queue: &wgpu::Queue, uploads: &Arc<Pool>) -> wgpu::SubmissionIndex {
        if !self.uniforms.is_empty() {
            queue.write_buffer(&self.uniform_buffer, 0, &self.uniforms);
        }
        let index = queue.submit([self.encoder.finish()]);
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
