//! `POST` of a segment.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use tokio::time::{Instant, timeout};

use super::{
    channels::Channel,
    log::{End, Full, Log, Place},
    reaper::Reaper,
    reply::{self, Reply, ReplyExt},
    window::{Claim, Write, WriteIndex, Wrote},
};
use crate::headers;

/// Times that bound a publisher.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PublishLimits {
    /// Longest silence within a body, once it has begun.
    pub(crate) body_idle: Duration,
    /// How long a segment waits for its publisher to come back.
    pub(crate) grace: Duration,
}

/// Receives one body into its segment.
pub(crate) async fn segment(
    channel: Arc<Channel>,
    index: WriteIndex,
    reset: bool,
    body: Incoming,
    reaper: &Reaper,
    limits: PublishLimits,
) -> Reply {
    let opened = channel.window().open_write(index, reset);
    let claim = match opened {
        Write::Open(claim) => claim,
        Write::Ended(seq) => return reply::ok().number(headers::SEQ, seq.get()).closing(),
        Write::Closed => return reply::ok().terminated().closing(),
        Write::Exhausted => return reply::invalid_index().closing(),
    };
    let (seq, log) = (claim.seq.get(), claim.log.clone());
    let repeats = (!log.is_empty()).then(Place::default);
    let publication =
        Publication { channel, claim: Some(claim), wrote: Wrote::Nothing, repeats, reaper, grace: limits.grace };
    match receive(publication, &log, body, limits.body_idle).await {
        Ok(Received::Bytes) => reply::ok().number(headers::SEQ, seq),
        Ok(Received::Nothing) => reply::ok().number(headers::SEQ, seq).closing(),
        Ok(Received::Closed) => reply::ok().number(headers::SEQ, seq).terminated().closing(),
        Err(PublishFault::Full(which)) => reply::full(which),
        Err(PublishFault::Idle) => reply::error(StatusCode::REQUEST_TIMEOUT, "Body idle for too long\n").closing(),
        Err(PublishFault::Body) => reply::error(StatusCode::INTERNAL_SERVER_ERROR, "Server error\n").closing(),
    }
}

enum Received {
    Bytes,
    /// Empty, or the segment was ended before its first byte.
    Nothing,
    Closed,
}

enum PublishFault {
    Body,
    Idle,
    Full(Full),
}

async fn receive(
    mut publication: Publication<'_>,
    log: &Log,
    mut body: Incoming,
    idle: Duration,
) -> Result<Received, PublishFault> {
    let first = tokio::select! {
        biased;
        end = log.ended() => {
            publication.finish();
            return Ok(if end == End::Terminated { Received::Closed } else { Received::Nothing });
        }
        first = data(&mut body) => first?,
    };
    let Some(first) = first else {
        publication.finish();
        return Ok(Received::Nothing);
    };
    publication.append(first)?;
    let channel = publication.channel.clone();
    let closed = channel.closed.cancelled();
    tokio::pin!(closed);
    loop {
        let next = tokio::select! {
            next = timeout(idle, data(&mut body)) => next,
            () = &mut closed => return Ok(Received::Closed),
        };
        match next.map_err(|_| PublishFault::Idle)?? {
            Some(chunk) => publication.append(chunk)?,
            None => {
                publication.finish();
                return Ok(Received::Bytes);
            }
        }
    }
}

/// The next bytes of a body, never none; trailers are passed over.
async fn data(body: &mut Incoming) -> Result<Option<Bytes>, PublishFault> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| PublishFault::Body)?;
        if let Ok(chunk) = frame.into_data()
            && !chunk.is_empty()
        {
            return Ok(Some(chunk));
        }
    }
    Ok(None)
}

/// A publisher's hold on its segment. Dropped before [`Publication::finish`], as when the connection is lost, it leaves
/// the segment open for the publisher to come back within the grace time.
struct Publication<'a> {
    channel: Arc<Channel>,
    claim: Option<Claim>,
    wrote: Wrote,
    /// How far the segment's own bytes were sent again, while there were no others.
    repeats: Option<Place>,
    reaper: &'a Reaper,
    grace: Duration,
}

impl Publication<'_> {
    fn append(&mut self, chunk: Bytes) -> Result<(), PublishFault> {
        let Some(claim) = &self.claim else {
            return Ok(());
        };
        if self.wrote == Wrote::Nothing {
            self.channel.window().first_byte(claim, Instant::now());
            self.wrote = Wrote::Bytes;
        }
        let Some(chunk) = unrepeated(&mut self.repeats, &claim.log, chunk) else {
            return Ok(());
        };
        let appended = claim.log.append(chunk);
        if appended.is_err() {
            self.finish();
        }
        appended.map_err(PublishFault::Full)
    }

    fn finish(&mut self) {
        if let Some(claim) = self.claim.take() {
            self.channel.window().finish(&claim, self.wrote, Instant::now());
        }
    }
}

/// What of a chunk is new. A publisher whose connection broke sends its segment once more from the start, or goes on where it was:
/// readers are not to have twice what they have.
fn unrepeated(repeats: &mut Option<Place>, log: &Log, chunk: Bytes) -> Option<Bytes> {
    let Some(at) = *repeats else { return Some(chunk) };
    let (agreed, next, whole) = log.agrees(at, &chunk);
    if agreed == chunk.len() {
        *repeats = Some(next);
        return None;
    }
    *repeats = None;
    if whole {
        return Some(chunk.slice(agreed..));
    }
    // It goes on, with bytes like those that the segment begins with.
    let mut all = log.before(at);
    all.extend_from_slice(&chunk);
    Some(all.freeze())
}

impl Drop for Publication<'_> {
    fn drop(&mut self) {
        let Some(claim) = self.claim.take() else {
            return;
        };
        let until = self.channel.window().abort(&claim, self.wrote, Instant::now(), self.grace);
        if let Some(until) = until {
            self.reaper.schedule(self.channel.clone(), claim, until);
        }
    }
}
