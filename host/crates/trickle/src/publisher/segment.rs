//! The task that brings one segment to the server.

use std::time::Duration;

use http::{HeaderValue, Method, StatusCode, header};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{
    fault::Fault,
    health::{Failed, Health, Over},
    outbox::Outbox,
};
use crate::{
    backoff::Backoff,
    client::{Client, Reply, RequestBody, RequestError, Reuse, request},
    control, headers,
    url::ChannelUrl,
};

/// A connection that was held open this long without a byte shows that a server is there.
const HELD: Duration = Duration::from_secs(1);

/// Bound of telling the server that a segment was given up.
const TELL: Duration = Duration::from_secs(2);

/// One segment of a publisher.
pub(super) struct SegmentTask {
    pub(super) client: Client,
    pub(super) url: ChannelUrl,
    pub(super) seq: u64,
    pub(super) content_type: HeaderValue,
    /// Ends what another publisher left open before it.
    pub(super) reset: bool,
    pub(super) outbox: Outbox,
    pub(super) health: Health,
    /// The newest segment that was begun.
    pub(super) newest: watch::Receiver<u64>,
}

enum Answer {
    Accepted(Box<Reply>),
    Over(Over),
    /// The server will never take it.
    Refused(Fault),
    Failed(Fault),
}

impl SegmentTask {
    /// Tries while the segment is the newest, then gives it up.
    pub(super) async fn run(mut self) {
        let outbox = self.outbox.clone();
        let settled = tokio::select! {
            settled = self.settle() => settled,
            () = outbox.abandoned() => false,
        };
        if !settled {
            self.outbox.abandon();
            self.health.skipped();
            let told = timeout(TELL, control::end_segment(&self.client, &self.url, self.seq)).await;
            tracing::debug!(seq = self.seq, told = ?told.map(|told| told.is_ok()), "gave up a segment");
        }
    }

    /// `false` when the segment is to be given up.
    async fn settle(&mut self) -> bool {
        let (mut reuse, mut backoff) = (Reuse::Allowed, Backoff::default());
        loop {
            match self.attempt(reuse).await {
                Answer::Accepted(reply) => {
                    self.accepted(*reply).await;
                    return true;
                }
                Answer::Over(Over::NotFound) if self.health.may_return() => {
                    self.failed(Fault::Status(StatusCode::NOT_FOUND));
                }
                Answer::Over(over) => {
                    self.health.ended(over);
                    return true;
                }
                Answer::Refused(fault) => {
                    self.failed(fault);
                    return false;
                }
                Answer::Failed(fault) => {
                    self.health.lost();
                    self.failed(fault);
                }
            }
            reuse = Reuse::Fresh;
            if !self.may_retry(&mut backoff).await {
                return false;
            }
            self.health.retrying();
        }
    }

    /// Pauses, unless it is settled already that another attempt makes no sense.
    async fn may_retry(&mut self, backoff: &mut Backoff) -> bool {
        let superseded = self.newest.wait_for(|newest| *newest > self.seq);
        tokio::select! {
            biased;
            _ = superseded => false,
            () = backoff.pause() => self.outbox.is_repeatable(),
        }
    }

    async fn accepted(&self, reply: Reply) {
        if self.outbox.is_delivered() {
            self.health.published(self.outbox.taken());
            reply.drain().await;
        } else {
            // The server had the segment already, or stopped listening to it. It is not ours to end.
            self.failed(Fault::Early);
            self.health.skipped();
            self.outbox.abandon();
        }
    }

    fn failed(&self, fault: Fault) {
        let what = if self.outbox.is_untouched() { Failed::Ahead } else { Failed::Bytes };
        self.health.failed(what, fault);
    }

    async fn attempt(&self, reuse: Reuse) -> Answer {
        match self.exchange(reuse).await {
            Ok(reply) => judge(reply),
            Err(error) => Answer::Failed(error.into()),
        }
    }

    async fn exchange(&self, reuse: Reuse) -> Result<Reply, RequestError> {
        let (connection, reused) = self.client.connection(self.url.origin(), reuse).await?;
        let sending = self.client.send(connection, &self.url, self.request());
        tokio::pin!(sending);
        let sent = tokio::select! {
            sent = &mut sending => sent,
            () = sleep(HELD) => {
                if self.outbox.is_untouched() {
                    self.health.connected();
                }
                sending.await
            }
        };
        match sent {
            // The server may have closed an idle connection just then: no fault of anybody's.
            Err(_) if reused && self.outbox.is_repeatable() => {
                self.health.lost();
                let (connection, _) = self.client.connection(self.url.origin(), Reuse::Fresh).await?;
                Ok(self.client.send(connection, &self.url, self.request()).await?)
            }
            sent => Ok(sent?),
        }
    }

    fn request(&self) -> http::Request<RequestBody> {
        let body = RequestBody::Segment(self.outbox.attempt());
        let mut request = request(Method::POST, &self.url, &self.url.child(self.seq), body);
        request.headers_mut().insert(header::CONTENT_TYPE, self.content_type.clone());
        if self.reset {
            request.headers_mut().insert(headers::RESET, HeaderValue::from_static("1"));
        }
        request
    }
}

fn judge(reply: Reply) -> Answer {
    if reply.headers.contains_key(headers::CLOSED) {
        return Answer::Over(Over::Closed);
    }
    match reply.status {
        StatusCode::OK => Answer::Accepted(Box::new(reply)),
        StatusCode::NOT_FOUND => Answer::Over(Over::NotFound),
        StatusCode::PAYLOAD_TOO_LARGE => Answer::Refused(Fault::Status(reply.status)),
        status => Answer::Failed(Fault::Status(status)),
    }
}
