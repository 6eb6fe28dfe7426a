//! Subscribing: one segment after the other, the next always asked for while the current is being read.
//!
//! A server keeps what it has of a segment for whoever has asked for it, and of a channel that is deleted nothing else. So a reader that
//! is behind asks for the next ones as soon as they are there, and leaves them unread until their turn.

mod fetch;

use bytes::Bytes;
use http::{StatusCode, header};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use self::fetch::{Fetch, Fetched};
use crate::{
    client::{Client, ConnectError, Reply, RequestError, Reuse, TransportError},
    lost::Lost,
    url::ChannelUrl,
};

/// Where to begin reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the next segment to be written, even while one is in progress.
    Next,
    /// With the newest segment that has been begun, from its first byte.
    Current,
    /// With this one.
    Seq(u64),
}

/// Why there is no segment, or no more of one.
#[derive(Debug, thiserror::Error)]
pub enum SubscribeError {
    /// The channel is over.
    #[error("the channel is closed")]
    Closed,
    /// The server knows no such channel.
    #[error("no such channel")]
    NotFound,
    /// The server answered with an error.
    #[error("the server answered {status}")]
    Status {
        /// Neither 200, 404 nor 470.
        status: StatusCode,
    },
    /// The server could not be reached.
    #[error("cannot reach the server")]
    Connect(#[source] ConnectError),
    /// The connection failed before a segment began.
    #[error("the request failed")]
    Request(#[source] TransportError),
    /// The connection failed within a segment.
    #[error("the segment broke off")]
    Body(#[source] TransportError),
    /// A segment without a number where none could be known, or with one that cannot be.
    #[error("the server's answer makes no sense: its `Lp-Trickle-Seq` is missing, goes back, or is beyond the last")]
    Malformed,
    /// The runtime is shutting down.
    #[error("interrupted")]
    Interrupted,
}

impl SubscribeError {
    /// Whether asking again is pointless: the stream has ended.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Closed | Self::NotFound | Self::Interrupted)
    }
}

impl From<RequestError> for SubscribeError {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Connect(error) => Self::Connect(error),
            RequestError::Transport(error) => Self::Request(error),
        }
    }
}

/// Segments that are asked for, or there, and not being read yet.
const AHEAD: usize = 3;

/// Reads the segments of one channel in order.
pub struct Subscriber {
    client: Client,
    url: ChannelUrl,
    at: Start,
    reuse: Reuse,
    /// Passed over since the last segment.
    skipped: u64,
    /// There has been a segment: the channel was there.
    begun: bool,
    lost: Option<Lost>,
    fetches: Option<Fetches>,
    /// What came of the next request, until somebody asks for it.
    answer: Option<Fetched>,
}

/// What comes of requests, one after the other, up to the first that fails.
struct Fetches {
    results: mpsc::Receiver<Fetched>,
    _task: AbortOnDropHandle<()>,
}

impl Fetches {
    fn start(mut fetch: Fetch) -> Self {
        let (sender, results) = mpsc::channel(AHEAD);
        let task = tokio::spawn(async move {
            while let Ok(room) = sender.reserve().await {
                let (client, url) = (fetch.client.clone(), fetch.url.clone());
                let fetched = fetch.run().await;
                let (at, failed) = (fetched.at, fetched.result.is_err());
                room.send(fetched);
                if failed {
                    break;
                }
                fetch = Fetch { client, url, at, reuse: Reuse::Allowed, lost: None };
            }
        });
        Self { results, _task: AbortOnDropHandle::new(task) }
    }
}

impl Subscriber {
    /// Nothing is requested before the first [`Subscriber::next`].
    pub fn new(client: Client, url: ChannelUrl, start: Start) -> Self {
        let (reuse, skipped) = (Reuse::Allowed, 0);
        Self { client, url, at: start, reuse, skipped, begun: false, lost: None, fetches: None, answer: None }
    }

    /// Waits for the next segment's first byte, or for its end if it has none, without limit. A reader that fell behind
    /// goes on at the next segment to be written, see [`Segment::skipped`]. May be cancelled and called again.
    ///
    /// # Errors
    /// After one that is not [terminal](SubscribeError::is_terminal), calling again asks for the same segment on a fresh
    /// connection; pauses and the number of tries are the caller's. After such a failure between segments the server
    /// may be another run of itself: a channel that it does not know is asked for again for 10 s, and its numbers are
    /// taken as they are.
    pub async fn next(&mut self) -> Result<Segment, SubscribeError> {
        let fetched = match self.answer.take() {
            Some(fetched) => fetched,
            None => self.ask().await?,
        };
        self.at = fetched.at;
        self.skipped = self.skipped.saturating_add(fetched.skipped);
        match fetched.result {
            Ok((seq, reply)) => {
                (self.reuse, self.begun, self.lost) = (Reuse::Allowed, true, None);
                Ok(Segment::new(seq, std::mem::take(&mut self.skipped), reply))
            }
            Err(error) => {
                self.fetches = None;
                self.reuse = Reuse::Fresh;
                let may_have_restarted = self.begun && !error.is_terminal();
                self.lost = if may_have_restarted { Some(Lost::default()) } else { fetched.lost };
                Err(error)
            }
        }
    }

    /// Whether the segment that [`Subscriber::next`] would give is there already.
    pub fn is_ahead(&mut self) -> bool {
        if self.answer.is_none() {
            self.answer = self.fetches.as_mut().and_then(|fetches| fetches.results.try_recv().ok());
        }
        self.answer.as_ref().is_some_and(|fetched| fetched.result.is_ok())
    }

    /// Goes on elsewhere, on a fresh connection. After a segment that broke off, seeking to its number reads it again, and the
    /// server counts as one that failed, see [`Subscriber::next`].
    pub fn seek(&mut self, start: Start) {
        (self.fetches, self.answer) = (None, None);
        self.at = start;
        self.skipped = 0;
        self.reuse = Reuse::Fresh;
        self.lost = self.begun.then(Lost::default);
    }

    async fn ask(&mut self) -> Result<Fetched, SubscribeError> {
        let fetches = self.fetches.get_or_insert_with(|| {
            let (client, url) = (self.client.clone(), self.url.clone());
            Fetches::start(Fetch { client, url, at: self.at, reuse: self.reuse, lost: self.lost })
        });
        let fetched = fetches.results.recv().await;
        if fetched.is_none() {
            self.fetches = None;
        }
        fetched.ok_or(SubscribeError::Interrupted)
    }
}

/// One segment, whose bytes arrive while they are produced.
pub struct Segment {
    seq: u64,
    skipped: u64,
    content_type: Option<String>,
    reply: Option<Reply>,
}

impl Segment {
    fn new(seq: u64, skipped: u64, reply: Reply) -> Self {
        let content_type = reply.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        Self { seq, skipped, content_type: content_type.map(str::to_owned), reply: Some(reply) }
    }

    /// Its number.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Segments before it that the server had no more because the reader fell behind.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The channel's content type; `None` for an empty segment.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// The next bytes, as they arrive; `None` at the segment's end. May be cancelled and called again.
    ///
    /// # Errors
    /// [`SubscribeError::Body`] when the connection fails; afterwards there is nothing more.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, SubscribeError> {
        let Some(reply) = &mut self.reply else {
            return Ok(None);
        };
        let chunk = reply.chunk().await;
        if !matches!(chunk, Ok(Some(_))) {
            self.reply = None;
        }
        chunk.map_err(SubscribeError::Body)
    }
}
