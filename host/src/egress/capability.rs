//! What a component asks for in its description, and whether it has been granted.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::host::{Target, TargetError};
use super::policy::{Policy, Refusal};
use super::rule::{Rule, RuleError};

/// Characters that are told of what is no capability.
const MAX_TOLD: usize = 100;

/// Something that the operator must grant.
///
/// `http` is outgoing HTTP to any host that is granted, `http:HOST[:PORT]` to this host or, with `*.NAME`, to those below a
/// name, and `http:{KEY}` to the host of the URL that the param of this key has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    http: Http,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Http {
    Any,
    To(Rule),
    Param(String),
}

/// Why a text is no capability.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CapabilityError {
    /// Nothing that this host could grant; how it begins.
    #[error("the capability {0:?} is not one of this host's: http, http:HOST[:PORT] or http:{{KEY OF A PARAM}}")]
    Unknown(String),
    /// What should be a host is none.
    #[error("the capability {text:?}: {source}")]
    Host {
        /// As it was asked for.
        text: String,
        /// What is wrong with it.
        source: RuleError,
    },
    /// Some hosts, of which neither one nor all.
    #[error("the capability {0:?} names many hosts; ask for `http`")]
    ManyHosts(String),
}

/// Why a processor may not run with what has been granted.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NotGranted {
    /// It names a host.
    #[error("{processor} asks for HTTP to {host}; the operator grants it with --grant-http {name}={host}")]
    Host {
        /// `NAME@VERSION`.
        processor: String,
        /// Its name alone.
        name: String,
        /// As it would be granted.
        host: String,
    },
    /// The host is granted, and the address is not.
    #[error("{processor} asks for HTTP to {host}: {refusal}; the operator grants it with --grant-http {name}={host}")]
    Address {
        /// `NAME@VERSION`.
        processor: String,
        /// Its name alone.
        name: String,
        /// As it would be granted.
        host: String,
        /// What is wrong with it.
        refusal: Box<Refusal>,
    },
    /// It names none, and none is granted.
    #[error("{processor} asks for HTTP; the operator grants hosts with --grant-http {name}=HOST[:PORT]")]
    Nothing {
        /// `NAME@VERSION`.
        processor: String,
        /// Its name alone.
        name: String,
    },
    /// The param that should name it does not.
    #[error("the param {key}: {error}")]
    Url {
        /// Key of the param.
        key: String,
        /// What is wrong with it.
        error: TargetError,
    },
}

/// Everything that a component may call where it is granted.
pub fn asked(capabilities: &[Capability]) -> Policy {
    Policy::new(capabilities.iter().map(|capability| capability.rule()).collect())
}

/// Checks that a processor has been granted what it asks for. `param` gives a param of the stream that is text.
pub fn check(
    (name, processor): (&str, String),
    capabilities: &[Capability],
    granted: &Policy,
    param: impl Fn(&str) -> Option<String>,
) -> Result<(), NotGranted> {
    let (name, refused) = (name.to_owned(), |host: String, name, processor| NotGranted::Host { processor, name, host });
    for capability in capabilities {
        match &capability.http {
            Http::Any if granted.is_empty() => return Err(NotGranted::Nothing { processor, name }),
            Http::To(rule) if !granted.meets(rule) => return Err(refused(rule.to_string(), name, processor)),
            Http::Param(key) => {
                let Some(url) = param(key) else { continue };
                let target = Target::parse(&url).map_err(|error| NotGranted::Url { key: key.clone(), error })?;
                let host = target.authority();
                match granted.decide(&target.host, target.port) {
                    Ok(()) => {}
                    Err(Refusal::Host { .. }) => return Err(refused(host, name, processor)),
                    Err(refusal) => {
                        let refusal = Box::new(refusal);
                        return Err(NotGranted::Address { processor, name, host, refusal });
                    }
                }
            }
            Http::Any | Http::To(_) => {}
        }
    }
    Ok(())
}

