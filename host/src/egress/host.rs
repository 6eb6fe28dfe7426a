//! Hosts as they are written: in URLs, in requests, and in the operator's rules.

use std::fmt;
use std::net::IpAddr;

use http::Uri;
use http::uri::{Authority, Scheme};
use thiserror::Error;

/// A host: a name in lower case without a final dot, or an address in its one spelling. Whatever others would read as an
/// address is one here: decimal, octal and hexadecimal numbers, fewer than four parts, IPv4 within IPv6.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A name to be looked up.
    Name(String),
    /// No name at all.
    Address(IpAddr),
}

/// Why a text names no host that could be connected to.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TargetError {
    /// Not an absolute URL.
    #[error("not an absolute URL")]
    Url,
    /// Neither `http` nor `https`.
    #[error("the scheme must be http or https")]
    Scheme,
    /// A user name or password before the host.
    #[error("a user name or password before the host is not allowed")]
    UserInfo,
    /// Neither a name nor an address.
    #[error("not a host name or address")]
    Host,
    /// No number from 1 to 65535.
    #[error("the port must be a number from 1 to 65535")]
    Port,
}

impl Host {
    /// Reads a host, with or without the brackets of an IPv6 address.
    ///
    /// # Errors
    /// [`TargetError::Host`], for a zone and for percent signs too.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Address(address.to_canonical()));
        }
        // A name that is decoded on one side and not on the other would be two.
        if text.contains('%') {
            return Err(TargetError::Host);
        }
        match url::Host::parse(text).map_err(|_| TargetError::Host)? {
            url::Host::Ipv4(address) => Ok(Self::Address(address.into())),
            url::Host::Ipv6(address) => Ok(Self::Address(IpAddr::from(address).to_canonical())),
            url::Host::Domain(name) => {
                let name = name.strip_suffix('.').unwrap_or(&name);
                let legal = !name.is_empty() && name.len() <= 253 && !name.starts_with('.') && !name.contains("..");
                if legal { Ok(Self::Name(name.to_owned())) } else { Err(TargetError::Host) }
            }
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// Where a URL leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Over TLS.
    pub tls: bool,
    /// To whom.
    pub host: Host,
    /// The URL's, or its scheme's.
    pub port: u16,
    /// As it is written; `/` where there is none.
    pub path: String,
}

impl Target {
    /// Reads an absolute URL.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        Self::of(&text.parse().map_err(|_| TargetError::Url)?)
    }

    /// Reads an absolute URL that has been taken apart.
    pub fn of(uri: &Uri) -> Result<Self, TargetError> {
        let scheme = uri.scheme().ok_or(TargetError::Url)?;
        let tls = *scheme == Scheme::HTTPS;
        if !tls && *scheme != Scheme::HTTP {
            return Err(TargetError::Scheme);
        }
        let authority = uri.authority().ok_or(TargetError::Url)?;
        if authority.as_str().contains('@') {
            return Err(TargetError::UserInfo);
        }
        let host = Host::parse(authority.host())?;
        Ok(Self {
            tls,
            host,
            port: port(authority)?.unwrap_or(if tls { 443 } else { 80 }),
            path: uri.path().to_owned(),
        })
    }

    /// As it goes into the header `Host`: the port only where it is not the scheme's own.
    pub fn authority(&self) -> String {
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => self.host.to_string(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }
}

fn port(authority: &Authority) -> Result<Option<u16>, TargetError> {
    match authority.as_str().strip_prefix(authority.host()) {
        None | Some("") => Ok(None),
        Some(rest) => {
            let port = rest.strip_prefix(':').and_then(|port| port.parse().ok()).filter(|port| *port != 0);
            port.map(Some).ok_or(TargetError::Port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_address_is_that_address() {
        for text in [
            "127.0.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "017700000001",
            "127.1",
            "127.0.1",
            "::ffff:127.0.0.1",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[0:0:0:0:0:ffff:7f00:0001]",
            "127.0.0.1.",
            "１２７.0.0.1",
        ] {
            assert_eq!(Host::parse(text), Ok(Host::Address("127.0.0.1".parse().unwrap())), "{text}");
        }
        for text in ["::1", "[::1]", "[0::0001]", "[0:0:0:0:0:0:0:1]"] {
            assert_eq!(Host::parse(text), Ok(Host::Address("::1".parse().unwrap())), "{text}");
        }
    }

    #[test]
    fn names_have_one_spelling() {
        for text in ["api.example.com", "API.Example.COM", "api.example.com."] {
            assert_eq!(Host::parse(text), Ok(Host::Name("api.example.com".to_owned())), "{text}");
        }
        assert_eq!(Host::parse("bücher.example"), Ok(Host::Name("xn--bcher-kva.example".to_owned())));
    }

    #[test]
    fn what_is_neither_is_refused() {
        for text in [
            "",
            ".",
            "..",
            "a..b",
            "[fe80::1%25eth0]",
            "fe80::1%eth0",
            "127.0.0.256",
            "0x100000000",
            "1.2.3.4.5",
            "a%2eb",
            "a b",
            "a/b",
            "a@b",
            "[::1",
            "a:b",
            "localhost%00.example.com",
        ] {
            assert_eq!(Host::parse(text), Err(TargetError::Host), "{text}");
        }
    }

    #[test]
    fn a_url_says_where_it_leads() {
        let target = Target::parse("https://API.example.com/v1?x=1").unwrap();
        assert_eq!((target.tls, target.port, target.path.as_str()), (true, 443, "/v1"));
        assert_eq!(target.authority(), "api.example.com");
        let target = Target::parse("http://[::ffff:a00:1]:8080").unwrap();
        assert_eq!((target.authority().as_str(), target.path.as_str()), ("10.0.0.1:8080", "/"));
        for (text, fault) in [
            ("http://user@h/", TargetError::UserInfo),
            ("http://u:p@127.0.0.1/", TargetError::UserInfo),
            ("ftp://h/", TargetError::Scheme),
            ("/path", TargetError::Url),
            ("host:80", TargetError::Url),
            ("http://h:0/", TargetError::Port),
            ("http://h:99999/", TargetError::Port),
        ] {
            assert_eq!(Target::parse(text), Err(fault), "{text}");
        }
    }
}
