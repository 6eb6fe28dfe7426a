//! What streams need of the host, and how one is made ready before anything flows.

use std::time::Instant;

use rillbox_media::{InputConfig, OutputConfig};
use rillbox_trickle::Client;
use serde_json::Value;
use thiserror::Error;

use super::params::{Params, ParamsRejected};
use super::pipeline::{PipelineConfig, PipelineError};
use super::processor::{Cast, Role, StartError};
use super::stream::StreamTimes;
use crate::registry::{CompileError, Lease, NotFound, ParamsSchema, Registry};
use crate::sandbox::{ChildCompiler, Engine, Identity, LoadError};

/// What streams need of the host.
pub struct Host {
    /// Runs guests.
    pub engine: Engine,
    /// Knows processors.
    pub registry: Registry<ChildCompiler>,
    /// Speaks trickle.
    pub client: Client,
    /// For streams that name no processor.
    pub default_processor: Option<String>,
    /// How input is decoded, before a stream's own params.
    pub input: InputConfig,
    /// How output is encoded.
    pub output: OutputConfig,
    /// The loading picture stands in for what processors of live streams withhold for long.
    pub loading: bool,
    /// Streams at once.
    pub max_streams: usize,
    /// How long they wait.
    pub times: StreamTimes,
}

/// Why a stream was not started. Nothing has changed.
#[derive(Debug, Error)]
pub enum StartRejected {
    /// The id runs.
    #[error("the stream {0:?} is running; stop it first, or use another gateway_request_id")]
    Busy(String),
    /// As many run as may.
    #[error("{0} streams run, which is as many as this host takes")]
    Full(usize),
    /// The id cannot be one.
    #[error("a stream's id has 1 to 256 bytes without control characters")]
    Id,
    /// Neither the request nor the host names a processor.
    #[error("name a `processor`: this host has no default one (serve --processor)")]
    NoProcessor,
    /// There is none of that name.
    #[error(transparent)]
    Unknown(#[from] NotFound),
    /// The params do not fit.
    #[error(transparent)]
    Params(#[from] ParamsRejected),
    /// The processor did not start.
    #[error("{processor} did not start: {source}")]
    Processor {
        /// `NAME@VERSION`.
        processor: String,
        /// Why.
        source: StartError,
    },
    /// The host's own trouble.
    #[error("the processor could not be loaded: {0}")]
    Load(String),
}

impl From<LoadError> for StartRejected {
    fn from(error: LoadError) -> Self {
        Self::Load(error.to_string())
    }
}

impl From<CompileError> for StartRejected {
    fn from(error: CompileError) -> Self {
        Self::Load(error.to_string())
    }
}

impl From<PipelineError> for StartRejected {
    fn from(error: PipelineError) -> Self {
        Self::Load(error.to_string())
    }
}

/// A stream whose processor has started; nothing flows yet.
pub struct Prepared {
    /// The processor, and what keeps it from being deleted.
    pub role: Role,
    /// When the processor's clock began.
    pub began: Instant,
    /// How its pipeline is made.
    pub pipeline: PipelineConfig,
    /// Its params.
    pub params: Params,
    /// What they are checked against.
    pub schema: ParamsSchema,
}

impl Host {
    /// Finds the processor, checks the params, loads and starts.
    pub async fn prepare(
        &self,
        id: &str,
        processor: Option<&str>,
        params: &Value,
        live: bool,
    ) -> Result<Prepared, StartRejected> {
        let name = processor.or(self.default_processor.as_deref()).ok_or(StartRejected::NoProcessor)?;
        let lease = self.registry.get(name)?;
        let schema = ParamsSchema::compile(&lease.params_schema).map_err(StartRejected::Load)?;
        let params = Params::default().merged(params)?;
        let asked = params.check(&schema)?;
        let began = Instant::now();
        let identity = Identity { stream: id.to_owned(), processor: lease.id(), started: began };
        let role = self.start_role(lease, &identity, params.guest_json()).await?;
        let input = InputConfig { geometry: asked.geometry, max_framerate: asked.max_framerate, ..self.input };
        let pipeline = PipelineConfig {
            input,
            output: self.output.clone(),
            live,
            loading: self.loading && live,
            show_loading: asked.show_loading,
            data: None,
        };
        Ok(Prepared { role, began, pipeline, params, schema })
    }

    /// Loads a processor, and starts the instances that it needs.
    pub(super) async fn start_role(
        &self,
        lease: Lease,
        identity: &Identity,
        params: String,
    ) -> Result<Role, StartRejected> {
        let component = self.engine.load(&self.registry.code(&lease).await?)?;
        let cast = Cast::start(&self.engine, &component, identity, &lease, &params)
            .await
            .map_err(|source| StartRejected::Processor { processor: lease.id(), source })?;
        Ok(Role { cast, lease })
    }
}
