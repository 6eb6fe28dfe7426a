//! What a token may do.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::AccessError;

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Looking: lists, statuses, components, metrics.
    Read,
    /// Starting, changing and stopping streams.
    StreamsControl,
    /// Uploading and deleting processors.
    ProcessorsWrite,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Read, Self::StreamsControl, Self::ProcessorsWrite];

    /// As it is written in token files, flags and the OpenAPI document.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::StreamsControl => "streams:control",
            Self::ProcessorsWrite => "processors:write",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scope {
    type Err = AccessError;

    fn from_str(text: &str) -> Result<Self, AccessError> {
        let found = Self::ALL.into_iter().find(|scope| scope.name() == text);
        found.ok_or_else(|| AccessError::Scope(text.to_owned()))
    }
}

/// One scope or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// These; `None` of none.
    pub fn new(scopes: impl IntoIterator<Item = Scope>) -> Option<Self> {
        let scopes: BTreeSet<_> = scopes.into_iter().collect();
        (!scopes.is_empty()).then_some(Self(scopes))
    }

    /// Whether calls of this kind are allowed. Whoever may change something may look; nothing else follows from another.
    pub fn allow(&self, scope: Scope) -> bool {
        scope == Scope::Read || self.0.contains(&scope)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|scope| scope.name()).collect();
        f.write_str(&names.join(","))
    }
}

impl FromStr for Scopes {
    type Err = AccessError;

    fn from_str(text: &str) -> Result<Self, AccessError> {
        let scopes: Vec<Scope> = text.split(',').map(str::parse).collect::<Result<_, _>>()?;
        Self::new(scopes).ok_or_else(|| AccessError::Scope(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a scope that gives more than it says, or a token that changes things and may not see them.
    #[test]
    fn writing_gives_reading_and_nothing_else() {
        for held in Scope::ALL {
            let scopes = Scopes::new([held]).unwrap();
            assert_eq!(scopes.to_string().parse::<Scopes>().unwrap(), scopes);
            for asked in Scope::ALL {
                assert_eq!(scopes.allow(asked), asked == Scope::Read || asked == held, "{held} for {asked}");
            }
        }
        assert!(Scopes::new([]).is_none());
        for wrong in ["", "write", "read,", "read, read", "READ"] {
            assert!(wrong.parse::<Scopes>().is_err(), "{wrong:?}");
        }
    }
}
