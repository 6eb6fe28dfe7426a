//! What the registry needs of a compiler; the sandbox has one.

use std::error::Error as StdError;
use std::path::Path;

use thiserror::Error;

use super::Description;

/// Why a component was not compiled.
#[derive(Debug, Error)]
pub enum CompileError {
    /// The component is at fault; the reason.
    #[error("{0}")]
    Refused(String),
    /// Others are compiled, and have been for long.
    #[error("too many components are being compiled; try again")]
    Busy,
    /// The host is.
    #[error("the compiler failed: {0}")]
    Failed(#[source] Box<dyn StdError + Send + Sync>),
}

impl CompileError {
    /// The host is at fault.
    pub fn failed(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Failed(source.into())
    }
}

/// Compiles components for this host.
pub trait Compiler: Send + Sync + 'static {
    /// A name for everything that compiled code depends on besides the component.
    fn compatibility(&self) -> String;

    /// Whether the bytes are native code in the place of a component.
    fn is_precompiled(&self, bytes: &[u8]) -> bool;

    /// Compiles `wasm` into the file `code`, and asks the component to describe itself.
    fn compile(&self, wasm: &Path, code: &Path) -> impl Future<Output = Result<Description, CompileError>> + Send;
}
