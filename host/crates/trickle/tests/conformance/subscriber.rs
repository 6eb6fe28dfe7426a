//! The subscriber, with this crate's server and with others' habits.

use std::time::Duration;

use rillbox_trickle::{Segment, Start, SubscribeError, Subscriber};
use tokio::time::Instant;

use crate::harness::{Peer, TestServer, client, soon};

async fn read(segment: &mut Segment) -> String {
    let mut text = String::new();
    while let Some(chunk) = soon(segment.chunk()).await.unwrap() {
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    text
}

fn subscriber(peer: &Peer, start: Start) -> Subscriber {
    Subscriber::new(client(), peer.url(), start)
}

#[tokio::test]
async fn reads_segments_in_order_while_they_are_produced() {
    let server = TestServer::start().await;
    server.create("c", "video/mp2t").await;
    let mut subscriber = Subscriber::new(client(), server.url("c"), Start::Next);
    let mut publisher = server.preconnect("c", "0").await;
    publisher.send_chunk("first").await;
    assert_eq!(server.get_started("/c/0").await, "first");
    subscriber.seek(Start::Current);
    let mut segment = soon(subscriber.next()).await.unwrap();
    assert_eq!((segment.seq(), segment.skipped(), segment.content_type()), (0, 0, Some("video/mp2t")));
    assert_eq!(soon(segment.chunk()).await.unwrap().unwrap(), "first");
    server.post("/c/1", "second").await;
    let mut next = soon(subscriber.next()).await.unwrap();
    assert_eq!((next.seq(), read(&mut next).await.as_str()), (1, "second"));
    publisher.send_chunk("end").await;
    publisher.finish().await;
    assert_eq!(read(&mut segment).await, "end");
    assert_eq!(segment.chunk().await.unwrap(), None);
}

#[tokio::test]
async fn the_end_of_the_channel_is_told_and_then_it_is_unknown() {
    let server = TestServer::start().await;
    server.post("/c/0", "x").await;
    let mut subscriber = Subscriber::new(client(), server.url("c"), Start::Seq(1));
    let (ended, _) = tokio::join!(subscriber.next(), async {
        // Its request is made by the time that two others were answered on the same thread.
        server.waiting_get("c", "1").await;
        server.delete("/c").await
    });
    assert!(matches!(ended, Err(SubscribeError::Closed | SubscribeError::NotFound)));
    assert!(matches!(soon(subscriber.next()).await, Err(SubscribeError::NotFound)));
    let mut late = Subscriber::new(client(), server.url("c"), Start::Current);
    assert!(soon(late.next()).await.is_err_and(|error| error.is_terminal()));
}

/// Catches a reader that is some segments behind as the channel is deleted, and loses what it has not asked for.
#[tokio::test]
async fn a_reader_that_is_behind_keeps_what_was_there_when_the_channel_ended() {
    let server = TestServer::start().await;
    let text = |number: u32| format!("{number}").repeat(1_000);
    server.post("/c/0", &text(0)).await;
    let mut subscriber = Subscriber::new(client(), server.url("c"), Start::Seq(0));
    let mut first = soon(subscriber.next()).await.unwrap();
    for number in 1..4 {
        server.waiting_get("c", &number.to_string()).await;
        server.post(&format!("/c/{number}"), &text(number)).await;
    }
    // What has been sent has been answered for.
    soon(async {
        while !subscriber.is_ahead() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    server.delete("/c").await;
    assert_eq!(read(&mut first).await, text(0));
    for number in 1..4 {
        let mut segment = soon(subscriber.next()).await.unwrap();
        assert_eq!((segment.seq(), segment.skipped()), (number.into(), 0));
        assert_eq!(read(&mut segment).await, text(number));
    }
    assert!(soon(subscriber.next()).await.is_err_and(|error| error.is_terminal()));
}

#[tokio::test]
async fn an_empty_segment_is_passed_on() {
    let server = TestServer::start().await;
    server.post("/c/0", "").await;
    server.post("/c/1", "x").await;
    let mut subscriber = Subscriber::new(client(), server.url("c"), Start::Seq(0));
    let mut empty = soon(subscriber.next()).await.unwrap();
    assert_eq!((empty.seq(), empty.content_type()), (0, None));
    assert_eq!(read(&mut empty).await, "");
    assert_eq!(soon(subscriber.next()).await.unwrap().seq(), 1);
}

#[tokio::test]
async fn a_reader_that_fell_behind_learns_how_far() {
    let server = TestServer::start().await;
    for number in 0..10 {
        server.post(&format!("/c/{number}"), "x").await;
    }
    let mut subscriber = Subscriber::new(client(), server.url("c"), Start::Seq(2));
    let peer = tokio::spawn(async move { subscriber.next().await });
    server.waiting_get("c", "10").await;
    server.post("/c/10", "ten").await;
    let segment = soon(peer).await.unwrap().unwrap();
    assert_eq!((segment.seq(), segment.skipped()), (10, 8));
}

#[tokio::test(start_paused = true)]
async fn a_reader_ahead_asks_for_the_same_again() {
    let peer = Peer::start().await;
    let mut subscriber = subscriber(&peer, Start::Seq(3));
    let script = async {
        let (mut wire, line) = peer.request().await;
        assert_eq!(line, "GET /c/3");
        // Some servers give up a wait this way, and count from the last written number.
        for _ in 0..40 {
            wire.answer(470, "Lp-Trickle-Latest: 2\r\n").await;
            assert_eq!(wire.request().await, "GET /c/3");
        }
        wire.answer_segment(3).await;
        wire
    };
    let started = Instant::now();
    let (segment, _wire) = tokio::join!(subscriber.next(), script);
    assert_eq!((segment.as_ref().unwrap().seq(), segment.unwrap().skipped()), (3, 0));
    assert!(started.elapsed().as_millis() >= 40 * 250);
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_started_over_is_followed_after_a_while() {
    let peer = Peer::start().await;
    let mut subscriber = subscriber(&peer, Start::Seq(100));
    let script = async {
        let (mut wire, mut line) = peer.request().await;
        while line == "GET /c/100" {
            wire.answer(470, "Lp-Trickle-Latest: 7\r\n").await;
            line = wire.request().await;
        }
        assert_eq!(line, "GET /c/6", "the newest that has been begun");
        wire.answer_segment(6).await;
        wire
    };
    let started = Instant::now();
    let (segment, _wire) = tokio::join!(subscriber.next(), script);
    assert_eq!(segment.unwrap().seq(), 6);
    assert!((5..7).contains(&started.elapsed().as_secs()));
}

/// Catches seconds of a publisher that are not read since its numbers began again, and a late segment that is taken for that.
#[tokio::test(start_paused = true)]
async fn a_publisher_whose_numbers_begin_again_and_go_on_is_followed_at_once() {
    for (first, then, followed) in [(7, 8, "GET /c/6"), (96, 98, "GET /c/100")] {
        let peer = Peer::start().await;
        let mut subscriber = subscriber(&peer, Start::Seq(100));
        let script = async {
            let (mut wire, _) = peer.request().await;
            for latest in [first, first, then] {
                wire.answer(470, &format!("Lp-Trickle-Latest: {latest}\r\n")).await;
                let line = wire.request().await;
                assert_eq!(line, if latest == then { followed } else { "GET /c/100" }, "{first} and then {then}");
            }
            wire.answer_segment(if followed == "GET /c/6" { 6 } else { 100 }).await;
            wire
        };
        let started = Instant::now();
        let (segment, _wire) = tokio::join!(subscriber.next(), script);
        assert!(segment.is_ok() && started.elapsed().as_secs() < 2);
    }
}

/// Catches a number beyond all others that is believed, and counted as so many segments that were skipped.
#[tokio::test(start_paused = true)]
async fn a_number_beyond_all_segments_is_no_hint() {
    let peer = Peer::start().await;
    let mut subscriber = subscriber(&peer, Start::Seq(3));
    let script = async {
        let (mut wire, line) = peer.request().await;
        assert_eq!(line, "GET /c/3");
        wire.answer(470, &format!("Lp-Trickle-Latest: {}\r\n", u64::MAX)).await;
        while wire.request().await != "GET /c/-1" {
            wire.answer(400, "").await;
        }
        wire.answer_segment(4).await;
        wire
    };
    let (segment, _wire) = tokio::join!(subscriber.next(), script);
    assert_eq!(segment.map(|segment| (segment.seq(), segment.skipped())).unwrap(), (4, 0));
}

#[tokio::test]
async fn relative_starts_are_pinned_where_the_server_can() {
    let peer = Peer::start().await;
    let script = async {
        let (mut wire, line) = peer.request().await;
        assert_eq!(line, "GET /c/next");
        wire.answer(200, "Lp-Trickle-Latest: 9\r\n").await;
        assert_eq!(wire.request().await, "GET /c/8", "on the same connection");
        wire.answer_segment(8).await;
        let (mut wire, line) = peer.request().await;
        assert_eq!(line, "GET /c/9", "the next is asked for at once");
        wire.answer(500, "").await;
    };
    let mut current = subscriber(&peer, Start::Current);
    let (segment, ()) = tokio::join!(current.next(), script);
    assert_eq!(segment.unwrap().seq(), 8);

    let peer = Peer::start().await;
    let script = async {
        let (mut wire, _) = peer.request().await;
        wire.answer(400, "").await;
        assert_eq!(wire.request().await, "GET /c/-1");
        wire.answer_segment(4).await;
        assert_eq!(peer.request().await.1, "GET /c/5");
    };
    let mut next = subscriber(&peer, Start::Next);
    let (segment, ()) = tokio::join!(next.next(), script);
    assert_eq!(segment.unwrap().seq(), 4);
}

#[tokio::test]
async fn closed_counts_whatever_the_status() {
    for status in [200, 404, 410] {
        let peer = Peer::start().await;
        let mut subscriber = subscriber(&peer, Start::Seq(0));
        let script = async { peer.request().await.0.answer(status, "Lp-Trickle-Closed: true\r\n").await };
        let (ended, ()) = tokio::join!(subscriber.next(), script);
        assert!(matches!(ended, Err(SubscribeError::Closed)), "{status}");
    }
}

#[tokio::test]
async fn errors_are_passed_on_and_the_next_try_is_on_a_fresh_connection() {
    let peer = Peer::start().await;
    let mut subscriber = subscriber(&peer, Start::Seq(5));
    let (failed, _kept) = tokio::join!(subscriber.next(), async {
        let (mut wire, _) = peer.request().await;
        wire.answer(503, "").await;
        wire
    });
    let failed = failed.err().unwrap();
    assert!(matches!(failed, SubscribeError::Status { status } if status == 503));
    assert!(!failed.is_terminal());
    let (segment, _) = tokio::join!(subscriber.next(), async {
        let (mut wire, line) = peer.request().await;
        assert_eq!(line, "GET /c/5");
        // Without a number of its own it has the one that was asked for.
        wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").await;
        drop(wire);
        assert_eq!(peer.request().await.1, "GET /c/6");
    });
    let mut broken = segment.unwrap();
    assert_eq!(broken.seq(), 5);
    assert_eq!(soon(broken.chunk()).await.unwrap().unwrap(), "abc");
    assert!(matches!(soon(broken.chunk()).await, Err(SubscribeError::Body(_))));
    subscriber.seek(Start::Seq(broken.seq()));
    let (segment, ()) = tokio::join!(subscriber.next(), async {
        let (mut wire, line) = peer.request().await;
        assert_eq!(line, "GET /c/5");
        wire.answer_segment(5).await;
    });
    assert_eq!(segment.unwrap().seq(), 5);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_that_may_pass() {
    let server = TestServer::start().await;
    let url = server.url("c");
    server.stop().await;
    let mut subscriber = Subscriber::new(client(), url, Start::Next);
    let failed = soon(subscriber.next()).await.err().unwrap();
    assert!(matches!(failed, SubscribeError::Connect(_)) && !failed.is_terminal());
}

#[tokio::test]
async fn a_cancelled_wait_goes_on_with_the_same_request() {
    let peer = Peer::start().await;
    let mut subscriber = subscriber(&peer, Start::Seq(0));
    let mut wire = tokio::select! {
        _ = subscriber.next() => panic!("nothing was answered"),
        (wire, _) = peer.request() => wire,
    };
    let (segment, ()) = tokio::join!(subscriber.next(), async {
        assert!(peer.is_left_alone());
        wire.answer_segment(0).await;
    });
    let mut segment = segment.unwrap();
    tokio::select! {
        biased;
        _ = segment.chunk() => panic!("nothing was sent"),
        () = async {} => {}
    }
    wire.send_chunk("x").await;
    assert_eq!(soon(segment.chunk()).await.unwrap().unwrap(), "x");
    assert_eq!(peer.request().await.1, "GET /c/1");
    assert!(peer.is_left_alone(), "one ahead and no more");
}

#[tokio::test(start_paused = true)]
async fn a_silent_request_is_made_again_elsewhere() {
    let peer = Peer::start().await;
    let mut subscriber = subscriber(&peer, Start::Seq(0));
    let started = Instant::now();
    let (segment, _) = tokio::join!(subscriber.next(), async {
        let (_silent, first) = peer.request().await;
        let (mut wire, second) = peer.request_within(Duration::from_secs(60)).await;
        assert_eq!((first.as_str(), second.as_str()), ("GET /c/0", "GET /c/0"));
        wire.answer_segment(0).await;
        wire
    });
    assert_eq!(segment.unwrap().seq(), 0);
    assert_eq!(started.elapsed().as_secs(), 20);
}

#[tokio::test]
async fn dropping_a_subscriber_closes_its_requests() {
    let peer = Peer::start().await;
    let mut subscriber = subscriber(&peer, Start::Seq(0));
    let mut wire = tokio::select! {
        _ = subscriber.next() => panic!("nothing was answered"),
        (wire, _) = peer.request() => wire,
    };
    drop(subscriber);
    assert!(wire.closes().await);
}

/// Gives segment 9, and loses the connection on which segment 10 is asked for.
async fn lose_server(peer: &Peer, subscriber: &mut Subscriber) {
    let (segment, ()) = tokio::join!(subscriber.next(), async {
        let (mut wire, line) = peer.request().await;
        assert_eq!(line, "GET /c/9");
        wire.answer_segment(9).await;
        drop(peer.request().await);
    });
    assert_eq!(segment.unwrap().seq(), 9);
    assert!(soon(subscriber.next()).await.is_err_and(|error| !error.is_terminal()));
}

/// Catches a reader for which a server that was started again, and has no channels yet, is the end of the stream.
#[tokio::test(start_paused = true)]
async fn a_channel_that_is_missing_after_a_lost_connection_may_return() {
    let peer = Peer::start().await;
    let mut subscriber = subscriber(&peer, Start::Seq(9));
    lose_server(&peer, &mut subscriber).await;
    let script = async {
        for _ in 0..4 {
            let (mut wire, line) = peer.request().await;
            assert_eq!(line, "GET /c/10");
            wire.answer(404, "Connection: close\r\n").await;
        }
        // Its numbers are another run's: they are taken as they are.
        let (mut wire, _) = peer.request().await;
        wire.answer(470, "Connection: close\r\nLp-Trickle-Latest: 3\r\n").await;
        let (mut wire, line) = peer.request().await;
        assert_eq!(line, "GET /c/2");
        wire.answer_segment(2).await;
        // On a sound connection, missing is over.
        let (mut wire, line) = peer.request().await;
        assert_eq!(line, "GET /c/3");
        wire.answer(404, "").await;
    };
    let (segment, ()) = tokio::join!(subscriber.next(), script);
    assert_eq!(segment.unwrap().seq(), 2);
    let asked = Instant::now();
    assert!(matches!(soon(subscriber.next()).await, Err(SubscribeError::NotFound)));
    assert!(asked.elapsed() < Duration::from_secs(1));
}

/// Catches a reader that asks for ever for a channel that does not return.
#[tokio::test(start_paused = true)]
async fn a_channel_that_does_not_return_is_over_after_a_while() {
    let peer = Peer::start().await;
    let mut subscriber = subscriber(&peer, Start::Seq(9));
    lose_server(&peer, &mut subscriber).await;
    let asked = Instant::now();
    let refuse = async {
        loop {
            peer.request().await.0.answer(404, "Connection: close\r\n").await;
        }
    };
    let over = tokio::select! {
        over = subscriber.next() => over,
        () = refuse => unreachable!(),
    };
    assert!(matches!(over, Err(SubscribeError::NotFound)));
    assert!((10..13).contains(&asked.elapsed().as_secs()), "{:?}", asked.elapsed());
}

/// Catches a reader that cannot tell a segment that stands still from one that others have overtaken.
#[tokio::test]
async fn a_segment_that_was_overtaken_is_told_from_the_newest() {
    let server = TestServer::start().await;
    server.create("c", "video/mp2t").await;
    let mut publisher = server.preconnect("c", "0").await;
    publisher.send_chunk("part").await;
    let mut subscriber = Subscriber::new(client(), server.url("c"), Start::Seq(0));
    let mut segment = soon(subscriber.next()).await.unwrap();
    assert_eq!(soon(segment.chunk()).await.unwrap().unwrap(), "part");
    assert!(!subscriber.is_ahead());
    server.post("/c/1", "next").await;
    soon(async {
        while !subscriber.is_ahead() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(subscriber.is_ahead(), "asking changes nothing");
    let mut next = soon(subscriber.next()).await.unwrap();
    assert_eq!((next.seq(), read(&mut next).await.as_str()), (1, "next"));
}

/// Catches a server that sends interim replies for ever and is listened to.
#[tokio::test]
async fn interim_replies_have_an_end() {
    let peer = Peer::start().await;
    let mut subscriber = subscriber(&peer, Start::Seq(0));
    let flood = async {
        let (mut wire, _) = peer.request().await;
        let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(100);
        let mut sent = 0;
        while wire.try_send(&interim).await {
            sent += interim.len();
        }
        sent
    };
    let (next, sent) = tokio::join!(subscriber.next(), flood);
    assert!(matches!(next, Err(SubscribeError::Request(_))));
    // What the two sockets hold is sent besides.
    assert!(sent < 32 << 20, "{sent} bytes were sent");
}

/// Catches a number beyond the last that is taken, after which the same segment is read for ever.
#[tokio::test]
async fn numbers_beyond_the_last_make_no_sense() {
    let peer = Peer::start().await;
    let mut subscriber = subscriber(&peer, Start::Seq(0));
    let answer = async {
        let (mut wire, _) = peer.request().await;
        wire.answer_segment(u64::MAX).await;
        wire
    };
    let (next, _wire) = tokio::join!(subscriber.next(), answer);
    assert!(matches!(next, Err(SubscribeError::Malformed)));
}
