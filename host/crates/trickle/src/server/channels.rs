//! The channels of a server: made, found, swept and closed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::HeaderValue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    changefeed::{self, Change},
    log::Budget,
    window::Window,
};

/// One channel, shared by the requests on it.
pub(crate) struct Channel {
    /// What every reader is told, whatever publishers say later.
    pub(crate) content_type: HeaderValue,
    /// Cancelled when the channel closes.
    pub(crate) closed: CancellationToken,
    window: Mutex<Window>,
}

impl Channel {
    fn new(content_type: HeaderValue, budget: Arc<Budget>) -> Self {
        let window = Mutex::new(Window::new(Instant::now(), budget));
        Self { content_type, closed: CancellationToken::new(), window }
    }

    /// The channel's state. Held for a few instructions, never across an await.
    pub(crate) fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.window().close();
        self.closed.cancel();
    }
}

/// Why a channel was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    TooMany,
    ShuttingDown,
}

/// All channels by name.
pub(crate) struct Channels {
    table: Mutex<Table>,
    budget: Arc<Budget>,
    max_channels: usize,
}

struct Table {
    by_name: HashMap<Arc<str>, Arc<Channel>>,
    feed: Option<Arc<Channel>>,
    shut: bool,
}

impl Channels {
    /// No channels, or the changefeed alone.
    pub(crate) fn new(budget: Arc<Budget>, max_channels: usize, with_changefeed: bool) -> Self {
        let table = Mutex::new(Table { by_name: HashMap::new(), feed: None, shut: false });
        let channels = Self { table, budget, max_channels };
        if with_changefeed {
            channels.add_changefeed();
        }
        channels
    }

    fn add_changefeed(&self) {
        let content_type = HeaderValue::from_static("application/json");
        let feed = Arc::new(Channel::new(content_type, self.budget.clone()));
        let mut table = self.table();
        table.by_name.insert(changefeed::NAME.into(), feed.clone());
        table.feed = Some(feed);
        table.announce(Change::Added, changefeed::NAME);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<Channel>> {
        self.table().by_name.get(name).cloned()
    }

    /// The channel of that name, made with `content_type` when there is none.
    pub(crate) fn get_or_create(&self, name: &str, content_type: &HeaderValue) -> Result<Arc<Channel>, Refused> {
        let mut table = self.table();
        if let Some(channel) = table.by_name.get(name) {
            return Ok(channel.clone());
        }
        if table.shut {
            return Err(Refused::ShuttingDown);
        }
        if table.by_name.len() >= self.max_channels {
            return Err(Refused::TooMany);
        }
        let channel = Arc::new(Channel::new(content_type.clone(), self.budget.clone()));
        table.by_name.insert(name.into(), channel.clone());
        table.announce(Change::Added, name);
        Ok(channel)
    }

    /// Closes the channel and frees its name. `false` when there is none.
    pub(crate) fn remove(&self, name: &str) -> bool {
        let mut table = self.table();
        let Some(channel) = table.by_name.remove(name) else {
            return false;
        };
        channel.close();
        table.announce(Change::Removed, name);
        true
    }

    /// Closes channels that nobody has written to for `idle`. Names that start with `_` stay.
    pub(crate) fn sweep(&self, now: Instant, idle: Duration) {
        let mut table = self.table();
        let stale = |(name, channel): (&Arc<str>, &Arc<Channel>)| {
            (!name.starts_with('_') && channel.window().is_idle(now, idle)).then(|| name.clone())
        };
        let stale: Vec<_> = table.by_name.iter().filter_map(stale).collect();
        for name in stale {
            if let Some(channel) = table.by_name.remove(&name) {
                channel.close();
                tracing::info!(channel = %name, "closed an idle channel");
                table.announce(Change::Removed, &name);
            }
        }
    }

    /// Closes everything for good, without telling the changefeed.
    pub(crate) fn shut(&self) {
        let mut table = self.table();
        table.shut = true;
        table.feed = None;
        for (_, channel) in table.by_name.drain() {
            channel.close();
        }
    }
}

impl Table {
    fn announce(&self, change: Change, name: &str) {
        if let Some(feed) = &self.feed {
            changefeed::publish(&mut feed.window(), change, name);
        }
    }
}
