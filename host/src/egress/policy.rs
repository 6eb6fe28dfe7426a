//! Rules put together: what may be connected to.

use std::net::SocketAddr;

use thiserror::Error;

use super::address::special;
use super::host::Host;
use super::rule::Rule;

/// What may be connected to: what any of its rules names. Without rules, nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    rules: Vec<Rule>,
}

/// Why something must not be connected to.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// No rule is about it.
    #[error("{host}:{port} is not among the hosts that are granted")]
    Host {
        /// As it is written in rules.
        host: String,
        /// Of the connection.
        port: u16,
    },
    /// It leads to addresses that no rule names and that are not public.
    #[error("{host} leads to {address}, which is {kind} and not granted by its address")]
    Address {
        /// As it is written in rules.
        host: String,
        /// One of its addresses, with the port.
        address: SocketAddr,
        /// What that address is.
        kind: &'static str,
    },
}

impl Policy {
    /// What any of these rules names.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self { rules }
    }

    /// Whether nothing at all may be connected to.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether some of what `rule` names may be connected to.
    pub fn meets(&self, rule: &Rule) -> bool {
        self.rules.iter().any(|own| own.meets(rule))
    }

    /// Whether a host may be connected to, as far as that can be said before it is looked up.
    pub fn decide(&self, host: &Host, port: u16) -> Result<(), Refusal> {
        if !self.rules.iter().any(|rule| rule.names(host, port)) {
            return Err(Refusal::Host { host: host.to_string(), port });
        }
        match host {
            Host::Name(_) => Ok(()),
            Host::Address(address) => self.address(host, SocketAddr::new(*address, port)),
        }
    }

    /// Those addresses of a host that may be connected to, which are none only where none was found. The caller must connect to
    /// these as they are, without another lookup.
    pub fn addresses(
        &self,
        host: &Host,
        port: u16,
        found: impl IntoIterator<Item = SocketAddr>,
    ) -> Result<Vec<SocketAddr>, Refusal> {
        self.decide(host, port)?;
        let (mut allowed, mut refused) = (Vec::new(), None);
        for address in found {
            match self.address(host, SocketAddr::new(address.ip().to_canonical(), port)) {
                Ok(()) => allowed.push(SocketAddr::new(address.ip().to_canonical(), port)),
                Err(refusal) => refused = Some(refusal),
            }
        }
        match refused {
            Some(refusal) if allowed.is_empty() => Err(refusal),
            _ => Ok(allowed),
        }
    }

    fn address(&self, host: &Host, address: SocketAddr) -> Result<(), Refusal> {
        match special(address.ip()) {
            Some(kind) if !self.rules.iter().any(|rule| rule.opens(host, address.ip(), address.port())) => {
                Err(Refusal::Address { host: host.to_string(), address, kind })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(rules: &[&str]) -> Policy {
        Policy::new(rules.iter().map(|rule| rule.parse().unwrap()).collect())
    }

    fn connects(rules: &[&str], host: &str, port: u16, found: &[&str]) -> Result<Vec<String>, Refusal> {
        let found = found.iter().map(|address| SocketAddr::new(address.parse().unwrap(), port));
        let allowed = policy(rules).addresses(&Host::parse(host).unwrap(), port, found)?;
        Ok(allowed.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn without_rules_nothing_may_be_connected_to() {
        assert!(matches!(connects(&[], "api.example.com", 443, &["1.1.1.1"]), Err(Refusal::Host { .. })));
    }

    #[test]
    fn a_granted_name_does_not_lead_to_addresses_that_are_not_public() {
        let rules = &["api.example.com", "*:443"];
        assert_eq!(connects(rules, "api.example.com", 80, &["1.1.1.1"]).unwrap(), ["1.1.1.1:80"]);
        for address in
            ["127.0.0.1", "::1", "169.254.169.254", "10.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "0.0.0.0"]
        {
            let refused = connects(rules, "api.example.com", 443, &[address]).unwrap_err();
            assert!(matches!(refused, Refusal::Address { .. }), "{address}: {refused}");
        }
        let mixed = connects(rules, "api.example.com", 443, &["10.0.0.1", "1.1.1.1", "::1"]);
        assert_eq!(mixed.unwrap(), ["1.1.1.1:443"], "only what was checked is connected to");
    }

    #[test]
    fn an_address_that_is_granted_itself_may_be_private() {
        let rules = &["ml.internal:9000", "10.0.0.0/8:9000"];
        assert_eq!(connects(rules, "ml.internal", 9000, &["10.1.2.3"]).unwrap(), ["10.1.2.3:9000"]);
        assert!(connects(rules, "ml.internal", 9000, &["192.168.1.1"]).is_err());
        assert!(connects(rules, "other.internal", 9000, &["10.1.2.3"]).is_err(), "an address grants no name");
        assert_eq!(connects(&["localhost:9000"], "localhost", 9000, &["::1", "127.0.0.1"]).unwrap().len(), 2);
        assert!(connects(&["localhost:9000"], "localhost", 9000, &["10.0.0.1"]).is_err());
    }

    #[test]
    fn addresses_in_the_place_of_names_are_judged_at_once() {
        let decide = |rules: &[&str], host: &str| policy(rules).decide(&Host::parse(host).unwrap(), 80);
        for host in ["0x7f000001", "2130706433", "0177.1", "[::ffff:7f00:1]", "[::1]", "169.254.169.254"] {
            assert!(matches!(decide(&["*"], host), Err(Refusal::Address { .. })), "{host}");
        }
        assert_eq!(decide(&["127.0.0.1"], "0x7f000001"), Ok(()));
        assert_eq!(decide(&["*"], "1.1.1.1"), Ok(()));
    }
}
