//! A server that listens for this machine alone answers its programs, and no page of another site that a browser shows there.

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue, Uri, header, uri::Authority};

/// Why a server that listens for this machine alone does not answer a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Elsewhere {
    /// It came by this name, which the owner of a page may have made lead here.
    #[error("{0:?} is not a name of this machine's own")]
    Name(String),
    /// A page of this origin asks. Programs name none.
    #[error("{0:?} is the origin of another server's pages")]
    Page(HeaderValue),
}

/// Checks whose request it is: every name that it has for its server is this machine's own or one of `names`, and a page
/// that asks is the server's.
///
/// # Errors
/// The first name or origin that is neither.
pub fn check_origin(headers: &HeaderMap, uri: &Uri, names: &[String]) -> Result<(), Elsewhere> {
    let hosts = headers.get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or_default());
    // HTTP/1.0 need not have any.
    let hosts: Vec<&str> = hosts.chain(uri.authority().map(Authority::as_str)).collect();
    if let Some(other) = hosts.iter().find(|host| !is_own(host, names)) {
        return Err(Elsewhere::Name((*other).to_owned()));
    }
    let is_own_page = |origin: &HeaderValue| {
        let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        origin.is_some_and(|(_, authority)| hosts.iter().any(|host| host.eq_ignore_ascii_case(authority)))
    };
    match headers.get_all(header::ORIGIN).iter().find(|origin| !is_own_page(origin)) {
        None => Ok(()),
        Some(other) => Err(Elsewhere::Page(other.clone())),
    }
}

/// Whether a name is one of `names`, or a name or address that leads to this machine wherever it is looked up
/// (RFC 6761, 6.3).
fn is_own(host: &str, names: &[String]) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_end_matches('.').to_ascii_lowercase();
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name == "localhost"
        || name.ends_with(".localhost")
        || address.is_ok_and(|address| address.to_canonical().is_loopback())
        || names.iter().any(|other| other.eq_ignore_ascii_case(&name))
}
