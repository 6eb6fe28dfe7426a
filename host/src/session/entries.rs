//! The ids that are known: of streams that are starting, that run, and that ended lately.

use std::collections::HashMap;
use std::sync::Arc;

use rillbox_trickle::ChannelUrl;
use tokio_util::sync::CancellationToken;

use super::channel_urls::ChannelUrls;
use super::streams::Stream;

/// Ended streams whose status can still be asked for.
const REMEMBERED: usize = 64;

/// What is known of an id.
pub(super) struct Entry {
    /// Its place in the order of starts.
    order: u64,
    pub state: EntryState,
}

pub(super) enum EntryState {
    /// The id is taken while the processor starts.
    Starting {
        /// Cancelled, it is not started.
        stop: CancellationToken,
        /// Its channels.
        urls: Box<ChannelUrls>,
        /// One that has ended, and is remembered until the new one is there.
        before: Option<Arc<Stream>>,
    },
    Started(Arc<Stream>),
}

impl Entry {
    /// What there is to tell of.
    pub fn stream(&self) -> Option<&Arc<Stream>> {
        match &self.state {
            EntryState::Starting { before, .. } => before.as_ref(),
            EntryState::Started(stream) => Some(stream),
        }
    }

    /// The channels of what is starting or runs.
    pub fn urls(&self) -> Option<&ChannelUrls> {
        match &self.state {
            EntryState::Starting { urls, .. } => Some(urls),
            EntryState::Started(stream) => (!stream.is_over()).then_some(&stream.config.urls),
        }
    }

    pub fn is_starting(&self) -> bool {
        matches!(self.state, EntryState::Starting { .. })
    }

    /// Whether its stream has ended, and no other is starting.
    pub fn is_over(&self) -> bool {
        matches!(&self.state, EntryState::Started(stream) if stream.is_over())
    }
}

/// What is known, by id.
#[derive(Default)]
pub(super) struct Entries {
    by_id: HashMap<String, Entry>,
    /// The order of the next start.
    next: u64,
}

impl Entries {
    pub fn get(&self, id: &str) -> Option<&Entry> {
        self.by_id.get(id)
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.by_id.iter().map(|(id, entry)| (id.as_str(), entry))
    }

    /// All streams that there are to tell of, oldest first.
    pub fn streams(&self) -> Vec<Arc<Stream>> {
        let mut streams: Vec<_> =
            self.by_id.values().filter_map(|entry| Some((entry.order, entry.stream()?.clone()))).collect();
        streams.sort_by_key(|(order, _)| *order);
        streams.into_iter().map(|(_, stream)| stream).collect()
    }

    /// A channel that both this stream and another would write to: its field, itself, and the other's id.
    pub fn shared_output<'a>(&'a self, urls: &'a ChannelUrls) -> Option<(&'static str, &'a ChannelUrl, &'a str)> {
        urls.outputs().find_map(|(field, url)| {
            let writes = |entry: &Entry| entry.urls().is_some_and(|urls| urls.outputs().any(|(_, other)| other == url));
            let (id, _) = self.iter().find(|(_, entry)| writes(entry))?;
            Some((field, url, id))
        })
    }

    /// Takes an id for a stream that is starting; one of the past stays known for as long.
    pub fn reserve(&mut self, id: &str, urls: ChannelUrls, stop: CancellationToken) {
        let before = self.by_id.remove(id).and_then(|entry| entry.stream().cloned());
        let state = EntryState::Starting { stop, urls: Box::new(urls), before };
        self.by_id.insert(id.to_owned(), Entry { order: self.next, state });
        self.next += 1;
    }

    /// Puts a stream that has started under the id that was taken for it. Gives the one that was still known by it.
    pub fn fill(&mut self, id: &str, stream: Arc<Stream>) -> Option<Arc<Stream>> {
        let entry = self.by_id.get_mut(id)?;
        match std::mem::replace(&mut entry.state, EntryState::Started(stream)) {
            EntryState::Starting { before, .. } => before,
            EntryState::Started(before) => Some(before),
        }
    }

    /// Gives back an id whose stream did not start.
    pub fn release(&mut self, id: &str) {
        if let Some(Entry { order, state: EntryState::Starting { before: Some(before), .. } }) = self.by_id.remove(id) {
            self.by_id.insert(id.to_owned(), Entry { order, state: EntryState::Started(before) });
        }
    }

    /// Removes ended streams beyond [`REMEMBERED`]. Those that ended first go first, however long ago they started.
    pub fn take_ended(&mut self) -> Vec<Arc<Stream>> {
        let ended = |entry: &Entry| match &entry.state {
            EntryState::Started(stream) => Some((stream.meters.life.ended()?, stream.clone())),
            EntryState::Starting { .. } => None,
        };
        let mut ended: Vec<_> = self.by_id.values().filter_map(ended).collect();
        ended.sort_by_key(|(at, _)| *at);
        ended.truncate(ended.len().saturating_sub(REMEMBERED));
        for (_, stream) in &ended {
            self.by_id.remove(&stream.id);
        }
        ended.into_iter().map(|(_, stream)| stream).collect()
    }
}
