//! What is known of a processor.

use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Longest name, in bytes.
const MAX_NAME: usize = 64;

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
    pub params_schema: Value,
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

impl Manifest {
    /// `NAME@VERSION`.
    pub fn id(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}

/// Checks a name that will be a directory and a part of URLs.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(legal) {
        let shown: String = name.chars().take(MAX_NAME).collect();
        return Err(format!("the name {shown:?} is not 1 to {MAX_NAME} letters, digits, `-` or `_`"));
    }
    Ok(())
}
