//! The directory of processors and the index of it in memory.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use semver::Version;
use sha2::{Digest, Sha256};
use tempfile::{NamedTempFile, TempDir, TempPath};
use thiserror::Error;

use super::manifest::{check_capabilities, check_name};
use super::{CompileError, Compiler, Description, Manifest, ParamsSchema};

/// Largest component, in bytes.
pub const MAX_UPLOAD: usize = 32 << 20;

const COMPONENT: &str = "component.wasm";
const MANIFEST: &str = "manifest.json";

/// Why the registry did not open.
#[derive(Debug, Error)]
#[error("cannot use {path} for processors: {source}")]
pub struct OpenError {
    path: PathBuf,
    source: io::Error,
}

/// Why an upload was not taken.
#[derive(Debug, Error)]
pub enum UploadError {
    /// More bytes than are taken.
    #[error("a component of {0} bytes is larger than {MAX_UPLOAD}")]
    TooLarge(usize),
    /// Not what it should be; the reason.
    #[error("{0}")]
    Refused(String),
    /// The same name and version stands for another component.
    #[error("{0} exists with other content: raise the version, or delete it first")]
    Exists(String),
    /// The host's own trouble.
    #[error("the upload could not be stored: {0}")]
    Failed(String),
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
    Failed(#[from] io::Error),
}

/// A processor that is not deleted while this is held.
#[derive(Clone, Debug)]
pub struct Lease(Arc<Manifest>);

impl std::ops::Deref for Lease {
    type Target = Manifest;

    fn deref(&self) -> &Manifest {
        &self.0
    }
}

type Index = BTreeMap<String, BTreeMap<Version, Lease>>;

/// All processors of a host.
pub struct Registry<C> {
    directory: PathBuf,
    compiler: C,
    index: RwLock<Index>,
}

impl<C: Compiler> Registry<C> {
    /// Opens a directory, making it if needed. What an interrupted upload left behind is removed; what is not a processor is
    /// ignored with a warning.
    pub fn open(directory: &Path, compiler: C) -> Result<Self, OpenError> {
        let failed = |source| OpenError { path: directory.to_owned(), source };
        let registry = Self { directory: directory.to_owned(), compiler, index: RwLock::default() };
        let _ = fs::remove_dir_all(registry.incoming());
        for part in [registry.processors(), registry.compiled(), registry.incoming()] {
            fs::create_dir_all(&part).map_err(failed)?;
        }
        let mut index = Index::new();
        for entry in fs::read_dir(registry.processors()).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            match read_manifest(&path) {
                Ok(manifest) => {
                    let versions = index.entry(manifest.name.clone()).or_default();
                    versions.insert(manifest.version.clone(), Lease(Arc::new(manifest)));
                }
                Err(error) => tracing::warn!(path = %path.display(), %error, "not a processor; ignored"),
            }
        }
        *registry.write() = index;
        Ok(registry)
    }

    /// Checks, compiles and stores a component. Uploading the same bytes again changes nothing.
    pub async fn upload(&self, bytes: &[u8], name: Option<&str>) -> Result<Lease, UploadError> {
        self.check_bytes(bytes)?;
        if let Some(name) = name {
            check_name(name).map_err(UploadError::Refused)?;
        }
        let staging = TempDir::new_in(self.incoming()).map_err(failed)?;
        let wasm = staging.path().join(COMPONENT);
        write_synced(&wasm, bytes).map_err(failed)?;
        let (code, description) = self.compile(&wasm).await.map_err(|error| match error {
            CompileError::Refused(reason) => UploadError::Refused(reason),
            CompileError::Failed(reason) => UploadError::Failed(reason),
        })?;
        let manifest = manifest(description, name, bytes).map_err(UploadError::Refused)?;
        let json = serde_json::to_vec_pretty(&manifest).map_err(failed)?;
        write_synced(&staging.path().join(MANIFEST), &json).map_err(failed)?;
        self.insert(manifest, staging, code)
    }

    /// All processors, by name and version.
    pub fn list(&self) -> Vec<Lease> {
        self.read().values().flat_map(|versions| versions.values().cloned()).collect()
    }

    /// The processor named `NAME@VERSION`, or the newest of `NAME`.
    pub fn get(&self, reference: &str) -> Result<Lease, NotFound> {
        let index = self.read();
        let found = match reference.split_once('@') {
            None => index.get(reference).and_then(|versions| versions.values().next_back()),
            Some((name, version)) => {
                Version::parse(version).ok().and_then(|version| index.get(name).and_then(|all| all.get(&version)))
            }
        };
        found.cloned().ok_or_else(|| NotFound(reference.to_owned()))
    }

    /// Where the component's bytes are.
    pub fn component(&self, processor: &Lease) -> PathBuf {
        self.processors().join(processor.id()).join(COMPONENT)
    }

    /// Compiled code for this host, made anew where the cache has none or has lost it.
    pub async fn code(&self, processor: &Lease) -> Result<PathBuf, CompileError> {
        let path = self.code_path(&processor.sha256);
        if is_intact(&path) {
            return Ok(path);
        }
        let (code, _) = self.compile(&self.component(processor)).await?;
        store_code(code, &path).map_err(|error| CompileError::Failed(error.to_string()))?;
        Ok(path)
    }

