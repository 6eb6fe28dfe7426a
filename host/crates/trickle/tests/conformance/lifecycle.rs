//! Channels: creation, deletion, idleness, shutdown.

use std::time::Duration;

use rillbox_trickle::{ControlError, ServerConfig, create, delete, next_seq};

use crate::harness::{TestServer, client, soon};

#[tokio::test]
async fn the_first_creation_decides_the_content_type() {
    let server = TestServer::start().await;
    let (client, url) = (client(), server.url("c"));
    create(&client, &url, "application/jsonl").await.unwrap();
    create(&client, &url, "video/mp2t").await.unwrap();
    assert_eq!(next_seq(&client, &url).await.unwrap(), 0);
    server.post("/c/0", "{}").await;
    assert_eq!(server.get("/c/0").await.header("content-type"), Some("application/jsonl"));
    delete(&client, &url).await.unwrap();
    assert!(matches!(next_seq(&client, &url).await, Err(ControlError::NotFound)));
    assert!(matches!(delete(&client, &url).await, Err(ControlError::Status(status)) if status == 400));
}

#[tokio::test]
async fn without_autocreate_only_what_exists_is_served() {
    let config = ServerConfig { autocreate: false, ..ServerConfig::default() };
    let server = TestServer::with(config).await;
    assert!(matches!(create(&client(), &server.url("c"), "a/b").await, Err(ControlError::NotFound)));
    let mut wire = server.wire().await;
    wire.send(&crate::harness::chunked_post("/c/0", "")).await;
    let reply = wire.reply().await;
    assert_eq!((reply.status, reply.header("connection")), (404, Some("close")));
    assert!(wire.closes().await);
}

#[tokio::test]
async fn deletion_ends_waits_and_frees_the_name() {
    let server = TestServer::start().await;
    server.post("/c/0", "x").await;
    let mut reader = server.waiting_get("c", "1").await;
    let mut publisher = server.preconnect("c", "1").await;
    assert!(reader.is_silent() && publisher.is_silent());
    assert_eq!(server.delete("/c").await.status, 200);
    let told = reader.reply().await;
    assert_eq!((told.status, told.header("lp-trickle-closed")), (200, Some("terminated")));
    assert_eq!((told.header("lp-trickle-seq"), told.header("lp-trickle-latest")), (Some("1"), Some("1")));
    assert_eq!((told.header("content-length"), told.header("content-type")), (Some("0"), None));
    let told = publisher.reply().await;
    assert_eq!((told.status, told.header("lp-trickle-closed")), (200, Some("terminated")));
    assert_eq!((told.header("lp-trickle-seq"), told.header("connection")), (Some("1"), Some("close")));
    assert_eq!(server.get("/c/0").await.status, 404);
    server.create("c", "a/b").await;
    assert_eq!(server.latest("c").await, "0");
}

#[tokio::test]
async fn deletion_lets_a_reader_finish_cleanly_and_stops_the_publisher() {
    let server = TestServer::start().await;
    server.create("c", "a/b").await;
    let mut publisher = server.preconnect("c", "0").await;
    publisher.send_chunk("part").await;
    let mut reader = server.waiting_get("c", "0").await;
    reader.head().await;
    assert_eq!(reader.chunk().await.as_deref(), Some("part"));
    server.delete("/c").await;
    assert_eq!(reader.chunk().await, None);
    let told = publisher.reply().await;
    assert_eq!((told.status, told.header("lp-trickle-closed")), (200, Some("terminated")));
    reader.send(&crate::harness::get("/c/1")).await;
    assert_eq!(reader.reply().await.status, 404, "the connection is still good");
}

fn restless() -> ServerConfig {
    ServerConfig {
        idle_timeout: Duration::from_millis(500),
        sweep_interval: Duration::from_millis(10),
        ..ServerConfig::default()
    }
}

#[tokio::test]
async fn idle_channels_are_swept_waiting_readers_or_not() {
    let server = TestServer::with(restless()).await;
    server.create("c", "a/b").await;
    let mut reader = server.waiting_get("c", "0").await;
    assert_eq!(reader.reply().await.header("lp-trickle-closed"), Some("terminated"));
    assert_eq!(server.get("/c/next").await.status, 404);
}

#[tokio::test]
async fn a_channel_with_an_active_publisher_is_not_swept() {
    let server = TestServer::with(restless()).await;
    server.create("live", "a/b").await;
    let mut publisher = server.preconnect("live", "0").await;
    publisher.send_chunk("a").await;
    let mut reader = server.waiting_get("live", "0").await;
    reader.head().await;
    assert_eq!(reader.chunk().await.as_deref(), Some("a"));
    // Another channel that is made now and swept shows that time enough has passed.
    server.create("idle", "a/b").await;
    server.waiting_get("idle", "0").await.reply().await;
    publisher.send_chunk("b").await;
    assert_eq!(reader.chunk().await.as_deref(), Some("b"));
    assert_eq!(publisher.finish().await.status, 200);
    assert_eq!(reader.chunk().await, None);
}

#[tokio::test]
async fn shutdown_closes_channels_and_connections() {
    let server = TestServer::start().await;
    server.create("c", "a/b").await;
    let mut reader = server.waiting_get("c", "0").await;
    let mut silent = server.wire().await;
    // Connections are accepted in order, so after this one that one was.
    server.latest("c").await;
    server.stop.cancel();
    assert_eq!(reader.reply().await.header("lp-trickle-closed"), Some("terminated"));
    assert!(reader.closes().await);
    assert!(silent.closes().await);
    drop((reader, silent));
    server.stop().await;
}

#[tokio::test]
async fn dropping_a_running_server_frees_its_port() {
    let server = TestServer::start().await;
    server.create("c", "a/b").await;
    let mut wire = server.waiting_get("c", "0").await;
    server.task.abort();
    assert!(wire.closes().await);
    let again = TestServer::at(server.addr, ServerConfig::default()).await;
    assert_eq!(again.addr, server.addr);
}

#[tokio::test]
async fn there_are_at_most_so_many_channels() {
    let config = ServerConfig { max_channels: 1, ..ServerConfig::default() };
    let server = TestServer::with(config).await;
    assert_eq!(server.post("/a/0", "x").await.status, 200);
    assert_eq!(server.post("/b/0", "x").await.status, 503);
    assert_eq!(server.post("/b", "").await.status, 503);
    server.delete("/a").await;
    assert_eq!(server.post("/b/0", "x").await.status, 200);
}

#[tokio::test]
async fn the_changefeed_tells_what_comes_and_goes_and_is_read_only() {
    let config = ServerConfig { changefeed: true, ..restless() };
    let server = TestServer::with(config).await;
    assert_eq!(server.get("/_changes/0").await.body, r#"{"added":["_changes"]}"#);
    server.create("a", "x/y").await;
    let added = server.get("/_changes/1").await;
    assert_eq!((added.body.as_str(), added.header("content-type")), (r#"{"added":["a"]}"#, Some("application/json")));
    assert_eq!(server.get("/_changes/2").await.body, r#"{"removed":["a"]}"#, "swept");
    assert_eq!(server.post("/_changes/3", "x").await.status, 403);
    assert_eq!(server.delete("/_changes").await.status, 403);
    assert_eq!(server.latest("_changes").await, "3");
    let mut reader = server.waiting_get("_changes", "-1").await;
    server.stop.cancel();
    assert_eq!(soon(reader.reply()).await.header("lp-trickle-seq"), Some("3"));
}
