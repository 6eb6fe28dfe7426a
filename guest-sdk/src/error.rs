//! Two kinds of failure: what a processor reports, and what the host refuses.

use std::fmt::{self, Debug, Display};

/// What a processor's own functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a processor failed. The host counts it, reports its message and, for a frame, shows the original.
///
/// Any [`std::error::Error`] turns into one with `?`, its causes included; it is no such error itself, as that would
/// forbid the conversion.
pub struct Error(String);

impl Error {
    /// An error with a message of its own.
    pub fn msg(message: impl Display) -> Self {
        Self(message.to_string())
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            message.push_str(": ");
            message.push_str(&error.to_string());
            cause = error.source();
        }
        Self(message)
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A call that the host did not carry out. The processor goes on: it may try something else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// An argument is out of its range, of the wrong length, or meaningless in this state.
    Invalid(String),
    /// The call would pass a limit of the operator's: memory, handles, bytes a second.
    Limit(String),
    /// The host does not do this, for these arguments or at all.
    Unsupported(String),
}

impl Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(why) => write!(f, "invalid: {why}"),
            Self::Limit(why) => write!(f, "over a limit: {why}"),
            Self::Unsupported(why) => write!(f, "unsupported: {why}"),
        }
    }
}

impl std::error::Error for Refusal {}
