//! A server that listens for this machine alone answers its programs, and no page of another site that a browser shows there.

use std::net::IpAddr;

use http::{HeaderMap, header, uri::Authority};

/// Whether a page asks whose origin is not this server, of which programs name none; or whoever asks came by a name that is neither
/// this machine's own nor one of `names`, which the owner of a page may have made lead here.
pub(crate) fn is_from_elsewhere(headers: &HeaderMap, names: &[String]) -> bool {
    // Browsers always name one.
    let Some(host) = headers.get(header::HOST) else { return headers.contains_key(header::ORIGIN) };
    let host = host.to_str().ok();
    if !host.and_then(|host| host.parse().ok()).is_some_and(|host| is_own(&host, names)) {
        return true;
    }
    headers.get_all(header::ORIGIN).iter().any(|origin| {
        let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        !origin.zip(host).is_some_and(|((_, authority), host)| authority.eq_ignore_ascii_case(host))
    })
}

/// Whether a name is one of `names`, or a name or address leads to this machine wherever it is looked up (RFC 6761, 6.3).
fn is_own(host: &Authority, names: &[String]) -> bool {
    let name = host.host().trim_end_matches('.').to_ascii_lowercase();
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name == "localhost"
        || name.ends_with(".localhost")
        || address.is_ok_and(|address| address.to_canonical().is_loopback())
        || names.iter().any(|other| other.eq_ignore_ascii_case(&name))
}
