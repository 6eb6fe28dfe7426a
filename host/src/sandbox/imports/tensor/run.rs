//! Operations: what each may take, where it runs, and the tensor that it makes.

use std::time::{Duration, Instant};

use rillbox_compute::{self as compute, Allowance, Tensor};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;
use wasmtime::component::Resource;

use super::held::Held;
use super::permit::{Estimate, GpuPermit, Permit};
use super::wire::{element_type, sizes};
use crate::sandbox::bindings::rillbox::processor::tensor as wit;
use crate::sandbox::context::Guest;
use crate::sandbox::imports::CallError;
use crate::sandbox::work::Kind;

/// If the first step's estimate exceeds this, the operation runs under `block_in_place`, so that other guests of this thread go
/// on elsewhere.
const LONG: Duration = Duration::from_millis(2);

/// Operations at once that do so, in the whole process.
static APART: Semaphore = Semaphore::const_new(16);

/// Does what takes a while where it holds up nobody, if there is such a place.
fn apart<T>(work: impl FnOnce() -> T) -> T {
    let place = APART.try_acquire();
    let has_others = Handle::try_current().is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread);
    if has_others && place.is_ok() { tokio::task::block_in_place(work) } else { work() }
}

/// Makes a tensor of bytes, and a handle of it.
pub fn from_bytes(
    guest: &mut Guest,
    element: wit::ElementType,
    shape: &[u32],
    bytes: &[u8],
) -> Result<Resource<Held>, CallError> {
    guest.make(Kind::Transfer, |allowance| Tensor::from_bytes(element_type(element), &sizes(shape), bytes, allowance))
}

impl Guest {
    /// Does `work`, which may take what is left to the guest. Nothing can stop it once it runs, so that it is never
    /// allowed more than a frame's time, whatever the call may take. It is tried first without an allowance, which ends
    /// it after its checks.
    pub(super) fn permitted<T>(
        &mut self,
        kind: Kind,
        work: impl Fn(&mut dyn Allowance) -> Result<T, compute::Error>,
    ) -> Result<T, CallError> {
        let mut estimate = Estimate::default();
        let tried = work(&mut estimate);
        let Some(first_step) = estimate.0 else { return Ok(tried?) };
        let mut permit = Permit::new(&mut self.budget, &self.timer, &self.limits);
        let began = Instant::now();
        // An estimate knows nothing of what is in the tensors: what takes longer than others must not be there.
        let mut work = || compute::without_subnormals(|| work(&mut permit));
        let result = if first_step > LONG { apart(work) } else { work() };
        if permit.late {
            self.refusals.operations += 1;
        }
        if result.is_ok() {
            self.work.note(kind, began.elapsed());
        }
        Ok(result?)
    }

    /// Has the GPU do `work`, if it can.
    fn permitted_on_gpu(
        &mut self,
        work: impl Fn(&mut dyn Allowance) -> Result<Tensor, compute::Error>,
    ) -> Result<Option<Tensor>, CallError> {
        let spent = self.graphics.spent;
        let workspace = self.graphics.workspace()?;
        let mut own = Permit::new(&mut self.budget, &self.timer, &self.limits);
        // Recording costs the guest almost no time, so what this call has already recorded is subtracted.
        own.left = own.left.saturating_sub(spent);
        let left = own.left;
        let mut permit = GpuPermit { own, workspace, failure: None };
        let result = work(&mut permit);
        let GpuPermit { own, failure, .. } = permit;
        let taken = left - own.left;
        if own.late {
            self.refusals.operations += 1;
        }
        self.graphics.spent += taken;
        match (result, failure) {
            (_, Some(failure)) => Err(failure.into()),
            (Ok(made), _) => Ok(Some(made)),
            (Err(compute::Error::Away), _) => Ok(None),
            (Err(error), _) => Err(error.into()),
        }
    }

    /// Makes a tensor of others, and a handle of it: on the GPU, if one of them is there and it can.
    pub(super) async fn make_of(
        &mut self,
        kind: Kind,
        handles: &[&Resource<Held>],
        work: impl Fn(&[Tensor], &mut dyn Allowance) -> Result<Tensor, compute::Error> + Send + Sync,
    ) -> Result<Resource<Held>, CallError> {
        if self.tensors(handles)?.iter().any(|tensor| tensor.device().is_some()) {
            self.send(handles)?;
            let tensors = self.tensors(handles)?;
            if let Some(made) = self.permitted_on_gpu(|allowance| work(&tensors, allowance))? {
                return self.keep(made);
            }
            drop(tensors);
            for handle in handles {
                self.fetch(handle).await?;
            }
        }
        let tensors = self.tensors(handles)?;
        self.make(kind, |allowance| work(&tensors, allowance))
    }

    /// Makes a tensor, and a handle of it.
    pub(super) fn make(
        &mut self,
        kind: Kind,
        work: impl Fn(&mut dyn Allowance) -> Result<Tensor, compute::Error>,
    ) -> Result<Resource<Held>, CallError> {
        let tensor = self.permitted(kind, work)?;
        self.keep(tensor)
    }

    /// Makes a tensor of another.
    pub(super) async fn of(
        &mut self,
        kind: Kind,
        tensor: &Resource<Held>,
        work: impl Fn(&Tensor, &mut dyn Allowance) -> Result<Tensor, compute::Error> + Send + Sync,
    ) -> Result<Resource<Held>, CallError> {
        self.make_of(kind, &[tensor], |tensors, allowance| work(&tensors[0], allowance)).await
    }

    /// Makes a tensor of two others.
    pub(super) async fn of_two(
        &mut self,
        kind: Kind,
        left: &Resource<Held>,
        right: &Resource<Held>,
        work: impl Fn(&Tensor, &Tensor, &mut dyn Allowance) -> Result<Tensor, compute::Error> + Send + Sync,
    ) -> Result<Resource<Held>, CallError> {
        self.make_of(kind, &[left, right], |tensors, allowance| work(&tensors[0], &tensors[1], allowance)).await
    }
}
