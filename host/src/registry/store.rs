//! The registry as others see it: uploads on their way in, and processors found by name.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use semver::Version;
use tempfile::TempDir;

use super::catalog::{Catalog, Upload};
use super::directory::Directory;
use super::manifest::{MAX_UPLOAD, check_name};
use super::{
    ChooseError, CompileError, Compiler, DeleteError, Description, Lease, Manifest, NotFound, OpenError, StorageError,
    UploadError, Versions,
};

/// All processors of a host.
pub struct Registry<C> {
    directory: Directory,
    compiler: C,
    catalog: Arc<Catalog>,
    /// Components whose code is being made anew, by their digests: once, for all who wait for it.
    remade: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl<C: Compiler> Registry<C> {
    /// Opens a directory, making it if needed. What an interrupted host left behind is removed; what is not a processor is
    /// ignored with a warning.
    ///
    /// # Errors
    /// The directory cannot be read or written, or another host is using it.
    pub async fn open(directory: &Path, compiler: C) -> Result<Self, OpenError> {
        let directory = Directory::open(directory)?;
        let catalog = Arc::new(Catalog::open(&directory, compiler.compatibility()).await?);
        Ok(Self { directory, compiler, catalog, remade: Mutex::default() })
    }

    /// Checks, compiles and stores a component. Uploading the same bytes again changes nothing.
    pub async fn upload(&self, component: Bytes, name: Option<&str>) -> Result<Arc<Manifest>, UploadError> {
        self.check_bytes(&component)?;
        if let Some(name) = name {
            check_name(name).map_err(UploadError::Refused)?;
        }
        let compiled = self.compile(component.clone()).await.map_err(|error| match error {
            CompileError::Refused(reason) => UploadError::Refused(reason),
            CompileError::Busy => UploadError::Busy,
            CompileError::Failed(reason) => UploadError::Failed(reason),
        })?;
        let Compiled { scratch, code, description } = compiled;
        let manifest = Manifest::new(description, name, &component).map_err(UploadError::Refused)?;
        let upload = Upload { manifest, component, scratch, code };
        let catalog = self.catalog.clone();
        to_its_end(async move { catalog.insert(upload).await }).await.map_err(UploadError::failed)?
    }

    /// All processors, by name and version.
    pub fn list(&self) -> Vec<Arc<Manifest>> {
        self.catalog.index().list()
    }

    /// All versions of a name.
    pub fn versions(&self, name: &str) -> Result<Versions, NotFound> {
        self.catalog.index().versions(name)
    }

    /// The processor of `NAME@VERSION`, or for a bare `NAME` of its default version, else its newest. It is not deleted while
    /// the lease is held.
    pub fn get(&self, reference: &str) -> Result<Lease, NotFound> {
        self.catalog.index().get(reference).cloned()
    }

    /// As [`Registry::get`], to look at.
    pub fn find(&self, reference: &str) -> Result<Arc<Manifest>, NotFound> {
        self.catalog.index().find(reference)
    }

    /// The component's bytes; their digest is checked.
    pub async fn component(&self, processor: &Manifest) -> Result<Bytes, StorageError> {
        self.catalog.component(processor).await
    }

    /// Compiled code for this host, made anew where the cache has none of this host's own.
    pub async fn code(&self, processor: &Lease) -> Result<PathBuf, CompileError> {
        let failed = |error: &dyn std::fmt::Display| CompileError::Failed(error.to_string());
        if let Some(code) = self.catalog.code(&processor.sha256).await {
            return Ok(code);
        }
        let turn = self.turn_to_remake(&processor.sha256);
        let _turn = turn.lock().await;
        if let Some(code) = self.catalog.code(&processor.sha256).await {
            return Ok(code);
        }
        let component = self.component(processor).await.map_err(|error| failed(&error))?;
        let Compiled { scratch, code, .. } = self.compile(component).await?;
        self.catalog.keep_code(&processor.sha256, code, scratch).await.map_err(|error| failed(&error))
    }

    /// Removes one version that no stream uses: `NAME@VERSION`, or what a bare name stands for.
    pub async fn delete(&self, reference: &str) -> Result<Manifest, DeleteError> {
        let (catalog, reference) = (self.catalog.clone(), reference.to_owned());
        let deleted = to_its_end(async move { catalog.delete(&reference).await }).await;
        deleted.map_err(|error| DeleteError::Failed(error.to_string()))?
    }

    /// Makes a version the one that a bare name stands for, or with `None` the newest.
    pub async fn choose(&self, name: &str, version: Option<Version>) -> Result<(), ChooseError> {
        let (catalog, name) = (self.catalog.clone(), name.to_owned());
        let chosen = to_its_end(async move { catalog.choose(&name, version).await }).await;
        chosen.map_err(|error| ChooseError::Failed(error.to_string()))?
    }

    fn turn_to_remake(&self, sha256: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut remade = self.remade.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody waits for any more.
        remade.retain(|_, turn| Arc::strong_count(turn) > 1);
        remade.entry(sha256.to_owned()).or_default().clone()
    }

    fn check_bytes(&self, bytes: &[u8]) -> Result<(), UploadError> {
        let refused = |reason: &str| Err(UploadError::Refused(reason.to_owned()));
        if bytes.len() > MAX_UPLOAD {
            return Err(UploadError::TooLarge(bytes.len()));
        }
        if self.compiler.is_precompiled(bytes) {
            return refused("this is precompiled native code; upload the component it was compiled from");
        }
        match bytes {
            [0, b'a', b's', b'm', _, _, 1, 0, ..] => Ok(()),
            [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => {
                refused("this is a core WebAssembly module, not a component; build for the target wasm32-wasip2")
            }
            [] => refused("the body is empty; send the component's bytes"),
            _ => refused("this is not a WebAssembly component"),
        }
    }

    async fn compile(&self, component: Bytes) -> Result<Compiled, CompileError> {
        let failed = |error: std::io::Error| CompileError::Failed(error.to_string());
        let scratch = self.directory.scratch().map_err(failed)?;
        let (wasm, code) = (scratch.path().join("component.wasm"), scratch.path().join("code"));
        tokio::fs::write(&wasm, component).await.map_err(failed)?;
        let description = self.compiler.compile(&wasm, &code).await?;
        Ok(Compiled { scratch, code, description })
    }
}

/// What the compiler made.
struct Compiled {
    scratch: TempDir,
    code: PathBuf,
    description: Description,
}

/// Carries a change through, even if whoever asked for it goes: the index and the store must not part.
async fn to_its_end<T: Send + 'static>(
    change: impl Future<Output = T> + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    tokio::spawn(change).await
}
