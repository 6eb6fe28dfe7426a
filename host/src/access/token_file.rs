//! The file of tokens: a line for each, with its name, its scopes and its digest.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use subtle::{Choice, ConditionallySelectable};
use tempfile::NamedTempFile;
use thiserror::Error;

use super::token::{Digest, Token};
use super::{AccessError, Scopes};

/// Tokens of a file at most; each is compared at every call.
pub const MAX_TOKENS: usize = 1000;

/// Bytes of a name at most.
pub const MAX_NAME: usize = 64;

/// Bytes of a file at most, comments included.
const MAX_FILE: u64 = 1 << 20;

/// Permissions of a new file.
const MODE: u32 = 0o600;

/// What a file must not allow: anything to everybody, and writing to its group.
const EXPOSED: u32 = 0o027;

/// What stands above the tokens.
const HEADER: &str =
    "# Tokens of rillbox, one a line: name, scopes, SHA-256 of the token. `rillbox token` keeps this file.\n";

/// What is known of a token.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What people call it; in logs too.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    digest: Digest,
}

/// What is wrong with a line. It tells of no field but by its place: it may be a secret.
#[derive(Debug, Error)]
pub enum LineError {
    /// More fields, or fewer.
    #[error("there are not three fields")]
    Fields,
    /// The first.
    #[error("the first field is no name")]
    Name,
    /// The second.
    #[error("the second field names a scope that is not known")]
    Scope,
    /// The third.
    #[error("the third field is no digest")]
    Digest,
    /// An earlier line has its name.
    #[error("there is a token {0} above")]
    Twice(String),
}

/// A file of tokens, as it was when it was read.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    text: String,
    entries: Vec<Entry>,
}

impl TokenFile {
    /// Reads a file.
    ///
    /// # Errors
    /// That it cannot be read, that others may use it, or what is wrong with which line.
    pub fn read(path: &Path) -> Result<Self, AccessError> {
        let failed = |source| AccessError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        // Of what was opened, which nobody can exchange any more.
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
        if mode & EXPOSED != 0 {
            return Err(AccessError::Exposed { path: path.to_owned(), mode });
        }
        let mut text = String::new();
        file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(failed)?;
        Self::parse(path, text)
    }

