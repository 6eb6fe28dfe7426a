//! A TLS front before a server, whose own certificate is all it has.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

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
