//! Components, manifests and choices as objects of a store.
//!
//! `processors/NAME@VERSION/DIGEST.wasm` is a component, `manifest.json` beside it makes it a processor, and
//! `defaults/NAME.json` is the version that was chosen for a name. Each object is whole or not there. A manifest is written
//! after its component and removed before it, so what has a manifest is whole; and it is only created, never replaced: of
//! two hosts that upload the same version, one is refused.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Error as ObjectError, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode};
use semver::Version;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::digest::sha256;
use super::directory::Directory;
use super::manifest::ManifestError;
use super::{Manifest, OpenError, StorageError, leftovers};

const PROCESSORS: &str = "processors";
const DEFAULTS: &str = "defaults";
const MANIFEST: &str = "manifest.json";

/// A component's name before names had digests.
const EARLIER_COMPONENT: &str = "component.wasm";

/// Objects that are read at once when the registry opens.
const READS: usize = 16;

/// A version that was chosen, as it is stored.
#[derive(Serialize, Deserialize)]
struct Choice {
    version: Version,
}

/// What became of a manifest.
pub enum Inserted {
    /// It is there now.
    Created,
    /// This one was there before.
    Present(Box<Manifest>),
}

/// Why objects that are together are no processor.
#[derive(Debug, Error)]
enum NotAProcessor {
    #[error(transparent)]
    Store(#[from] ObjectError),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("its component is missing, or not of its size")]
    Component,
}

/// Everything that a store has.
#[derive(Default)]
pub struct Contents {
    /// Whole processors.
    pub manifests: Vec<Manifest>,
    /// Chosen versions, by name.
    pub defaults: Vec<(String, Version)>,
}

/// A store of processors.
pub struct Storage {
    objects: Arc<dyn ObjectStore>,
    /// Where its files are, if they are this host's alone.
    local: Option<PathBuf>,
}

impl Storage {
    /// A store within the host's own directory. What is answered as stored is on the disk.
    pub fn local(directory: &Directory) -> Result<Self, OpenError> {
        let root = directory.path();
        for part in [PROCESSORS, DEFAULTS] {
            let path = root.join(part);
            fs::create_dir_all(&path).map_err(OpenError::directory(&path))?;
        }
        let objects = LocalFileSystem::new_with_prefix(root).map_err(StorageError::from)?;
        let objects = objects.with_fsync(true).with_automatic_cleanup(true);
        Ok(Self { objects: Arc::new(objects), local: Some(root.to_owned()) })
    }

    /// Lists the store. Leftovers are removed; what is not a processor is ignored with a warning.
    pub async fn load(&self) -> Result<Contents, OpenError> {
        if let Some(local) = &self.local {
            leftovers::sweep(local, PROCESSORS, DEFAULTS, MANIFEST).map_err(OpenError::directory(local))?;
        }
        let mut folders: BTreeMap<String, Vec<ObjectMeta>> = BTreeMap::new();
        for object in self.list(PROCESSORS).await? {
            match folder(&object.location) {
                Some(id) => folders.entry(id).or_default().push(object),
                None => tracing::warn!(path = %object.location, "not a processor; ignored"),
            }
        }
        let reads = stream::iter(&folders).map(|(id, objects)| self.read_folder(id, objects)).buffer_unordered(READS);
        let manifests = reads.collect::<Vec<_>>().await.into_iter().flatten().collect();
        Ok(Contents { manifests, defaults: self.read_defaults().await? })
    }

