//! The server: channels in memory, served over HTTP/1.1.
//!
//! `window` holds the rules and no I/O; `log` the bytes of a segment; `channels` the table of them; `route`, `reply`,
//! `publish`, `subscribe` and `service` turn requests into replies; `connection` runs one socket.

mod changefeed;
mod channels;
mod connection;
mod log;
mod pages;
mod publish;
mod reaper;
mod reply;
mod route;
mod service;
mod stall;
mod subscribe;
mod window;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval_at, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

pub use self::pages::{Elsewhere, check_origin};
use self::{
    channels::Channels,
    log::Budget,
    publish::PublishLimits,
    reaper::{Abandonments, Reaper},
    service::Service,
};

/// How long to leave the system alone when it cannot accept, as when file descriptors are used up.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How a [`Server`] behaves. [`Default`] is what a live stream wants.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Path before the channel's name; slashes at both ends are added where missing. Default `/`.
    pub base_path: String,
    /// Whether publishing to a channel, or `POST` of its name, creates it. Default true.
    pub autocreate: bool,
    /// A channel that nobody has written to for this long is closed. Default 5 min.
    pub idle_timeout: Duration,
    /// How often to look for such channels. Default 1 min.
    pub sweep_interval: Duration,
    /// Longest silence within a publisher's body once it has begun; then the publisher counts as lost. Default 5 min.
    pub body_idle_timeout: Duration,
    /// How long a segment whose publisher was lost stays open for it to come back. Default 3 s.
    pub abort_grace: Duration,
    /// A connection whose peer reads nothing for this long, while there is something for it, is cut. Default 60 s.
    pub write_stall_timeout: Duration,
    /// How long [`Server::run`] waits for connections once it is cancelled. Default 2 s.
    pub drain_timeout: Duration,
    /// Bound of one segment in bytes, 64 more for each chunk included; beyond it `413`. Default 64 MiB.
    pub max_segment_bytes: usize,
    /// Bound of all segments together, counted alike; beyond it `503`. Default 4 GiB.
    pub max_total_bytes: usize,
    /// Beyond this many channels `503`. Default 1000.
    pub max_channels: usize,
    /// Connections beyond this many wait to be accepted. Default 8192.
    pub max_connections: usize,
    /// Names beside its own under which a server on loopback may be asked, without ports: those that a proxy on this machine keeps.
    /// Default none.
    pub hosts: Vec<String>,
    /// Whether the channel `_changes` tells which channels come and go. Default false.
    pub changefeed: bool,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            base_path: "/".to_owned(),
            autocreate: true,
            idle_timeout: Duration::from_secs(5 * 60),
            sweep_interval: Duration::from_secs(60),
            body_idle_timeout: Duration::from_secs(5 * 60),
            abort_grace: Duration::from_secs(3),
            write_stall_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(2),
            max_segment_bytes: 64 << 20,
            max_total_bytes: usize::try_from(4_u64 << 30).unwrap_or(usize::MAX),
            max_channels: 1000,
            max_connections: 8192,
            hosts: Vec::new(),
            changefeed: false,
        }
    }
}

/// A trickle server that is bound to its address and not yet serving.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    service: Arc<Service>,
    abandonments: Abandonments,
    config: ServerConfig,
}

impl Server {
    /// Binds the address; port 0 picks one, see [`Server::local_addr`].
    ///
    /// # Errors
    /// Whatever the system says, as when the address is in use.
    pub async fn bind(address: SocketAddr, config: ServerConfig) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let budget = Budget::new(config.max_segment_bytes, config.max_total_bytes);
        let (reaper, abandonments) = Reaper::new();
        let service = Arc::new(Service {
            channels: Channels::new(budget, config.max_channels, config.changefeed),
            reaper,
            base_path: base_path(&config.base_path),
            autocreate: config.autocreate,
            limits: PublishLimits { body_idle: config.body_idle_timeout, grace: config.abort_grace },
            write_stall: config.write_stall_timeout,
            names: address.ip().to_canonical().is_loopback().then(|| config.hosts.clone()),
        });
        Ok(Self { listener, address, service, abandonments, config })
    }

    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is cancelled, then closes all channels, lets replies out within
    /// [`ServerConfig::drain_timeout`] and returns. Dropped before, it cuts everything off.
    pub async fn run(self, stop: CancellationToken) {
        let mut keepers = JoinSet::new();
        keepers.spawn(self.abandonments.run());
        keepers.spawn(sweep(self.service.clone(), self.config.sweep_interval, self.config.idle_timeout));
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(_) = connections.join_next() => {}
                stream = accept(&self.listener), if connections.len() < self.config.max_connections => {
                    connections.spawn(connection::serve(stream, self.service.clone(), stop.child_token()));
                }
            }
        }
        drop(self.listener);
        self.service.channels.shut();
        let drained = async { while connections.join_next().await.is_some() {} };
        if timeout(self.config.drain_timeout, drained).await.is_err() {
            tracing::debug!(left = connections.len(), "cutting connections that did not drain");
        }
        connections.shutdown().await;
        keepers.shutdown().await;
    }
}

/// The next connection, however long the system refuses to give one.
async fn accept(listener: &TcpListener) -> TcpStream {
    let mut told = false;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                if !told {
                    tracing::warn!(%error, "cannot accept connections");
                    told = true;
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn sweep(service: Arc<Service>, every: Duration, idle: Duration) {
    // An interval of nothing is a panic in tokio.
    let every = every.max(Duration::from_millis(1));
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        service.channels.sweep(Instant::now(), idle);
    }
}

fn base_path(path: &str) -> String {
    match path.trim_matches('/') {
        "" => "/".to_owned(),
        inner => format!("/{inner}/"),
    }
}