    /// Removes one version, or with a bare name the newest.
    pub fn delete(&self, reference: &str) -> Result<Lease, DeleteError> {
        let lease = self.get(reference)?;
        let mut index = self.write();
        // The index holds one, and `lease` is another.
        if Arc::strong_count(&lease.0) > 2 {
            return Err(DeleteError::InUse(lease.id()));
        }
        // Moved away first, so that the removal is whole or not at all.
        let grave = TempDir::new_in(self.incoming())?;
        fs::rename(self.processors().join(lease.id()), grave.path().join("deleted"))?;
        if let Some(versions) = index.get_mut(&lease.name) {
            versions.remove(&lease.version);
            if versions.is_empty() {
                index.remove(&lease.name);
            }
        }
        let shared = index.values().flat_map(BTreeMap::values).any(|other| other.sha256 == lease.sha256);
        if !shared {
            let path = self.code_path(&lease.sha256);
            let _ = fs::remove_file(digest_path(&path));
            let _ = fs::remove_file(path);
        }
        Ok(lease)
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

    async fn compile(&self, wasm: &Path) -> Result<(TempPath, Description), CompileError> {
        let failed = |error: io::Error| CompileError::Failed(error.to_string());
        let code = NamedTempFile::new_in(self.incoming()).map_err(failed)?.into_temp_path();
        let description = self.compiler.compile(wasm, &code).await?;
        Ok((code, description))
    }

    fn insert(&self, manifest: Manifest, staging: TempDir, code: TempPath) -> Result<Lease, UploadError> {
        let mut index = self.write();
        let versions = index.entry(manifest.name.clone()).or_default();
        if let Some(present) = versions.get(&manifest.version) {
            return if present.sha256 == manifest.sha256 {
                Ok(present.clone())
            } else {
                Err(UploadError::Exists(manifest.id()))
            };
        }
        store_code(code, &self.code_path(&manifest.sha256)).map_err(failed)?;
        fs::rename(staging.path(), self.processors().join(manifest.id())).map_err(failed)?;
        sync_directory(&self.processors()).map_err(failed)?;
        // Moved: there is nothing left to remove.
        let _ = staging.keep();
        let lease = Lease(Arc::new(manifest));
        versions.insert(lease.version.clone(), lease.clone());
        Ok(lease)
    }

    fn processors(&self) -> PathBuf {
        self.directory.join("processors")
    }

    fn compiled(&self) -> PathBuf {
        self.directory.join("compiled")
    }

    fn incoming(&self) -> PathBuf {
        self.directory.join("incoming")
    }

    fn code_path(&self, sha256: &str) -> PathBuf {
        self.compiled().join(format!("{sha256}-{}.cwasm", self.compiler.compatibility()))
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn failed(error: impl std::fmt::Display) -> UploadError {
    UploadError::Failed(error.to_string())
}

fn manifest(description: Description, name: Option<&str>, bytes: &[u8]) -> Result<Manifest, String> {
    let name = name.unwrap_or(&description.name).to_owned();
    check_name(&name)?;
    let version = Version::parse(&description.version)
        .map_err(|error| format!("{:?} is not a semantic version such as 1.2.0: {error}", description.version))?;
    if !description.video && !description.audio {
        return Err("the processor asks for neither video nor audio".to_owned());
    }
    let params_schema = ParamsSchema::parse(&description.params_schema)?;
    ParamsSchema::compile(&params_schema)?;
    check_capabilities(&description.capabilities, &params_schema)?;
    Ok(Manifest {
        name,
        version,
        sha256: hex(&Sha256::digest(bytes)),
        size: bytes.len() as u64,
        params_schema,
        video: description.video,
        audio: description.audio,
        pixel_format: description.pixel_format,
        isolation: description.isolation,
        capabilities: description.capabilities,
    })
}

fn read_manifest(directory: &Path) -> Result<Manifest, String> {
    let json = fs::read(directory.join(MANIFEST)).map_err(|error| error.to_string())?;
    let manifest: Manifest = serde_json::from_slice(&json).map_err(|error| error.to_string())?;
    let named = directory.file_name().is_some_and(|name| name == manifest.id().as_str());
    if !named || !directory.join(COMPONENT).is_file() {
        return Err("its files do not belong together".to_owned());
    }
    Ok(manifest)
}

/// Moves compiled code into the cache, with its digest beside it.
fn store_code(code: TempPath, path: &Path) -> io::Result<()> {
    let digest = hex(&Sha256::digest(fs::read(&code)?));
    write_synced(&digest_path(path), digest.as_bytes())?;
    code.persist(path).map_err(|error| error.error)
}

fn is_intact(path: &Path) -> bool {
    let (Ok(code), Ok(digest)) = (fs::read(path), fs::read_to_string(digest_path(path))) else { return false };
    hex(&Sha256::digest(code)) == digest
}

fn digest_path(code: &Path) -> PathBuf {
    code.with_extension("sha256")
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync_directory(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
