//! The host's imports in memory: the native counterpart of the component's, function by function.

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
pub(crate) mod video;
