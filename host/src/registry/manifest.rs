//! What is known of a processor.

use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;
use utoipa::ToSchema;

use super::ParamsSchema;
use super::digest::{is_sha256, sha256};
use super::schema::{MAX_SCHEMA, SchemaError};
use super::schema_text::SchemaText;
use crate::egress::{Capability, CapabilityError};

/// Largest component, in bytes.
pub(super) const MAX_UPLOAD: usize = 32 << 20;

/// Longest name, in bytes.
const MAX_NAME: usize = 64;

/// Capabilities that a component may ask for.
const MAX_CAPABILITIES: usize = 16;
/// Longest capability, in bytes.
const MAX_CAPABILITY: usize = 512;
/// Bytes of everything that a component says of itself.
const MAX_SAID: usize = 256 << 10;
/// Longest version, in bytes.
const MAX_VERSION: usize = 64;

/// The format that a processor reads its pictures in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PixelFormatName {
    /// Planes Y, Cb, Cr.
    I420,
    /// Plane Y, then Cb and Cr interleaved.
    Nv12,
    /// 4 bytes a pixel.
    Rgba8,
    /// 3 bytes a pixel.
    Rgb8,
    /// Luma alone.
    Gray8,
}

/// Whether video and audio share an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// One instance a stream.
    Shared,
    /// One instance for each kind of track.
    Split,
}

/// What a component says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Name, before an upload gives it another.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// JSON Schema of the params, as text.
    pub params_schema: String,
    /// Wants pictures.
    pub video: bool,
    /// Wants samples.
    pub audio: bool,
    /// Format it reads.
    pub pixel_format: PixelFormatName,
    /// Instances a stream.
    pub isolation: Isolation,
    /// What the operator must grant.
    pub capabilities: Vec<String>,
}

/// Why this host does not take what a component says of itself.
#[derive(Debug, Error)]
pub enum DescriptionError {
    /// More bytes in all than there may be.
    #[error("the component says {0} bytes of itself, more than {MAX_SAID}")]
    TooLarge(usize),
    /// A part of it is longer than it can be.
    #[error("`describe` gives a {part} of {bytes} bytes, more than {most}")]
    TooLong {
        /// Which.
        part: &'static str,
        /// Its length.
        bytes: usize,
        /// The longest that it could have.
        most: usize,
    },
    /// The name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The version.
    #[error("{text:?} is not a semantic version such as 1.2.0: {source}")]
    Version {
        /// As it is given.
        text: String,
        /// What is wrong with it.
        source: semver::Error,
    },
    /// It has nothing to do.
    #[error("the processor asks for neither video nor audio")]
    NoMedia,
    /// The params schema.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// More capabilities than it may ask for.
    #[error("the processor asks for more than {MAX_CAPABILITIES} capabilities")]
    TooManyCapabilities,
    /// One of the capabilities.
    #[error(transparent)]
    Capability(#[from] CapabilityError),
    /// A capability goes by a param that there is not.
    #[error("the capability {capability:?} goes by the param {key:?}, which the params schema does not have")]
    UnknownParam {
        /// As it is asked for.
        capability: String,
        /// The param's key.
        key: String,
    },
}

/// A text that cannot be a processor's name, as much of it as a name may have.
#[derive(Debug, Error)]
#[error("the name {0:?} is not 1 to {MAX_NAME} letters, digits, `-` or `_`")]
pub struct NameError(String);

impl Description {
    /// Checks that nothing in it is longer than it can be. What it means is checked later.
    pub fn check(&self) -> Result<(), DescriptionError> {
        let capabilities: usize = self.capabilities.iter().map(|name| name.len() + size_of::<String>()).sum();
        let bytes = self.name.len() + self.version.len() + self.params_schema.len() + capabilities;
        if bytes > MAX_SAID {
            return Err(DescriptionError::TooLarge(bytes));
        }
        let longest = |part, bytes, most| {
            if bytes <= most { Ok(()) } else { Err(DescriptionError::TooLong { part, bytes, most }) }
        };
        longest("name", self.name.len(), MAX_NAME)?;
        longest("version", self.version.len(), MAX_VERSION)?;
        longest("params schema", self.params_schema.len(), MAX_SCHEMA)?;
        self.capabilities.iter().try_for_each(|name| longest("capability", name.len(), MAX_CAPABILITY))
    }
}

/// A stored processor. Its JSON is the answer to an upload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Manifest {
    /// Letters, digits, `-` and `_`.
    pub name: String,
    /// Semantic version.
    #[schema(value_type = String)]
    pub version: Version,
    /// Digest of the component, in hexadecimal.
    pub sha256: String,
    /// Bytes of the component.
    pub size: u64,
    /// JSON Schema of the params.
    #[schema(value_type = Object)]
    pub params_schema: SchemaText,
    /// Wants pictures.
    pub video: bool,
    /// Wants samples.
    pub audio: bool,
    /// Format it reads.
    pub pixel_format: PixelFormatName,
    /// Instances a stream.
    pub isolation: Isolation,
    /// What the operator must grant: `http`, `http:HOST[:PORT]` or `http:{KEY OF A PARAM}`.
    pub capabilities: Vec<String>,
}

