//! Paths, methods, names and indices.

use rillbox_trickle::ServerConfig;

use crate::harness::{Reply, TestServer};

fn assert_error(reply: &Reply, status: u16, body: &str) {
    assert_eq!((reply.status, reply.body.as_str()), (status, body));
    assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
}

#[tokio::test]
async fn unrouted_paths_are_not_found() {
    let server = TestServer::start().await;
    for path in ["/", "/c/", "/c/0/", "/c/0/x", "//c/0", "/../c/0"] {
        assert_error(&server.get(path).await, 404, "404 page not found\n");
    }
}

#[tokio::test]
async fn wrong_methods_are_told_the_right_ones() {
    let server = TestServer::start().await;
    let reply = server.get("/c").await;
    assert_error(&reply, 405, "Method Not Allowed\n");
    assert_eq!(reply.header("allow"), Some("DELETE, POST"));
    let reply = server.ask("PUT /c/0 HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(reply.header("allow"), Some("DELETE, GET, HEAD, POST"));
}

#[tokio::test]
async fn unknown_channels_are_answered_by_method() {
    let server = TestServer::start().await;
    for path in ["/c/0", "/c/abc", "/c/next"] {
        assert_error(&server.get(path).await, 404, "Stream not found\n");
    }
    assert_error(&server.delete("/c/0").await, 404, "Stream not found\n");
    assert_error(&server.delete("/c").await, 400, "Invalid stream\n");
}

#[tokio::test]
async fn names_are_one_decoded_path_segment_under_the_base() {
    let config = ServerConfig { base_path: "ai/trickle".into(), ..ServerConfig::default() };
    let server = TestServer::with(config).await;
    assert_eq!(server.post("/ai/trickle/a%2F%E2%98%83/0", "x").await.status, 200);
    assert_eq!(server.get("/ai/trickle/%61%2f%E2%98%83/nex%74").await.body, "1");
    assert_eq!(server.get("/a%2F%E2%98%83/0").await.status, 404);
    assert_eq!(server.post("/ai/trickle/a%0Ab/0", "x").await.status, 400);
    assert_eq!(server.post("/ai/trickle/a%zz/0", "x").await.status, 400);
}

#[tokio::test]
async fn bad_indices_are_refused_and_change_nothing() {
    let server = TestServer::start().await;
    assert_error(&server.post("/new/abc", "x").await, 400, "Invalid idx\n");
    assert_eq!(server.get("/new/next").await.status, 404, "no channel was made");
    server.create("c", "text/plain").await;
    for index in ["-2", "-5", "9223372036854775807", "9223372036854775808", "1.5"] {
        assert_error(&server.post(&format!("/c/{index}"), "x").await, 400, "Invalid idx\n");
    }
    for index in ["-3", "-5", "abc"] {
        assert_error(&server.get(&format!("/c/{index}")).await, 400, "Invalid idx\n");
    }
    assert_error(&server.delete("/c/-1").await, 400, "Invalid idx\n");
    assert_error(&server.delete("/c/9223372036854775807").await, 400, "Nonexistent segment\n");
    assert_eq!(server.get("/c/9223372036854775807").await.status, 470);
    assert_eq!(server.latest("c").await, "0");
    assert_eq!(server.post("/c/%30", "x").await.status, 200);
}

#[tokio::test]
async fn a_bad_request_with_an_endless_body_is_answered_at_once() {
    let server = TestServer::start().await;
    let mut wire = server.wire().await;
    wire.send(&crate::harness::chunked_post("/c/-7", "")).await;
    wire.send_chunk("never ends").await;
    let reply = wire.reply().await;
    assert_eq!((reply.status, reply.header("connection")), (400, Some("close")));
    assert!(wire.closes().await);
}

/// Catches a page of another site that writes into channels of this machine: browsers send such requests without asking. Its owner may
/// have made its name lead here. And a proxy's name that is refused, though the server was told of it.
#[tokio::test]
async fn pages_of_other_sites_are_refused() {
    let config = ServerConfig { hosts: vec!["Proxy.example".into()], ..ServerConfig::default() };
    let server = TestServer::with(config).await;
    for (host, origin, status) in [
        ("localhost", "https://evil.example", 403),
        ("proxy.example", "http://evil.example", 403),
        ("other.proxy.example", "http://other.proxy.example", 403),
        ("PROXY.example:443", "https://proxy.example:443", 200),
        ("localhost", "null", 403),
        ("evil.example:3389", "http://evil.example:3389", 403),
        ("192.0.2.1", "http://192.0.2.1", 403),
        ("localhost:3389", "http://localhost:3389", 200),
        ("127.0.0.1:3389", "http://127.0.0.1:3389", 200),
        ("[::1]", "http://[::1]", 200),
    ] {
        let request = format!(
            "POST /c/0 HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\nx"
        );
        assert_eq!(server.ask(&request).await.status, status, "{host} {origin}");
    }
    for request in [
        "GET http://evil.example/c/0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /c/0 HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
    ] {
        assert_eq!(server.ask(request).await.status, 403, "{request}");
    }
}
