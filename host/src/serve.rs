//! The host at work: its rooms put together, and taken down in order.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use rillbox_media::{InputConfig, OutputConfig};
use rillbox_trickle::{Client, ClientConfig, Guard, Server, ServerConfig};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::access::{GateConfig, Opened, is_loopback};
use crate::api;
use crate::egress::{AllowedUrls, Grants, Host as Name};
use crate::registry::{Registry, UploadError};
use crate::sandbox::{ChildCompiler, Choice, Engine, Gpu, HttpClient, Limits, ShaderReader};
use crate::session::{Host, StreamTimes, Streams};

/// Everything that `serve` needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address of the REST surface.
    pub listen: SocketAddr,
    /// Address of the trickle server, if there is to be one.
    pub trickle: Option<SocketAddr>,
    /// How that server behaves.
    pub server: ServerConfig,
    /// Who may call the REST surface, and over what.
    pub access: GateConfig,
    /// What streams share.
    pub host: HostConfig,
}

/// What a host is made of.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// Where processors are kept.
    pub data_dir: PathBuf,
    /// Name of a processor, or path of a component, for streams that name none.
    pub processor: Option<String>,
    /// The `rillbox` program, to compile with.
    pub program: PathBuf,
    /// Bounds of each instance.
    pub limits: Limits,
    /// What processors' shaders run on.
    pub device: Choice,
    /// Decoding.
    pub input: InputConfig,
    /// Encoding.
    pub output: OutputConfig,
    /// The loading picture stands in for what processors withhold for long.
    pub loading: bool,
    /// Speaking trickle to others.
    pub client: ClientConfig,
    /// URLs that channels may have; `None` allows any.
    pub allowed_urls: Option<AllowedUrls>,
    /// What processors may call.
    pub grants: Grants,
    /// Authorities of what they call, beside the web's: PEM texts.
    pub http_authorities: Vec<Vec<u8>>,
    /// Versions of processors that are stored at most.
    pub max_processors: usize,
    /// Streams at once.
    pub max_streams: usize,
    /// How long they wait.
    pub times: StreamTimes,
}

/// Time that open connections have to close when the host goes down.
const CLOSE: Duration = Duration::from_secs(1);

/// A host that is bound to its addresses.
pub struct Serving {
    /// Where the REST surface is.
    pub api: SocketAddr,
    /// Where the trickle server is.
    pub trickle: Option<SocketAddr>,
    listener: TcpListener,
    access: Opened,
    server: Option<Server>,
    streams: Arc<Streams>,
}

impl Serving {
    /// Opens what the host needs and binds its addresses, without answering yet.
    pub async fn bind(mut config: Config) -> anyhow::Result<Self> {
        let access = config.access.open(config.listen)?;
        config.trickle.map_or(Ok(()), |address| access.check_trickle(address))?;
        let listener =
            TcpListener::bind(config.listen).await.with_context(|| format!("cannot listen on {}", config.listen))?;
        let server = match config.trickle {
            None => None,
            Some(address) => Some(
                Server::bind(address, config.server)
                    .await
                    .with_context(|| format!("cannot listen on {address} for trickle (--trickle, --no-trickle)"))?,
            ),
        };
        if !access.is_for_this_machine() && config.host.allowed_urls.is_none() {
            // Who is on this machine reaches by itself what a stream would; others, be it by way of a proxy here, are not to reach
            // more through the host.
            config.host.allowed_urls = Some(AllowedUrls::public_and(server.as_ref().map(Server::local_addr)));
        }
        // After the addresses are ours: a host that has them already is the clearer thing to be told of.
        let host = host(config.host).await?;
        Ok(Self {
            api: listener.local_addr()?,
            trickle: server.as_ref().map(Server::local_addr),
            listener,
            access,
            server,
            streams: Arc::new(Streams::new(host)),
        })
    }

