//! The clock that interrupts guests: an OS thread that advances the engine's epoch, asleep while no guest runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

/// How often running guests are looked at. A guest is stopped at most two of these after its budget.
const TICK: Duration = Duration::from_millis(1);

/// Ends the thread when dropped.
pub struct Ticker {
    activity: Activity,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    running: AtomicUsize,
    /// The thread sleeps until somebody wakes it. Most calls begin while it is awake, and to wake it anyway would be most of
    /// what a call costs.
    asleep: AtomicBool,
    stop: AtomicBool,
}

/// A handle that says when guests run.
#[derive(Clone)]
pub struct Activity {
    shared: Arc<Shared>,
    thread: Thread,
}

/// Keeps the ticker awake until dropped.
pub struct Running<'a>(&'a Activity);

impl Ticker {
    pub fn start(engine: &wasmtime::Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            running: AtomicUsize::new(0),
            asleep: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let (engine, state) = (engine.clone(), shared.clone());
        let thread = thread::Builder::new().name("epochs".to_owned()).spawn(move || {
            while !state.stop.load(Ordering::Acquire) {
                // Said before it is looked at, and looked at after it was said in `enter`: one of the two sees the other.
                state.asleep.store(true, Ordering::SeqCst);
                if state.running.load(Ordering::SeqCst) == 0 {
                    thread::park();
                } else {
                    state.asleep.store(false, Ordering::SeqCst);
                    thread::park_timeout(TICK);
                    engine.increment_epoch();
                }
            }
        })?;
        let activity = Activity { shared, thread: thread.thread().clone() };
        Ok(Self { activity, thread: Some(thread) })
    }

    pub fn activity(&self) -> Activity {
        self.activity.clone()
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.activity.shared.stop.store(true, Ordering::Release);
        self.activity.thread.unpark();
        if let Some(thread) = self.thread.take() {
            // It holds nothing that could panic.
            let _ = thread.join();
        }
    }
}

impl Activity {
    /// Notes that a guest runs from now until the guard is dropped.
    pub fn enter(&self) -> Running<'_> {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.swap(false, Ordering::SeqCst) {
            self.thread.unpark();
        }
        Running(self)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.shared.running.fetch_sub(1, Ordering::AcqRel);
    }
}
