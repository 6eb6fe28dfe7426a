//! How many files and sockets the process may have open.

use rillbox_trickle::ServerConfig;
use rustix::process::{Resource, getrlimit, setrlimit};

/// More than every bound of the host together needs.
const ENOUGH: u64 = 65_536;

/// Raises the number to what the system allows, since its usual 1024 are fewer than 64 streams with their readers may need.
/// Gives the number.
pub fn raise() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    let allowed = limit.maximum.unwrap_or(ENOUGH).min(ENOUGH);
    if limit.current.is_some_and(|current| current < allowed) {
        limit.current = Some(allowed);
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, "the number of open files could not be raised");
        }
    }
    getrlimit(Resource::Nofile).current.unwrap_or(ENOUGH)
}

/// A trickle server whose clients cannot use up the descriptors that the rest of the host needs.
pub fn server_config() -> ServerConfig {
    let config = ServerConfig::default();
    let half = usize::try_from(raise() / 2).unwrap_or(usize::MAX);
    ServerConfig { max_connections: config.max_connections.min(half.max(1)), ..config }
}
