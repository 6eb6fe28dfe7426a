//! What an operation may take of a guest.

use std::time::Duration;

use rillbox_compute::{self as compute, Allowance, Cost, Operation, Task, Tensor, Work};
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

/// What a GPU is taken to need at most for one step of those that follow each other.
const GPU_STEP: Duration = Duration::from_nanos(300);

/// An operation that would take the GPU longer than this, and longer than the CPU, is done on the CPU.
const GPU_LONG: Duration = Duration::from_millis(1);

/// How long a GPU may take for an operation that takes `time` here: it has no more invocations than the kernels share the work
/// among, and what goes into one result is worked on step by step.
fn time_on_gpu(time: Duration, task: &Task<'_>) -> Duration {
    let (depth, results) = (task.depth(), task.shape.iter().product::<usize>());
    let at_once = match task.operation {
        // An invocation goes through all of a kernel, or window, for each of its results.
        Operation::Conv2d(_) | Operation::Conv2dTransposed(_) | Operation::Pool2d(..) => 1,
        Operation::Matmul => 16,
        // Three times by a workgroup.
        Operation::Softmax(_) => 64,
        // In parts where results are few.
        Operation::Reduce(..) if results < 256 => 4_096,
        _ => 256,
    };
    let steps = Duration::from_nanos((GPU_STEP.as_nanos() as u64).saturating_mul((depth / at_once) as u64));
    let taps = (depth as u64).saturating_mul(results as u64);
    let all = if at_once == 1 { time.max(Cost::new(0, Work::Tap, taps).time) } else { time };
    steps.max(all / GPU_SPEED)
}

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
        let time = time_on_gpu(cost.time, task);
        if time > GPU_LONG.max(cost.time) {
            return Err(compute::Error::Away);
        }
        let bytes = rillbox_gpu::bytes_of(task.shape.iter().product());
        self.own.admit(Cost { bytes: bytes as u64, time })?;
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

/// Takes note of what an operation would cost, and lets it go no further: with an empty error, since whoever tries it looks
/// at the note alone.
#[derive(Default)]
pub struct Estimate(pub Option<Duration>);

impl Allowance for Estimate {
    fn admit(&mut self, cost: Cost) -> Result<(), compute::Error> {
        self.0 = Some(cost.time);
        Err(compute::Error::Limit(String::new()))
    }
}

#[cfg(test)]
mod tests {
    use rillbox_compute::{Convolution, ElementType, Pooling, Reduction, Unlimited, Window};

    use super::*;

    fn full(shape: &[usize]) -> Tensor {
        Tensor::full(ElementType::F32, shape, 1.0, &mut Unlimited).unwrap()
    }

    fn time(operation: Operation<'_>, tensors: &[&Tensor], shape: &[usize]) -> Duration {
        let task = Task { operation, tensors, element: ElementType::F32, shape };
        time_on_gpu(Duration::from_micros(100), &task)
    }

    /// Catches an operation that holds the GPU up for all, since it goes through one result step by step, and one that is
    /// kept from the GPU for nothing.
    #[test]
    fn what_goes_on_step_by_step_takes_its_time_on_a_gpu() {
        let (dot, plane) = (full(&[1, 1, 1, 1]), full(&[1, 1, 1080, 1920]));
        let convolution = Convolution::default();
        let window = Window { size: [1080, 1920], stride: [1, 1], padding: [0, 0] };
        let [row, column] = [full(&[1, 2_000_000]), full(&[2_000_000, 1])];
        for (name, taken) in [
            ("transposed", time(Operation::Conv2dTransposed(convolution), &[&dot, &plane], &[1, 1, 1080, 1920])),
            ("convolved", time(Operation::Conv2d(convolution), &[&plane, &plane], &[1, 1, 1, 1])),
            ("pooled", time(Operation::Pool2d(Pooling::Average, window), &[&plane], &[1, 1, 1, 1])),
            ("multiplied", time(Operation::Matmul, &[&row, &column], &[1, 1])),
        ] {
            assert!(taken > Duration::from_millis(30), "{name}: {taken:?}");
        }
        let (filter, layer) = (full(&[64, 64, 3, 3]), full(&[1, 64, 64, 64]));
        let square = full(&[1024, 1024]);
        for (name, taken) in [
            ("convolved", time(Operation::Conv2d(convolution), &[&layer, &filter], &[1, 64, 62, 62])),
            ("summed", time(Operation::Reduce(Reduction::Sum, &[0, 1, 2, 3]), &[&plane], &[1])),
            ("multiplied", time(Operation::Matmul, &[&square, &square], &[1024, 1024])),
        ] {
            assert!(taken < Duration::from_millis(5), "{name}: {taken:?}");
        }
    }
}
