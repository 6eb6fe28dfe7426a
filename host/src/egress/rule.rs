//! A rule: hosts and ports that somebody wrote down.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use thiserror::Error;

use super::host::Host;

/// Hosts, and their ports: `HOST[:PORT]`.
///
/// `HOST` is a name, `*.NAME` for all names below it, an address, a range of addresses such as `10.0.0.0/8` or `[fd00::]/8`,
/// or `*` for every host. `PORT` is a number or `*`; without it, the rule is for 80 and 443.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    hosts: Hosts,
    ports: Ports,
    /// Its addresses are opened to URLs that name the address itself, not to names that resolve to it.
    literal: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    All,
    Name(String),
    /// Names that end in this, which begins with a dot.
    Below(String),
    Range(IpNet),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ports {
    /// 80 and 443.
    Web,
    All,
    One(u16),
}

/// Why a text is no rule.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0:?} is not HOST[:PORT], such as api.example.com, *.example.com:443, 127.0.0.1:9000 or 10.0.0.0/8:*")]
pub struct RuleError(pub String);

impl Rule {
    /// Every host, and every port of it.
    pub fn everything() -> Self {
        Self { hosts: Hosts::All, ports: Ports::All, literal: false }
    }

    /// One address, and one port of it.
    pub fn exactly(address: IpAddr, port: u16) -> Self {
        Self { hosts: Hosts::Range(address.to_canonical().into()), ports: Ports::One(port), literal: false }
    }

    /// One name, and one port of it.
    pub fn named(name: &str, port: u16) -> Self {
        Self { hosts: Hosts::Name(name.to_owned()), ports: Ports::One(port), literal: false }
    }

    /// The same hosts and ports; other names may not lead to its addresses.
    pub fn for_literals(self) -> Self {
        Self { literal: true, ..self }
    }

    /// Whether it is about one host or the names below one, as what a component asks for is.
    pub fn is_for_one_host(&self) -> bool {
        match &self.hosts {
            Hosts::All => false,
            Hosts::Name(_) | Hosts::Below(_) => true,
            Hosts::Range(range) => range.prefix_len() == range.max_prefix_len(),
        }
    }

    /// Whether it is about this host and port.
    pub fn names(&self, host: &Host, port: u16) -> bool {
        let host = match (&self.hosts, host) {
            (Hosts::All, _) => true,
            (Hosts::Name(mine), Host::Name(name)) => mine == name,
            (Hosts::Below(end), Host::Name(name)) => name.ends_with(end.as_str()),
            (Hosts::Range(range), Host::Address(address)) => range.contains(address),
            (Hosts::Name(_) | Hosts::Below(_), Host::Address(_)) | (Hosts::Range(_), Host::Name(_)) => false,
        };
        host && self.ports.have(port)
    }

    /// Whether it names this address of a host itself, so that it need not be public: as a range does, and `localhost` its own.
    pub fn opens(&self, host: &Host, address: IpAddr, port: u16) -> bool {
        let address = address.to_canonical();
        let named = match &self.hosts {
            Hosts::Range(range) => range.contains(&address) && (!self.literal || matches!(host, Host::Address(_))),
            Hosts::Name(mine) => mine == "localhost" && *host == Host::Name(mine.clone()) && address.is_loopback(),
            Hosts::All | Hosts::Below(_) => false,
        };
        named && self.ports.have(port)
    }

    /// Whether some host and port fits both.
    pub fn meets(&self, other: &Self) -> bool {
        self.hosts.meet(&other.hosts) && self.ports.meet(other.ports)
    }
}

impl Hosts {
    fn meet(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) | (_, Self::All) => true,
            (Self::Name(one), Self::Name(other)) => one == other,
            (Self::Name(name), Self::Below(end)) | (Self::Below(end), Self::Name(name)) => name.ends_with(end.as_str()),
            (Self::Below(one), Self::Below(other)) => one.ends_with(other.as_str()) || other.ends_with(one.as_str()),
            (Self::Range(one), Self::Range(other)) => one.contains(other) || other.contains(one),
            (Self::Range(_), Self::Name(_) | Self::Below(_)) | (Self::Name(_) | Self::Below(_), Self::Range(_)) => {
                false
            }
        }
    }
}

impl Ports {
    fn have(self, port: u16) -> bool {
        match self {
            Self::Web => port == 80 || port == 443,
            Self::All => true,
            Self::One(one) => one == port,
        }
    }

    fn meet(self, other: Self) -> bool {
        match (self, other) {
            (Self::All, _) | (_, Self::All) | (Self::Web, Self::Web) => true,
            (Self::One(port), ports) | (ports, Self::One(port)) => ports.have(port),
        }
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let error = || RuleError(text.to_owned());
        let (host, port) = split(text).ok_or_else(error)?;
        let ports = match port {
            None => Ports::Web,
            Some("*") => Ports::All,
            Some(port) => Ports::One(port.parse().ok().filter(|port| *port != 0).ok_or_else(error)?),
        };
        Ok(Self { hosts: hosts(host).ok_or_else(error)?, ports, literal: false })
    }
}

/// Host and port of a text. An IPv6 address has a port only in brackets.
fn split(text: &str) -> Option<(&str, Option<&str>)> {
    if text.parse::<IpAddr>().is_ok() || text.parse::<IpNet>().is_ok() {
        return Some((text, None));
    }
    let end_of_address = text.rfind(']').map_or(0, |at| at + 1);
    match text.get(end_of_address..)?.rsplit_once(':') {
        None => Some((text, None)),
        Some((_, port)) => Some((text.get(..text.len() - port.len() - 1)?, Some(port))),
    }
}

