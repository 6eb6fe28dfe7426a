//! `POST` of segments.

use std::time::Duration;

use rillbox_trickle::ServerConfig;

use crate::harness::{TestServer, chunked_post};

#[tokio::test]
async fn a_whole_segment_keeps_the_connection() {
    let server = TestServer::start().await;
    let mut wire = server.wire().await;
    for (index, seq) in [("0", "0"), ("-1", "1")] {
        wire.send(&chunked_post(&format!("/c/{index}"), "Content-Type: video/mp2t\r\n")).await;
        wire.send_chunk("data").await;
        let reply = wire.finish().await;
        assert_eq!((reply.status, reply.header("lp-trickle-seq")), (200, Some(seq)));
        assert_eq!((reply.header("content-length"), reply.header("connection")), (Some("0"), None));
    }
    assert_eq!(server.get("/c/1").await.header("content-type"), Some("video/mp2t"));
}

#[tokio::test]
async fn bytes_reach_readers_as_they_arrive() {
    let server = TestServer::start().await;
    server.create("c", "a/b").await;
    let mut reader = server.waiting_get("c", "0").await;
    let mut publisher = server.preconnect("c", "0").await;
    assert!(reader.is_silent(), "no head before the first byte");
    assert_eq!(server.latest("c").await, "0");
    publisher.send_chunk("one").await;
    assert_eq!(reader.head().await.status, 200);
    assert_eq!(reader.chunk().await.as_deref(), Some("one"));
    assert_eq!(server.latest("c").await, "1");
    publisher.send_chunk("two").await;
    assert_eq!(reader.chunk().await.as_deref(), Some("two"));
    assert_eq!(server.get_started("/c/0").await, "one");
    publisher.finish().await;
    assert_eq!(reader.chunk().await, None);
}

#[tokio::test]
async fn an_empty_segment_is_one() {
    let server = TestServer::start().await;
    server.create("c", "a/b").await;
    let mut reader = server.waiting_get("c", "0").await;
    let reply = server.post("/c/0", "").await;
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    assert_eq!(reply.header("lp-trickle-seq"), Some("0"));
    let told = reader.reply().await;
    assert_eq!((told.status, told.header("content-length")), (200, Some("0")));
    assert_eq!((told.header("lp-trickle-seq"), told.header("lp-trickle-latest")), (Some("0"), Some("1")));
    assert_eq!((told.header("content-type"), told.header("lp-trickle-closed")), (None, None));
    assert_eq!(server.get("/c/0").await.body, "");
}

#[tokio::test]
async fn an_abort_before_the_first_byte_changes_nothing() {
    let server = TestServer::start().await;
    server.create("c", "a/b").await;
    let mut reader = server.waiting_get("c", "0").await;
    drop(server.preconnect("c", "0").await);
    assert_eq!(server.latest("c").await, "0");
    assert!(reader.is_silent());
    server.post("/c/0", "x").await;
    assert_eq!(reader.reply().await.body, "x");
}

#[tokio::test]
async fn an_abort_within_a_segment_ends_it_after_a_grace_time() {
    let config = ServerConfig { abort_grace: Duration::from_millis(30), ..ServerConfig::default() };
    let server = TestServer::with(config).await;
    server.create("c", "a/b").await;
    let mut reader = server.waiting_get("c", "0").await;
    let mut publisher = server.preconnect("c", "0").await;
    publisher.send_chunk("part").await;
    reader.head().await;
    assert_eq!(reader.chunk().await.as_deref(), Some("part"));
    drop(publisher);
    assert_eq!(reader.chunk().await, None, "a clean end");
    assert_eq!(server.get("/c/0").await.body, "part");
}

#[tokio::test]
async fn a_publisher_may_come_back_within_the_grace_time() {
    let server = TestServer::start().await;
    server.create("c", "a/b").await;
    let mut reader = server.waiting_get("c", "0").await;
    let mut publisher = server.preconnect("c", "0").await;
    publisher.send_chunk("part").await;
    reader.head().await;
    reader.chunk().await;
    publisher.send("not a chunk size\r\n").await;
    assert_eq!(publisher.reply().await.status, 500);
    assert_eq!(server.post("/c/0", "rest").await.status, 200);
    assert_eq!(reader.chunk().await.as_deref(), Some("rest"));
    assert_eq!(reader.chunk().await, None);
}

