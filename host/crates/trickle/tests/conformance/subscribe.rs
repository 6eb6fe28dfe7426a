//! `GET` of segments.

use std::time::Duration;

use rillbox_trickle::{Publisher, PublisherConfig, ServerConfig};

use crate::harness::{TestServer, client, get, soon};

#[tokio::test]
async fn a_segment_is_chunked_and_tells_its_number() {
    let server = TestServer::start().await;
    for number in 0..3 {
        server.post(&format!("/c/{number}"), &number.to_string()).await;
    }
    for _ in 0..2 {
        let reply = server.get("/c/1").await;
        assert_eq!((reply.status, reply.body.as_str()), (200, "1"));
        assert_eq!(reply.header("transfer-encoding"), Some("chunked"));
        assert_eq!((reply.header("lp-trickle-seq"), reply.header("lp-trickle-latest")), (Some("1"), Some("3")));
        assert_eq!(reply.header("content-type"), Some("application/octet-stream"));
    }
    let mut wire = server.wire().await;
    wire.send("HEAD /c/1 HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(wire.head().await.header("lp-trickle-seq"), Some("1"));
    wire.send(&get("/c/2")).await;
    assert_eq!(wire.reply().await.body, "2");
}

#[tokio::test]
async fn waiting_for_the_next_number_tells_no_latest() {
    let server = TestServer::start().await;
    server.create("c", "a/b").await;
    let mut next = server.waiting_get("c", "-1").await;
    let mut current = server.waiting_get("c", "-2").await;
    let mut one = server.waiting_get("c", "1").await;
    server.post("/c/0", "zero").await;
    for reader in [&mut next, &mut current] {
        let reply = reader.reply().await;
        assert_eq!((reply.body.as_str(), reply.header("lp-trickle-seq")), ("zero", Some("0")));
        assert_eq!(reply.header("lp-trickle-latest"), None);
    }
    server.post("/c/1", "one").await;
    let reply = one.reply().await;
    assert_eq!((reply.body.as_str(), reply.header("lp-trickle-latest")), ("one", Some("0")));
}

#[tokio::test]
async fn next_passes_over_the_segment_in_progress_and_current_joins_it() {
    let server = TestServer::start().await;
    server.create("c", "a/b").await;
    let mut publisher = server.preconnect("c", "0").await;
    publisher.send_chunk("now").await;
    assert_eq!(server.get_started("/c/0").await, "now");
    let mut current = server.waiting_get("c", "-2").await;
    assert_eq!(current.head().await.header("lp-trickle-seq"), Some("0"));
    let mut next = server.waiting_get("c", "-1").await;
    assert!(next.is_silent());
    server.post("/c/1", "later").await;
    assert_eq!(next.reply().await.header("lp-trickle-seq"), Some("1"));
}

#[tokio::test]
async fn what_is_not_in_the_window_is_470() {
    let server = TestServer::start().await;
    for number in 0..7 {
        server.post(&format!("/c/{number}"), "x").await;
    }
    for index in ["1", "8", "100"] {
        let reply = server.get(&format!("/c/{index}")).await;
        assert_eq!((reply.status, reply.head.reason.as_str()), (470, "status code 470"));
        assert_eq!((reply.header("lp-trickle-latest"), reply.header("lp-trickle-seq")), (Some("7"), Some(index)));
        assert_eq!(reply.body, "Entry not found");
    }
    assert_eq!(server.get("/c/2").await.status, 200);
    let _ahead = server.preconnect("c", "7").await;
    assert_eq!(server.get("/c/2").await.status, 470);
    assert_eq!(server.get("/c/3").await.status, 200);
}

#[tokio::test]
async fn a_reader_that_leaves_frees_the_connection() {
    let config = ServerConfig { max_connections: 2, ..ServerConfig::default() };
    let server = TestServer::with(config).await;
    server.create("c", "a/b").await;
    for _ in 0..20 {
        drop(server.waiting_get("c", "0").await);
    }
    server.post("/c/0", "x").await;
    assert_eq!(server.get("/c/0").await.body, "x");
}

#[tokio::test]
async fn a_slow_reader_gets_all_of_a_segment_that_left_the_window() {
    const SIZE: usize = 24 << 20;
    let server = TestServer::start().await;
    let config = PublisherConfig { max_segment_bytes_buffered: SIZE, ..PublisherConfig::default() };
    let mut publisher = Publisher::new(client(), server.url("c"), config);
    publisher.begin();
    publisher.write(vec![7; SIZE].into()).await.unwrap();
    let mut reader = loop {
        // The publisher connects in the background, and that makes the channel.
        let mut wire = server.wire().await;
        wire.send(&get("/c/0")).await;
        let head = wire.head().await;
        if head.status == 200 {
            break wire;
        }
    };
    soon(publisher.finish()).await.unwrap();
    for number in 1..11 {
        server.post(&format!("/c/{number}"), "x").await;
    }
    assert_eq!(server.get("/c/0").await.status, 470);
    let mut read = 0;
    while let Some(chunk) = reader.chunk().await {
        read += chunk.len();
    }
    assert_eq!(read, SIZE);
}

#[tokio::test]
async fn http_1_0_is_delimited_by_the_close() {
    let server = TestServer::start().await;
    server.post("/c/0", "old").await;
    let text = server.ask_raw("GET /c/0 HTTP/1.0\r\n\r\n").await;
    assert!(text.starts_with("HTTP/1.0 200") || text.starts_with("HTTP/1.1 200"), "{text}");
    assert!(!text.to_ascii_lowercase().contains("chunked"), "{text}");
    assert!(text.ends_with("\r\n\r\nold"), "{text}");
}

#[tokio::test]
async fn a_reader_that_stops_reading_is_cut() {
    let config =
        ServerConfig { max_connections: 1, write_stall_timeout: Duration::from_millis(50), ..ServerConfig::default() };
    let server = TestServer::with(config).await;
    server.post("/c/0", &"x".repeat(24 << 20)).await;
    let mut stalled = server.wire().await;
    stalled.send(&get("/c/0")).await;
    assert_eq!(stalled.head().await.status, 200);
    assert_eq!(server.latest("c").await, "1", "its place goes to another connection");
}