impl Manifest {
    /// Of a component that has described itself, under its own name or another.
    pub(super) fn new(
        description: Description,
        name: Option<&str>,
        component: &[u8],
    ) -> Result<Self, DescriptionError> {
        description.check()?;
        let name = name.unwrap_or(&description.name).to_owned();
        check_name(&name)?;
        let version = Version::parse(&description.version)
            .map_err(|source| DescriptionError::Version { text: description.version, source })?;
        if !description.video && !description.audio {
            return Err(DescriptionError::NoMedia);
        }
        let params_schema = ParamsSchema::parse(&description.params_schema)?;
        ParamsSchema::compile(&params_schema)?;
        check_capabilities(&description.capabilities, &params_schema)?;
        Ok(Self {
            name,
            version,
            sha256: sha256(component),
            size: component.len() as u64,
            params_schema: SchemaText::of(&params_schema),
            video: description.video,
            audio: description.audio,
            pixel_format: description.pixel_format,
            isolation: description.isolation,
            capabilities: description.capabilities,
        })
    }

    /// Reads a stored one, which says itself that it is the one of `id`.
    pub(super) fn read(json: &[u8], id: &str) -> Result<Self, ManifestError> {
        let manifest: Self = serde_json::from_slice(json)?;
        check_name(&manifest.name)?;
        if manifest.id() != id || !is_sha256(&manifest.sha256) {
            return Err(ManifestError::Mismatch);
        }
        Ok(manifest)
    }

    /// `NAME@VERSION`.
    pub fn id(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    /// What it asks for. An entry that this host does not know, as a manifest of another host's may have, grants nothing.
    pub fn asked(&self) -> Vec<Capability> {
        self.capabilities.iter().filter_map(|text| text.parse().ok()).collect()
    }

    /// The default of a param, where the schema has one that is text.
    pub fn default_text(&self, key: &str) -> Option<String> {
        self.params_schema.value().get("properties")?.get(key)?.get("default")?.as_str().map(str::to_owned)
    }
}

/// Why a stored manifest is not one.
#[derive(Debug, Error)]
pub(super) enum ManifestError {
    /// Not JSON, or not a manifest's.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Its name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// It is another one's.
    #[error("its files do not belong together")]
    Mismatch,
}

/// Checks a name that will be a directory and a part of URLs.
pub(super) fn check_name(name: &str) -> Result<(), NameError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(legal) {
        return Err(NameError(name.chars().take(MAX_NAME).collect()));
    }
    Ok(())
}

/// Checks what a component asks for: each must be something that this host could grant.
fn check_capabilities(capabilities: &[String], params_schema: &Value) -> Result<(), DescriptionError> {
    if capabilities.len() > MAX_CAPABILITIES {
        return Err(DescriptionError::TooManyCapabilities);
    }
    for text in capabilities {
        let capability: Capability = text.parse()?;
        let known = |key: &str| params_schema.get("properties").is_some_and(|properties| properties.get(key).is_some());
        if let Some(key) = capability.param().filter(|key| !known(key)) {
            return Err(DescriptionError::UnknownParam { capability: text.clone(), key: key.to_owned() });
        }
    }
    Ok(())
}
