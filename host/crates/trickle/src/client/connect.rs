//! A new connection to a server.

use std::{
    error::Error,
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    sync::Semaphore,
    time::{Instant, timeout_at},
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};
use tokio_util::task::AbortOnDropHandle;

use super::head::{Bounded, HeadBound};
use super::{RequestBody, TransportError};
use crate::{socket, url::Origin};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The host's name has no address.
    #[error("cannot resolve the host")]
    Resolve(#[source] io::Error),
    /// The [`Guard`] lets nobody connect to it; the reason.
    #[error("refused: {0}")]
    Refused(Reason),
    /// No address took the connection.
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    /// Not connected within [`ClientConfig::connect_timeout`](crate::ClientConfig::connect_timeout).
    #[error("connecting took too long")]
    Timeout,
    /// The host is no name that a certificate could be for.
    #[error("the host is not a valid TLS server name")]
    ServerName,
    /// TLS failed, as for a certificate that nobody vouches for.
    #[error("TLS failed")]
    Tls(#[source] io::Error),
    /// HTTP did not come up.
    #[error("HTTP failed")]
    Http(#[source] TransportError),
}

/// Says which of a host's addresses may be connected to, or why none. It is asked once a name has been looked up, and what it
/// gives is connected to without another lookup, so that no name can lead elsewhere than where it was seen to lead.
#[derive(Clone)]
pub struct Guard(Arc<Check>);

type Reason = Box<dyn Error + Send + Sync>;

type Check = dyn Fn(&str, u16, Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Reason> + Send + Sync;

impl Guard {
    /// `check` is given the host as the URL has it, without brackets, its port, and its addresses.
    pub fn new(
        check: impl Fn(&str, u16, Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Reason> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(check))
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").finish_non_exhaustive()
    }
}

/// After so long without a byte the system asks whether the server is still there, and then so often: by default it gives up after
/// nine times, so that a connection that is broken without a word fails within 33 s, although a segment may be silent for as long as
/// it likes.
const SILENT: Duration = Duration::from_secs(15);
const PROBE: Duration = Duration::from_secs(2);

/// Lookups of names at once: fewer than a runtime has threads for what blocks.
pub(super) const LOOKUPS: usize = 256;

/// How connections are made.
pub(super) struct Connector {
    pub(super) tls: TlsConnector,
    /// Of name lookup, TCP and TLS together.
    pub(super) timeout: Duration,
    pub(super) guard: Option<Guard>,
    /// Places of lookups.
    pub(super) lookups: Arc<Semaphore>,
}

/// One HTTP/1.1 connection; it closes when dropped.
pub(crate) struct Connection {
    pub(super) sender: SendRequest<RequestBody>,
    pub(super) head: HeadBound,
    /// Moves the bytes.
    _driver: AbortOnDropHandle<()>,
}

impl Connector {
    pub(super) async fn open(&self, origin: &Origin) -> Result<Connection, ConnectError> {
        let deadline = Instant::now() + self.timeout;
        timeout_at(deadline, self.open_before(origin, deadline)).await.map_err(|_| ConnectError::Timeout)?
    }

    async fn open_before(&self, origin: &Origin, deadline: Instant) -> Result<Connection, ConnectError> {
        let stream = self.tcp(origin, deadline).await?;
        if !origin.tls {
            return Connection::over(stream).await;
        }
        let name = ServerName::try_from(origin.host.clone()).map_err(|_| ConnectError::ServerName)?;
        Connection::over(self.tls.connect(name, stream).await.map_err(ConnectError::Tls)?).await
    }

    /// Tries the host's addresses one after the other, each with its share of the time that is left.
    async fn tcp(&self, origin: &Origin, deadline: Instant) -> Result<TcpStream, ConnectError> {
        let mut addresses = self.look_up(origin).await.map_err(ConnectError::Resolve)?;
        if let Some(Guard(check)) = &self.guard {
            addresses = check(&origin.host, origin.port, addresses).map_err(ConnectError::Refused)?;
        }
        first(&addresses, deadline).await
    }

    /// The system's lookup holds a thread and cannot be ended: it keeps its place until it is done, whatever becomes of whoever asked.
    async fn look_up(&self, origin: &Origin) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = origin.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, origin.port)]);
        }
        let place = self.lookups.clone().acquire_owned().await.map_err(io::Error::other)?;
        let (host, port) = (origin.host.clone(), origin.port);
        let looking = tokio::spawn(async move {
            let found = lookup_host((host.as_str(), port)).await.map(Vec::from_iter);
            drop(place);
            found
        });
        looking.await.map_err(io::Error::other)?
    }
}

impl Connection {
    async fn over<S>(stream: S) -> Result<Self, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let head = HeadBound::new();
        let handshake = http1::handshake(TokioIo::new(Bounded { stream, bound: head.clone() })).await;
        let (sender, connection) = handshake.map_err(|error| ConnectError::Http(TransportError(error)))?;
        let driver = async move {
            // Whoever waits for a reply or a body gets the error too.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
        };
        Ok(Self { sender, head, _driver: AbortOnDropHandle::new(tokio::spawn(driver)) })
    }
}

async fn first(addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream, ConnectError> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for (tried, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let now = Instant::now();
        let share = deadline.saturating_duration_since(now) / left;
        match timeout_at(now + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                socket::prepare(&stream, SILENT, PROBE).map_err(ConnectError::Connect)?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(ConnectError::Connect(last))
}
