//! What became of the cases, by kind.

use std::collections::BTreeMap;
use std::fmt;

use crate::cases::LIVING;
use crate::life::Fate;

#[derive(Default)]
struct Counts {
    refused: u64,
    lived: u64,
    failed: u64,
}

/// Counts fates.
#[derive(Default)]
pub struct Tally(BTreeMap<&'static str, Counts>);

impl Tally {
    pub fn count(&mut self, kind: &'static str, fate: &Fate) {
        let counts = self.0.entry(kind).or_default();
        match fate {
            Fate::Refused(_) => counts.refused += 1,
            Fate::Lived { failures: 0 } => counts.lived += 1,
            Fate::Lived { .. } => counts.failed += 1,
        }
    }

    /// Catches generators of which nothing, or all, is refused, and one whose cases never come to frames, whatever the
    /// others do.
    pub fn assert_meaningful(&self) {
        let total = |of: fn(&Counts) -> u64| self.0.values().map(of).sum::<u64>();
        assert!(total(|counts| counts.refused) > 20, "{self}");
        assert!(total(|counts| counts.failed) > 5, "{self}");
        for kind in LIVING {
            assert!(self.0.get(kind).is_some_and(|counts| counts.lived > 0), "nothing lives of {kind}: {self}");
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, Counts { refused, lived, failed }) in &self.0 {
            write!(f, "\n  {kind}: {refused} refused, {failed} failed, {lived} lived")?;
        }
        Ok(())
    }
}
