//! The address of a channel.

use std::{fmt, str::FromStr, sync::Arc};

use http::{Uri, uri::Scheme};

/// The address of one channel: `http` or `https`, a host, and a path. Cheap to clone.
///
/// Segments live one path segment below it, so it carries no query; a trailing slash is dropped, and so is the scheme's own port. Hosts
/// are in small letters: equal addresses are the same channel.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ChannelUrl {
    inner: Arc<Parts>,
}

#[derive(PartialEq, Eq, Hash)]
struct Parts {
    origin: Origin,
    path: String,
}

/// What one connection can serve: scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    pub(crate) tls: bool,
    /// As it goes into `Host`, with the port only when the address names one that is not the scheme's own.
    pub(crate) authority: String,
    /// Without the brackets of an IPv6 literal.
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// Why a string is no channel address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChannelUrlError {
    /// Not an absolute URL at all.
    #[error("not an absolute URL")]
    Malformed,
    /// Neither `http` nor `https`.
    #[error("scheme must be http or https")]
    Scheme,
    /// No host.
    #[error("the URL has no host")]
    Host,
    /// A user name or password before the host.
    #[error("the URL must not carry a user name or password")]
    UserInfo,
    /// A port that is no number in 1..=65535.
    #[error("the port must be a number from 1 to 65535")]
    Port,
    /// Nothing after the host to name the channel.
    #[error("the URL has no path to name a channel")]
    Path,
    /// A `?` part.
    #[error("the URL must not have a query")]
    Query,
    /// A `#` part.
    #[error("the URL must not have a fragment")]
    Fragment,
}

impl ChannelUrl {
    pub(crate) fn origin(&self) -> &Origin {
        &self.inner.origin
    }

    /// The channel's own path, without a trailing slash.
    pub(crate) fn path(&self) -> &str {
        &self.inner.path
    }

    /// The path of something below the channel: an index or `next`.
    pub(crate) fn child(&self, name: impl fmt::Display) -> String {
        format!("{}/{name}", self.inner.path)
    }
}

impl FromStr for ChannelUrl {
    type Err = ChannelUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The parser below drops fragments silently.
        if text.contains('#') {
            return Err(ChannelUrlError::Fragment);
        }
        if let Some((scheme, _)) = text.split_once("://")
            && !scheme.eq_ignore_ascii_case("http")
            && !scheme.eq_ignore_ascii_case("https")
        {
            return Err(ChannelUrlError::Scheme);
        }
        let uri: Uri = text.parse().map_err(|_| reject(text))?;
        let origin = Origin::of(&uri)?;
        if uri.query().is_some() {
            return Err(ChannelUrlError::Query);
        }
        let path = uri.path().trim_end_matches('/');
        if path.is_empty() {
            return Err(ChannelUrlError::Path);
        }
        let path = path.to_owned();
        Ok(Self { inner: Arc::new(Parts { origin, path }) })
    }
}

/// Names the fault of a text that does not parse, where the text shows it.
fn reject(text: &str) -> ChannelUrlError {
    let Some((_, rest)) = text.split_once("://") else {
        return ChannelUrlError::Malformed;
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.is_empty() || authority.starts_with(':') {
        ChannelUrlError::Host
    } else if authority.contains('@') {
        ChannelUrlError::UserInfo
    } else {
        ChannelUrlError::Malformed
    }
}

impl Origin {
    fn of(uri: &Uri) -> Result<Self, ChannelUrlError> {
        let scheme = uri.scheme().ok_or(ChannelUrlError::Malformed)?;
        let tls = *scheme == Scheme::HTTPS;
        if !tls && *scheme != Scheme::HTTP {
            return Err(ChannelUrlError::Scheme);
        }
        let authority = uri.authority().ok_or(ChannelUrlError::Host)?;
        if authority.as_str().contains('@') {
            return Err(ChannelUrlError::UserInfo);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(ChannelUrlError::Host);
        }
        let own = if tls { 443 } else { 80 };
        let port = match authority.as_str().strip_prefix(authority.host()) {
            None | Some("") => own,
            Some(suffix) => port(suffix).ok_or(ChannelUrlError::Port)?,
        };
        let name = authority.host().to_ascii_lowercase();
        let authority = if port == own { name } else { format!("{name}:{port}") };
        Ok(Self { tls, authority, host: host.to_ascii_lowercase(), port })
    }
}

fn port(suffix: &str) -> Option<u16> {
    suffix.strip_prefix(':')?.parse().ok().filter(|port| *port != 0)
}

impl TryFrom<&str> for ChannelUrl {
    type Error = ChannelUrlError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for ChannelUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { origin, path } = &*self.inner;
        let scheme = if origin.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{path}", origin.authority)
    }
}

impl fmt::Debug for ChannelUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> ChannelUrlError {
        text.parse::<ChannelUrl>().unwrap_err()
    }

    /// Catches one channel that is taken for two.
    #[test]
    fn spellings_of_one_address_are_equal() {
        let url = |text: &str| text.parse::<ChannelUrl>().unwrap();
        for other in ["http://HOST/a", "http://host:80/a", "HTTP://host:080/a/"] {
            assert_eq!(url(other), url("http://host/a"), "{other}");
            assert_eq!(url(other).to_string(), "http://host/a");
        }
        for other in ["https://host/a", "http://host:81/a", "http://host/A", "http://host/a/b"] {
            assert_ne!(url(other), url("http://host/a"), "{other}");
        }
    }

    #[test]
    fn keeps_the_address_and_drops_a_trailing_slash() {
        let url: ChannelUrl = "http://[::1]:3389/ai/trickle/a%2Fb/".parse().unwrap();
        assert_eq!(url.to_string(), "http://[::1]:3389/ai/trickle/a%2Fb");
        assert_eq!(url.child(7), "/ai/trickle/a%2Fb/7");
        assert_eq!((url.origin().host.as_str(), url.origin().port), ("::1", 3389));
        let tls: ChannelUrl = "HTTPS://orch/a".parse().unwrap();
        assert!(tls.origin().tls);
        assert_eq!(tls.origin().port, 443);
    }

    #[test]
    fn names_what_is_wrong() {
        assert_eq!(fault("ftp://h/a"), ChannelUrlError::Scheme);
        assert_eq!(fault("/a/b"), ChannelUrlError::Malformed);
        assert_eq!(fault("host"), ChannelUrlError::Malformed);
        assert_eq!(fault(""), ChannelUrlError::Malformed);
        assert_eq!(fault("http:///a"), ChannelUrlError::Host);
        assert_eq!(fault("http://:80/a"), ChannelUrlError::Host);
        assert_eq!(fault("http://u:p@h/a"), ChannelUrlError::UserInfo);
        assert_eq!(fault("http://h:0/a"), ChannelUrlError::Port);
        assert_eq!(fault("http://h:99999/a"), ChannelUrlError::Port);
        assert_eq!(fault("http://h"), ChannelUrlError::Path);
        assert_eq!(fault("http://h//"), ChannelUrlError::Path);
        assert_eq!(fault("http://h/a?x=1"), ChannelUrlError::Query);
        assert_eq!(fault("http://h/a#x"), ChannelUrlError::Fragment);
    }
}
