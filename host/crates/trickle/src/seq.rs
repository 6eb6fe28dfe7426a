//! Sequence numbers of segments.

use std::fmt;

/// The number of a segment within its channel, from 0 up to [`Seq::MAX`].
///
/// Peers keep sequence numbers in a signed 64-bit integer, one more than the last written included, so the largest
/// number that can be published is one below theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Seq(u64);

impl Seq {
    /// The largest number that can be published.
    pub(crate) const MAX: Self = Self(i64::MAX as u64 - 1);

    /// `None` above [`Seq::MAX`].
    pub(crate) const fn new(number: u64) -> Option<Self> {
        if number <= Self::MAX.0 { Some(Self(number)) } else { None }
    }

    /// The plain number.
    pub(crate) const fn get(self) -> u64 {
        self.0
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
        assert_eq!(Seq::new(Seq::MAX.get()), Some(Seq::MAX));
    }
}
