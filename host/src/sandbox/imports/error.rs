//! Why an import gives no result: the guest is told and goes on, or it ends.

use rillbox_media::PictureError;
use wasmtime::component::ResourceTableError;

use crate::sandbox::bindings::rillbox::processor::types::Error;

/// What an import fails with.
#[derive(Debug)]
pub enum CallError {
    /// The guest gets this as its result.
    Refused(Error),
    /// The guest traps.
    Trap(wasmtime::Error),
}

impl CallError {
    /// See [`Error::Invalid`].
    pub fn invalid(why: impl Into<String>) -> Self {
        Self::Refused(Error::Invalid(why.into()))
    }

    /// See [`Error::Limit`].
    pub fn limit(why: impl Into<String>) -> Self {
        Self::Refused(Error::Limit(why.into()))
    }

    /// See [`Error::Unsupported`].
    pub fn unsupported(why: impl Into<String>) -> Self {
        Self::Refused(Error::Unsupported(why.into()))
    }

    /// What the guest is told, unless it traps.
    pub fn told(self) -> wasmtime::Result<Error> {
        match self {
            Self::Refused(error) => Ok(error),
            Self::Trap(error) => Err(error),
        }
    }
}

/// The result of a function that is registered by hand, in the form that the linker wants. Generated ones do the same.
pub fn settle<T>(result: Result<T, CallError>) -> wasmtime::Result<(Result<T, Error>,)> {
    match result {
        Ok(value) => Ok((Ok(value),)),
        Err(error) => Ok((Err(error.told()?),)),
    }
}

impl From<wasmtime::Error> for CallError {
    fn from(error: wasmtime::Error) -> Self {
        Self::Trap(error)
    }
}

impl From<ResourceTableError> for CallError {
    fn from(error: ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<rillbox_compute::Error> for CallError {
    fn from(error: rillbox_compute::Error) -> Self {
        use rillbox_compute::Error;
        match error {
            Error::Invalid(why) => Self::invalid(why),
            Error::Limit(why) => Self::limit(why),
            Error::Away => Self::unsupported(error.to_string()),
        }
    }
}

impl From<rillbox_gpu::Error> for CallError {
    fn from(error: rillbox_gpu::Error) -> Self {
        use rillbox_gpu::Error;
        match error {
            Error::Invalid(why) => Self::invalid(why),
            Error::Limit(why) => Self::limit(why),
            Error::Unsupported(why) => Self::unsupported(why),
            Error::Lost(_) | Error::Late | Error::Busy => Self::unsupported(error.to_string()),
        }
    }
}

impl From<PictureError> for CallError {
    fn from(error: PictureError) -> Self {
        match error {
            PictureError::Memory { .. } => Self::limit(error.to_string()),
            _ => Self::invalid(error.to_string()),
        }
    }
}
