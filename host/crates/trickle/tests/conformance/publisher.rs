//! The publisher, with this crate's server and with servers in trouble.

use std::time::Duration;

use bytes::Bytes;
use rillbox_trickle::{ControlError, PublishError, Publisher, PublisherConfig, ServerConfig, create, next_seq};

use crate::harness::{Peer, TestServer, Wire, client, soon};

const X: Bytes = Bytes::from_static(b"x");

fn publisher(server: &TestServer) -> Publisher {
    Publisher::new(client(), server.url("c"), PublisherConfig::default())
}

/// Writes until publishing is over.
async fn write_until_over(publisher: &mut Publisher) -> PublishError {
    soon(async {
        loop {
            if let Err(over) = publisher.write(X).await {
                return over;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[tokio::test]
async fn bytes_are_published_as_they_are_written() {
    let server = TestServer::start().await;
    create(&client(), &server.url("c"), "video/mp2t").await.unwrap();
    let mut reader = server.waiting_get("c", "0").await;
    let mut publisher = publisher(&server);
    publisher.begin();
    publisher.write(Bytes::from_static(b"one")).await.unwrap();
    reader.head().await;
    assert_eq!(reader.chunk().await.as_deref(), Some("one"));
    publisher.write(Bytes::from_static(b"two")).await.unwrap();
    assert_eq!(reader.chunk().await.as_deref(), Some("two"));
    publisher.begin();
    assert_eq!(reader.chunk().await, None);
    publisher.write(X).await.unwrap();
    assert_eq!(server.get_started("/c/1").await, "x");
    soon(publisher.finish()).await.unwrap();
    assert_eq!(next_seq(&client(), &server.url("c")).await.unwrap(), 2, "what was only announced does not count");
    assert_eq!(server.get("/c/1").await.body, "x");
}

#[tokio::test]
async fn connects_one_segment_ahead() {
    let peer = Peer::start().await;
    let mut publisher = Publisher::new(client(), peer.url(), PublisherConfig::default());
    let (mut zero, line) = peer.request().await;
    assert_eq!(line, "POST /c/0");
    publisher.begin();
    let (one, line) = peer.request().await;
    assert_eq!(line, "POST /c/1");
    publisher.write(X).await.unwrap();
    assert_eq!(zero.chunk().await.as_deref(), Some("x"));
    assert!(one.is_silent() && peer.is_left_alone());
    publisher.begin();
    assert_eq!(zero.chunk().await, None);
    zero.answer(200, "").await;
    assert_eq!(peer.request().await.1, "POST /c/2");
}

#[tokio::test]
async fn close_deletes_the_channel() {
    let server = TestServer::start().await;
    let mut publisher = publisher(&server);
    publisher.write(X).await.unwrap();
    soon(publisher.close()).await.unwrap();
    assert_eq!(server.get("/c/next").await.status, 404);
}

/// Catches a channel that is given up for a slow answer though there is time, and one that is waited for though there is none.
#[tokio::test]
async fn close_waits_for_a_slow_server_as_long_as_it_is_told() {
    let (slow, mute) = (Peer::start().await, Peer::start().await);
    let close = async |peer: &Peer, config: PublisherConfig| Publisher::new(client(), peer.url(), config).close().await;
    let short = PublisherConfig { delete_timeout: Duration::from_millis(200), ..PublisherConfig::default() };
    // One server answers when the other has been given up.
    let answer = async {
        let (mut wire, line) = slow.request().await;
        assert_eq!(line, "DELETE /c");
        let gave_up = close(&mute, short).await;
        wire.answer(200, "").await;
        gave_up
    };
    let (waited, gave_up) = soon(async { tokio::join!(close(&slow, PublisherConfig::default()), answer) }).await;
    assert!(waited.is_ok(), "{waited:?}");
    assert!(matches!(gave_up, Err(PublishError::Control(ControlError::Timeout))), "{gave_up:?}");
}

#[tokio::test]
async fn the_end_of_the_channel_ends_publishing() {
    let server = TestServer::start().await;
    let mut publisher = publisher(&server);
    publisher.write(X).await.unwrap();
    while server.get("/c/next").await.body != "1" {}
    server.delete("/c").await;
    assert!(matches!(write_until_over(&mut publisher).await, PublishError::Closed));
    assert!(matches!(soon(publisher.finish()).await, Err(PublishError::Closed)));
}

#[tokio::test]
async fn an_unknown_channel_ends_publishing_while_it_streams() {
    let config = ServerConfig { autocreate: false, ..ServerConfig::default() };
    let server = TestServer::with(config).await;
    let mut publisher = publisher(&server);
    assert!(matches!(write_until_over(&mut publisher).await, PublishError::NotFound));
    soon(publisher.close()).await.unwrap();
}

#[tokio::test]
async fn a_server_that_comes_back_gets_the_newest_segment() {
    let server = TestServer::start().await;
    let addr = server.addr;
    let mut publisher = publisher(&server);
    publisher.write(X).await.unwrap();
    while server.get("/c/next").await.body != "1" {}
    server.task.abort();
    publisher.begin();
    publisher.write(Bytes::from_static(b"kept")).await.unwrap();
    soon(async {
        while publisher.failing_since().is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(server);
    let server = TestServer::at(addr, ServerConfig::default()).await;
    soon(async {
        while publisher.stats().retries == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    publisher.write(Bytes::from_static(b"on")).await.unwrap();
    let mut reader = soon(async {
        loop {
            let mut wire = server.wire().await;
            wire.send(&crate::harness::get("/c/1")).await;
            if wire.head().await.status == 200 {
                return wire;
            }
        }
    })
    .await;
    assert_eq!(reader.chunk().await.as_deref(), Some("kept"));
    soon(publisher.finish()).await.unwrap();
}

async fn refuse(wire: &mut Wire) {
    wire.send("HTTP/1.1 500 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
}

#[tokio::test]
async fn a_failed_segment_is_repeated_whole_on_a_fresh_connection() {
    let peer = Peer::start().await;
    let mut publisher = Publisher::new(client(), peer.url(), PublisherConfig::default());
    publisher.write(Bytes::from_static(b"one")).await.unwrap();
    let (mut first, mut other) = (peer.request().await, peer.request().await);
    if first.1 != "POST /c/0" {
        std::mem::swap(&mut first, &mut other);
    }
    let (mut wire, _) = first;
    assert_eq!(wire.chunk().await.as_deref(), Some("one"));
    refuse(&mut wire).await;
    let (mut wire, line) = peer.request().await;
    assert_eq!(line, "POST /c/0");
    publisher.write(Bytes::from_static(b"two")).await.unwrap();
    assert_eq!(wire.chunk().await.as_deref(), Some("one"));
    assert_eq!(wire.chunk().await.as_deref(), Some("two"));
    assert!(publisher.failing_since().is_some());
    let (finished, ()) = tokio::join!(publisher.finish(), async {
        assert_eq!(wire.chunk().await, None);
        wire.answer(200, "").await;
    });
    finished.unwrap();
}

#[tokio::test]
async fn an_ended_segment_is_repeated_until_it_is_answered() {
    let peer = Peer::start().await;
    let mut publisher = Publisher::new(client(), peer.url(), PublisherConfig::default());
    let (mut zero, _) = peer.request().await;
    publisher.begin();
    let (_one, line) = peer.request().await;
    assert_eq!(line, "POST /c/1");
    publisher.write(X).await.unwrap();
    publisher.end();
    assert_eq!(zero.chunk().await.as_deref(), Some("x"));
    assert_eq!(zero.chunk().await, None);
    refuse(&mut zero).await;
    let (mut zero, line) = peer.request().await;
    assert_eq!(line, "POST /c/0");
    assert_eq!(publisher.last_fault().unwrap().to_string(), "the server answered 500 Internal Server Error");
    assert_eq!(zero.chunk().await.as_deref(), Some("x"));
    assert_eq!(zero.chunk().await, None);
    let (answered, ()) = tokio::join!(soon(publisher.answered()), zero.answer(200, ""));
    answered.unwrap();
    assert_eq!((publisher.stats().segments, publisher.stats().skipped), (1, 0));
}

#[tokio::test]
async fn a_failing_segment_gives_way_to_a_newer_one() {
    let peer = Peer::start().await;
    let mut publisher = Publisher::new(client(), peer.url(), PublisherConfig::default());
    let (mut zero, _) = peer.request().await;
    publisher.begin();
    let (mut one, _) = peer.request().await;
    publisher.write(X).await.unwrap();
    assert_eq!(zero.chunk().await.as_deref(), Some("x"));
    publisher.begin();
    let (_two, line) = peer.request().await;
    assert_eq!(line, "POST /c/2");
    refuse(&mut zero).await;
    let (mut told, line) = peer.request().await;
    assert_eq!(line, "DELETE /c/0", "readers are not left waiting");
    told.answer(200, "").await;
    assert_eq!((publisher.stats().skipped, publisher.stats().retries), (1, 0));
    publisher.write(X).await.unwrap();
    assert_eq!(one.chunk().await.as_deref(), Some("x"));
    let (finished, ()) = tokio::join!(publisher.finish(), async {
        assert_eq!(one.chunk().await, None);
        one.answer(200, "Lp-Trickle-Seq: 1\r\n").await;
    });
    finished.unwrap();
}

/// Catches a segment that is lost without a word: the server answers that all is well and hears no more of it.
#[tokio::test]
async fn an_answer_before_the_end_is_a_fault() {
    let peer = Peer::start().await;
    let mut publisher = Publisher::new(client(), peer.url(), PublisherConfig::default());
    let (mut zero, _) = peer.request().await;
    publisher.write(X).await.unwrap();
    assert_eq!(zero.chunk().await.as_deref(), Some("x"));
    zero.answer(200, "Connection: close\r\n").await;
    drop(zero);
    soon(async {
        while publisher.stats().skipped == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(publisher.last_fault().unwrap().to_string(), "the server answered before it had the segment");
    assert!(publisher.failing_since().is_some());
}

/// Catches a publisher for which a server that was started again, and has no channels yet, is the end of the stream.
#[tokio::test]
async fn a_channel_that_is_missing_after_a_lost_connection_may_return() {
    let peer = Peer::start().await;
    let mut publisher = Publisher::new(client(), peer.url(), PublisherConfig::default());
    publisher.write(Bytes::from_static(b"one")).await.unwrap();
    drop((peer.request().await, peer.request().await));
    for _ in 0..6 {
        let (mut wire, _) = peer.request().await;
        wire.answer(404, "Connection: close\r\n").await;
    }
    let mut ahead = Vec::new();
    let mut wire = loop {
        match peer.request().await {
            (wire, line) if line == "POST /c/0" => break wire,
            other => ahead.push(other),
        }
    };
    assert_eq!(wire.chunk().await.as_deref(), Some("one"));
    let (finished, ()) = tokio::join!(publisher.finish(), async {
        assert_eq!(wire.chunk().await, None);
        wire.answer(200, "").await;
    });
    assert_eq!(finished.unwrap().segments, 1);
}

#[tokio::test]
async fn a_server_that_answers_nothing_blocks_nobody() {
    let peer = Peer::start().await;
    let config = PublisherConfig {
        max_segment_bytes_buffered: 1 << 20,
        write_timeout: Duration::from_millis(20),
        finish_timeout: Duration::from_millis(20),
        ..PublisherConfig::default()
    };
    let mut publisher = Publisher::new(client(), peer.url(), config);
    soon(async {
        for _ in 0..8 {
            publisher.begin();
            for _ in 0..20 {
                publisher.write(vec![0; 1 << 20].into()).await.unwrap();
            }
        }
    })
    .await;
    assert!(publisher.failing_since().is_some());
    soon(async {
        while publisher.stats().skipped < 4 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(matches!(soon(publisher.finish()).await, Err(PublishError::Unanswered)));
}

#[tokio::test]
async fn resuming_goes_on_where_the_channel_stands() {
    let server = TestServer::start().await;
    server.post("/c/0", "x").await;
    let mut left = server.preconnect("c", "1").await;
    left.send_chunk("left open").await;
    let mut reader = server.wire().await;
    reader.send(&crate::harness::get("/c/1")).await;
    reader.head().await;
    assert_eq!(reader.chunk().await.as_deref(), Some("left open"));
    let mut publisher = soon(Publisher::resume(client(), server.url("c"), PublisherConfig::default())).await.unwrap();
    assert_eq!(reader.chunk().await, None);
    publisher.write(Bytes::from_static(b"two")).await.unwrap();
    soon(publisher.finish()).await.unwrap();
    assert_eq!(server.get("/c/2").await.body, "two");
}

#[tokio::test]
async fn resuming_an_unknown_channel_says_so() {
    let server = TestServer::start().await;
    let resumed = Publisher::resume(client(), server.url("c"), PublisherConfig::default()).await;
    assert!(matches!(resumed, Err(PublishError::NotFound)));
}

#[tokio::test]
async fn dropping_a_publisher_closes_its_connections() {
    let peer = Peer::start().await;
    let publisher = Publisher::new(client(), peer.url(), PublisherConfig::default());
    let (mut wire, _) = peer.request().await;
    drop(publisher);
    assert!(wire.closes().await);
}
