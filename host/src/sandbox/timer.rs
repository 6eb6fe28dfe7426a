//! How long a call into a guest has been running, on a machine that has other things to do.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// The running time of the export that is being called. Not counted is what it waited for a turn, or was kept from running by
/// other threads of the system; what it waits for in an import counts.
#[derive(Debug)]
pub struct CallTimer {
    start: Instant,
    budget: Duration,
    waited: Waited,
}

impl Default for CallTimer {
    fn default() -> Self {
        Self { start: Instant::now(), budget: Duration::ZERO, waited: Waited::default() }
    }
}

impl CallTimer {
    /// A call begins that may run for `budget`; it is to be awaited within [`Waited::during`].
    pub fn begin(&mut self, budget: Duration) -> Waited {
        *self = Self { start: Instant::now(), budget, waited: Waited::default() };
        self.waited.clone()
    }

    /// What is left of the budget.
    pub fn left(&self) -> Duration {
        self.budget.saturating_sub(self.ran())
    }

    /// Time since the call began, less what it waited.
    pub fn ran(&self) -> Duration {
        self.start.elapsed().saturating_sub(self.waited.time())
    }

    /// Lets other guests run, and does not count the time until this one's next turn.
    pub fn yield_turn(&self) -> impl Future<Output = ()> + Send + use<> {
        let waited = self.waited.clone();
        async move {
            let since = Instant::now();
            tokio::task::yield_now().await;
            waited.add(since.elapsed());
        }
    }
}

/// The time of one call in which it could have run, and did not.
#[derive(Clone, Debug, Default)]
pub struct Waited(Arc<Mutex<Waits>>);

#[derive(Debug, Default)]
struct Waits {
    over: Duration,
    now: Option<Slice>,
}

impl Waited {
    /// Awaits `call`, and takes note of when its thread does not run.
    pub async fn during<T>(&self, call: impl Future<Output = T>) -> T {
        let mut call = pin!(call);
        poll_fn(|context| {
            self.with(|waits| waits.now = Some(Slice::begin()));
            let polled = call.as_mut().poll(context);
            self.with(|waits| {
                if let Some(slice) = waits.now.take() {
                    waits.over += slice.waited();
                }
            });
            polled
        })
        .await
    }

    fn time(&self) -> Duration {
        self.with(|waits| waits.over + waits.now.as_ref().map_or(Duration::ZERO, Slice::waited))
    }

    fn add(&self, time: Duration) {
        self.with(|waits| waits.over += time);
    }

    fn with<T>(&self, act: impl FnOnce(&mut Waits) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A stretch of work on one thread.
#[derive(Debug)]
struct Slice {
    began: Instant,
    thread_began: Duration,
}

impl Slice {
    fn begin() -> Self {
        Self { began: Instant::now(), thread_began: thread_time() }
    }

    /// What the thread was kept from running since. Asked on that thread.
    fn waited(&self) -> Duration {
        let ran = thread_time().saturating_sub(self.thread_began);
        self.began.elapsed().saturating_sub(ran)
    }
}

/// Processor time of the thread that asks.
fn thread_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRETCH: Duration = Duration::from_millis(60);

    /// A call that does `work` in one poll: what was counted while it ran, and once it had.
    async fn counted(work: impl AsyncFnOnce()) -> [Duration; 2] {
        let mut timer = CallTimer::default();
        let waited = timer.begin(Duration::from_secs(1));
        let while_it_ran = waited
            .during(async {
                work().await;
                timer.ran()
            })
            .await;
        [while_it_ran, timer.ran()]
    }

    /// Catches a guest that pays for threads that took its place: it would be stopped for the host's being busy.
    #[tokio::test]
    async fn a_thread_that_does_not_run_is_not_counted() {
        for ran in counted(async || std::thread::sleep(STRETCH)).await {
            assert!(ran < STRETCH / 2, "{ran:?}");
        }
    }

    /// Catches a guest that runs, or waits in an import, for nothing.
    #[tokio::test]
    async fn work_and_imports_that_wait_are_counted() {
        let spin = async || {
            let until = thread_time() + STRETCH;
            while thread_time() < until {}
        };
        for ran in counted(spin).await.into_iter().chain(counted(async || tokio::time::sleep(STRETCH).await).await) {
            assert!(ran >= STRETCH * 9 / 10, "{ran:?}");
        }
    }

    /// Catches turns of others that count as this call's.
    #[tokio::test]
    async fn turns_of_others_are_not_counted() {
        let mut timer = CallTimer::default();
        let waited = timer.begin(Duration::from_secs(1));
        let other = async || std::thread::sleep(STRETCH);
        tokio::join!(waited.during(timer.yield_turn()), other());
        assert!(timer.ran() < STRETCH / 2, "{:?}", timer.ran());
    }
}
