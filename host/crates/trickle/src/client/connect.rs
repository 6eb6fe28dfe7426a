//! A new connection to a server.

use std::{io, net::SocketAddr, time::Duration};

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::{Instant, timeout_at},
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};
use tokio_util::task::AbortOnDropHandle;

use super::{RequestBody, TransportError};
use crate::url::Origin;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The host's name has no address.
    #[error("cannot resolve the host")]
    Resolve(#[source] io::Error),
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

/// One HTTP/1.1 connection; it closes when dropped.
pub(crate) struct Connection {
    pub(super) sender: SendRequest<RequestBody>,
    /// Moves the bytes.
    _driver: AbortOnDropHandle<()>,
}

impl Connection {
    pub(super) async fn open(origin: &Origin, tls: &TlsConnector, limit: Duration) -> Result<Self, ConnectError> {
        let deadline = Instant::now() + limit;
        timeout_at(deadline, Self::open_before(origin, tls, deadline)).await.map_err(|_| ConnectError::Timeout)?
    }

    async fn open_before(origin: &Origin, tls: &TlsConnector, deadline: Instant) -> Result<Self, ConnectError> {
        let stream = tcp(origin, deadline).await?;
        if !origin.tls {
            return Self::over(stream).await;
        }
        let name = ServerName::try_from(origin.host.clone()).map_err(|_| ConnectError::ServerName)?;
        Self::over(tls.connect(name, stream).await.map_err(ConnectError::Tls)?).await
    }

    async fn over<S>(stream: S) -> Result<Self, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|error| ConnectError::Http(TransportError(error)))?;
        let driver = async move {
            // Whoever waits for a reply or a body gets the error too.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
        };
        Ok(Self { sender, _driver: AbortOnDropHandle::new(tokio::spawn(driver)) })
    }
}

/// Tries the host's addresses one after the other, each with its share of the time that is left.
async fn tcp(origin: &Origin, deadline: Instant) -> Result<TcpStream, ConnectError> {
    let found = lookup_host((origin.host.as_str(), origin.port)).await.map_err(ConnectError::Resolve)?;
    let addresses: Vec<SocketAddr> = found.collect();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for (tried, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let now = Instant::now();
        let share = deadline.saturating_duration_since(now) / left;
        match timeout_at(now + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).map_err(ConnectError::Connect)?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(ConnectError::Connect(last))
}
