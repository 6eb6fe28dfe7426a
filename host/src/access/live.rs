//! What is made of files, and made anew when they change.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::AccessError;

/// How often files are looked at. A change counts once it has stood for as long: an editor may write a file in two steps.
pub const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// How files are read.
pub type Load<T> = fn(&[PathBuf]) -> Result<T, AccessError>;

/// The newest of what was made of the files.
pub struct Current<T>(watch::Receiver<Arc<T>>);

impl<T> Clone for Current<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Current<T> {
    /// As of now.
    pub fn get(&self) -> Arc<T> {
        self.0.borrow().clone()
    }
}

/// Files that are looked after.
pub struct Live<T> {
    files: Vec<PathBuf>,
    load: Load<T>,
    current: watch::Sender<Arc<T>>,
    /// What the files were before they were read last.
    read: Vec<Option<Stamp>>,
}

/// What identifies a file's content: device, inode, size, and the times of its last modification and last change.
type Stamp = (u64, u64, u64, (i64, i64), (i64, i64));

impl<T: Send + Sync + 'static> Live<T> {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// Those of `load`.
    pub fn open(files: Vec<PathBuf>, load: Load<T>) -> Result<Self, AccessError> {
        let read = files.iter().map(|path| std::fs::metadata(path).ok().map(|file| stamp(&file))).collect();
        let (current, _) = watch::channel(Arc::new(load(&files)?));
        Ok(Self { files, load, current, read })
    }

    /// Where the newest is.
    pub fn current(&self) -> Current<T> {
        Current(self.current.subscribe())
    }

    /// Reads the files whenever they have changed. What cannot be read is said, and the last that could stays.
    pub async fn follow(mut self) {
        let mut ticks = interval(POLL_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = self.read.clone();
        loop {
            ticks.tick().await;
            let before = std::mem::replace(&mut seen, self.stamps().await);
            if seen != before || seen == self.read {
                continue;
            }
            self.read.clone_from(&seen);
            let (load, files) = (self.load, self.files.clone());
            let file = files.first().map(|path| path.display().to_string());
            match tokio::task::spawn_blocking(move || load(&files)).await {
                Ok(Ok(new)) => {
                    self.current.send_replace(Arc::new(new));
                    tracing::info!(file, "read anew");
                }
                Ok(Err(error)) => tracing::error!(%error, "a changed file is not used; what it held before stays"),
                // The runtime is going down.
                Err(_) => return,
            }
        }
    }

    async fn stamps(&self) -> Vec<Option<Stamp>> {
        let mut stamps = Vec::with_capacity(self.files.len());
        for path in &self.files {
            stamps.push(tokio::fs::metadata(path).await.ok().map(|file| stamp(&file)));
        }
        stamps
    }
}

fn stamp(file: &std::fs::Metadata) -> Stamp {
    (file.dev(), file.ino(), file.size(), (file.mtime(), file.mtime_nsec()), (file.ctime(), file.ctime_nsec()))
}
