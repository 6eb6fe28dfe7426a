//! The bytes of one segment: written as they arrive, read by any number of readers at their own pace.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame};
use tokio::sync::watch;

use crate::changes::Changes;

/// What keeping one chunk costs beside its bytes, so that floods of tiny chunks count for what they occupy.
const CHUNK_OVERHEAD: usize = 64;

/// Chunks below this many bytes are copied out of the connection's read buffer, which a kept slice would pin whole.
const KEEP_WITHOUT_COPY: usize = 16 * 1024;

/// How a segment came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It is over; the channel goes on.
    Complete,
    /// The channel closed while it was open.
    Terminated,
}

/// Why bytes were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// This segment holds as much as one may.
    Segment,
    /// All segments of the server together do.
    Server,
}

/// Bounds of what the server keeps in memory, in bytes.
#[derive(Debug)]
pub(crate) struct Budget {
    per_segment: usize,
    total: usize,
    used: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(per_segment: usize, total: usize) -> Arc<Self> {
        Arc::new(Self { per_segment, total, used: AtomicUsize::new(0) })
    }

    fn take(&self, held: usize, cost: usize) -> Result<(), Full> {
        if held.saturating_add(cost) > self.per_segment {
            return Err(Full::Segment);
        }
        if self.used.fetch_add(cost, Ordering::Relaxed).saturating_add(cost) > self.total {
            self.used.fetch_sub(cost, Ordering::Relaxed);
            return Err(Full::Server);
        }
        Ok(())
    }
}

/// A place among a segment's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Of a chunk that is there, or the next to come.
    chunk: usize,
    /// Less than the chunk's length.
    offset: usize,
}

/// A handle to one segment's bytes; clones share them, and the last one frees them.
#[derive(Clone)]
pub(crate) struct Log {
    state: watch::Sender<State>,
}

struct State {
    chunks: Vec<Bytes>,
    cost: usize,
    end: Option<End>,
    budget: Arc<Budget>,
}

impl Drop for State {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.cost, Ordering::Relaxed);
    }
}

impl Log {
    pub(crate) fn new(budget: Arc<Budget>) -> Self {
        Self { state: watch::Sender::new(State { chunks: Vec::new(), cost: 0, end: None, budget }) }
    }

    /// Makes a chunk visible to readers. Bytes that come after the end reach only readers that still have some to read.
    pub(crate) fn append(&self, chunk: Bytes) -> Result<(), Full> {
        let chunk = if chunk.len() < KEEP_WITHOUT_COPY { Bytes::copy_from_slice(&chunk) } else { chunk };
        let cost = chunk.len() + CHUNK_OVERHEAD;
        let mut taken = Ok(());
        self.state.send_if_modified(|state| {
            taken = state.budget.take(state.cost, cost);
            if taken.is_ok() {
                state.cost += cost;
                state.chunks.push(chunk);
            }
            taken.is_ok()
        });
        taken
    }

    /// Ends the segment. The first end stands.
    pub(crate) fn end(&self, end: End) {
        self.state.send_if_modified(|state| {
            let first = state.end.is_none();
            state.end = state.end.or(Some(end));
            first
        });
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.state.borrow().end.is_some()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.state.borrow().chunks.is_empty()
    }

    /// How many of these bytes are those that the segment has from `at` on, where it is then, and whether it has none after them.
    pub(crate) fn agrees(&self, mut at: Place, bytes: &[u8]) -> (usize, Place, bool) {
        let (state, mut agreed) = (self.state.borrow(), 0);
        while let Some(chunk) = state.chunks.get(at.chunk) {
            let rest = &chunk[at.offset..];
            let same = rest.iter().zip(&bytes[agreed..]).take_while(|(own, other)| own == other).count();
            agreed += same;
            if same < rest.len() {
                at.offset += same;
                return (agreed, at, false);
            }
            at = Place { chunk: at.chunk + 1, offset: 0 };
        }
        (agreed, at, true)
    }

    /// A copy of the bytes before a place.
    pub(crate) fn before(&self, place: Place) -> BytesMut {
        let state = self.state.borrow();
        let mut bytes = BytesMut::new();
        state.chunks[..place.chunk].iter().for_each(|chunk| bytes.extend_from_slice(chunk));
        if let Some(chunk) = state.chunks.get(place.chunk) {
            bytes.extend_from_slice(&chunk[..place.offset]);
        }
        bytes
    }

    /// Whether both handles are of the same segment.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.state.same_channel(&other.state)
    }

    /// Waits for the first byte or the end. `None` says that there are bytes.
    pub(crate) async fn begun(&self) -> Option<End> {
        let mut receiver = self.state.subscribe();
        match receiver.wait_for(|state| !state.chunks.is_empty() || state.end.is_some()).await {
            Ok(state) => state.end.filter(|_| state.chunks.is_empty()),
            // `self` holds a sender, so this cannot be; the end is the answer that lets everybody go.
            Err(_) => Some(End::Complete),
        }
    }

    /// Waits for the end.
    pub(crate) async fn ended(&self) -> End {
        let mut receiver = self.state.subscribe();
        match receiver.wait_for(|state| state.end.is_some()).await {
            Ok(state) => state.end.unwrap_or(End::Complete),
            Err(_) => End::Complete,
        }
    }

    /// Everything from the first byte, as an HTTP body that follows the segment until it ends.
    pub(crate) fn read(&self) -> LogBody {
        LogBody { changes: Changes::of(&self.state), log: self.clone(), next: 0 }
    }
}

/// One reader's way through a [`Log`]. Always ends cleanly: readers of the protocol take a broken body for the end of
/// the whole stream.
pub(crate) struct LogBody {
    log: Log,
    next: usize,
    changes: Changes<State>,
}

impl Body for LogBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            {
                let state = self.log.state.borrow();
                if let Some(chunk) = state.chunks.get(self.next) {
                    let chunk = chunk.clone();
                    drop(state);
                    self.next += 1;
                    return Poll::Ready(Some(Ok(Frame::data(chunk))));
                }
                if state.end.is_some() {
                    return Poll::Ready(None);
                }
            }
            ready!(self.changes.poll(cx));
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn every_reader_gets_every_byte_and_a_clean_end() {
        let log = Log::new(Budget::new(1 << 20, 1 << 20));
        let early = tokio::spawn(log.read().collect());
        log.append(Bytes::from_static(b"ab")).unwrap();
        let late = log.read();
        log.append(Bytes::from_static(b"cd")).unwrap();
        log.end(End::Complete);
        assert_eq!(early.await.unwrap().unwrap().to_bytes(), "abcd");
        assert_eq!(late.collect().await.unwrap().to_bytes(), "abcd");
    }

    #[test]
    fn bytes_are_counted_against_both_bounds_and_given_back() {
        let budget = Budget::new(200, 300);
        let (a, b) = (Log::new(budget.clone()), Log::new(budget.clone()));
        assert_eq!(a.append(Bytes::from(vec![0; 136])), Ok(()));
        assert_eq!(a.append(Bytes::from_static(b"x")), Err(Full::Segment));
        assert_eq!(b.append(Bytes::from(vec![0; 100])), Err(Full::Server));
        drop(a);
        assert_eq!(b.append(Bytes::from(vec![0; 100])), Ok(()));
    }

    #[tokio::test]
    async fn the_first_end_stands() {
        let log = Log::new(Budget::new(100, 100));
        log.end(End::Terminated);
        log.end(End::Complete);
        assert_eq!(log.begun().await, Some(End::Terminated));
        assert_eq!(log.ended().await, End::Terminated);
    }
}
