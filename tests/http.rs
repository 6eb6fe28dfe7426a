//! HTTP to the REST surface as it is on the wire: odd requests, their targets, and connections with their limits.

use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::access::Tokens;
use crate::harness::host::Host;
use crate::harness::{PATIENCE, guest};

/// Connections that one address may have.
const FROM_ONE: usize = 192;

/// Sends bytes as they are; gives everything that comes back until the host closes.
async fn raw(host: &Host, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(host.api_address()).await.unwrap();
    stream.write_all(request).await.unwrap();
    rest(&mut stream).await
}

/// Sends a request with more headers; gives the status and the answer's head and body.
pub async fn with_headers(host: &Host, request: &str, headers: &[&str], body: &str) -> (u16, String) {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = body.len();
    let request = format!(
        "{request} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}",
        host.api_address()
    );
    let answer = raw(host, request.as_bytes()).await;
    (answer[9..12].parse().unwrap(), answer)
}

/// Everything that comes until the host closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the host closes").unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Catches HTTP that is odd or hostile, and that is taken, breaks something, or is refused without a reason.
#[tokio::test(flavor = "multi_thread")]
async fn odd_requests_are_refused_with_a_reason() {
    let host = Host::start_with(&["--processor", guest("green").to_str().unwrap()]);
    let start = r#"{"subscribe_url": "http://127.0.0.1:9/in"}"#;
    let problem = |what: &str, code: u16, answer: (u16, String)| {
        assert_eq!(answer.0, code, "{what}: {}", answer.1);
        let body: Value = serde_json::from_str(answer.1.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        assert_eq!(body["status"], "error", "{what}");
        assert!(body["message"].as_str().unwrap().len() > 8, "{what}");
    };
    let post = "POST /api/stream/start";
    for encoding in [&["Content-Encoding: gzip"][..], &["Content-Encoding: identity", "Content-Encoding: made-up"]] {
        problem("an encoding", 415, with_headers(&host, post, encoding, start).await);
    }
    let array = r#"["http://127.0.0.1:9/in", null, null, null, null, null, null, {}]"#;
    problem("an array", 400, with_headers(&host, post, &[], array).await);
    problem("not UTF-8", 400, with_headers(&host, "GET /api/streams/%ff%fe", &[], "").await);
    problem("not an escape", 404, with_headers(&host, "GET /api/streams/%zz", &[], "").await);
    let twice = ["X-Stream-Id: a", "X-Stream-Id: b"];
    problem("two ids", 400, with_headers(&host, post, &twice, start).await);
    problem("another site", 403, with_headers(&host, post, &["Sec-Fetch-Site: cross-site"], start).await);
    let large = format!("X-Large: {}", "x".repeat(200_000));
    assert_eq!(with_headers(&host, "GET /health", &[&large], "").await.0, 431);
    let many: Vec<_> = (0..500).map(|n| format!("X-{n}: x")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    assert_eq!(with_headers(&host, "GET /health", &many, "").await.0, 431);
    assert!(raw(&host, b"\x16\x03\x01\x02\x00\x01\x00").await.starts_with("HTTP/1.1 400"));
    assert_eq!(host.get("/api/streams").await.1, json!({ "streams": [] }));

    let (code, head) = with_headers(&host, "HEAD /api/health", &[], "").await;
    assert_eq!((code, head.ends_with("\r\n\r\n")), (200, true), "{head}");
    assert_eq!(with_headers(&host, "OPTIONS /api/nothing", &[], "").await.0, 404);
    assert_eq!(
        with_headers(&host, post, &["Content-Encoding: identity", "Sec-Fetch-Site: same-origin"], start).await.0,
        200
    );
}

/// Catches a target that names another host and is answered as if it named this one, or that leads past what guards a
/// route: the header `Host` would then be a name that nobody asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_with_a_host_is_a_request_to_that_host() {
    let tokens = Tokens::new();
    let token = format!("Authorization: Bearer {}", tokens.create("one", &["read"]));
    let (open, guarded) = (Host::start(), Host::start_with(&["--tokens", tokens.file()]));
    for (target, to_open, to_guarded) in [
        ("/api/streams", 200, 200),
        (&format!("http://{}/api/streams", open.api_address()), 200, 200),
        ("http://LOCALHOST/api/streams?x", 200, 200),
        ("http://evil.example/api/streams", 403, 200),
        ("http://localhost.evil.example:80/api/streams", 403, 200),
        ("http://localhost@evil.example/api/streams", 403, 200),
        // A path, whatever it looks like.
        ("//localhost/api/streams", 404, 404),
        ("/http://localhost/api/streams", 404, 404),
        // None of them.
        ("api/streams", 400, 400),
        ("http:///api/streams", 400, 400),
    ] {
        let request = format!("GET {target}");
        let (code, answer) = with_headers(&open, &request, &[], "").await;
        assert_eq!(code, to_open, "{target}: {answer}");
        let (code, answer) = with_headers(&guarded, &request, &[&token], "").await;
        assert_eq!(code, to_guarded, "{target}: {answer}");
        assert_ne!(with_headers(&guarded, &request, &[], "").await.0, 200, "{target} without a token");
    }
    for request in ["CONNECT localhost:80", "CONNECT evil.example:80", "OPTIONS *"] {
        let (code, answer) = with_headers(&open, request, &[], "").await;
        assert!((400..500).contains(&code), "{request}: {answer}");
    }
    assert!(open.panics().is_empty(), "{:?}", open.panics());
}

/// Asks on a connection that stays; whether there is an answer, which is read whole.
async fn is_healthy(stream: &mut TcpStream) -> bool {
    // Where the host has closed already, what is sent may not arrive.
    let _ = stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).ends_with('}') {
        match timeout(PATIENCE, stream.read_buf(&mut answer)).await.expect("an answer, or an end") {
            Ok(1..) => {}
            Ok(0) | Err(_) => return false,
        }
    }
    answer.starts_with(b"HTTP/1.1 200")
}

