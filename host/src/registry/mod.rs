//! Processors: uploads, versions, what is stored, and compiled code.
//!
//! A [`Registry`] owns a data directory. `processors/` and `defaults/` in it are what is stored (`storage`); `compiled/` is a
//! cache of native code, sealed with the host's `key` (`cache`, `seal`); `incoming/` is for what is being made, and `lock`
//! says that a host is at work (`directory`). What is stored is known in memory too (`index`), and both change together
//! (`catalog`).

mod cache;
mod catalog;
mod compiler;
mod digest;
mod directory;
mod error;
mod index;
mod json;
mod leftovers;
mod manifest;
mod params;
mod schema;
mod schema_text;
mod seal;
mod storage;
mod store;

pub use compiler::{CompileError, Compiler};
pub use error::{ChooseError, CodeError, DeleteError, NotFound, OpenError, StorageError, UploadError, UploadRefusal};
pub use index::{Lease, Versions};
pub use json::{TooManyValues, ValueBudget};
pub use manifest::{Description, DescriptionError, Isolation, Manifest, NameError, PixelFormatName};
pub use params::{HOST_KEYS, ParamsError, ParamsSchema};
pub use schema::SchemaError;
pub use store::Registry;
