//! TLS: a front before a server, a certificate for a host, and a client that trusts it.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CertifiedKey, IsCa, KeyPair, generate_simple_self_signed,
};
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

pub struct TlsFront {
    /// `https://localhost:PORT`.
    pub base: String,
    /// PEM.
    pub certificate: String,
    _tasks: JoinSet<()>,
}

impl TlsFront {
    pub async fn start(behind: SocketAddr) -> Self {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(acceptor.clone(), stream, behind));
                while connections.try_join_next().is_some() {}
            }
        });
        Self { base, certificate: cert.pem(), _tasks: tasks }
    }
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream, behind: SocketAddr) {
    // Strangers that do not trust the certificate leave in the handshake.
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let Ok(mut plain) = TcpStream::connect(behind).await else { return };
    // Whichever side closes first ends both.
    let _ = copy_bidirectional(&mut stream, &mut plain).await;
}

/// A certificate for `localhost` and its key in files, from an authority of its own.
pub struct Certificate {
    directory: TempDir,
    authority: CertificateDer<'static>,
}

impl Certificate {
    pub fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let authority = issue(directory.path());
        Self { directory, authority }
    }

    pub fn chain(&self) -> PathBuf {
        self.directory.path().join("cert.pem")
    }

    pub fn key(&self) -> PathBuf {
        self.directory.path().join("key.pem")
    }

    /// Puts another certificate, from another authority, into the same files.
    pub fn renew(&mut self) {
        self.authority = issue(self.directory.path());
    }

    /// Agrees on TLS with a server, trusting this certificate's authority alone; gives the connection and the protocol.
    pub async fn connect(&self, address: &str) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}

/// Writes a new certificate and its key; gives the authority that vouches for it.
fn issue(directory: &Path) -> CertificateDer<'static> {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    std::fs::write(directory.join("cert.pem"), certificate.pem()).unwrap();
    std::fs::write(directory.join("key.pem"), key.serialize_pem()).unwrap();
    let authority: &rcgen::Certificate = authority.as_ref();
    authority.der().clone()
}
