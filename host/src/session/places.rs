//! Whether a stream's channels are where the operator lets them be.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;

use super::host::StartRejected;
use super::streams::StartRequest;
use crate::egress::{Host, Places};

/// Longest that a start waits for names to be looked up. Connections are checked in any case.
const LOOK_UP: Duration = Duration::from_secs(2);

/// Checks all channels of a request.
pub async fn check(places: &Places, request: &StartRequest) -> Result<(), StartRejected> {
    for (field, url) in request.channels() {
        let url = url.to_string();
        let refused = |reason| StartRejected::Place { field, url: url.clone(), reason };
        let (target, policy) = places.check(&url).map_err(refused)?;
        let found = look_up(&target.host, target.port).await;
        policy.addresses(&target.host, target.port, found).map_err(|refusal| refused(refusal.to_string()))?;
    }
    Ok(())
}

/// The addresses of a host; none where it has none now, since it may have some when it is connected to.
async fn look_up(host: &Host, port: u16) -> Vec<SocketAddr> {
    match host {
        Host::Address(address) => vec![SocketAddr::new(*address, port)],
        Host::Name(name) => match timeout(LOOK_UP, lookup_host((name.as_str(), port))).await {
            Ok(Ok(found)) => found.collect(),
            _ => Vec::new(),
        },
    }
}
