//! A host without tokens answers this machine's own programs, and no page that a browser shows there: neither one that calls
//! across sites, nor one whose name was made to lead here.

use axum::extract::Request;
use rillbox_trickle::{Elsewhere, check_origin};

use super::error::ApiError;

/// Refuses what a page of another origin, or under another name, asks for.
pub fn check(request: &Request) -> Result<(), ApiError> {
    check_origin(request.headers(), request.uri(), &[]).map_err(|elsewhere| {
        ApiError::forbidden(match elsewhere {
            Elsewhere::Name(name) => {
                format!(
                    "without tokens this host answers to loopback names alone, such as localhost, and not to {name:?}"
                )
            }
            Elsewhere::Page(origin) => format!("a page of {origin:?} may not call this host, which has no tokens"),
        })
    })
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn taken(uri: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&request.body(Body::empty()).unwrap()).is_ok()
    }

    /// Catches names that only look like this machine's, and its own that are refused.
    #[test]
    fn names_that_lead_here_from_elsewhere_are_refused() {
        for own in [
            "localhost",
            "LOCALHOST:8000",
            "127.0.0.1:8000",
            "127.1.2.3",
            "[::1]:8000",
            "[::ffff:127.0.0.1]",
            "a.localhost",
        ] {
            assert!(taken("/", &[("host", own)]), "{own}");
        }
        assert!(taken("/", &[]), "HTTP/1.0 has no Host");
        for other in [
            "evil.example:8000",
            "localhost.evil.example",
            "notlocalhost",
            "192.168.1.2:8000",
            "[fe80::1]",
            "0.0.0.0",
            "",
            "a b",
        ] {
            assert!(!taken("/", &[("host", other)]), "{other}");
        }
        assert!(!taken("/", &[("host", "localhost"), ("host", "evil.example")]));
        assert!(!taken("http://evil.example/", &[("host", "localhost")]));
    }

    /// Catches a page of another origin, port included, that may call; and the host's own page that may not.
    #[test]
    fn pages_of_other_origins_are_refused() {
        assert!(taken("/", &[("host", "localhost:8000"), ("origin", "http://localhost:8000")]));
        for other in ["http://localhost:3000", "http://evil.example", "null", "", "http://localhost:8000.evil.example"]
        {
            assert!(!taken("/", &[("host", "localhost:8000"), ("origin", other)]), "{other}");
        }
    }
}
