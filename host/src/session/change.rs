//! Another processor for a stream that runs, or a fresh start of the same: made ready and tried beside the old one while frames
//! flow, and taken between two of them, or not at all.

use std::sync::Arc;

use serde_json::Value;
use thiserror::Error;
use tracing::Instrument;

use super::condition::Phase;
use super::event::StreamEvent;
use super::host::StartRejected;
use super::live_params::Offer;
use super::params::ParamsRejected;
use super::processor::NotTaken;
use super::streams::{Stream, Streams, UnknownStream};
use crate::sandbox::Failure;

/// A processor that a stream is to have.
#[derive(Clone, Debug)]
pub struct ChangeRequest {
    /// `NAME` or `NAME@VERSION`; the stream's own where there is none.
    pub processor: Option<String>,
    /// An object: all params of the processor, and those of the host that change. Null keeps the stream's params.
    pub params: Value,
}

/// Why a stream's processor was not changed. The old one goes on, with its params.
#[derive(Debug, Error)]
pub enum ChangeRejected {
    /// There is no such stream.
    #[error(transparent)]
    Stream(#[from] UnknownStream),
    /// There is no such processor, its params do not fit, or it did not start.
    #[error(transparent)]
    Start(#[from] StartRejected),
    /// The params that the stream has do not fit the processor.
    #[error("the stream's params do not fit {processor}: {source}; give the call `params` for it")]
    Kept {
        /// `NAME@VERSION`.
        processor: String,
        /// Why.
        source: ParamsRejected,
    },
    /// It broke, or gave an error, over a copy of a frame of the stream, or over params that changed while it started.
    #[error("{processor} was tried with a frame of the stream: {failure}")]
    Tried {
        /// `NAME@VERSION`.
        processor: String,
        /// Why.
        failure: Failure,
    },
    /// Another call is at it.
    #[error("the stream's processor is being changed by another call; try again when that has been answered")]
    Busy,
    /// There is nothing to change.
    #[error("the stream has ended")]
    Ended,
}

impl Streams {
    /// Gives a stream another processor. Answers when the new one has its frames and the old one has stopped; gives the new one's
    /// `NAME@VERSION`. Once begun it goes on without whoever waits for it.
    pub async fn change_processor(self: Arc<Self>, id: &str, request: ChangeRequest) -> Result<String, ChangeRejected> {
        let stream = self.get(id)?;
        let span = tracing::info_span!("stream", id = stream.id);
        let streams = self.clone();
        let changing = self.tasks.spawn(async move { streams.change(&stream, request).await }.instrument(span));
        changing.await.unwrap_or(Err(ChangeRejected::Ended))
    }

    async fn change(&self, stream: &Stream, request: ChangeRequest) -> Result<String, ChangeRejected> {
        let Ok(_turn) = stream.turn.try_lock() else { return Err(ChangeRejected::Busy) };
        // What is ready too late is thrown away.
        let offer = tokio::select! {
            offer = self.offer(stream, request) => offer?,
            () = end(stream) => return Err(ChangeRejected::Ended),
        };
        let (from, to) = (stream.processor(), offer.candidate.lease.id());
        let changed = || {
            self.hand_over(stream, &to);
            tracing::info!(from, to, "the stream's processor was changed");
            stream.meters.life.emit(StreamEvent::ProcessorChanged { from: from.clone(), to: to.clone() });
        };
        stream.params.hand_over(offer, &stream.supervisor, changed).await?;
        Ok(to)
    }

    /// Loads a processor, starts it, and tries it with a frame if there has been one.
    async fn offer(&self, stream: &Stream, request: ChangeRequest) -> Result<Offer, ChangeRejected> {
        let host = self.host();
        let name = request.processor.unwrap_or_else(|| stream.processor());
        let lease = host.registry.get(&name).map_err(StartRejected::from)?;
        let processor = lease.id();
        let rules = host.rules(&lease)?;
        let params = stream.params.proposal(&request.params, &rules, &processor).await?;
        let identity = host
            .identity(&stream.id, stream.began, &lease, &params, &stream.meters.http)
            .map_err(StartRejected::from)?;
        let candidate = host.start_candidate(lease, &identity, params.guest_json()).await?;
        let last_frames = stream.supervisor.last_frames().await.ok_or(ChangeRejected::Ended)?;
        let candidate = candidate.probe(last_frames).await.map_err(|why| ChangeRejected::not_taken(processor, why))?;
        Ok(Offer { candidate, rules, given: request.params })
    }
}

impl ChangeRejected {
    pub(super) fn not_taken(processor: String, why: NotTaken) -> Self {
        match why {
            NotTaken::Failed(failure) => Self::Tried { processor, failure },
            NotTaken::Down => Self::Ended,
        }
    }
}

/// Waits until a stream takes no more input.
async fn end(stream: &Stream) {
    let ends = |phase: Phase| phase.is_over() || phase == Phase::Draining;
    // Its meters outlive it.
    let _ = stream.meters.life.condition().wait_for(|condition| ends(condition.phase)).await;
}
