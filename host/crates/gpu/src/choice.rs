//! Which device is worked with.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Which device is worked with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The first real GPU; never one in software.
    #[default]
    Auto,
    /// None.
    Cpu,
    /// The one at this place in the system's list, be it real or not.
    Gpu(usize),
    /// The first real GPU, or one in software where there is none: for tests.
    Any,
}

/// Why a text names no device.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{0}` is no device: `auto`, `cpu`, or `gpu:N` with N from 0")]
pub struct ParseChoiceError(String);

impl FromStr for Choice {
    type Err = ParseChoiceError;

    /// `auto`, `cpu` or `gpu:N`.
    fn from_str(text: &str) -> Result<Self, ParseChoiceError> {
        let refused = || ParseChoiceError(text.to_owned());
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            _ => text.strip_prefix("gpu:").and_then(|place| place.parse().ok()).map(Self::Gpu).ok_or_else(refused),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Gpu(place) => write!(f, "gpu:{place}"),
            Self::Any => f.write_str("any"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_read_as_it_is_written() {
        for choice in [Choice::Auto, Choice::Cpu, Choice::Gpu(0), Choice::Gpu(3)] {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
        for text in ["", "gpu", "gpu:", "gpu:-1", "gpu:x", "cuda", "AUTO", "any"] {
            assert!(text.parse::<Choice>().is_err(), "{text}");
        }
    }
}