    /// Answers until `stop`, then lets streams end within the drain time.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let trickle_stop = CancellationToken::new();
        let trickle: Option<JoinHandle<()>> = self.server.map(|server| tokio::spawn(server.run(trickle_stop.clone())));
        let trickle_address = self.trickle.map(|address| address.to_string());
        if let Some(address) = self.trickle {
            warn_of_open_trickle(address);
        }
        let Opened { gate, tls, keepers } = self.access;
        tracing::info!(api = %self.api, tls = tls.is_some(), trickle = trickle_address, "ready");
        let limits = api::Limits::default();
        let router = api::router(self.streams.clone(), gate, &limits);
        let mut served = tokio::spawn(api::serve(self.listener, tls, router, limits, stop.clone()));
        let ended = tokio::select! {
            ended = &mut served => Some(ended),
            () = stop.cancelled() => None,
        };
        self.streams.shutdown().await;
        let ended = match ended {
            Some(ended) => ended,
            // A client that keeps its connection open does not keep the host up.
            None => tokio::time::timeout(CLOSE, &mut served).await.unwrap_or(Ok(())),
        };
        served.abort();
        drop(keepers);
        trickle_stop.cancel();
        if let Some(trickle) = trickle {
            trickle.await?;
        }
        Ok(ended?)
    }
}

/// Trickle has no tokens: who reaches its server is the network's affair.
pub fn warn_of_open_trickle(address: SocketAddr) {
    if !is_loopback(address) {
        tracing::warn!(%address, "trickle asks for no token: whoever reaches this address may read and write every channel");
    }
}

/// Starts the sandbox and opens the registry.
pub async fn host(config: HostConfig) -> anyhow::Result<Host> {
    rillbox_media::init();
    let engine = Engine::start(config.limits, Gpu::new(config.device), ShaderReader::child(&config.program))?;
    let compiler = ChildCompiler::new(engine.clone(), config.program);
    let registry = Registry::open(&config.data_dir, config.max_processors, compiler).await?;
    let allowed_urls = config.allowed_urls.map(Arc::new);
    let client = ClientConfig { guard: allowed_urls.clone().map(guard), ..config.client };
    let default_processor = default_processor(&registry, config.processor.as_deref()).await?;
    Ok(Host {
        engine,
        registry,
        client: Client::new(client)?,
        http: HttpClient::new(Handle::current(), &config.http_authorities).context("--http-ca")?,
        grants: config.grants,
        allowed_urls,
        default_processor,
        input: config.input,
        output: config.output,
        loading: config.loading,
        max_streams: config.max_streams,
        times: config.times,
    })
}

/// Checks connections to channels by the rules for their URLs.
fn guard(allowed_urls: Arc<AllowedUrls>) -> Guard {
    Guard::new(move |host, port, found| {
        let addresses = allowed_urls.addresses(&Name::parse(host)?, port, found);
        Ok(addresses.map_err(|refusal| format!("{refusal}; the operator allows URLs with --allow-url PATTERN"))?)
    })
}

/// The name of the default processor. One that is not there yet may be uploaded later; a component that is given by its path is
/// uploaded now, in the place of an earlier build of its version.
async fn default_processor(
    registry: &Registry<ChildCompiler>,
    processor: Option<&str>,
) -> anyhow::Result<Option<String>> {
    let Some(processor) = processor else { return Ok(None) };
    if registry.find(processor).is_ok() {
        return Ok(Some(processor.to_owned()));
    }
    let path = Path::new(processor);
    if !path.is_file() {
        if processor.contains('/') || processor.ends_with(".wasm") {
            bail!("--processor {processor}: there is no such file");
        }
        tracing::warn!(processor, "the default processor is not there yet; upload it");
        return Ok(Some(processor.to_owned()));
    }
    let bytes = Bytes::from(std::fs::read(path).with_context(|| format!("cannot read {processor}"))?);
    let uploaded = match registry.upload(bytes.clone(), None).await {
        Err(UploadError::Exists(earlier)) => {
            registry.delete(&earlier).await?;
            registry.upload(bytes, None).await
        }
        uploaded => uploaded,
    };
    Ok(Some(uploaded.with_context(|| format!("{processor} was refused"))?.id()))
}