/// Catches a connection of its own for every request, which costs callers a round trip, and TLS more; one that is kept
/// although the client says that it is the last request; and one after another that is not answered in order.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_used_again() {
    let host = Host::start();
    let mut stream = TcpStream::connect(host.api_address()).await.unwrap();
    for _ in 0..3 {
        assert!(is_healthy(&mut stream).await);
    }
    // All at once, of which one is refused; the body of the second is no request.
    let requests = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n\
        POST /api/stream/start HTTP/1.1\r\nHost: localhost\r\nContent-Length: 23\r\n\r\nGET /health HTTP/1.1\r\n\r\n\
        GET /version HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(requests.as_bytes()).await.unwrap();
    let answers = rest(&mut stream).await;
    let codes: Vec<_> = answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(codes, ["200", "400", "200"], "{answers}");
}

/// An address of this machine that is not loopback, where it has one: nothing is sent to find it.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("198.51.100.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_loopback() && !address.is_unspecified())
}

/// Catches one address that keeps all others out by holding every connection there is, one whose places never come
/// back, and a machine that is kept out of its own host.
#[tokio::test(flavor = "multi_thread")]
async fn one_address_leaves_connections_to_others() {
    let Some(address) = own_address() else { return println!("this machine has no address but loopback") };
    let host = Host::start_with(&["--listen", "0.0.0.0:0", "--insecure-allow-anyone"]);
    let (_, port) = host.api_address().rsplit_once(':').unwrap();
    let from_outside = format!("{address}:{port}");
    let mut held = Vec::new();
    for _ in 0..FROM_ONE {
        let mut stream = TcpStream::connect(&from_outside).await.unwrap();
        assert!(is_healthy(&mut stream).await, "after {} connections", held.len());
        held.push(stream);
    }
    let mut more = TcpStream::connect(&from_outside).await.unwrap();
    assert!(!is_healthy(&mut more).await, "there is no end of them");
    // The log is read by a thread of its own.
    let told = async {
        while !host.log().contains("this address has 192 already") {
            sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(timeout(PATIENCE, told).await.is_ok(), "{}", host.log());
    assert!(is_healthy(&mut TcpStream::connect(host.api_address()).await.unwrap()).await, "others have no place");
    held.pop();
    let again = async {
        while !is_healthy(&mut TcpStream::connect(&from_outside).await.unwrap()).await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, again).await.expect("a place that was left is free");
}
