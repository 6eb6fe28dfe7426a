//! The bytes of one segment on their way to the server, kept so that a failed attempt can be repeated from the start.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::sync::watch;

use crate::changes::Changes;

/// A handle to one segment's bytes; clones share them.
#[derive(Clone)]
pub(crate) struct Outbox {
    state: watch::Sender<State>,
    capacity: usize,
}

/// Invariant: `first <= sent <= first + chunks.len()`, both counting chunks from the segment's beginning.
struct State {
    chunks: VecDeque<Bytes>,
    /// Bytes in `chunks`.
    held: usize,
    /// Bytes ever taken.
    taken: u64,
    /// The chunk that `chunks` begins with; above 0 the beginning is gone and the segment cannot be repeated.
    first: usize,
    /// Chunks that the current attempt has handed to its connection.
    sent: usize,
    /// Counts attempts: a body of an earlier one stands still.
    attempt: u32,
    stage: Stage,
    /// A writer waits for room.
    blocked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// No more bytes will come.
    Finished,
    /// And the current attempt handed all of them to its connection.
    Delivered,
    /// Given up.
    Abandoned,
}

/// What became of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    Taken,
    /// Not taken: too much is waiting to be sent.
    Full,
    /// Not taken: the segment was given up.
    Abandoned,
}

impl Outbox {
    /// `capacity` bounds what is held, in bytes; a single larger chunk is taken when nothing else is held.
    pub(crate) fn new(capacity: usize) -> Self {
        let state = State {
            chunks: VecDeque::new(),
            held: 0,
            taken: 0,
            first: 0,
            sent: 0,
            attempt: 0,
            stage: Stage::Open,
            blocked: false,
        };
        Self { state: watch::Sender::new(state), capacity }
    }

    /// Takes a chunk; what the connection has already may be forgotten for it.
    pub(crate) fn push(&self, chunk: &Bytes) -> Pushed {
        let mut pushed = Pushed::Taken;
        self.state.send_if_modified(|state| {
            pushed = state.push(chunk, self.capacity);
            pushed == Pushed::Taken
        });
        pushed
    }

    /// Waits until a push may succeed, or never will.
    pub(crate) async fn room(&self) {
        let mut receiver = self.state.subscribe();
        let movable = |state: &State| state.sent > state.first || state.stage == Stage::Abandoned;
        // An error cannot be: `self` holds a sender.
        let _ = receiver.wait_for(movable).await;
    }

    /// No more bytes will come.
    pub(crate) fn finish(&self) {
        self.enter(Stage::Finished, |stage| stage == Stage::Open);
    }

    /// Gives the segment up and frees its bytes.
    pub(crate) fn abandon(&self) {
        self.enter(Stage::Abandoned, |stage| stage != Stage::Abandoned);
    }

    fn enter(&self, next: Stage, allowed: impl FnOnce(Stage) -> bool) {
        self.state.send_if_modified(|state| {
            let enters = allowed(state.stage);
            if enters {
                state.stage = next;
            }
            if state.stage == Stage::Abandoned {
                state.forget_all();
            }
            enters
        });
    }

    /// Waits until the segment is given up.
    pub(crate) async fn abandoned(&self) {
        let mut receiver = self.state.subscribe();
        // As in `room`.
        let _ = receiver.wait_for(|state| state.stage == Stage::Abandoned).await;
    }

    /// Whether everything, the end included, went to the current attempt's connection.
    pub(crate) fn is_delivered(&self) -> bool {
        self.state.borrow().stage == Stage::Delivered
    }

    /// Whether it has taken no byte yet.
    pub(crate) fn is_untouched(&self) -> bool {
        self.state.borrow().taken == 0
    }

    /// Bytes taken so far.
    pub(crate) fn taken(&self) -> u64 {
        self.state.borrow().taken
    }

    /// Whether another attempt can send the segment from its beginning.
    pub(crate) fn is_repeatable(&self) -> bool {
        let state = self.state.borrow();
        state.first == 0 && state.stage != Stage::Abandoned
    }

