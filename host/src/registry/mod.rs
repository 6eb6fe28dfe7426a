//! Processors on disk: uploads, versions, manifests and compiled code.
//!
//! Under the data directory, `processors/NAME@VERSION/` holds `component.wasm` and `manifest.json`, moved into place as a
//! whole; `compiled/` holds native code under the digest of its component and the compatibility of the engine. The code is
//! a cache: it is made anew when it is missing, or does not match the digest beside it.

mod compiler;
mod manifest;
mod params;
mod store;

pub use compiler::{CompileError, Compiler};
pub use manifest::{Description, Isolation, Manifest, PixelFormatName};
pub use params::{HOST_KEYS, ParamsError, ParamsSchema};
pub use store::{DeleteError, Lease, NotFound, OpenError, Registry, UploadError};
