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
    ChooseError, CodeError, CompileError, Compiler, DeleteError, Description, Lease, Manifest, NotFound, OpenError,
    StorageError, UploadError, UploadRefusal, Versions,
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
    /// Opens a directory, making it if needed, for up to `capacity` versions of processors. What an interrupted host left behind is
    /// removed; what is not a processor is ignored with a warning.
    ///
    /// # Errors
    /// The directory cannot be read or written, or another host is using it.
    pub async fn open(directory: &Path, capacity: usize, compiler: C) -> Result<Self, OpenError> {
        let directory = Directory::open(directory)?;
        let catalog = Arc::new(Catalog::open(&directory, capacity, compiler.compatibility()).await?);
        Ok(Self { directory, compiler, catalog, remade: Mutex::default() })
    }

    /// Checks, compiles and stores a component. Uploading the same bytes again changes nothing.
    pub async fn upload(&self, component: Bytes, name: Option<&str>) -> Result<Arc<Manifest>, UploadError> {
        self.check_bytes(&component)?;
        if let Some(name) = name {
            check_name(name).map_err(UploadRefusal::from)?;
        }
        let Compiled { scratch, code, description } = self.compile(component.clone()).await?;
        let manifest = Manifest::new(description, name, &component).map_err(UploadRefusal::from)?;
        let upload = Upload { manifest, component, scratch, code };
        let catalog = self.catalog.clone();
        to_its_end(async move { catalog.insert(upload).await }).await
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
    pub async fn code(&self, processor: &Lease) -> Result<PathBuf, CodeError> {
        if let Some(code) = self.catalog.code(&processor.sha256).await {
            return Ok(code);
        }
        let turn = self.turn_to_remake(&processor.sha256);
        let _turn = turn.lock().await;
        if let Some(code) = self.catalog.code(&processor.sha256).await {
            return Ok(code);
        }
        let component = self.component(processor).await?;
        let Compiled { scratch, code, .. } = self.compile(component).await?;
        Ok(self.catalog.keep_code(&processor.sha256, code, scratch).await?)
    }

    /// Removes one version that no stream uses: `NAME@VERSION`, or what a bare name stands for.
    pub async fn delete(&self, reference: &str) -> Result<Manifest, DeleteError> {
        let (catalog, reference) = (self.catalog.clone(), reference.to_owned());
        to_its_end(async move { catalog.delete(&reference).await }).await
    }

    /// Makes a version the one that a bare name stands for, or with `None` the newest.
    pub async fn choose(&self, name: &str, version: Option<Version>) -> Result<(), ChooseError> {
        let (catalog, name) = (self.catalog.clone(), name.to_owned());
        to_its_end(async move { catalog.choose(&name, version).await }).await
    }

    fn turn_to_remake(&self, sha256: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut remade = self.remade.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody waits for any more.
        remade.retain(|_, turn| Arc::strong_count(turn) > 1);
        remade.entry(sha256.to_owned()).or_default().clone()
    }

    fn check_bytes(&self, bytes: &[u8]) -> Result<(), UploadError> {
        if bytes.len() > MAX_UPLOAD {
            return Err(UploadError::TooLarge(bytes.len()));
        }
        if self.compiler.is_precompiled(bytes) {
            return Err(UploadRefusal::Precompiled.into());
        }
        match bytes {
            [0, b'a', b's', b'm', _, _, 1, 0, ..] => Ok(()),
            [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Err(UploadRefusal::Module.into()),
            [] => Err(UploadRefusal::Empty.into()),
            _ => Err(UploadRefusal::NotAComponent.into()),
        }
    }

    async fn compile(&self, component: Bytes) -> Result<Compiled, CompileError> {
        let scratch = self.directory.scratch().map_err(CompileError::failed)?;
        let (wasm, code) = (scratch.path().join("component.wasm"), scratch.path().join("code"));
        tokio::fs::write(&wasm, component).await.map_err(CompileError::failed)?;
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
async fn to_its_end<T, E>(change: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<StorageError> + Send + 'static,
{
    tokio::spawn(change).await.map_err(StorageError::from)?
}
