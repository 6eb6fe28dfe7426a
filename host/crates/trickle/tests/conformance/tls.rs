//! Trust in `https` servers.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rillbox_trickle::{
    Authorities, ChannelUrl, Client, ClientConfig, ClientError, ConnectError, ControlError, next_seq,
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};

use crate::harness::{TestServer, soon};

/// A TLS front before a server; its own certificate is all it has.
struct Front {
    url: ChannelUrl,
    certificate: String,
    _tasks: JoinSet<()>,
}

async fn front(server: &TestServer) -> Front {
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
    let url = format!("https://localhost:{}/c", listener.local_addr().unwrap().port());
    let (mut tasks, behind) = (JoinSet::new(), server.addr);
    tasks.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let mut plain = TcpStream::connect(behind).await.unwrap();
                let _ = copy_bidirectional(&mut stream, &mut plain).await;
            }
        }
    });
    Front { url: url.parse().unwrap(), certificate: cert.pem(), _tasks: tasks }
}

#[tokio::test]
async fn strangers_are_refused_unless_named_or_all_are_let_in() {
    let server = TestServer::start().await;
    server.post("/c/0", "x").await;
    let front = front(&server).await;
    let ask = async |config: ClientConfig| soon(next_seq(&Client::new(config).unwrap(), &front.url)).await;
    let refused = ask(ClientConfig::default()).await;
    assert!(matches!(refused, Err(ControlError::Connect(ConnectError::Tls(_)))), "{refused:?}");
    let named = Authorities::from_pem(front.certificate.as_bytes()).unwrap();
    let trusting = ClientConfig { authorities: vec![named], ..ClientConfig::default() };
    assert_eq!(ask(trusting).await.unwrap(), 1);
    let careless = ClientConfig { insecure: true, ..ClientConfig::default() };
    assert_eq!(ask(careless).await.unwrap(), 1);
}

#[test]
fn an_authority_that_is_none_is_refused() {
    assert!(matches!(Authorities::from_pem(b""), Err(ClientError::NoAuthority)));
    let damaged = b"-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n";
    assert!(matches!(Authorities::from_pem(damaged), Err(ClientError::Pem(_))));
    let other = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(Authorities::from_pem(other), Err(ClientError::Authority(_))));
}
