//! Compiled code, always on this machine: native code that is loaded only if this host wrote it.
//!
//! A file is named after its component's digest and the engine's compatibility; beside it is the host's seal over its name
//! and bytes. Nobody but the host's own user may enter the directory, so that code stays what it was when it was checked.

use std::collections::HashSet;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::OpenError;
use super::directory::Directory;
use super::seal::Seal;

const CODE: &str = "cwasm";
const SEAL: &str = "seal";

/// The directory of compiled code.
pub struct Cache {
    directory: PathBuf,
    compatibility: String,
    seal: Seal,
}

impl Cache {
    /// Opens the cache for engines of a compatibility.
    pub fn open(directory: &Directory, compatibility: String) -> Result<Self, OpenError> {
        let path = directory.path().join("compiled");
        let failed = OpenError::directory(&path);
        fs::create_dir_all(&path).map_err(&failed)?;
        fs::set_permissions(&path, Permissions::from_mode(0o700)).map_err(&failed)?;
        let seal = Seal::open(directory).map_err(&failed)?;
        Ok(Self { directory: path, compatibility, seal })
    }

    /// The code of a component, if this host wrote it and it is whole.
    pub fn find(&self, sha256: &str) -> Option<PathBuf> {
        let path = self.path(sha256, CODE);
        let seal = fs::read(self.path(sha256, SEAL)).unwrap_or_default();
        if self.seal.holds(&self.name(sha256), &path, &seal).ok()? {
            return Some(path);
        }
        tracing::warn!(path = %path.display(), "compiled code that is damaged or not this host's own; it is made anew");
        None
    }

    /// Moves code into the cache. `scratch` is where it was made, on the same file system.
    pub fn store(&self, sha256: &str, code: &Path, scratch: &Path) -> io::Result<PathBuf> {
        let (path, sealed) = (self.path(sha256, CODE), scratch.join(SEAL));
        // Neither is flushed to the disk: what a crash of the machine leaves of them does not fit together.
        fs::write(&sealed, self.seal.of(&self.name(sha256), code)?)?;
        fs::rename(code, &path)?;
        fs::rename(sealed, self.path(sha256, SEAL))?;
        Ok(path)
    }

    /// Removes the code of a component. What cannot be removed now is when the host starts next.
    pub fn forget(&self, sha256: &str) {
        for end in [SEAL, CODE] {
            let _ = fs::remove_file(self.path(sha256, end));
        }
    }

    /// Removes what is not the code of one of these components, sealed, and for this engine.
    pub fn keep(&self, components: &HashSet<String>) -> io::Result<()> {
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            let sha256 = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.split_once('-'));
            let kept = sha256.is_some_and(|(sha256, _)| {
                let pair = [self.path(sha256, CODE), self.path(sha256, SEAL)];
                components.contains(sha256) && pair.contains(&path) && pair.iter().all(|file| file.is_file())
            });
            if !kept {
                tracing::info!(path = %path.display(), "compiled code of no use; removed");
                let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
                removed.unwrap_or_else(|error| tracing::warn!(path = %path.display(), %error, "cannot be removed"));
            }
        }
        Ok(())
    }

    fn name(&self, sha256: &str) -> String {
        format!("{sha256}-{}", self.compatibility)
    }

    fn path(&self, sha256: &str, end: &str) -> PathBuf {
        self.directory.join(format!("{}.{end}", self.name(sha256)))
    }
}
