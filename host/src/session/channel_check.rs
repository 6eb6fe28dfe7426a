//! Whether a stream's channels are where the operator lets them be.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::channel_urls::ChannelUrls;
use super::host::StartRejected;
use crate::egress::{AllowedUrls, ChannelRefused, Host};

/// Longest that a start waits for names to be looked up. Connections are checked in any case.
const LOOK_UP: Duration = Duration::from_secs(2);

/// Names that are looked up at once. One that nobody waits for any more counts until it is found: its thread cannot be stopped.
static LOOK_UPS: Semaphore = Semaphore::const_new(16);

/// Checks all of a stream's channels.
pub async fn check(allowed_urls: &AllowedUrls, urls: &ChannelUrls) -> Result<(), StartRejected> {
    for (field, url) in urls.named() {
        let url = url.to_string();
        let refused = |source| StartRejected::Url { field, url: url.clone(), source };
        let (target, policy) = allowed_urls.check(&url).map_err(refused)?;
        let found = look_up(&target.host, target.port).await;
        let addresses = policy.addresses(&target.host, target.port, found).map_err(ChannelRefused::from);
        addresses.map_err(refused)?;
    }
    Ok(())
}

/// The addresses of a host; none where it has none now, since it may have some when it is connected to.
async fn look_up(host: &Host, port: u16) -> Vec<SocketAddr> {
    match host {
        Host::Address(address) => vec![SocketAddr::new(*address, port)],
        // Known without a lookup, which may not come to its turn.
        Host::Name(name) if name == "localhost" => {
            [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()].map(|own| SocketAddr::new(own, port)).to_vec()
        }
        Host::Name(name) => {
            let name = name.clone();
            let found = async {
                // The semaphore is never closed.
                let turn = LOOK_UPS.acquire().await.ok();
                let looking = tokio::spawn(async move {
                    let _turn = turn;
                    lookup_host((name.as_str(), port)).await.map(Iterator::collect)
                });
                looking.await.ok()?.ok()
            };
            timeout(LOOK_UP, found).await.ok().flatten().unwrap_or_default()
        }
    }
}
