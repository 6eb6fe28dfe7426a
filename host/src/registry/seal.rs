//! The host's seal: a keyed digest by which it knows its own files again. Nobody makes one who cannot read the key.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use tempfile::NamedTempFile;

use super::directory::Directory;

/// The key's file, for its owner alone.
const KEY: &str = "key";

/// Bytes of the key.
const KEY_LENGTH: usize = 32;

/// Bytes of a file that are in memory at once.
const PIECE: usize = 64 << 10;

/// Seals files under their names.
pub struct Seal(Hmac<Sha256>);

impl Seal {
    /// Reads the directory's key. A new one takes the place of a key that is missing, broken, or readable by others: what was
    /// sealed with it is then made anew.
    pub fn open(directory: &Directory) -> io::Result<Self> {
        let path = directory.path().join(KEY);
        let key = match read_key(&path)? {
            Some(key) => key,
            None => make_key(directory, &path)?,
        };
        // A key of any length is taken.
        Hmac::new_from_slice(&key).map(Self).map_err(io::Error::other)
    }

    /// The seal of a file under its name.
    pub fn of(&self, name: &str, file: &Path) -> io::Result<[u8; 32]> {
        Ok(self.over(name, file)?.finalize().into_bytes().into())
    }

    /// Whether a seal is this host's, for this file under this name.
    pub fn holds(&self, name: &str, file: &Path, seal: &[u8]) -> io::Result<bool> {
        Ok(self.over(name, file)?.verify_slice(seal).is_ok())
    }

    /// Reads the file piece by piece: it may be as large as native code, and many may be read at once.
    fn over(&self, name: &str, file: &Path) -> io::Result<Hmac<Sha256>> {
        // The length keeps a name's end apart from the content's beginning.
        let mut digest = self.0.clone().chain_update((name.len() as u64).to_le_bytes()).chain_update(name);
        let (mut file, mut piece) = (File::open(file)?, vec![0; PIECE]);
        loop {
            match file.read(&mut piece)? {
                0 => return Ok(digest),
                read => digest.update(&piece[..read]),
            }
        }
    }
}

fn read_key(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let key = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        key => key?,
    };
    let open = fs::metadata(path)?.permissions().mode() & 0o077 != 0;
    if open || key.len() != KEY_LENGTH {
        tracing::warn!(path = %path.display(), "the key is broken or not its owner's alone; a new one takes its place");
        return Ok(None);
    }
    Ok(Some(key))
}

fn make_key(directory: &Directory, path: &Path) -> io::Result<Vec<u8>> {
    let mut key = vec![0; KEY_LENGTH];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    let scratch = directory.scratch()?;
    let mut file = NamedTempFile::new_in(scratch.path())?;
    file.as_file().set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(&key)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(key)
}
