//! Connections between requests.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::connect::Connection;
use crate::url::Origin;

/// Connections kept per server.
const KEEP: usize = 16;

/// Servers and routers forget idle connections silently; younger ones are likely to be alive.
const MAX_IDLE: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Pool {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    idle: HashMap<Origin, Vec<Idle>>,
    /// Runs while there are connections, so that those of a server that nobody asks any more close too.
    sweeper: Option<AbortOnDropHandle<()>>,
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
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The connection that was used last, if one is ready.
    pub(super) fn take(&self, origin: &Origin) -> Option<Connection> {
        let mut state = self.state();
        let known = state.idle.get_mut(origin)?;
        known.retain(Idle::is_alive);
        let ready = known.iter().rposition(|idle| idle.connection.sender.is_ready())?;
        Some(known.swap_remove(ready).connection)
    }

    pub(super) fn put(&self, origin: &Origin, connection: Connection) {
        let mut state = self.state();
        let known = state.idle.entry(origin.clone()).or_default();
        known.retain(Idle::is_alive);
        if known.len() < KEEP && !connection.sender.is_closed() {
            known.push(Idle { connection, since: Instant::now() });
        }
        if state.sweeper.is_none() {
            state.sweeper = Some(AbortOnDropHandle::new(tokio::spawn(sweep(Arc::downgrade(&self.state)))));
        }
    }

    /// Forgets a server's connections, as after one of them failed.
    pub(super) fn forget(&self, origin: &Origin) {
        self.state().idle.remove(origin);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Closes old connections until there are none.
async fn sweep(state: Weak<Mutex<State>>) {
    loop {
        sleep(MAX_IDLE / 2).await;
        let Some(state) = state.upgrade() else { return };
        let mut state = lock(&state);
        for known in state.idle.values_mut() {
            known.retain(Idle::is_alive);
        }
        state.idle.retain(|_, known| !known.is_empty());
        if state.idle.is_empty() {
            state.sweeper = None;
            return;
        }
    }
}
