//! The host at work: its rooms put together, and taken down in order.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use rillbox_trickle::{Client, Server, ServerConfig};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api;
use crate::config::Config;
use crate::registry::Registry;
use crate::sandbox::{ChildCompiler, Engine};
use crate::session::{Host, Streams};

/// Time that open connections have to close when the host goes down.
const CLOSE: Duration = Duration::from_secs(1);

/// A host that is bound to its addresses.
pub struct Serving {
    /// Where the REST surface is.
    pub api: SocketAddr,
    /// Where the trickle server is.
    pub trickle: Option<SocketAddr>,
    listener: TcpListener,
    server: Option<Server>,
    streams: Arc<Streams>,
    config: Config,
}

impl Serving {
    /// Opens what the host needs and binds its addresses, without answering yet.
    pub async fn bind(config: Config) -> anyhow::Result<Self> {
        rillbox_media::init();
        let engine = Engine::start(config.limits)?;
        let compiler = ChildCompiler::new(engine.clone(), config.program.clone());
        let registry = Registry::open(&config.data_dir, compiler)?;
        let default_processor = default_processor(&registry, config.processor.as_deref()).await?;
        let client = Client::new(config.client.clone())?;
        let listener =
            TcpListener::bind(config.listen).await.with_context(|| format!("cannot listen on {}", config.listen))?;
        let server = match config.trickle {
            None => None,
            Some(address) => Some(
                Server::bind(address, ServerConfig::default())
                    .await
                    .with_context(|| format!("cannot listen on {address} for trickle (--trickle, --no-trickle)"))?,
            ),
        };
        let host = Host {
            engine,
            registry,
            client,
            default_processor,
            input: config.input,
            output: config.output.clone(),
            max_streams: config.max_streams,
        };
        Ok(Self {
            api: listener.local_addr()?,
            trickle: server.as_ref().map(Server::local_addr),
            listener,
            server,
            streams: Arc::new(Streams::new(host)),
            config,
        })
    }

    /// Answers until `stop`, then lets streams end within the drain time.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let trickle_stop = CancellationToken::new();
        let trickle: Option<JoinHandle<()>> = self.server.map(|server| tokio::spawn(server.run(trickle_stop.clone())));
        let trickle_address = self.trickle.map(|address| address.to_string());
        tracing::info!(api = %self.api, trickle = trickle_address, "ready");
        let router = api::router(self.streams.clone());
        let served = axum::serve(self.listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
        let mut served = tokio::spawn(served.into_future());
        let ended = tokio::select! {
            ended = &mut served => Some(ended),
            () = stop.cancelled() => None,
        };
        self.streams.shutdown(self.config.drain).await;
        let ended = match ended {
            Some(ended) => ended?,
            // A client that keeps its connection open does not keep the host up.
            None => tokio::time::timeout(CLOSE, &mut served).await.unwrap_or(Ok(Ok(())))?,
        };
        served.abort();
        trickle_stop.cancel();
        if let Some(trickle) = trickle {
            trickle.await?;
        }
        Ok(ended?)
    }
}

/// The name of the default processor; a component that is given by its path is uploaded first.
async fn default_processor(
    registry: &Registry<ChildCompiler>,
    processor: Option<&str>,
) -> anyhow::Result<Option<String>> {
    let Some(processor) = processor else { return Ok(None) };
    if registry.get(processor).is_ok() {
        return Ok(Some(processor.to_owned()));
    }
    let path = Path::new(processor);
    if !path.is_file() {
        bail!("--processor {processor}: neither a processor in the data directory nor a file");
    }
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {processor}"))?;
    let lease = registry.upload(&bytes, None).await.with_context(|| format!("{processor} was refused"))?;
    Ok(Some(lease.id()))
}
