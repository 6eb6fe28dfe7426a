//! A server that listens for this machine alone answers its programs, and no page of another site that a browser shows there.

use http::{HeaderMap, header};

/// Whether a page asks whose origin is not this server. Programs name none.
pub(crate) fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    headers.get_all(header::ORIGIN).iter().any(|origin| {
        let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        !origin.zip(host).is_some_and(|((_, authority), host)| authority.eq_ignore_ascii_case(host))
    })
}
