//! TLS on the REST surface.

use std::fs;
use std::time::{Duration, Instant};

use reqwest::Method;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::access::{Tokens, refused};
use crate::harness::PATIENCE;
use crate::harness::host::Host;
use crate::harness::tls::Certificate;

fn host(certificate: &Certificate, flags: &[&str]) -> Host {
    let (chain, key) = (certificate.chain(), certificate.key());
    let tls = ["--tls-cert", chain.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    Host::start_with(&[&tls, flags].concat())
}

/// Sends a request on a connection; gives everything until the host closes it.
async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), path: &str, headers: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    rest(stream).await
}

async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    // A connection that is cut off has said what it has said.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the host closes");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Catches TLS that nobody can check, that agrees on a protocol that is not spoken, or that changes what is answered.
#[tokio::test(flavor = "multi_thread")]
async fn the_surface_is_reached_over_tls() {
    let (certificate, tokens) = (Certificate::new(), Tokens::new());
    let token = tokens.create("one", &["read"]);
    let host = host(&certificate, &["--tokens", tokens.file()]);
    let mut stream = certificate.connect(host.api_address()).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert!(
        ask(&mut stream, "/api/streams", &format!("Authorization: Bearer {token}\r\n"))
            .await
            .starts_with("HTTP/1.1 200")
    );
    let mut stream = certificate.connect(host.api_address()).await.unwrap();
    assert!(ask(&mut stream, "/api/streams", "").await.starts_with("HTTP/1.1 401"));
    let stranger = Certificate::new().connect(host.api_address()).await.unwrap_err();
    assert!(stranger.to_string().contains("certificate"), "{stranger}");
    let mut stream = certificate.connect(host.api_address()).await.unwrap();
    let large = format!("X-Large: {}\r\n", "x".repeat(200_000));
    assert!(ask(&mut stream, "/health", &large).await.starts_with("HTTP/1.1 431"), "limits hold over TLS too");
}

/// Catches a secret that goes over the port in plain text, and a caller who is not told why nothing works.
#[tokio::test(flavor = "multi_thread")]
async fn plain_http_on_the_tls_port_is_400() {
    let certificate = Certificate::new();
    let host = host(&certificate, &[]);
    let answer = host.answer(Method::GET, "/health", "").await;
    assert_eq!(answer.status(), 400);
    let text = answer.text().await.unwrap();
    assert!(text.contains("https"), "{text}");
    let mut stream = TcpStream::connect(host.api_address()).await.unwrap();
    stream.write_all(b"\x16\x03\x01\x00\x05hello").await.unwrap();
    assert!(!rest(&mut stream).await.contains("HTTP"), "a broken handshake is answered as HTTP");
    assert!(ask(&mut certificate.connect(host.api_address()).await.unwrap(), "/health", "").await.contains("IDLE"));
}

/// Catches connections that are held by a handshake that does not come to its end, and a host that waits for one when it goes
/// down.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_handshake_is_cut_off() {
    let certificate = Certificate::new();
    let mut host = host(&certificate, &[]);
    let began = Instant::now();
    let mut silent = TcpStream::connect(host.api_address()).await.unwrap();
    let mut half = TcpStream::connect(host.api_address()).await.unwrap();
    half.write_all(b"\x16\x03\x01\x02\x00\x01").await.unwrap();
    let (mut dripping, mut drip) = TcpStream::connect(host.api_address()).await.unwrap().into_split();
    let drips = tokio::spawn(async move {
        drip.write_all(b"\x16\x03\x01\x20\x00\x01\x00\x1f\xfc").await.unwrap();
        while drip.write_all(b"\x00").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    assert_eq!(rest(&mut silent).await + &rest(&mut half).await + &rest(&mut dripping).await, "");
    let took = began.elapsed();
    println!("slow handshakes were cut off after {took:?}");
    assert!((Duration::from_secs(8)..Duration::from_secs(40)).contains(&took), "{took:?}");
    drips.abort();

    let _held = TcpStream::connect(host.api_address()).await.unwrap();
    assert!(ask(&mut certificate.connect(host.api_address()).await.unwrap(), "/health", "").await.contains("IDLE"));
    assert!(host.terminate().success());
}

/// Catches a certificate that runs out although its successor is there, and half of one that shuts everybody out.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_taken() {
    let mut certificate = Certificate::new();
    let host = host(&certificate, &[]);
    let key = fs::read(certificate.key()).unwrap();
    fs::write(certificate.key(), "no key").unwrap();
    let asked = Instant::now();
    while !host.log().contains("what it held before stays") {
        assert!(asked.elapsed() < PATIENCE, "{}", host.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    certificate.connect(host.api_address()).await.unwrap();
    fs::write(certificate.key(), key).unwrap();
    certificate.renew();
    let asked = Instant::now();
    while certificate.connect(host.api_address()).await.is_err() {
        assert!(asked.elapsed() < PATIENCE, "the new certificate is not shown");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("a new certificate is shown after {:?}", asked.elapsed());
}

/// Catches a host that starts without the TLS that it was to speak, or does not say which file is wrong.
#[test]
fn bad_certificates_are_named() {
    let (one, other) = (Certificate::new(), Certificate::new());
    let (chain, key, strange) = (one.chain(), one.key(), other.key());
    let (chain, key, strange) = (chain.to_str().unwrap(), key.to_str().unwrap(), strange.to_str().unwrap());
    for (flags, words) in [
        (&["--tls-cert", chain][..], &["--tls-key"][..]),
        (&["--tls-key", key], &["--tls-cert"]),
        (&["--tls-cert", "/nowhere.pem", "--tls-key", key], &["/nowhere.pem"]),
        (&["--tls-cert", chain, "--tls-key", "/nowhere.pem"], &["/nowhere.pem"]),
        (&["--tls-cert", key, "--tls-key", key], &[key, "no certificate"]),
        (&["--tls-cert", chain, "--tls-key", chain], &[chain, "no private key"]),
        (&["--tls-cert", chain, "--tls-key", strange], &[chain, strange, "does not go with"]),
    ] {
        let said = refused(&[&["--listen", "127.0.0.1:0"], flags].concat());
        for word in words {
            assert!(said.contains(word), "{flags:?}: {said}");
        }
    }
}
