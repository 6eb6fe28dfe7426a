//! What an operation may take of a guest.

use std::time::Duration;

use rillbox_compute::{self as compute, Allowance, Cost, Task, Tensor};
use rillbox_gpu::{Error as GpuError, Workspace};

use crate::sandbox::limits::{Budget, Limits};
use crate::sandbox::timer::CallTimer;

/// What one operation may take of a guest.
pub struct Permit<'a> {
    budget: &'a mut Budget,
    pub left: Duration,
    /// Bytes admitted so far: an operation of several steps may need them all at once.
    taken: usize,
    pub late: bool,
}

impl<'a> Permit<'a> {
    /// Of what is left of the call.
    pub fn new(budget: &'a mut Budget, timer: &CallTimer, limits: &Limits) -> Self {
        Self { budget, left: timer.left().min(limits.frame_budget), taken: 0, late: false }
    }
}

impl Allowance for Permit<'_> {
    fn admit(&mut self, cost: Cost) -> Result<(), compute::Error> {
        let bytes = self.taken.saturating_add(usize::try_from(cost.bytes).unwrap_or(usize::MAX));
        if !self.budget.fits(bytes) {
            return Err(compute::Error::Limit(format!("{bytes} bytes do not fit into the memory limit")));
        }
        if cost.time > self.left {
            self.late = true;
            return Err(compute::Error::Limit(format!(
                "an operation that may take {} ms, where {} ms are left",
                cost.time.as_millis(),
                self.left.as_millis()
            )));
        }
        self.taken = bytes;
        self.left -= cost.time;
        Ok(())
    }
}

/// How many times as fast as one core a GPU is taken to be at least, when it is said whether there is time for something.
const GPU_SPEED: u32 = 32;

/// What one operation may take of a guest on the GPU.
pub struct GpuPermit<'a> {
    pub own: Permit<'a>,
    pub workspace: &'a mut Workspace,
    pub failure: Option<GpuError>,
}

impl Allowance for GpuPermit<'_> {
    fn admit(&mut self, cost: Cost) -> Result<(), compute::Error> {
        self.own.admit(cost)
    }

    fn begin(&mut self, cost: Cost, task: &Task<'_>) -> Result<Option<Tensor>, compute::Error> {
        if task.tensors.iter().all(|tensor| tensor.device().is_none()) {
            return self.own.admit(cost).map(|()| None);
        }
        let bytes = rillbox_gpu::bytes_of(task.shape.iter().product());
        self.own.admit(Cost { bytes: bytes as u64, time: cost.time / GPU_SPEED })?;
        match self.workspace.run(task) {
            Ok(Some(made)) => Ok(Some(made)),
            Ok(None) => Err(compute::Error::Away),
            Err(error) => {
                let told = compute::Error::Limit(error.to_string());
                self.failure = Some(error);
                Err(told)
            }
        }
    }
}

/// Takes note of what an operation would cost, and lets it go no further.
#[derive(Default)]
pub struct Estimate(pub Option<Duration>);

impl Allowance for Estimate {
    fn admit(&mut self, cost: Cost) -> Result<(), compute::Error> {
        self.0 = Some(cost.time);
        Err(compute::Error::Limit(String::new()))
    }
}
