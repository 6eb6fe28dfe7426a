//! Finding and requesting one segment.

use std::time::Duration;

use http::{Method, StatusCode};
use tokio::time::{Instant, sleep, timeout};

use super::{Start, SubscribeError};
use crate::{
    backoff::Backoff,
    client::{Client, Reply, Reuse},
    control::{self, ControlError},
    headers,
    lost::Lost,
    seq::Seq,
    url::ChannelUrl,
};

/// A request that got no answer for this long is made again: connections die silently.
const REFRESH: Duration = Duration::from_secs(20);

/// Pause before asking again for a segment that is not there yet.
const AHEAD_PAUSE: Duration = Duration::from_millis(250);

/// How long to wait for numbers to catch up before taking it that the publisher started over. One whose numbers go on from far below has.
const AHEAD_LIMIT: Duration = Duration::from_secs(5);

/// Segments that one publisher may be sending at once, in any order.
const OVERLAP: u64 = 3;

/// One segment's request, with all that it takes to get an answer that is a segment.
pub(super) struct Fetch {
    pub(super) client: Client,
    pub(super) url: ChannelUrl,
    pub(super) at: Start,
    pub(super) reuse: Reuse,
    pub(super) lost: Option<Lost>,
}

/// How it ended, and where.
pub(super) struct Fetched {
    /// Where to go on: at the same place after an error, one further after a segment.
    pub(super) at: Start,
    /// Segments passed over because the server has them no more.
    pub(super) skipped: u64,
    pub(super) lost: Option<Lost>,
    pub(super) result: Result<(u64, Reply), SubscribeError>,
}

/// What the search remembers from one answer to the next.
#[derive(Default)]
struct Search {
    skipped: u64,
    ahead: Option<Ahead>,
    jumped: bool,
    backoff: Backoff,
}

/// What is asked for is beyond what the server has, and not just the next.
struct Ahead {
    since: Instant,
    /// What the server said first.
    latest: u64,
}

impl Fetch {
    /// Runs until there is a segment or an error, for as long as it takes.
    pub(super) async fn run(mut self) -> Fetched {
        let mut search = Search::default();
        let result = self.search(&mut search).await;
        Fetched { at: self.at, skipped: search.skipped, lost: self.lost, result }
    }

    async fn search(&mut self, search: &mut Search) -> Result<(u64, Reply), SubscribeError> {
        self.pin().await?;
        loop {
            let path = self.url.child(index(self.at));
            let request = self.client.request(Method::GET, &self.url, path, None, self.reuse);
            // Its connection closes with the request, so that no two are outstanding.
            let Ok(reply) = timeout(REFRESH, request).await else {
                self.reuse = Reuse::Fresh;
                self.lost.get_or_insert_default();
                continue;
            };
            let reply = reply?;
            if reply.repeated {
                self.lost.get_or_insert_default();
            }
            if reply.headers.contains_key(headers::CLOSED) {
                return Err(SubscribeError::Closed);
            }
            match reply.status {
                StatusCode::OK => return self.found(reply),
                StatusCode::NOT_FOUND => {
                    reply.drain().await;
                    if !self.lost.as_mut().is_some_and(Lost::may_return) {
                        return Err(SubscribeError::NotFound);
                    }
                    search.backoff.pause().await;
                }
                status if status == headers::no_segment() => {
                    let latest = headers::number(&reply.headers, &headers::LATEST);
                    // None is beyond the last.
                    let latest = latest.filter(|latest| Seq::new(*latest).is_some());
                    reply.drain().await;
                    self.missing(latest, search).await;
                }
                // Not drained: what leads to a server in trouble is not used again.
                status => return Err(SubscribeError::Status { status }),
            }
        }
    }

    /// Turns "next" and "current" into a number where the server can tell it, so that asking again means the same.
    async fn pin(&mut self) -> Result<(), SubscribeError> {
        let back = match self.at {
            Start::Next => 0,
            Start::Current => 1,
            Start::Seq(_) => return Ok(()),
        };
        match control::next_seq(&self.client, &self.url).await {
            Ok(next) => self.at = Start::Seq(next.saturating_sub(back)),
            Err(ControlError::Closed) => return Err(SubscribeError::Closed),
            Err(ControlError::Connect(error)) => return Err(SubscribeError::Connect(error)),
            // Servers that do not know the question; what else is wrong shows in the request itself.
            Err(_) => {}
        }
        Ok(())
    }

    fn found(&mut self, reply: Reply) -> Result<(u64, Reply), SubscribeError> {
        let told = headers::number(&reply.headers, &headers::SEQ);
        let asked = if let Start::Seq(number) = self.at { Some(number) } else { None };
        let seq = told.or(asked).ok_or(SubscribeError::Malformed)?;
        // Going back would read the same segments for ever, and there is none beyond the last.
        if asked.is_some_and(|asked| seq < asked) || Seq::new(seq).is_none() {
            return Err(SubscribeError::Malformed);
        }
        self.at = Start::Seq(seq.saturating_add(1));
        Ok((seq, reply))
    }

    /// Decides where to look next. `latest` is a hint: some servers tell the last written number, not the next.
    async fn missing(&mut self, latest: Option<u64>, search: &mut Search) {
        let Some(latest) = latest else {
            self.at = Start::Next;
            return sleep(AHEAD_PAUSE).await;
        };
        let wanted = match self.at {
            Start::Seq(wanted) => wanted,
            Start::Next | Start::Current => {
                self.at = Start::Seq(latest);
                return search.pause_after_jump().await;
            }
        };
        if latest > wanted {
            search.skipped = search.skipped.saturating_add(latest - wanted);
            self.at = Start::Seq(latest);
            return search.pause_after_jump().await;
        }
        if latest.saturating_add(1) == wanted || latest == wanted {
            search.ahead = None;
        } else {
            let ahead = search.ahead.get_or_insert_with(|| Ahead { since: Instant::now(), latest });
            let patience = if self.lost.is_some() { Duration::ZERO } else { AHEAD_LIMIT };
            let goes_on = latest > ahead.latest && latest.saturating_add(OVERLAP) < wanted;
            if goes_on || ahead.since.elapsed() >= patience {
                // The newest that has been begun, from its start; where numbers go on, the one that they began with.
                let back = if goes_on { ahead.latest } else { latest };
                self.at = Start::Seq(back.saturating_sub(1));
                search.ahead = None;
            }
        }
        sleep(AHEAD_PAUSE).await;
    }
}

impl Search {
    /// The first jump goes at once; a server that sends from jump to jump is asked no faster than one that waits.
    async fn pause_after_jump(&mut self) {
        if self.jumped {
            sleep(AHEAD_PAUSE).await;
        }
        self.jumped = true;
    }
}

fn index(at: Start) -> String {
    match at {
        Start::Next => "-1".to_owned(),
        Start::Current => "-2".to_owned(),
        Start::Seq(number) => number.to_string(),
    }
}
