//! What streams need of the host, and how one is made ready before anything flows.

use std::sync::Arc;
use std::time::Instant;

use rillbox_media::{InputConfig, OutputConfig};
use rillbox_trickle::Client;
use serde_json::Value;
use thiserror::Error;
use tokio::task::block_in_place;

use super::loading::LoadingRules;
use super::params::{Params, ParamsRejected, Rules};
use super::pipeline::PipelineConfig;
use super::processor::{Candidate, Instances, StartError};
use super::stream::StreamTimes;
use super::timing::Timing;
use crate::egress::{self, AllowedUrls, ChannelRefused, Grants, NotGranted};
use crate::registry::{CodeError, CompileError, Lease, NotFound, ParamsError, ParamsSchema, Registry, SchemaError};
use crate::sandbox::{ChildCompiler, Engine, HttpAccess, HttpClient, HttpMeter, Identity, LoadError};

/// What streams need of the host.
pub struct Host {
    /// Runs guests.
    pub engine: Engine,
    /// Knows processors.
    pub registry: Registry<ChildCompiler>,
    /// Speaks trickle.
    pub client: Client,
    /// Makes processors' requests.
    pub http: HttpClient,
    /// What processors may call where they ask for it.
    pub grants: Grants,
    /// URLs that channels may have; `None` allows any.
    pub allowed_urls: Option<Arc<AllowedUrls>>,
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
    /// Another stream writes there.
    #[error("{field}: the stream {other:?} writes to {url} already; stop it first, or use another channel")]
    OutputTaken {
        /// Of the request.
        field: &'static str,
        /// The channel.
        url: String,
        /// The other's id.
        other: String,
    },
    /// It was stopped.
    #[error("the stream was stopped before its processor had started")]
    Stopped,
    /// As many run as may.
    #[error("{0} streams run, which is as many as this host takes")]
    Full(usize),
    /// The id cannot be one.
    #[error("a stream's id has 1 to 256 bytes without control characters, and is not . or ..")]
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
    /// The processor asks for what it was not granted.
    #[error(transparent)]
    NotGranted(NotGranted),
    /// A channel has a URL that is not allowed.
    #[error("{field}: {url} is not allowed: {source}; the operator allows URLs with --allow-url PATTERN")]
    Url {
        /// Of the request.
        field: &'static str,
        /// The channel.
        url: String,
        /// Why it is not allowed.
        source: ChannelRefused,
    },
    /// The processor did not start.
    #[error("{processor} did not start: {source}")]
    Processor {
        /// `NAME@VERSION`.
        processor: String,
        /// Why.
        source: StartError,
    },
    /// Its code must be made anew, and too much else is being compiled.
    #[error("too many components are being compiled; try again")]
    Compiling,
    /// Its params schema was taken when it was uploaded, and is not any more.
    #[error(
        "{processor} is stored with a params schema that this host does not take: {source}; delete it, then upload it with another"
    )]
    Schema {
        /// `NAME@VERSION`.
        processor: String,
        /// Why.
        source: SchemaError,
    },
    /// There is no code of it.
    #[error("the processor could not be loaded: {0}")]
    Code(#[source] CodeError),
    /// Its code does not load.
    #[error("the processor could not be loaded: {0}")]
    Load(#[from] LoadError),
}

impl From<NotGranted> for StartRejected {
    fn from(error: NotGranted) -> Self {
        match error {
            NotGranted::Url { key, error } => {
                let error = ParamsError { pointer: format!("/{key}"), message: error.to_string() };
                Self::Params(error.into())
            }
            error => Self::NotGranted(error),
        }
    }
}

impl From<CodeError> for StartRejected {
    fn from(error: CodeError) -> Self {
        match error {
            CodeError::Compile(CompileError::Busy) => Self::Compiling,
            error => Self::Code(error),
        }
    }
}

/// A stream whose processor has started; nothing flows yet.
pub struct Prepared {
    /// The processor, and what keeps it from being deleted.
    pub candidate: Candidate,
    /// When the processor's clock began.
    pub began: Instant,
    /// How its pipeline is made.
    pub pipeline: PipelineConfig,
    /// Its params.
    pub params: Params,
    /// What they are checked against.
    pub rules: Rules,
    /// Counts the processor's requests.
    pub http: Arc<HttpMeter>,
}

impl Host {
    /// Finds the processor, checks the params, loads and starts.
    pub async fn prepare(
        &self,
        id: &str,
        processor: Option<&str>,
        params: &Value,
        timing: Timing,
    ) -> Result<Prepared, StartRejected> {
        let name = processor.or(self.default_processor.as_deref()).ok_or(StartRejected::NoProcessor)?;
        let lease = self.registry.get(name)?;
        let rules = self.rules(&lease)?;
        let params = Params::default().merged(params)?;
        let asked = params.check(&rules)?;
        let (began, http) = (Instant::now(), Arc::default());
        let identity = self.identity(id, began, &lease, &params, &http)?;
        let candidate = self.start_candidate(lease, &identity, params.guest_json()).await?;
        let input = InputConfig { geometry: asked.geometry, max_framerate: asked.max_framerate, ..self.input };
        let pipeline = PipelineConfig {
            input,
            output: self.output.clone(),
            timing,
            loading: LoadingRules { withheld: self.loading && timing.is_live(), every: asked.show_loading },
            data: None,
        };
        Ok(Prepared { candidate, began, pipeline, params, rules, http })
    }

    /// What params of a stream with this processor may be.
    pub(super) fn rules(&self, lease: &Lease) -> Result<Rules, StartRejected> {
        let schema = block_in_place(|| ParamsSchema::compile(&lease.params_schema.value()));
        let schema = schema.map_err(|source| StartRejected::Schema { processor: lease.id(), source })?;
        Ok(Rules { schema, max_pixels: self.input.max_pixels })
    }

    /// Whose instances they are, and what they may call; `meter` counts it.
    pub(super) fn identity(
        &self,
        stream: &str,
        started: Instant,
        lease: &Lease,
        params: &Params,
        meter: &Arc<HttpMeter>,
    ) -> Result<Identity, NotGranted> {
        let http = self.http_access(lease, params, meter)?;
        Ok(Identity { stream: stream.to_owned(), processor: lease.id(), started, http })
    }

    /// Loads a processor, and starts the instances that it needs.
    pub(super) async fn start_candidate(
        &self,
        lease: Lease,
        identity: &Identity,
        params: String,
    ) -> Result<Candidate, StartRejected> {
        let code = self.registry.code(&lease).await?;
        // It may be of hundreds of MiB.
        let component = block_in_place(|| self.engine.load(&code))?;
        let instances = Instances::start(&self.engine, &component, identity, &lease, &params)
            .await
            .map_err(|source| StartRejected::Processor { processor: lease.id(), source })?;
        Ok(Candidate { instances, lease })
    }

    /// What a processor may call: what it asks for, all of which must have been granted.
    fn http_access(&self, lease: &Lease, params: &Params, meter: &Arc<HttpMeter>) -> Result<HttpAccess, NotGranted> {
        let capabilities = lease.asked();
        if capabilities.is_empty() {
            return Ok(HttpAccess::none());
        }
        let granted = self.grants.of(&lease.name, &lease.id());
        let param = |key: &str| match params.all().get(key) {
            None => lease.default_text(key),
            given => given.and_then(Value::as_str).map(str::to_owned),
        };
        egress::check((&lease.name, lease.id()), &capabilities, &granted, param)?;
        Ok(HttpAccess::new(self.http.clone(), granted, egress::asked(&capabilities), meter.clone()))
    }
}
