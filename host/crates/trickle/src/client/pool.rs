//! Connections between requests.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::connect::Connection;
use crate::url::Origin;

/// Connections kept per server.
const KEEP: usize = 16;

/// Servers and routers forget idle connections silently; younger ones are likely to be alive.
const MAX_IDLE: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(super) struct Pool {
    idle: Mutex<HashMap<Origin, Vec<Idle>>>,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

impl Idle {
    fn is_alive(&self) -> bool {
        !self.connection.sender.is_closed() && self.since.elapsed() < MAX_IDLE
    }
}

impl Pool {
    fn idle(&self) -> MutexGuard<'_, HashMap<Origin, Vec<Idle>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that was used last, if one is ready.
    pub(super) fn take(&self, origin: &Origin) -> Option<Connection> {
        let mut idle = self.idle();
        let known = idle.get_mut(origin)?;
        known.retain(Idle::is_alive);
        let ready = known.iter().rposition(|idle| idle.connection.sender.is_ready())?;
        Some(known.swap_remove(ready).connection)
    }

    pub(super) fn put(&self, origin: &Origin, connection: Connection) {
        let mut idle = self.idle();
        for known in idle.values_mut() {
            known.retain(Idle::is_alive);
        }
        idle.retain(|_, known| !known.is_empty());
        let known = idle.entry(origin.clone()).or_default();
        if known.len() < KEEP && !connection.sender.is_closed() {
            known.push(Idle { connection, since: Instant::now() });
        }
    }

    /// Forgets a server's connections, as after one of them failed.
    pub(super) fn forget(&self, origin: &Origin) {
        self.idle().remove(origin);
    }
}