    /// The body of a new attempt, from what is held first. Bodies of earlier attempts stand still from now on.
    pub(crate) fn attempt(&self) -> OutboxBody {
        let (mut attempt, mut next) = (0, 0);
        self.state.send_if_modified(|state| {
            state.attempt += 1;
            state.sent = state.first;
            if state.stage == Stage::Delivered {
                state.stage = Stage::Finished;
            }
            (attempt, next) = (state.attempt, state.first);
            false
        });
        OutboxBody { changes: Changes::of(&self.state), outbox: self.clone(), attempt, next }
    }
}

impl State {
    fn push(&mut self, chunk: &Bytes, capacity: usize) -> Pushed {
        match self.stage {
            Stage::Open => {}
            Stage::Finished | Stage::Delivered | Stage::Abandoned => return Pushed::Abandoned,
        }
        while self.held.saturating_add(chunk.len()) > capacity
            && self.sent > self.first
            && let Some(sent) = self.chunks.pop_front()
        {
            self.first += 1;
            self.held -= sent.len();
        }
        self.blocked = self.held > 0 && self.held.saturating_add(chunk.len()) > capacity;
        if self.blocked {
            return Pushed::Full;
        }
        self.held += chunk.len();
        self.taken += chunk.len() as u64;
        self.chunks.push_back(chunk.clone());
        Pushed::Taken
    }

    fn forget_all(&mut self) {
        self.first += self.chunks.len();
        self.sent = self.first;
        self.chunks.clear();
        self.held = 0;
    }
}

/// One attempt's request body. Never ends by itself when the segment is given up: then the connection is dropped, so
/// that the server does not take a part for the whole.
pub(crate) struct OutboxBody {
    outbox: Outbox,
    attempt: u32,
    next: usize,
    changes: Changes<State>,
}

impl OutboxBody {
    /// The next chunk, the end, or nothing yet.
    fn advance(&mut self) -> Option<Option<Bytes>> {
        let mut found = None;
        let Self { outbox, attempt, next, .. } = self;
        outbox.state.send_if_modified(|state| {
            if state.attempt != *attempt || state.stage == Stage::Abandoned {
                return false;
            }
            if let Some(chunk) = next.checked_sub(state.first).and_then(|index| state.chunks.get(index)) {
                found = Some(Some(chunk.clone()));
                *next += 1;
                state.sent = *next;
                return state.blocked;
            }
            if state.stage != Stage::Open {
                state.stage = Stage::Delivered;
                found = Some(None);
            }
            false
        });
        found
    }
}

impl Body for OutboxBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            if let Some(found) = self.advance() {
                return Poll::Ready(found.map(|chunk| Ok(Frame::data(chunk))));
            }
            ready!(self.changes.poll(cx));
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    const ABC: Bytes = Bytes::from_static(b"abc");

    #[tokio::test]
    async fn a_second_attempt_repeats_the_segment() {
        let outbox = Outbox::new(100);
        assert_eq!(outbox.push(&ABC), Pushed::Taken);
        let mut first = outbox.attempt();
        assert_eq!(first.frame().await.unwrap().unwrap().into_data().unwrap(), ABC);
        let second = outbox.attempt();
        outbox.push(&ABC);
        outbox.finish();
        assert!(first.advance().is_none(), "an earlier attempt stands still");
        assert!(!outbox.is_delivered());
        assert_eq!(second.collect().await.unwrap().to_bytes(), "abcabc");
        assert!(outbox.is_delivered());
    }

    #[tokio::test]
    async fn what_was_sent_makes_room_and_cannot_be_repeated() {
        let outbox = Outbox::new(5);
        assert_eq!(outbox.push(&ABC), Pushed::Taken);
        assert_eq!(outbox.push(&ABC), Pushed::Full);
        let mut body = outbox.attempt();
        let ((), _) = tokio::join!(outbox.room(), body.frame());
        assert!(outbox.is_repeatable());
        assert_eq!(outbox.push(&ABC), Pushed::Taken);
        assert!(!outbox.is_repeatable());
        outbox.finish();
        assert_eq!(body.collect().await.unwrap().to_bytes(), "abc");
    }

    #[test]
    fn a_large_chunk_passes_alone() {
        let outbox = Outbox::new(2);
        assert_eq!(outbox.push(&ABC), Pushed::Taken);
        assert_eq!(outbox.push(&ABC), Pushed::Full);
        outbox.abandon();
        assert_eq!(outbox.push(&ABC), Pushed::Abandoned);
    }
}
