//! HTTP/1.1 towards trickle servers: connections, their reuse, and trust.

mod connect;
mod exchange;
mod head;
mod pool;
mod tls;

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::Semaphore;
use tokio_rustls::rustls::{self, pki_types::pem};

pub(crate) use self::{
    connect::Connection,
    exchange::{Reply, RequestError, request},
};
use self::{connect::Connector, pool::Pool};
pub use self::{
    connect::{ConnectError, Guard},
    tls::Authorities,
};
use crate::{publisher::OutboxBody, url::Origin};

/// How a [`Client`] connects. [`Default`] trusts the web's authorities.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Bound of name lookup, TCP and TLS together. Default 5 s. Nothing else of a request is bounded: streams wait.
    pub connect_timeout: Duration,
    /// Authorities beside the web's own. Default none.
    pub authorities: Vec<Authorities>,
    /// Accepts any certificate, for orchestrators that sign their own. Default false.
    pub insecure: bool,
    /// Says which addresses may be connected to. Default: any.
    pub guard: Option<Guard>,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(5), authorities: Vec::new(), insecure: false, guard: None }
    }
}

/// Why a [`Client`] cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A PEM text that is damaged.
    #[error("not a PEM text of certificates")]
    Pem(#[source] pem::Error),
    /// A certificate that is none of an authority.
    #[error("not a certificate authority")]
    Authority(#[source] rustls::Error),
    /// A PEM text without a certificate.
    #[error("there is no certificate in the PEM text")]
    NoAuthority,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// The connection failed under a request.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct TransportError(#[from] pub(crate) hyper::Error);

/// Connections to trickle servers, shared by publishers and subscribers. Clones share them.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    connector: Connector,
    pool: Pool,
}

/// Whether a request may use a connection that served another before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reuse {
    Allowed,
    Fresh,
}

impl Client {
    /// # Errors
    /// TLS cannot be set up.
    pub fn new(config: ClientConfig) -> Result<Self, ClientError> {
        let tls = tls::connector(&config)?;
        let lookups = Arc::new(Semaphore::new(connect::LOOKUPS));
        let connector = Connector { tls, timeout: config.connect_timeout, guard: config.guard, lookups };
        let shared = Shared { connector, pool: Pool::default() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// A connection of its own for one request. The flag tells whether it served others before.
    pub(crate) async fn connection(&self, origin: &Origin, reuse: Reuse) -> Result<(Connection, bool), ConnectError> {
        if reuse == Reuse::Allowed
            && let Some(connection) = self.shared.pool.take(origin)
        {
            return Ok((connection, true));
        }
        let opened = self.shared.connector.open(origin).await;
        if opened.is_err() {
            self.shared.pool.forget(origin);
        }
        Ok((opened?, false))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// What a request carries.
pub(crate) enum RequestBody {
    Nothing,
    Segment(OutboxBody),
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Nothing => Poll::Ready(None),
            Self::Segment(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Nothing => SizeHint::with_exact(0),
            Self::Segment(_) => SizeHint::default(),
        }
    }
}