    fn parse(path: &Path, text: String) -> Result<Self, AccessError> {
        if text.len() as u64 > MAX_FILE {
            return Err(AccessError::TooLarge(path.to_owned()));
        }
        let mut entries: Vec<Entry> = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let malformed = |source| AccessError::Malformed { path: path.to_owned(), line, source };
            let Some(entry) = parse_line(text).map_err(malformed)? else { continue };
            if entries.iter().any(|other| other.name == entry.name) {
                return Err(malformed(LineError::Twice(entry.name)));
            }
            entries.push(entry);
        }
        if entries.len() > MAX_TOKENS {
            return Err(AccessError::TooLarge(path.to_owned()));
        }
        Ok(Self { path: path.to_owned(), text, entries })
    }

    /// The tokens, in the file's order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The token that a caller presents. The time it takes does not depend on whether or where it is found.
    pub fn find(&self, presented: &str) -> Option<&Entry> {
        let digest = Digest::of(presented);
        let (mut found, mut place) = (Choice::from(0), 0_u64);
        for (index, entry) in (0_u64..).zip(&self.entries) {
            let same = entry.digest.matches(&digest);
            place.conditional_assign(&index, same);
            found |= same;
        }
        bool::from(found).then(|| self.entries.get(usize::try_from(place).ok()?)).flatten()
    }

    /// Adds a token, making the file if needed; gives its entry. Without a name it gets one.
    ///
    /// # Errors
    /// As [`TokenFile::read`]; that the name is taken or none, or that the file cannot be written.
    pub fn add(path: &Path, name: Option<String>, scopes: Scopes, token: &Token) -> Result<Entry, AccessError> {
        let _turn = Turn::wait(path)?;
        let mut file = match Self::read(path) {
            Err(AccessError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Self { path: path.to_owned(), text: HEADER.to_owned(), entries: Vec::new() }
            }
            read => read?,
        };
        let name = name.unwrap_or_else(|| file.free_name());
        if !is_name(&name) {
            return Err(AccessError::Name(name));
        }
        if file.entries.iter().any(|entry| entry.name == name) {
            return Err(AccessError::Taken(name, path.to_owned()));
        }
        let entry = Entry { name, scopes, digest: token.digest() };
        if !file.text.is_empty() && !file.text.ends_with('\n') {
            file.text.push('\n');
        }
        file.text.push_str(&format!("{} {} {}\n", entry.name, entry.scopes, entry.digest.to_hex()));
        Self::parse(path, file.text)?.write()?;
        Ok(entry)
    }

    /// Removes a token; gives what its entry was. Everything else in the file stays.
    ///
    /// # Errors
    /// As [`TokenFile::read`]; that there is no such token, or that the file cannot be written.
    pub fn revoke(path: &Path, name: &str) -> Result<Entry, AccessError> {
        let _turn = Turn::wait(path)?;
        let mut file = Self::read(path)?;
        let entry = file.entries.iter().find(|entry| entry.name == name).cloned();
        let entry = entry.ok_or_else(|| AccessError::Missing(name.to_owned(), path.to_owned()))?;
        let kept = file.text.lines().filter(|line| line.split_whitespace().next() != Some(name));
        file.text = kept.flat_map(|line| [line, "\n"]).collect();
        file.write()?;
        Ok(entry)
    }

    /// `token-1` or the next that is free.
    fn free_name(&self) -> String {
        let taken = |name: &String| self.entries.iter().any(|entry| entry.name == *name);
        let names = (1..=self.entries.len() + 1).map(|number| format!("token-{number}"));
        names.into_iter().find(|name| !taken(name)).unwrap_or_default()
    }

    /// Writes the text whole or not at all, with the owner and the permissions that the file had.
    fn write(&self) -> Result<(), AccessError> {
        self.try_write().map_err(|source| AccessError::Write { path: self.path.clone(), source })
    }

    fn try_write(&self) -> io::Result<()> {
        // What a symbolic link stands for is written, not the link.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let mut new = NamedTempFile::new_in(directory(&path))?;
        let mode = match fs::metadata(&path) {
            Ok(old) => {
                let made = new.as_file().metadata()?;
                if (old.uid(), old.gid()) != (made.uid(), made.gid()) {
                    fchown(new.as_file(), Some(old.uid()), Some(old.gid()))?;
                }
                old.permissions().mode() & 0o777
            }
            Err(_) => MODE,
        };
        new.as_file().set_permissions(Permissions::from_mode(mode))?;
        new.write_all(self.text.as_bytes())?;
        new.as_file().sync_all()?;
        new.persist(&path)?;
        File::open(directory(&path))?.sync_all()
    }
}

/// The right to change a file: a lock on its directory, which leaves nothing behind.
struct Turn {
    _directory: File,
}

impl Turn {
    fn wait(path: &Path) -> Result<Self, AccessError> {
        let locked = File::open(directory(path)).and_then(|directory| {
            directory.lock()?;
            Ok(directory)
        });
        let failed = |source| AccessError::Write { path: path.to_owned(), source };
        Ok(Self { _directory: locked.map_err(failed)? })
    }
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A line's entry; none of an empty line or a comment.
fn parse_line(line: &str) -> Result<Option<Entry>, LineError> {
    let mut fields = line.split_whitespace();
    let Some(name) = fields.next().filter(|first| !first.starts_with('#')) else { return Ok(None) };
    let (Some(scopes), Some(digest), None) = (fields.next(), fields.next(), fields.next()) else {
        return Err(LineError::Fields);
    };
    if !is_name(name) {
        return Err(LineError::Name);
    }
    let scopes = scopes.parse().map_err(|_| LineError::Scope)?;
    let digest = Digest::from_hex(digest).ok_or(LineError::Digest)?;
    Ok(Some(Entry { name: name.to_owned(), scopes, digest }))
}

fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(allowed)
}
