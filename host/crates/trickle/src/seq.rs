//! Sequence numbers of segments.

use std::fmt;

/// The number of a segment within its channel, from 0 up to [`Seq::MAX`].
///
/// Peers keep sequence numbers in a signed 64-bit integer, one more than the last written included, so the largest
/// number that can be published is one below theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(u64);

impl Seq {
    /// The first segment of a channel.
    pub const ZERO: Self = Self(0);
    /// The largest number that can be published.
    pub const MAX: Self = Self(i64::MAX as u64 - 1);

    /// `None` above [`Seq::MAX`].
    pub const fn new(number: u64) -> Option<Self> {
        if number <= Self::MAX.0 { Some(Self(number)) } else { None }
    }

    /// The plain number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number that follows; [`Seq::MAX`] is followed by itself.
    #[must_use]
    pub const fn next(self) -> Self {
        if self.0 < Self::MAX.0 { Self(self.0 + 1) } else { self }
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stop_one_below_a_signed_maximum() {
        assert_eq!(Seq::new(i64::MAX as u64), None);
        assert_eq!(Seq::MAX.next(), Seq::MAX);
        assert_eq!(Seq::ZERO.next().get(), 1);
    }
}
