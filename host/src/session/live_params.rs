//! The params of a running stream: updates over REST and over its control channel meet here.

use std::sync::Arc;

use serde_json::{Map, Value};
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::sync::mpsc::WeakSender;

use super::happenings::Happening;
use super::meters::Meters;
use super::params::{Params, ParamsRejected};
use super::pipeline::{Pipeline, Source};
use super::processor::Handle;
use crate::registry::ParamsSchema;
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
    schema: ParamsSchema,
    /// Held while params are updated, so that updates do not overtake each other.
    params: Mutex<Params>,
    processors: Vec<Handle>,
    /// Weak, so that the input's end is the subscription's to say.
    source: WeakSender<Source>,
    meters: Arc<Meters>,
}

impl LiveParams {
    /// Those that a pipeline was started with.
    pub fn new(params: Params, schema: ParamsSchema, pipeline: &Pipeline, meters: Arc<Meters>) -> Self {
        let (processors, source) = (pipeline.processors.clone(), pipeline.source.downgrade());
        Self { schema, params: Mutex::new(params), processors, source, meters }
    }

    /// As they stand.
    pub async fn all(&self) -> Map<String, Value> {
        self.params.lock().await.all().clone()
    }

    /// Merges `update` into them, once all of it has been checked. What changes nothing is not passed on.
    pub async fn update(&self, update: &Value) -> Result<(), UpdateRejected> {
        let mut params = self.params.lock().await;
        let merged = params.merged(update)?;
        let host = merged.check(&self.schema)?;
        let source = self.source.upgrade().ok_or(UpdateRejected::Ended)?;
        if merged == *params {
            return Ok(());
        }
        for (index, processor) in self.processors.iter().enumerate() {
            if let Err(failure) = processor.update(merged.guest_json()).await.ok_or(UpdateRejected::Ended)? {
                for earlier in &self.processors[..index] {
                    // It took these params before.
                    let _ = earlier.update(params.guest_json()).await;
                }
                return Err(UpdateRejected::Processor(failure));
            }
        }
        source.send(Source::Configure(host)).await.map_err(|_| UpdateRejected::Ended)?;
        *params = merged;
        self.meters.tell(Happening::ParamsUpdated(params.all().clone()));
        Ok(())
    }
}
