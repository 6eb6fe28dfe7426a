//! Results that nobody waits for: what their work took, and whether it is late, is still to be known.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::download::Transfer;
use crate::error::Error;
use crate::usage::Usage;

/// Those of one workspace.
#[derive(Debug, Default)]
pub(crate) struct Left(Mutex<Vec<Arc<Transfer>>>);

impl Left {
    pub fn leave(&self, transfer: Arc<Transfer>) {
        self.locked().push(transfer);
    }

    /// What those took that are done, which are here no more; for how long one was to take at most that is late through its owner's
    /// fault. It does not wait.
    pub fn sweep(&self) -> (Usage, Option<Duration>) {
        let (mut sum, mut late) = (Usage::default(), None);
        self.locked().retain(|transfer| {
            let usage = transfer.usage();
            late = late.or_else(|| transfer.overdue(&usage));
            if let Ok(usage) = usage {
                sum += usage;
            }
            usage == Err(Error::Late)
        });
        (sum, late)
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Arc<Transfer>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A result that somebody is to wait for.
#[derive(Debug)]
pub(crate) struct Awaited {
    transfer: Arc<Transfer>,
    left: Arc<Left>,
    is_told: bool,
}

impl Awaited {
    pub fn new(transfer: Arc<Transfer>, left: Arc<Left>) -> Self {
        Self { transfer, left, is_told: false }
    }

    pub fn transfer(&self) -> &Arc<Transfer> {
        &self.transfer
    }

    /// Waits for the device, and hands out the bytes; and what the work before them took.
    pub fn wait<T>(mut self, timeout: Duration, read: impl FnOnce(&[u8]) -> T) -> Result<(T, Usage), Error> {
        let waited = self.transfer.wait(timeout, read);
        // What others held up is still to be counted.
        self.is_told = !matches!(waited, Err(Error::Busy));
        if !self.is_told {
            self.transfer.excuse();
        }
        waited
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        if !self.is_told {
            self.left.leave(self.transfer.clone());
        }
    }
}
