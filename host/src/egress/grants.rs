//! What the operator grants to guests.

use std::str::FromStr;

use super::policy::Policy;
use super::rule::{Rule, RuleError};

/// Hosts that processors may call, as they are written on the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants(Vec<Grant>);

/// `[NAME[@VERSION]=]HOST[:PORT][,…]`
#[derive(Clone, Debug, PartialEq, Eq)]
struct Grant {
    /// The processor that it is for; every one that asks, where there is none.
    processor: Option<String>,
    rules: Vec<Rule>,
}

impl Grants {
    /// Several of them together.
    pub fn all(grants: impl IntoIterator<Item = Self>) -> Self {
        Self(grants.into_iter().flat_map(|grants| grants.0).collect())
    }

    /// What a processor was granted, which it may still have to ask for.
    pub fn of(&self, name: &str, id: &str) -> Policy {
        let mine =
            |grant: &&Grant| grant.processor.as_deref().is_none_or(|processor| processor == name || processor == id);
        Policy::new(self.0.iter().filter(mine).flat_map(|grant| grant.rules.iter().cloned()).collect())
    }
}

impl FromStr for Grants {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let (processor, rules) = match text.split_once('=') {
            None => (None, text),
            Some((processor, rules)) => (Some(processor.to_owned()), rules),
        };
        if processor.as_deref() == Some("") {
            return Err(RuleError(text.to_owned()));
        }
        let rules = rules.split(',').map(str::parse).collect::<Result<_, _>>()?;
        Ok(Self(vec![Grant { processor, rules }]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::Host;

    #[test]
    fn a_grant_is_for_everybody_or_for_one_processor() {
        let grants = Grants::all(
            ["a.example,b.example:8080", "green=c.example", "green@1.0.0=d.example"].map(|text| text.parse().unwrap()),
        );
        let may = |name: &str, id: &str, host: &str, port| {
            grants.of(name, id).decide(&Host::parse(host).unwrap(), port).is_ok()
        };
        assert!(may("x", "x@1.0.0", "a.example", 443) && may("x", "x@1.0.0", "b.example", 8080));
        assert!(!may("x", "x@1.0.0", "c.example", 443) && may("green", "green@2.0.0", "c.example", 443));
        assert!(may("green", "green@1.0.0", "d.example", 443) && !may("green", "green@2.0.0", "d.example", 443));
        for text in ["", "=a.example", "green=", "a.example,", "green=a.example,b/c"] {
            assert!(text.parse::<Grants>().is_err(), "{text}");
        }
    }
}