/// Catches bytes that readers get twice: a publisher that comes back may say again what it has said, in other pieces.
#[tokio::test]
async fn a_publisher_that_begins_again_is_not_read_twice() {
    for (pieces, rest) in [
        (&["part one, part two"][..], ", part two"),
        (&["part", " o", "ne", ", part two"], ", part two"),
        (&["part o", "ne, part two"], ", part two"),
        (&["par", "tly new"], "partly new"),
        (&["part one", "part one"], "part one"),
    ] {
        let server = TestServer::start().await;
        server.create("c", "a/b").await;
        let mut reader = server.waiting_get("c", "0").await;
        let mut publisher = server.preconnect("c", "0").await;
        for chunk in ["par", "t one"] {
            publisher.send_chunk(chunk).await;
        }
        reader.head().await;
        let mut first = String::new();
        while first.len() < "part one".len() {
            first += &reader.chunk().await.unwrap();
        }
        publisher.send("not a chunk size\r\n").await;
        assert_eq!(publisher.reply().await.status, 500);
        let mut again = server.preconnect("c", "0").await;
        for piece in pieces {
            again.send_chunk(piece).await;
        }
        assert_eq!(again.finish().await.status, 200);
        let mut more = String::new();
        while let Some(chunk) = reader.chunk().await {
            more += &chunk;
        }
        assert_eq!((first.as_str(), more.as_str()), ("part one", rest), "{pieces:?}");
    }
}

#[tokio::test]
async fn a_later_segment_ends_an_abandoned_one_at_once() {
    let config = ServerConfig { abort_grace: Duration::from_secs(3600), ..ServerConfig::default() };
    let server = TestServer::with(config).await;
    server.create("c", "a/b").await;
    let mut reader = server.waiting_get("c", "0").await;
    let mut publisher = server.preconnect("c", "0").await;
    publisher.send_chunk("part").await;
    publisher.send("not a chunk size\r\n").await;
    assert_eq!(publisher.reply().await.status, 500);
    server.post("/c/1", "x").await;
    assert_eq!(reader.reply().await.body, "part");
}

#[tokio::test]
async fn numbers_do_not_move_backwards() {
    let server = TestServer::start().await;
    for number in 0..3 {
        server.post(&format!("/c/{number}"), "x").await;
    }
    let again = server.post("/c/0", "other").await;
    assert_eq!((again.status, again.header("connection")), (200, Some("close")));
    assert_eq!(again.header("lp-trickle-seq"), Some("0"));
    assert_eq!(server.get("/c/0").await.body, "x");
    assert_eq!(server.latest("c").await, "3");
}

#[tokio::test]
async fn a_publisher_that_starts_over_takes_the_channel_with_it() {
    let server = TestServer::start().await;
    for number in 0..10 {
        server.post(&format!("/c/{number}"), "old").await;
    }
    let mut waiting = server.waiting_get("c", "10").await;
    server.post("/c/0", "new").await;
    assert_eq!(waiting.reply().await.body, "");
    assert_eq!(server.latest("c").await, "1");
    assert_eq!(server.get("/c/-2").await.body, "new");
    assert_eq!(server.get("/c/7").await.status, 470);
}

