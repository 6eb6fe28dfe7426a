//! Connections for guests' requests: to addresses that were checked, and no others. No proxy, whatever the environment says.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use thiserror::Error as ThisError;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};
use wasmtime_wasi_http::Error;

use super::meter::{Flight, HttpMeter};
use crate::egress::{Host, Policy, Target};

/// Requests of all streams that are under way.
const AT_ONCE: usize = 256;

/// Why requests cannot be made.
#[derive(Debug, ThisError)]
pub enum HttpClientError {
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

/// What all streams' requests share. A clone is one more reference.
#[derive(Clone)]
pub struct HttpClient {
    runtime: Handle,
    tls: TlsConnector,
    places: Arc<Semaphore>,
}

/// What HTTP is spoken over.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

impl HttpClient {
    /// A client whose connections live on `runtime`. It trusts the web's authorities, and those in the PEM texts.
    pub fn new(runtime: Handle, authorities: &[Vec<u8>]) -> Result<Self, HttpClientError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for pem in authorities {
            let known = roots.len();
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(HttpClientError::Pem)?;
                roots.add(certificate).map_err(HttpClientError::Authority)?;
            }
            if roots.len() == known {
                return Err(HttpClientError::NoAuthority);
            }
        }
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(HttpClientError::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { runtime, tls: TlsConnector::from(Arc::new(tls)), places: Arc::new(Semaphore::new(AT_ONCE)) })
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// A place among the requests of all streams, if there is one.
    pub(super) fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.places.clone().try_acquire_owned().ok()
    }

    /// Connects to one of the target's addresses that `granted` allows.
    pub(super) async fn connect(
        &self,
        target: &Target,
        granted: &Policy,
        flight: &Arc<Flight>,
        meter: &HttpMeter,
        deadline: Instant,
    ) -> Result<Box<dyn Wire>, Error> {
        let addresses =
            granted.addresses(&target.host, target.port, look_up(target, flight).await?).map_err(|refusal| {
                meter.refuse(refusal.to_string());
                Error::DestinationIpProhibited
            })?;
        let stream = first(&addresses, deadline).await?;
        if !target.tls {
            return Ok(Box::new(stream));
        }
        let name = match &target.host {
            Host::Address(address) => ServerName::from(*address),
            Host::Name(name) => ServerName::try_from(name.clone()).map_err(|_| Error::TlsCertificateError)?,
        };
        Ok(Box::new(self.tls.connect(name, stream).await.map_err(|error| tls_error(&error))?))
    }
}

async fn look_up(target: &Target, flight: &Arc<Flight>) -> Result<Vec<SocketAddr>, Error> {
    let (name, port) = match &target.host {
        Host::Address(address) => return Ok(vec![SocketAddr::new(*address, target.port)]),
        Host::Name(name) => (name.clone(), target.port),
    };
    // The system's lookup holds a thread and cannot be ended. It keeps the request's place until it is done, whatever becomes of
    // the request: else a guest could pile up lookups of slow names.
    let place = flight.clone();
    let looking = tokio::spawn(async move {
        let found = lookup_host((name.as_str(), port)).await.map(Vec::from_iter);
        drop(place);
        found
    });
    match looking.await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(_)) | Err(_) => {
            Err(Error::DnsError { rcode: Some("cannot resolve the host".to_owned()), info_code: None })
        }
    }
}

/// Tries addresses one after the other, each with its share of the time that is left.
async fn first(addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream, Error> {
    let mut last = Error::DestinationNotFound;
    for (tried, address) in addresses.iter().enumerate() {
        let (left, now) = (u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX), Instant::now());
        let share = deadline.saturating_duration_since(now) / left;
        match timeout_at(now + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => last = Error::ConnectionRefused,
            Ok(Err(_)) => last = Error::DestinationUnavailable,
            Err(_) => last = Error::ConnectionTimeout,
        }
    }
    Err(last)
}

fn tls_error(error: &io::Error) -> Error {
    use tokio_rustls::rustls::Error as Tls;
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Tls>()) {
        Some(Tls::InvalidCertificate(_)) => Error::TlsCertificateError,
        _ => Error::TlsProtocolError,
    }
}
