//! What is around a case: a clock that ends a run that hangs, the file that stays when it fails, and what the process uses.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::harness::root;

/// Panics of this process, which the host turns into a trap of the guest whose call it was.
static PANICS: AtomicUsize = AtomicUsize::new(0);

/// One run of cases at a time: what the process uses is that one's.
static TURN: Mutex<()> = Mutex::new(());

/// Longest that a case may take. Each of its calls has a limit, of which `load`'s, 30 s, is the longest.
const LONGEST: Duration = Duration::from_secs(100);

/// Growth that is chance: allocators keep what was freed.
const CHANCE: u64 = 64 << 20;

/// The clock.
pub struct Watch {
    begun: Sender<Option<u64>>,
    _turn: MutexGuard<'static, ()>,
}

impl Watch {
    pub fn start() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.fetch_add(1, Ordering::Relaxed);
            told(panic);
        }));
        let (begun, beginnings) = mpsc::channel();
        std::thread::spawn(move || {
            let mut running = None;
            loop {
                let wait = if running.is_some() { LONGEST } else { Duration::from_secs(3_600) };
                match (beginnings.recv_timeout(wait), running) {
                    (Ok(next), _) => running = next,
                    (Err(RecvTimeoutError::Timeout), Some(seed)) => {
                        eprintln!("case {seed} hangs; it is {}", file(seed).display());
                        std::process::exit(1);
                    }
                    (Err(RecvTimeoutError::Timeout), None) => {}
                    (Err(RecvTimeoutError::Disconnected), _) => return,
                }
            }
        });
        Self { begun, _turn: turn }
    }

    /// A case begins: it is kept until it has survived.
    pub fn begin(&self, seed: u64, bytes: &[u8]) -> Running<'_> {
        let path = file(seed);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        self.begun.send(Some(seed)).unwrap();
        Running { watch: self, seed }
    }
}

fn file(seed: u64) -> PathBuf {
    root().join("target/fuzz").join(format!("{seed}.wasm"))
}

/// A case that is under way. Dropped by a panic, it names itself.
pub struct Running<'a> {
    watch: &'a Watch,
    seed: u64,
}

impl Running<'_> {
    pub fn survived(self) {
        assert_eq!(PANICS.load(Ordering::Relaxed), 0, "the host panicked");
        std::fs::remove_file(file(self.seed)).unwrap();
        self.watch.begun.send(None).unwrap();
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("case {} failed; it is {}; again: make fuzz SEED={0}", self.seed, file(self.seed).display());
        }
    }
}

/// What the process uses.
#[derive(Debug)]
pub struct Use {
    memory: u64,
    descriptors: usize,
    threads: i64,
}

impl Use {
    pub fn now() -> Self {
        let process = procfs::process::Process::myself().unwrap();
        let stat = process.stat().unwrap();
        Self {
            memory: stat.rss * procfs::page_size(),
            descriptors: process.fd_count().unwrap(),
            threads: stat.num_threads,
        }
    }

    /// Catches what cases leave behind. Other tests of this program come and go beside it.
    pub fn assert_no_more_than(&self, before: &Self, seed: u64) {
        let grown = self.memory > before.memory + CHANCE
            || self.descriptors > before.descriptors + 32
            || self.threads > before.threads + 32;
        assert!(!grown, "after case {seed} the process uses {self:?}, and used {before:?}");
    }
}
