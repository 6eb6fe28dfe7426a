//! The params of a running stream: updates over REST and over its control channel meet here, and changes of its processor.

use std::sync::Arc;

use serde_json::{Map, Value};
use thiserror::Error;
use tokio::sync::mpsc::WeakSender;
use tokio::sync::{Mutex, watch};

use super::change::ChangeRejected;
use super::event::StreamEvent;
use super::host::StartRejected;
use super::meters::Meters;
use super::params::{HostParams, Params, ParamsRejected, Rules};
use super::pipeline::{Pipeline, Source};
use super::processor::{Candidate, ParamsHandle, SupervisorHandle};
use crate::sandbox::Failure;

/// Why params were not updated. Nothing has changed.
#[derive(Debug, Error)]
pub enum UpdateRejected {
    /// They do not fit.
    #[error(transparent)]
    Params(#[from] ParamsRejected),
    /// The processor did not take them.
    #[error("the params were not taken: {0}")]
    Processor(Failure),
    /// There is nothing to update.
    #[error("the stream has ended")]
    Ended,
}

/// Params that can be changed while the stream runs.
pub struct LiveParams {
    /// Held while params are updated, or their processor is changed, so that neither overtakes the other.
    current: Mutex<Current>,
    /// As they stand, for whoever looks: nobody waits for an update to see them.
    shown: watch::Sender<ShownParams>,
    /// Weak, so that the input's end is the subscription's to say.
    source: WeakSender<Source>,
    meters: Arc<Meters>,
}

/// Params as they are shown.
#[derive(Clone, Debug)]
pub struct ShownParams {
    /// All of them.
    pub all: Arc<Map<String, Value>>,
    /// Bytes that they have as JSON.
    pub bytes: usize,
}

impl ShownParams {
    fn of(params: &Params) -> Self {
        let all = params.all().clone();
        // A map has no text only if its memory does not suffice for it.
        let bytes = serde_json::to_string(&all).map_or(usize::MAX, |text| text.len());
        Self { all: Arc::new(all), bytes }
    }
}

struct Current {
    params: Params,
    rules: Rules,
    processors: Vec<ParamsHandle>,
}

/// A processor that is ready to take over a stream.
pub(super) struct Offer {
    pub candidate: Candidate,
    pub rules: Rules,
    /// As in the request for it.
    pub given: Value,
}

impl LiveParams {
    /// Those that a pipeline was started with.
    pub fn new(params: Params, rules: Rules, pipeline: &Pipeline, meters: Arc<Meters>) -> Self {
        let shown = watch::Sender::new(ShownParams::of(&params));
        let current = Current { params, rules, processors: pipeline.processors.clone() };
        Self { current: Mutex::new(current), shown, source: pipeline.source.downgrade(), meters }
    }

    /// As they stand.
    pub fn shown(&self) -> ShownParams {
        self.shown.borrow().clone()
    }

    /// Shows and tells of params that have changed.
    fn changed(&self, params: &Params) {
        let shown = ShownParams::of(params);
        self.shown.send_replace(shown);
        self.meters.life.emit(StreamEvent::ParamsUpdated(params.all().clone()));
    }

    /// Merges `update` into them, once all of it has been checked. What changes nothing is not passed on.
    pub async fn update(&self, update: &Value) -> Result<(), UpdateRejected> {
        let mut current = self.current.lock().await;
        let merged = current.params.merged(update)?;
        let host = merged.check(&current.rules)?;
        let source = self.source.upgrade().ok_or(UpdateRejected::Ended)?;
        if merged == current.params {
            return Ok(());
        }
        // The host's own params are not the processor's business.
        let (before, after) = (current.params.guest_json(), merged.guest_json());
        let processors = if before == after { &[] } else { &current.processors[..] };
        for (index, processor) in processors.iter().enumerate() {
            if let Err(failure) = processor.update(after.clone()).await.ok_or(UpdateRejected::Ended)? {
                for earlier in &processors[..index] {
                    // It took these params before.
                    let _ = earlier.update(before.clone()).await;
                }
                return Err(UpdateRejected::Processor(failure));
            }
        }
        source.send(Source::Configure(host)).await.map_err(|_| UpdateRejected::Ended)?;
        current.params = merged;
        self.changed(&current.params);
        Ok(())
    }

    /// The params that another processor would have.
    pub(super) async fn proposal(
        &self,
        given: &Value,
        rules: &Rules,
        processor: &str,
    ) -> Result<Params, ChangeRejected> {
        Ok(propose(&self.current.lock().await.params, given, rules, processor)?.0)
    }

    /// Puts a processor to work in the place of the one that the stream has. `changed` is called once it is, before any update.
    pub(super) async fn hand_over(
        &self,
        offer: Offer,
        supervisor: &SupervisorHandle,
        changed: impl FnOnce(),
    ) -> Result<(), ChangeRejected> {
        let Offer { candidate, rules, given } = offer;
        let mut current = self.current.lock().await;
        let processor = candidate.lease.id();
        // They may have been updated while it started.
        let (params, host) = propose(&current.params, &given, &rules, &processor)?;
        let source = self.source.upgrade().ok_or(ChangeRejected::Ended)?;
        let updated = candidate.update(&params.guest_json()).await;
        let candidate = updated.map_err(|why| ChangeRejected::not_taken(processor, why))?;
        let processors = supervisor.change(candidate).await.ok_or(ChangeRejected::Ended)?;
        let before = std::mem::replace(&mut *current, Current { params, rules, processors }).params;
        if before.host() != Ok(host) {
            source.send(Source::Configure(host)).await.map_err(|_| ChangeRejected::Ended)?;
        }
        changed();
        if before != current.params {
            self.changed(&current.params);
        }
        Ok(())
    }
}

fn propose(
    current: &Params,
    given: &Value,
    rules: &Rules,
    processor: &str,
) -> Result<(Params, HostParams), ChangeRejected> {
    if given.is_null() {
        let kept = |source| ChangeRejected::Kept { processor: processor.to_owned(), source };
        return Ok((current.clone(), current.check(rules).map_err(kept)?));
    }
    let params = current.of_host().merged(given).map_err(StartRejected::from)?;
    let host = params.check(rules).map_err(StartRejected::from)?;
    Ok((params, host))
}
