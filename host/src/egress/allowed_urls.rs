//! Where streams may have their channels.

use std::net::SocketAddr;

use thiserror::Error;

use super::host::{Host, Target, TargetError};
use super::policy::{Policy, Refusal};
use super::rule::{Rule, RuleError};

/// Channels that streams may use: what any of the operator's patterns fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedUrls {
    patterns: Vec<Pattern>,
    /// All patterns' hosts, for connections, which know no paths.
    hosts: Policy,
}

/// `[http[s]://]HOST[:PORT][/PATH]`
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    /// Over TLS, or not, or either.
    tls: Option<bool>,
    rule: Rule,
    /// What the path is, or begins with, up to a slash.
    path: Option<String>,
}

/// Why no channel may be at a URL.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ChannelRefused {
    /// It names no host.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Its host, or where that leads.
    #[error(transparent)]
    Host(#[from] Refusal),
    /// Other channels of its host may be used.
    #[error("its scheme or path is not among those that are allowed")]
    Path,
}

impl AllowedUrls {
    /// Reads patterns. One with a scheme may have a path; one without is a rule for hosts.
    pub fn parse(patterns: &[String]) -> Result<Self, RuleError> {
        Ok(Self::new(patterns.iter().map(|text| pattern(text)).collect::<Result<_, _>>()?))
    }

    /// Public hosts, and the channels of this host's own server at this address.
    pub fn public_and(own: Option<SocketAddr>) -> Self {
        let own = own.into_iter().flat_map(|own| {
            let addresses = ["127.0.0.1", "::1"].map(|loopback| loopback.parse().unwrap_or(own.ip()));
            let rules = addresses.map(|address| Rule::exactly(address, own.port()));
            rules.into_iter().chain([Rule::exactly(own.ip(), own.port()), Rule::named("localhost", own.port())])
        });
        let rules = own.chain([Rule::everything()]);
        Self::new(rules.map(|rule| Pattern { tls: None, rule, path: None }).collect())
    }

    fn new(patterns: Vec<Pattern>) -> Self {
        let hosts = Policy::new(patterns.iter().map(Pattern::for_connections).collect());
        Self { patterns, hosts }
    }

    /// Whether a channel may be at this URL, as far as that can be said before its host is looked up. Gives that host, and what
    /// [`Policy::addresses`] then has to say of this URL.
    pub fn check(&self, url: &str) -> Result<(Target, Policy), ChannelRefused> {
        let target = Target::parse(url)?;
        self.hosts.decide(&target.host, target.port)?;
        // What a pattern says of some paths opens no address for others.
        let fitting: Vec<_> = self.patterns.iter().filter(|pattern| pattern.fits(&target)).collect();
        if fitting.is_empty() {
            return Err(ChannelRefused::Path);
        }
        let everywhere = self.patterns.iter().filter(|pattern| pattern.is_for_all_paths());
        let policy = Policy::new(fitting.into_iter().chain(everywhere).map(|pattern| pattern.rule.clone()).collect());
        policy.decide(&target.host, target.port)?;
        Ok((target, policy))
    }

    /// Those addresses of a channel's host that may be connected to, as [`Policy::addresses`] gives them.
    pub fn addresses(&self, host: &Host, port: u16, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Refusal> {
        self.hosts.addresses(host, port, found)
    }
}

impl Pattern {
    fn is_for_all_paths(&self) -> bool {
        self.tls.is_none() && self.path.is_none()
    }

    /// What is left of it where paths are not known.
    fn for_connections(&self) -> Rule {
        let rule = self.rule.clone();
        if self.is_for_all_paths() { rule } else { rule.for_literals() }
    }