#[tokio::test]
async fn reset_ends_what_another_publisher_left_open() {
    let server = TestServer::start().await;
    server.create("c", "a/b").await;
    let mut old = server.preconnect("c", "0").await;
    old.send_chunk("Hello").await;
    let mut reader = server.waiting_get("c", "0").await;
    reader.head().await;
    assert_eq!(reader.chunk().await.as_deref(), Some("Hello"));
    let mut idle = server.preconnect("c", "-1").await;
    let mut new = server.wire().await;
    new.send(&chunked_post("/c/2", "Lp-Trickle-Reset: 1\r\n")).await;
    assert_eq!(reader.chunk().await, None);
    let told = idle.reply().await;
    assert_eq!((told.status, told.header("lp-trickle-seq")), (200, Some("1")));
    assert_eq!((told.header("connection"), told.header("lp-trickle-closed")), (Some("close"), None));
    new.send_chunk("World").await;
    assert_eq!(new.finish().await.header("lp-trickle-seq"), Some("2"));
    assert_eq!(server.get("/c/0").await.body, "Hello");
    assert_eq!(server.get("/c/2").await.body, "World");
}

#[tokio::test]
async fn two_publishers_of_one_segment_share_it() {
    let server = TestServer::start().await;
    server.create("c", "a/b").await;
    let mut a = server.preconnect("c", "0").await;
    let mut b = server.preconnect("c", "0").await;
    let mut reader = server.waiting_get("c", "0").await;
    a.send_chunk("a").await;
    reader.head().await;
    assert_eq!(reader.chunk().await.as_deref(), Some("a"));
    b.send_chunk("b").await;
    assert_eq!(reader.chunk().await.as_deref(), Some("b"));
    assert_eq!(a.finish().await.status, 200);
    assert_eq!(reader.chunk().await, None);
    assert_eq!(b.finish().await.status, 200);
}

#[tokio::test]
async fn a_displaced_publisher_without_bytes_is_let_go() {
    let server = TestServer::start().await;
    server.create("c", "a/b").await;
    let mut displaced = server.preconnect("c", "0").await;
    let mut reader = server.waiting_get("c", "0").await;
    server.post("/c/5", "x").await;
    assert_eq!(reader.reply().await.body, "");
    assert_eq!(displaced.reply().await.header("lp-trickle-seq"), Some("0"));
    assert_eq!(server.latest("c").await, "6");
}

#[tokio::test]
async fn one_segment_can_be_ended_from_outside() {
    let server = TestServer::start().await;
    server.create("c", "a/b").await;
    let mut reader = server.waiting_get("c", "0").await;
    let mut publisher = server.preconnect("c", "0").await;
    assert_eq!(server.delete("/c/0").await.status, 200);
    let told = reader.reply().await;
    assert_eq!((told.status, told.header("lp-trickle-closed")), (200, None));
    assert_eq!(publisher.reply().await.header("connection"), Some("close"));
    assert_eq!(server.delete("/c/0").await.status, 200, "again");
    assert_eq!(server.latest("c").await, "1");
    let missing = server.delete("/c/3").await;
    assert_eq!((missing.status, missing.body.as_str()), (400, "Nonexistent segment\n"));
}

#[tokio::test]
async fn a_segment_that_is_too_large_ends_with_what_fits() {
    let config = ServerConfig { max_segment_bytes: 200, ..ServerConfig::default() };
    let server = TestServer::with(config).await;
    server.create("c", "a/b").await;
    let mut publisher = server.preconnect("c", "0").await;
    let mut reader = server.waiting_get("c", "0").await;
    publisher.send_chunk(&"x".repeat(100)).await;
    reader.head().await;
    assert_eq!(reader.chunk().await.unwrap().len(), 100);
    publisher.send_chunk(&"y".repeat(100)).await;
    let reply = publisher.reply().await;
    assert_eq!((reply.status, reply.header("connection")), (413, Some("close")));
    assert_eq!(reader.chunk().await, None);
}

#[tokio::test]
async fn a_publisher_that_falls_silent_within_a_body_is_lost() {
    let config = ServerConfig {
        body_idle_timeout: Duration::from_millis(30),
        abort_grace: Duration::from_millis(10),
        ..ServerConfig::default()
    };
    let server = TestServer::with(config).await;
    server.create("c", "a/b").await;
    let mut publisher = server.preconnect("c", "0").await;
    publisher.send_chunk("x").await;
    assert_eq!(server.get("/c/0").await.body, "x");
    assert_eq!(publisher.reply().await.status, 408);
}