fn hosts(text: &str) -> Option<Hosts> {
    if text == "*" {
        return Some(Hosts::All);
    }
    if let Some(name) = text.strip_prefix("*.") {
        return match Host::parse(name).ok()? {
            Host::Name(name) => Some(Hosts::Below(format!(".{name}"))),
            Host::Address(_) => None,
        };
    }
    if text.contains('/') {
        let range: IpNet = text.replace(['[', ']'], "").parse().ok()?;
        return Some(Hosts::Range(range.trunc()));
    }
    // A star elsewhere is no name that anybody could have meant.
    if text.contains('*') {
        return None;
    }
    Some(match Host::parse(text).ok()? {
        Host::Name(name) => Hosts::Name(name),
        Host::Address(address) => Hosts::Range(address.into()),
    })
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.hosts {
            Hosts::All => f.write_str("*")?,
            Hosts::Name(name) => f.write_str(name)?,
            Hosts::Below(end) => write!(f, "*{end}")?,
            Hosts::Range(range) if range.prefix_len() == range.max_prefix_len() => {
                Host::Address(range.addr()).fmt(f)?;
            }
            Hosts::Range(range) => write!(f, "{}/{}", Host::Address(range.addr()), range.prefix_len())?,
        }
        match self.ports {
            Ports::Web => Ok(()),
            Ports::All => f.write_str(":*"),
            Ports::One(port) => write!(f, ":{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        text.parse().unwrap()
    }

    fn names(text: &str, host: &str, port: u16) -> bool {
        rule(text).names(&Host::parse(host).unwrap(), port)
    }

    #[test]
    fn a_rule_is_for_its_hosts_and_ports() {
        assert!(names("API.example.com", "api.example.com.", 443) && names("api.example.com", "api.example.com", 80));
        assert!(
            !names("api.example.com", "api.example.com", 8080) && !names("api.example.com", "x.api.example.com", 443)
        );
        assert!(names("api.example.com:*", "api.example.com", 8080) && !names("a.example:443", "a.example", 80));
        assert!(names("*.example.com", "a.b.example.com", 443));
        assert!(!names("*.example.com", "example.com", 443) && !names("*.example.com", "evilexample.com", 443));
        assert!(names("*", "anything.example", 80) && names("*:*", "10.0.0.1", 1) && !names("*", "a.example", 22));
        assert!(names("127.0.0.1:9000", "0x7f.1", 9000) && !names("127.0.0.1:9000", "localhost", 9000));
        assert!(names("10.0.0.0/8:*", "10.1.2.3", 5) && !names("10.0.0.0/8", "11.1.2.3", 80));
        assert!(names("[fd00::]/8:9", "[fd12::1]", 9) && names("::1", "::1", 80) && names("[::1]:7", "[::1]", 7));
        assert!(!names("example.com", "127.0.0.1", 80) && !names("0.0.0.0/0", "example.com", 80));
    }

    #[test]
    fn only_what_names_an_address_opens_it() {
        let opens = |text: &str, host: &str, address: &str, port| {
            rule(text).opens(&Host::parse(host).unwrap(), address.parse().unwrap(), port)
        };
        assert!(opens("localhost:9000", "localhost", "127.0.0.1", 9000) && opens("localhost", "localhost", "::1", 80));
        assert!(
            !opens("localhost:9000", "localhost", "10.0.0.1", 9000) && !opens("localhost", "other", "127.0.0.1", 80)
        );
        assert!(
            opens("10.0.0.0/8:80", "ml.internal", "10.1.1.1", 80) && opens("10.0.0.1", "x", "::ffff:10.0.0.1", 443)
        );
        assert!(!opens("*:*", "x", "10.0.0.1", 80) && !opens("ml.internal", "ml.internal", "10.0.0.1", 80));
    }

    #[test]
    fn rules_meet_where_something_fits_both() {
        let meet = |one: &str, other: &str| rule(one).meets(&rule(other)) && rule(other).meets(&rule(one));
        assert!(meet("a.example", "a.example:443") && meet("a.example", "*") && meet("a.example", "*.example"));
        assert!(
            meet("*.b.example", "*.example")
                && meet("127.0.0.1:*", "127.0.0.0/8:9")
                && meet("a.example:*", "a.example:9")
        );
        assert!(
            !meet("a.example", "a.example:9") && !meet("a.example", "b.example") && !meet("a.example", "10.0.0.0/8")
        );
        assert!(!meet("10.0.0.0/8", "11.0.0.0/8") && !meet("*.a.example", "*.b.example"));
    }

    #[test]
    fn what_is_no_rule_is_refused_and_what_is_reads_back() {
        for text in [
            "",
            ":80",
            "a.example:0",
            "a.example:http",
            "a.example:99999",
            "a*.example",
            "*.127.0.0.1",
            "*.",
            "10.0.0.0/33",
            "a.example/8",
            "http://a.example",
            "a b",
            "[::1",
            "user@a.example",
            "[::1]9",
        ] {
            assert_eq!(text.parse::<Rule>(), Err(RuleError(text.to_owned())), "{text}");
        }
        for text in ["a.example", "*.example:*", "*", "127.0.0.1:9000", "10.0.0.0/8:*", "[::1]:7", "[fd00::]/8"] {
            assert_eq!(rule(text).to_string(), text);
        }
        assert_eq!(rule("10.1.2.3/8").to_string(), "10.0.0.0/8");
    }
}
