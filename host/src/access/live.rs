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
        let (mut seen, mut told) = (self.read.clone(), None);
        loop {
            ticks.tick().await;
            let before = std::mem::replace(&mut seen, self.stamps().await);
            if seen != before || seen == self.read {
                continue;
            }
            let (load, files) = (self.load, self.files.clone());
            let file = files.first().map(|path| path.display().to_string());
            match tokio::task::spawn_blocking(move || load(&files)).await {
                Ok(Ok(new)) => {
                    self.read.clone_from(&seen);
                    self.current.send_replace(Arc::new(new));
                    tracing::info!(file, "read anew");
                }
                Ok(Err(error)) => {
                    // What cannot be read now may be in a moment, as when there was no descriptor left.
                    if !matches!(error, AccessError::Read { .. }) {
                        self.read.clone_from(&seen);
                    }
                    if told.replace(seen.clone()).as_ref() != Some(&seen) {
                        tracing::error!(%error, "a changed file is not used; what it held before stays");
                    }
                }
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

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Catches a token that was revoked and stays good, since the file could not be read at the moment when it was looked at.
    #[tokio::test]
    async fn what_could_not_be_read_is_read_later() {
        static LOOKS: AtomicUsize = AtomicUsize::new(0);
        let load: Load<String> = |files| match LOOKS.fetch_add(1, Ordering::Relaxed) {
            1 | 2 => Err(AccessError::Read { path: files[0].clone(), source: io::Error::other("too many open files") }),
            _ => Ok(std::fs::read_to_string(&files[0]).unwrap()),
        };
        let directory = tempfile::TempDir::new().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "before").unwrap();
        let live = Live::open(vec![file.clone()], load).unwrap();
        let mut current = live.current().0;
        assert_eq!(**current.borrow_and_update(), "before");
        let follower = tokio::spawn(live.follow());
        std::fs::write(&file, "after it").unwrap();
        tokio::time::timeout(Duration::from_secs(30), current.changed()).await.expect("it is read in time").unwrap();
        assert_eq!(**current.borrow(), "after it");
        assert_eq!(LOOKS.load(Ordering::Relaxed), 4);
        follower.abort();
    }
}