    fn fits(&self, target: &Target) -> bool {
        self.tls.is_none_or(|tls| tls == target.tls)
            && self.rule.names(&target.host, target.port)
            && self.path.as_ref().is_none_or(|path| is_below(&target.path, path))
    }
}

/// Whether `path` is `top` or below it. One that servers may read as another is not.
fn is_below(path: &str, top: &str) -> bool {
    let read = path.to_ascii_lowercase().replace('\\', "/").replace("%2f", "/").replace("%5c", "/");
    let plain = !read.contains("%2e") && read.split('/').all(|part| part != "." && part != "..");
    plain && path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn pattern(text: &str) -> Result<Pattern, RuleError> {
    let error = || RuleError(text.to_owned());
    let Some((scheme, rest)) = text.split_once("://") else {
        return Ok(Pattern { tls: None, rule: text.parse()?, path: None });
    };
    let tls = match scheme.to_ascii_lowercase().as_str() {
        "https" => true,
        "http" => false,
        _ => return Err(error()),
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = path.trim_end_matches(['*', '/']);
    let rule = host.parse().map_err(|_| error())?;
    Ok(Pattern { tls: Some(tls), rule, path: (!path.is_empty()).then(|| path.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(patterns: &[&str]) -> AllowedUrls {
        AllowedUrls::parse(&patterns.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn a_pattern_fits_by_scheme_host_port_and_path() {
        let places =
            places(&["https://orch.example:8935/ai/trickle", "*.lan.example:3389", "http://127.0.0.1:3389/a/*"]);
        for url in [
            "https://orch.example:8935/ai/trickle/a%2Fb",
            "https://orch.example:8935/ai/trickle/x",
            "https://ORCH.example:8935/ai/trickle",
            "http://a.lan.example:3389/x",
            "https://a.lan.example:3389/x",
            "http://0x7f.1:3389/a/b",
        ] {
            assert!(places.check(url).is_ok(), "{url}");
        }
        for url in [
            "http://orch.example:8935/ai/trickle/x",
            "https://orch.example/ai/trickle/x",
            "https://orch.example:8935/ai/trickle2",
            "https://orch.example:8935/ai/trickle/../x",
            "https://orch.example:8935/ai/trickle/%2E%2e/x",
            "https://orch.example:8935/ai/trickle/a%2F..%5cx",
            "http://lan.example:3389/x",
            "http://127.0.0.1:3389/b",
            "http://user@a.lan.example:3389/x",
            "http://[::1]:3389/a/b",
        ] {
            assert!(places.check(url).is_err(), "{url}");
        }
    }

    #[test]
    fn addresses_are_checked_too() {
        let places = places(&["*:*"]);
        let addresses = |address: &str| {
            let found = vec![SocketAddr::new(address.parse().unwrap(), 80)];
            places.addresses(&Host::parse("orch.example").unwrap(), 80, found)
        };
        assert!(
            addresses("1.1.1.1").is_ok() && addresses("10.0.0.1").is_err() && addresses("::ffff:127.0.0.1").is_err()
        );
    }

    #[test]
    fn what_is_allowed_below_a_path_is_not_reached_by_another_way() {
        let places = places(&["*:*", "http://127.0.0.1:3389/live"]);
        assert!(places.check("http://127.0.0.1:3389/live/a").is_ok());
        for url in ["http://127.0.0.1:3389/other", "https://127.0.0.1:3389/live/a"] {
            assert!(places.check(url).is_err(), "{url}");
        }
        let found = || vec!["127.0.0.1:3389".parse().unwrap()];
        let (target, policy) = places.check("http://rebound.example:3389/live/a").unwrap();
        assert!(policy.addresses(&target.host, 3389, found()).is_err());
        assert!(places.addresses(&target.host, 3389, found()).is_err());
        assert!(places.addresses(&Host::parse("127.0.0.1").unwrap(), 3389, found()).is_ok());
    }

    #[test]
    fn the_hosts_own_channels_are_among_the_public_ones() {
        let places = AllowedUrls::public_and(Some("127.0.0.1:3389".parse().unwrap()));
        for url in ["http://localhost:3389/a", "http://127.0.0.1:3389/a", "https://orch.example:8935/a"] {
            assert!(places.check(url).is_ok(), "{url}");
        }
        for url in ["http://127.0.0.1:8000/a", "http://10.0.0.1:3389/a"] {
            assert!(places.check(url).is_err(), "{url}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", "ftp://a.example", "http://", "http://a b/", "a.example/path"] {
            assert!(AllowedUrls::parse(&[text.to_owned()]).is_err(), "{text}");
        }
    }
}
