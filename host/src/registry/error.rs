//! What goes wrong, by what was asked.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use tokio::task::JoinError;

use super::CompileError;
use super::manifest::{DescriptionError, MAX_UPLOAD, NameError};

/// Why the registry did not open.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The directory, or what is in it.
    #[error("cannot use {path} for processors: {source}")]
    Directory {
        /// Of the registry, or within it.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another host has it.
    #[error("another host is using {0}; end it first, or give this one a --data-dir of its own")]
    Locked(PathBuf),
    /// The processors cannot be listed.
    #[error("cannot list the processors: {0}")]
    Storage(#[from] StorageError),
}

impl OpenError {
    pub(super) fn directory(path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Directory { path: path.clone(), source }
    }
}

/// Why something was not stored, read or removed.
#[derive(Debug, Error)]
pub enum StorageError {
    /// The store itself.
    #[error(transparent)]
    Store(#[from] object_store::Error),
    /// The files of compiled code.
    #[error(transparent)]
    Code(#[from] io::Error),
    /// The host goes down, or panicked.
    #[error(transparent)]
    Unfinished(#[from] JoinError),
    /// What is there is not what was put there.
    #[error("the stored {0} is damaged; delete it, then upload it again")]
    Damaged(String),
    /// There is something else in its place.
    #[error("{0} is taken by files that are no processor; remove them from the data directory")]
    Blocked(String),
}

/// Why an upload was not taken.
#[derive(Debug, Error)]
pub enum UploadError {
    /// More bytes than are taken.
    #[error("a component of {0} bytes is larger than {MAX_UPLOAD}")]
    TooLarge(usize),
    /// Not what it should be.
    #[error(transparent)]
    Refused(#[from] UploadRefusal),
    /// The same name and version stands for another component.
    #[error("{0} exists with other content: raise the version, or delete it first")]
    Exists(String),
    /// As many are stored as may be.
    #[error("{0} versions are stored, as many as may be: delete some with DELETE /api/processors/NAME@VERSION")]
    Full(usize),
    /// Too much else is being compiled.
    #[error("too many components are being compiled; try again")]
    Busy,
    /// It was not compiled; the host is at fault.
    #[error(transparent)]
    Compile(CompileError),
    /// It was not stored.
    #[error("the upload could not be stored: {0}")]
    Storage(#[from] StorageError),
}

impl From<CompileError> for UploadError {
    fn from(error: CompileError) -> Self {
        match error {
            CompileError::Refused(reason) => UploadRefusal::Compiler(reason).into(),
            CompileError::Busy => Self::Busy,
            CompileError::Failed(_) => Self::Compile(error),
        }
    }
}

/// What is wrong with an upload.
#[derive(Debug, Error)]
pub enum UploadRefusal {
    /// No bytes.
    #[error("the body is empty; send the component's bytes")]
    Empty,
    /// Native code.
    #[error("this is precompiled native code; upload the component it was compiled from")]
    Precompiled,
    /// What a component would be made of.
    #[error("this is a core WebAssembly module, not a component; build for the target wasm32-wasip2")]
    Module,
    /// Bytes that begin otherwise.
    #[error("this is not a WebAssembly component")]
    NotAComponent,
    /// The name that it is to have.
    #[error(transparent)]
    Name(#[from] NameError),
    /// What the compiler has to say.
    #[error("{0}")]
    Compiler(String),
    /// What it says of itself.
    #[error(transparent)]
    Description(#[from] DescriptionError),
}

/// Why there is no compiled code of a processor.
#[derive(Debug, Error)]
pub enum CodeError {
    /// It was not made.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The component was not read, or its code not stored.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// No processor of that name, or no such version.
#[derive(Debug, Error)]
#[error("there is no processor {0:?}; upload one with POST /api/processors?name=NAME")]
pub struct NotFound(pub String);

/// Why a processor was not deleted.
#[derive(Debug, Error)]
pub enum DeleteError {
    /// It is not there.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// A stream runs it.
    #[error("{0} is in use by a stream; stop it first")]
    InUse(String),
    /// Its files are still there.
    #[error("the files could not be removed: {0}")]
    Storage(#[from] StorageError),
}

/// Why a version did not become the default one.
#[derive(Debug, Error)]
pub enum ChooseError {
    /// It is not there.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// The host's own trouble.
    #[error("the choice could not be stored: {0}")]
    Storage(#[from] StorageError),
}
