//! Why an operation was not carried out.

/// The arguments are wrong, or what they ask for is too much. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Shapes, types of elements or arguments that do not fit.
    #[error("{0}")]
    Invalid(String),
    /// No room, or no time.
    #[error("{0}")]
    Limit(String),
    /// A tensor's elements are on a device that cannot do this: they are to be brought here first.
    #[error("the elements are on a device")]
    Away,
}

/// An [`Error::Invalid`].
pub fn invalid<T>(why: impl Into<String>) -> Result<T, Error> {
    Err(Error::Invalid(why.into()))
}
