//! What is stored and the index of it, changed together: one change at a time, each to its end.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use semver::Version;
use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use super::cache::Cache;
use super::directory::Directory;
use super::index::Index;
use super::storage::{Inserted, Storage};
use super::{ChooseError, DeleteError, Manifest, OpenError, StorageError, UploadError};

/// Processors, where they are kept, and their compiled code.
pub struct Catalog {
    storage: Storage,
    cache: Arc<Cache>,
    index: RwLock<Index>,
    /// Versions that may be stored.
    capacity: usize,
    /// Held by whoever changes what is stored.
    changing: Mutex<()>,
}

/// A component that has been compiled, on its way in.
pub struct Upload {
    /// What it said of itself.
    pub manifest: Manifest,
    /// Its bytes.
    pub component: Bytes,
    /// Where it was compiled.
    pub scratch: TempDir,
    /// What it was compiled into, within `scratch`.
    pub code: PathBuf,
}

impl Catalog {
    /// Reads what is stored, and removes what belongs to nothing.
    pub async fn open(directory: &Directory, capacity: usize, compatibility: String) -> Result<Self, OpenError> {
        let (storage, cache) = (Storage::local(directory)?, Cache::open(directory, compatibility)?);
        let contents = storage.load().await?;
        let mut index = Index::default();
        for manifest in contents.manifests {
            index.insert(manifest);
        }
        for (name, version) in contents.defaults {
            if let Err(missing) = index.choose(&name, Some(version)) {
                tracing::info!(name, error = %missing, "the default version is gone; the newest counts");
                storage.choose(&name, None).await?;
            }
        }
        cache.keep(&index.components()).map_err(OpenError::directory(directory.path()))?;
        Ok(Self { storage, cache: Arc::new(cache), index: RwLock::new(index), capacity, changing: Mutex::default() })
    }

    /// The index, for a look-up.
    pub fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A component's bytes.
    pub async fn component(&self, manifest: &Manifest) -> Result<Bytes, StorageError> {
        self.storage.component(manifest).await
    }

    /// Compiled code, where there is some of this host's own.
    pub async fn code(&self, sha256: &str) -> Option<PathBuf> {
        let (cache, sha256) = (self.cache.clone(), sha256.to_owned());
        spawn_blocking(move || cache.find(&sha256)).await.ok().flatten()
    }

    /// Keeps compiled code; `scratch` is where it was made.
    pub async fn keep_code(&self, sha256: &str, code: PathBuf, scratch: TempDir) -> Result<PathBuf, StorageError> {
        let (cache, sha256) = (self.cache.clone(), sha256.to_owned());
        Ok(spawn_blocking(move || cache.store(&sha256, &code, scratch.path())).await??)
    }

    /// Stores a component. The same one again changes nothing.
    pub async fn insert(&self, upload: Upload) -> Result<Arc<Manifest>, UploadError> {
        let Upload { manifest, component, scratch, code } = upload;
        let _changing = self.changing.lock().await;
        if let Ok(present) = self.index().find(&manifest.id()) {
            return if present.sha256 == manifest.sha256 {
                Ok(present)
            } else {
                Err(UploadError::Exists(present.id()))
            };
        }
        if self.index().count() >= self.capacity {
            return Err(UploadError::Full(self.capacity));
        }
        self.keep_code(&manifest.sha256, code, scratch).await?;
        let inserted = self.storage.insert(&manifest, component).await;
        match inserted {
            Ok(Inserted::Created) => Ok(self.index_mut().insert(manifest)),
            Ok(Inserted::Present(present)) => {
                let same = present.sha256 == manifest.sha256;
                let present = self.index_mut().insert(*present);
                self.forget_code(&manifest.sha256);
                if same { Ok(present) } else { Err(UploadError::Exists(present.id())) }
            }
            Err(error) => {
                self.forget_code(&manifest.sha256);
                Err(error.into())
            }
        }
    }

    /// Removes one version that no stream uses: `NAME@VERSION`, or what a bare name stands for.
    pub async fn delete(&self, reference: &str) -> Result<Manifest, DeleteError> {
        let _changing = self.changing.lock().await;
        let (manifest, chosen) = self.index_mut().take(reference)?;
        if let Err(error) = self.storage.remove(&manifest).await {
            let mut index = self.index_mut();
            index.insert(manifest.clone());
            if chosen {
                // It was there a moment ago.
                let _ = index.choose(&manifest.name, Some(manifest.version));
            }
            return Err(error.into());
        }
        if chosen && let Err(error) = self.storage.choose(&manifest.name, None).await {
            tracing::warn!(name = manifest.name, %error, "the choice of a version that is gone stays until the next start");
        }
        self.forget_code(&manifest.sha256);
        Ok(manifest)
    }

    /// Makes a version the one that a bare name stands for, or with `None` the newest.
    pub async fn choose(&self, name: &str, version: Option<Version>) -> Result<(), ChooseError> {
        let _changing = self.changing.lock().await;
        let before = self.index().versions(name)?.default;
        // The index knows whether there is such a version.
        self.index_mut().choose(name, version.clone())?;
        if let Err(error) = self.storage.choose(name, version.as_ref()).await {
            // Versions do not go while this changes.
            let _ = self.index_mut().choose(name, before);
            return Err(error.into());
        }
        Ok(())
    }

    /// Removes the code of a component that no processor has any more.
    fn forget_code(&self, sha256: &str) {
        if !self.index().components().contains(sha256) {
            self.cache.forget(sha256);
        }
    }

    fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}