impl Capability {
    /// What it may call where it is granted. Which host a param names changes with the param.
    fn rule(&self) -> Rule {
        match &self.http {
            Http::To(rule) => rule.clone(),
            Http::Any | Http::Param(_) => Rule::everything(),
        }
    }

    /// The key of the param that it goes by.
    pub fn param(&self) -> Option<&str> {
        match &self.http {
            Http::Param(key) => Some(key),
            Http::Any | Http::To(_) => None,
        }
    }
}

impl FromStr for Capability {
    type Err = CapabilityError;

    fn from_str(text: &str) -> Result<Self, CapabilityError> {
        let unknown = || CapabilityError::Unknown(text.chars().take(MAX_TOLD).collect());
        let http = match text.split_once(':') {
            None if text == "http" => Http::Any,
            Some(("http", key)) if key.starts_with('{') => {
                let key = key.strip_prefix('{').and_then(|key| key.strip_suffix('}')).filter(|key| !key.is_empty());
                Http::Param(key.ok_or_else(unknown)?.to_owned())
            }
            Some(("http", host)) => {
                let no_host = |source| CapabilityError::Host { text: text.to_owned(), source };
                let rule: Rule = host.parse().map_err(no_host)?;
                if !rule.is_for_one_host() {
                    return Err(CapabilityError::ManyHosts(text.to_owned()));
                }
                Http::To(rule)
            }
            _ => return Err(unknown()),
        };
        Ok(Self { http })
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.http {
            Http::Any => f.write_str("http"),
            Http::To(rule) => write!(f, "http:{rule}"),
            Http::Param(key) => write!(f, "http:{{{key}}}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(capability: &str, granted: &[&str], url: &str) -> Result<(), NotGranted> {
        let granted = Policy::new(granted.iter().map(|rule| rule.parse().unwrap()).collect());
        let param = |key: &str| (key == "url").then(|| url.to_owned());
        super::check(("p", "p@1.0.0".to_owned()), &[capability.parse().unwrap()], &granted, param)
    }

    #[test]
    fn what_was_not_granted_is_named_with_the_flag() {
        for (capability, granted, url, word) in [
            ("http", &[][..], "", "--grant-http p=HOST[:PORT]"),
            ("http:api.example.com", &[], "", "--grant-http p=api.example.com"),
            ("http:api.example.com:8443", &["api.example.com"], "", "--grant-http p=api.example.com:8443"),
            ("http:{url}", &[], "https://api.example.com/v1", "--grant-http p=api.example.com"),
            ("http:{url}", &["*:*"], "http://0x7f.1:9000/", "--grant-http p=127.0.0.1:9000"),
            ("http:{url}", &["*"], "file:///etc/passwd", "param url"),
        ] {
            let message = check(capability, granted, url).unwrap_err().to_string();
            assert!(message.contains(word), "{capability}: {message}");
        }
    }

    #[test]
    fn what_was_granted_passes() {
        for (capability, granted, url) in [
            ("http", "a.example", ""),
            ("http:a.example", "*", ""),
            ("http:a.example", "a.example:443", ""),
            ("http:*.a.example", "b.a.example", ""),
            ("http:{url}", "localhost:9000", "http://localhost:9000/x"),
            ("http:{other}", "a.example", "no url"),
        ] {
            assert_eq!(check(capability, &[granted], url), Ok(()), "{capability}");
        }
    }

    #[test]
    fn capabilities_read_back_and_others_are_refused() {
        for text in ["http", "http:a.example", "http:*.a.example:443", "http:127.0.0.1:9000", "http:{url}"] {
            assert_eq!(text.parse::<Capability>().unwrap().to_string(), text);
        }
        for text in
            ["", "HTTP", "files", "http:", "http:*", "http:10.0.0.0/8", "http:{}", "http:{url", "http://a.example"]
        {
            assert!(text.parse::<Capability>().is_err(), "{text}");
        }
    }
}
