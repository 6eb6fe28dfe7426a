//! Why something is not done on a GPU.

use thiserror::Error;

/// Why something is not done.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Error {
    /// A shader that does not validate, bindings that do not fit it, sizes that are not possible.
    #[error("{0}")]
    Invalid(String),
    /// More than may be.
    #[error("{0}")]
    Limit(String),
    /// There is no such device, or it cannot do this.
    #[error("{0}")]
    Unsupported(String),
    /// The device is gone, or does not answer. What was on it is lost; a new one can be opened.
    #[error("the GPU was lost: {0}")]
    Lost(String),
    /// What was asked took too long.
    #[error("the GPU had not finished in time")]
    Late,
    /// What others asked before took too long.
    #[error("the GPU was busy with others")]
    Busy,
}
