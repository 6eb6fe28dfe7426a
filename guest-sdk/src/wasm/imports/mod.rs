//! The host's imports in the SDK's types: one module for each interface that the SDK wraps.

pub(crate) mod audio;
pub(crate) mod clock;
pub(crate) mod data;
#[cfg(feature = "http")]
pub(crate) mod http;
pub(crate) mod log;
#[cfg(feature = "shader")]
pub(crate) mod shader;
#[cfg(feature = "tensor")]
pub(crate) mod tensor;
mod types;
pub(crate) mod video;
