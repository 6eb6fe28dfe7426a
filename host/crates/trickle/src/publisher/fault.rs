//! What goes wrong with a segment.

use http::StatusCode;

use crate::client::RequestError;

/// Why an attempt to bring a segment to the server failed, or the segment was given up.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("the server answered {0}")]
    Status(StatusCode),
    #[error("the server answered before it had the segment")]
    Early,
    #[error("the server answers too slowly")]
    Slow,
    #[error("the server takes no bytes")]
    Full,
}