    /// Stores a component, and makes it a processor.
    pub async fn insert(&self, manifest: &Manifest, component: Bytes) -> Result<Inserted, StorageError> {
        let json = serde_json::to_vec_pretty(manifest).map_err(|error| generic(error.into()))?;
        self.objects.put(&component_path(manifest), component.into()).await?;
        let path = manifest_path(&manifest.id());
        match self.objects.put_opts(&path, json.into(), PutMode::Create.into()).await {
            Ok(_) => return Ok(Inserted::Created),
            Err(ObjectError::AlreadyExists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let present = self.objects.get(&path).await?.bytes().await?;
        let present = Manifest::read(&present, &manifest.id()).map_err(|_| StorageError::Blocked(manifest.id()))?;
        if present.sha256 != manifest.sha256 {
            self.objects.delete(&component_path(manifest)).await?;
        }
        Ok(Inserted::Present(Box::new(present)))
    }

    /// Removes a processor. Once its manifest is gone, so is it.
    pub async fn remove(&self, manifest: &Manifest) -> Result<(), StorageError> {
        self.delete(&manifest_path(&manifest.id())).await?;
        if let Err(error) = self.delete(&component_path(manifest)).await {
            tracing::warn!(processor = manifest.id(), %error, "a component that is no longer needed stays");
        }
        Ok(())
    }

    /// A component's bytes, as they were uploaded.
    pub async fn component(&self, manifest: &Manifest) -> Result<Bytes, StorageError> {
        let bytes = self.objects.get(&component_path(manifest)).await?.bytes().await?;
        let (hashed, expected) = (bytes.clone(), manifest.sha256.clone());
        // It takes tens of milliseconds, in which no socket would be driven.
        match tokio::task::spawn_blocking(move || sha256(&hashed) == expected).await {
            Ok(true) => Ok(bytes),
            Ok(false) => Err(StorageError::Damaged(manifest.id())),
            Err(error) => Err(error.into()),
        }
    }

    /// Stores which version was chosen for a name, or that none is.
    pub async fn choose(&self, name: &str, version: Option<&Version>) -> Result<(), StorageError> {
        let path = Path::from(format!("{DEFAULTS}/{name}.json"));
        let Some(version) = version else { return Ok(self.delete(&path).await?) };
        let json = serde_json::to_vec(&Choice { version: version.clone() }).map_err(|error| generic(error.into()))?;
        self.objects.put(&path, json.into()).await?;
        Ok(())
    }

    /// Removes an object, which may be gone already.
    async fn delete(&self, path: &Path) -> Result<(), ObjectError> {
        match self.objects.delete(path).await {
            Err(ObjectError::NotFound { .. }) => Ok(()),
            deleted => deleted,
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StorageError> {
        let mut found = Vec::new();
        let mut objects = self.objects.list(Some(&Path::from(prefix)));
        loop {
            match objects.try_next().await {
                Ok(None) => return Ok(found),
                Ok(Some(object)) => found.push(object),
                Err(ObjectError::InvalidPath { source }) => tracing::warn!(error = %source, "not a processor; ignored"),
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn read_folder(&self, id: &str, objects: &[ObjectMeta]) -> Option<Manifest> {
        let read = self.read_processor(id, objects).await;
        read.inspect_err(
            |error| tracing::warn!(path = format!("{PROCESSORS}/{id}"), %error, "not a processor; ignored"),
        )
        .ok()
    }

    async fn read_processor(&self, id: &str, objects: &[ObjectMeta]) -> Result<Manifest, NotAProcessor> {
        let json = self.objects.get(&manifest_path(id)).await?.bytes().await?;
        let manifest = Manifest::read(&json, id)?;
        let component = component_path(&manifest);
        let has = |path: &Path| objects.iter().any(|object| object.location == *path && object.size == manifest.size);
        let earlier = Path::from(format!("{PROCESSORS}/{id}/{EARLIER_COMPONENT}"));
        if !has(&component) && has(&earlier) {
            self.objects.rename(&earlier, &component).await?;
            tracing::info!(processor = id, "stored by an earlier version; its component is renamed to its digest");
        } else if !has(&component) {
            return Err(NotAProcessor::Component);
        }
        for object in objects.iter().filter(|object| is_component(&object.location)) {
            if object.location != component && object.location != earlier {
                tracing::info!(path = %object.location, "the component of an upload that was not taken; removed");
                self.delete(&object.location).await?;
            }
        }
        Ok(manifest)
    }

    async fn read_defaults(&self) -> Result<Vec<(String, Version)>, StorageError> {
        let mut defaults = Vec::new();
        for object in self.list(DEFAULTS).await? {
            let json = self.objects.get(&object.location).await?.bytes().await?;
            let name = object.location.filename().and_then(|file| file.strip_suffix(".json"));
            match (name, serde_json::from_slice::<Choice>(&json)) {
                (Some(name), Ok(choice)) => defaults.push((name.to_owned(), choice.version)),
                _ => tracing::warn!(path = %object.location, "not the choice of a version; ignored"),
            }
        }
        Ok(defaults)
    }
}

fn generic(source: Box<dyn std::error::Error + Send + Sync>) -> StorageError {
    StorageError::Store(ObjectError::Generic { store: "registry", source })
}

/// `NAME@VERSION` of an object two levels down.
fn folder(location: &Path) -> Option<String> {
    let parts: Vec<_> = location.parts().collect();
    match &parts[..] {
        [_, id, _] => Some(id.as_ref().to_owned()),
        _ => None,
    }
}

fn is_component(location: &Path) -> bool {
    location.extension() == Some("wasm")
}

fn manifest_path(id: &str) -> Path {
    Path::from(format!("{PROCESSORS}/{id}/{MANIFEST}"))
}

fn component_path(manifest: &Manifest) -> Path {
    Path::from(format!("{PROCESSORS}/{}/{}.wasm", manifest.id(), manifest.sha256))
}
