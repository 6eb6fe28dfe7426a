//! The host's own directory: locked while a host uses it, with a place for what is being made.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::OpenError;

const LOCK: &str = "lock";
const INCOMING: &str = "incoming";

/// How often what an earlier run left is tried to be removed: its last child may still be writing there.
const ATTEMPTS: usize = 3;

/// A directory that no other host uses.
pub struct Directory {
    path: PathBuf,
    /// The system gives it free when the process ends, however that comes.
    _lock: File,
}

impl Directory {
    /// Takes a directory, making it if needed, and clears what was being made when the last host ended.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = OpenError::directory(path);
        fs::create_dir_all(path).map_err(&failed)?;
        let lock = File::options().create(true).truncate(false).write(true).open(path.join(LOCK)).map_err(&failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::Locked(path.to_owned())),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let directory = Self { path: path.to_owned(), _lock: lock };
        directory.clear().map_err(&failed)?;
        Ok(directory)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A place to make something in, gone with the value.
    pub fn scratch(&self) -> io::Result<TempDir> {
        TempDir::new_in(self.path.join(INCOMING))
    }

    fn clear(&self) -> io::Result<()> {
        let incoming = self.path.join(INCOMING);
        for _ in 0..ATTEMPTS {
            match fs::remove_dir_all(&incoming) {
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => continue,
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => break,
            }
        }
        fs::create_dir_all(&incoming)
    }
}
