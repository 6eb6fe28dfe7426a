//! Servers in trouble: killed, silent, slow, refusing; and what a stream does about it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rillbox_trickle::{Publisher, PublisherConfig, Start, Subscriber};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::harness::channels::{Channels, Front, Manner};
use crate::harness::host::Host;
use crate::harness::tls::TlsFront;
use crate::harness::{PATIENCE, clip, guest, hostile, media, program};

/// A source that plays segments, one of a second each half second, whether a server takes them or not.
struct Source {
    stop: oneshot::Sender<()>,
    task: JoinHandle<(Publisher, usize)>,
}

impl Source {
    fn play(mut publisher: Publisher, segments: &Arc<Vec<Vec<u8>>>, from: usize) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let segments = segments.clone();
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(500));
            for next in from..segments.len() {
                tokio::select! {
                    _ = &mut stopped => return (publisher, next),
                    _ = ticks.tick() => {}
                }
                publisher.begin();
                publisher.write(Bytes::copy_from_slice(&segments[next])).await.unwrap();
            }
            panic!("the source has no more segments");
        });
        Self { stop, task }
    }

    /// Gives the publisher back, and the segment that would come next.
    async fn stop(self) -> (Publisher, usize) {
        let _ = self.stop.send(());
        self.task.await.unwrap()
    }
}

fn long_segments() -> Arc<Vec<Vec<u8>>> {
    Arc::new(media::small_segments("160x90", 120))
}

fn count(status: &Value, side: &str, what: &str) -> u64 {
    status[side][what].as_u64().unwrap()
}

fn reason(status: &Value) -> &str {
    status["reason"].as_str().unwrap_or_default()
}

async fn start(host: &Host, body: Value) {
    let (code, answer) = host.post("/api/stream/start", body).await;
    assert_eq!(code, 200, "{answer}");
}

async fn passthrough(host: &Host) {
    host.upload("passthrough", &guest("passthrough")).await;
}

/// Catches a stream or a recording that ends, stays deaf or stays mute when its trickle server is killed and started again,
/// with a publisher that counts on or counts anew; and one that waits for ever for a publisher that does not come back.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_mid_stream_is_picked_up_again() {
    let mut channels = Channels::start();
    let host = Host::start_beside(&channels, &[]);
    passthrough(&host).await;
    let segments = long_segments();
    let mut sources = Vec::new();
    for id in ["on", "anew", "gone"] {
        host.start_stream(id, "passthrough", json!({})).await;
        sources.push(Source::play(host.publisher(id), &segments, 0));
    }
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("out.ts");
    let url = channels.channel("on-out").to_string();
    let mut recorder = Command::new(program())
        .args(["record", "--url", &url, "--out"])
        .arg(&file)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    for id in ["on", "anew", "gone"] {
        host.status_when(id, |status| count(status, "output", "segments") >= 2).await;
    }
    let (gone, anew) = (sources.pop().unwrap(), sources.pop().unwrap());
    drop(gone.stop().await);
    let (publisher, next) = anew.stop().await;
    drop(publisher);

    channels.kill();
    let mut before = Vec::new();
    for id in ["on", "anew"] {
        // One error of the input is told, and the next of them later.
        let told = |status: &Value| {
            let events = status["events"].to_string();
            events.contains("cannot read") || events.contains("broke off")
        };
        before.push(host.status_when(id, told).await);
    }
    channels.revive();
    let revived = Instant::now();
    sources.push(Source::play(host.publisher("anew"), &segments, next));
    for (id, before) in ["on", "anew"].into_iter().zip(&before) {
        let read = |status: &Value| count(status, "input", "segments") > count(before, "input", "segments");
        let sent = |status: &Value| count(status, "output", "segments") > count(before, "output", "segments");
        host.status_when(id, |status| read(status) && sent(status)).await;
        let mut reader = Subscriber::new(host.client.clone(), host.channel(&format!("{id}-out")), Start::Current);
        assert!(reader.next().await.unwrap().chunk().await.unwrap().is_some());
        println!("{id}: picked up {:?} after the server was there again", revived.elapsed());
        assert!(revived.elapsed() < Duration::from_secs(15), "{id}: {:?}", revived.elapsed());
    }
    let more = |status: &Value| count(status, "output", "segments") > count(&before[0], "output", "segments") + 3;
    host.status_when("on", more).await;
    for (id, source) in ["on", "anew"].into_iter().zip(sources) {
        source.stop().await.0.close().await.unwrap();
        let status = host.ended(id).await;
        assert_eq!((&status["state"], reason(&status)), (&json!("ENDED"), "the input ended"), "{id}: {status}");
    }
    let recorded = tokio::task::spawn_blocking(move || recorder.wait().unwrap()).await.unwrap();
    assert!(recorded.success());
    let pts = media::pts(&std::fs::read(&file).unwrap(), "v");
    let before = count(&before[0], "output", "frames") as i64 * 3_600;
    assert!(pts.last().unwrap() - pts[0] > before + 90_000, "nothing from after the restart was recorded: {pts:?}");
    let status = host.ended("gone").await;
    assert_eq!((&status["state"], reason(&status)), (&json!("ENDED"), "the input is gone"), "{status}");
}

/// Catches a silent input that keeps its stream for ever, is not named, or leaves something behind.
#[tokio::test(flavor = "multi_thread")]
async fn an_input_that_says_nothing_ends_its_stream() {
    let channels = Channels::start();
    let front = Front::start(channels.address, Manner::Silent).await;
    let host = Host::start_beside(&channels, &["--input-timeout", "2s"]);
    passthrough(&host).await;
    let segment = media::small_segments("160x90", 1).concat();
    for id in ["empty", "half"] {
        host.start_stream(id, "passthrough", json!({})).await;
    }
    let mut body = host.start_body("mute", "passthrough", json!({}));
    body["subscribe_url"] = json!(front.channel("mute-in"));
    start(&host, body).await;
    let mut publisher = host.publisher("half");
    publisher.write(Bytes::copy_from_slice(&segment[..segment.len() / 188 / 2 * 188])).await.unwrap();

    for (id, state, wanted) in [
        ("empty", "ERROR", format!("no input from {} for 2 s", host.channel("empty-in"))),
        ("half", "ENDED", "no input for 2 s".to_owned()),
        ("mute", "ERROR", format!("no input from {} for 2 s", front.channel("mute-in"))),
    ] {
        let status = host.ended(id).await;
        assert_eq!((&status["state"], reason(&status)), (&json!(state), wanted.as_str()), "{status}");
        assert!(status["uptime_s"].as_f64() >= Some(2.0), "{status}");
    }
    assert!(count(&host.status("half").await, "output", "frames") > 0, "what came before goes out");
    assert_eq!(host.get("/health").await.1, json!({ "status": "IDLE" }));
    assert_eq!(host.send(reqwest::Method::DELETE, "/api/processors/passthrough", "").await.0, 200);
}

/// Catches a reader that waits for the rest of a segment while newer ones are there.
#[tokio::test(flavor = "multi_thread")]
async fn a_segment_that_stands_still_is_left_for_newer_ones() {
    let host = Host::start();
    passthrough(&host).await;
    host.start_stream("still", "passthrough", json!({})).await;
    let segments = media::small_segments("160x90", 4);
    let mut stalled = host.publisher("still");
    stalled.write(Bytes::copy_from_slice(&segments[0][..188 * 20])).await.unwrap();
    host.status_when("still", |status| count(status, "input", "bytes") > 0).await;
    let config = PublisherConfig { first: 1, ..PublisherConfig::default() };
    let mut publisher = Publisher::new(host.client.clone(), host.channel("still-in"), config);
    host.feed(&mut publisher, "still", &segments[1..]).await;
    let status = host.status_when("still", |status| count(status, "output", "frames") >= 75).await;
    assert_eq!(status["state"], "ONLINE", "{status}");
    assert!(status["events"].to_string().contains("segment 0 stood still"), "{status}");
}

/// Catches output that piles up before a server that hangs, is slow or refuses, that holds the stream, or that is sent in order
/// of age once the server is well again.
#[tokio::test(flavor = "multi_thread")]
async fn output_that_a_server_does_not_take_is_skipped() {
    const TROUBLES: [(&str, Manner); 3] =
        [("silent", Manner::Silent), ("slow", Manner::Slow(10_000)), ("refusing", Manner::Answering(500))];
    let channels = Channels::start();
    let host = Host::start_beside(&channels, &["--crf", "1"]);
    passthrough(&host).await;
    let segments = media::small_segments("320x180", 16);
    let (before, mut streams) = (host.memory(), Vec::new());
    for (id, manner) in TROUBLES {
        let front = Front::start(channels.address, manner).await;
        rillbox_trickle::create(&host.client, &channels.channel(&format!("{id}-out")), "video/mp2t").await.unwrap();
        let mut body = host.start_body(id, "passthrough", json!({}));
        body["publish_url"] = json!(front.channel(&format!("{id}-out")));
        rillbox_trickle::create(&host.client, &channels.channel(&format!("{id}-in")), "video/mp2t").await.unwrap();
        start(&host, body).await;
        let mut publisher = host.publisher(id);
        host.feed(&mut publisher, id, &segments[..14]).await;
        let skips = |status: &Value| count(status, "output", "segments_skipped") >= 5;
        let status = host.status_when(id, skips).await;
        assert_eq!(status["state"], "ONLINE", "{status}");
        assert!(count(&status, "output", "bytes") > 1_000_000, "too little to tell: {status}");
        streams.push((id, front, publisher));
    }
    let grown = host.memory().saturating_sub(before);
    assert!(grown < 120 << 20, "{grown} bytes more for three small streams");
    for (id, front, mut publisher) in streams {
        front.turn(Manner::Sound);
        let well = Instant::now();
        host.feed(&mut publisher, id, &segments[14..]).await;
        let newest = async {
            let channel = channels.channel(&format!("{id}-out"));
            while rillbox_trickle::next_seq(&host.client, &channel).await.unwrap() < 15 {
                tokio::task::yield_now().await;
            }
        };
        let came = tokio::time::timeout(Duration::from_secs(10), newest).await;
        assert!(came.is_ok(), "{id}: {}", host.status(id).await);
        println!("{id}: the newest segment was there {:?} after the server was well", well.elapsed());
        publisher.close().await.unwrap();
        let status = host.ended(id).await;
        assert_eq!(status["state"], "ENDED", "{status}");
        assert_eq!(count(&status, "output", "frames"), 16 * 25, "no frame waited for the server: {status}");
    }
}

/// Catches a stream that is called a failure, or waits for its drain time, since its server does not answer that the output is deleted.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_delete_the_output_is_no_failure() {
    let channels = Channels::start();
    let front = Front::start(channels.address, Manner::Sound).await;
    let host = Host::start_beside(&channels, &["--drain", "60s"]);
    passthrough(&host).await;
    let segments = media::small_segments("160x90", 1);
    let mut body = host.start_body("kept", "passthrough", json!({}));
    body["publish_url"] = json!(front.channel("kept-out"));
    rillbox_trickle::create(&host.client, &channels.channel("kept-in"), "video/mp2t").await.unwrap();
    start(&host, body).await;
    let mut publisher = host.publisher("kept");
    host.feed(&mut publisher, "kept", &segments).await;
    host.status_when("kept", |status| count(status, "output", "frames") > 10).await;
    front.turn(Manner::SilentToNew);
    publisher.close().await.unwrap();
    let closed = Instant::now();
    let status = host.ended("kept").await;
    assert_eq!(status["state"], "ENDED", "{status}");
    assert_eq!(count(&status, "output", "segments"), 1, "{status}");
    assert!(closed.elapsed() < Duration::from_secs(30), "{:?}", closed.elapsed());
}

/// Catches a publish channel that was never there and is taken for the proper end of one, and the other way round.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_output_is_an_error_and_a_closed_one_an_end() {
    let channels = Channels::start();
    let front = Front::start(channels.address, Manner::Answering(404)).await;
    let host = Host::start_beside(&channels, &[]);
    passthrough(&host).await;
    let mut body = host.start_body("never", "passthrough", json!({}));
    body["publish_url"] = json!(front.channel("never-out"));
    rillbox_trickle::create(&host.client, &channels.channel("never-in"), "video/mp2t").await.unwrap();
    start(&host, body).await;
    let status = host.ended("never").await;
    assert_eq!(status["state"], "ERROR", "{status}");
    let wanted = format!("cannot publish to {}: no such channel", front.channel("never-out"));
    assert_eq!(reason(&status), wanted);

    host.start_stream("closed", "passthrough", json!({})).await;
    let mut publisher = host.publisher("closed");
    host.feed(&mut publisher, "closed", &media::small_segments("160x90", 2)).await;
    host.status_when("closed", |status| count(status, "output", "segments") >= 1).await;
    rillbox_trickle::delete(&host.client, &channels.channel("closed-out")).await.unwrap();
    let status = host.ended("closed").await;
    assert_eq!((&status["state"], reason(&status)), (&json!("ENDED"), "the output was closed"), "{status}");
}

/// Catches readers that ask and never read, and so hold a stream up, or memory without bound.
#[tokio::test(flavor = "multi_thread")]
async fn readers_that_never_read_hold_nothing() {
    const SEGMENT: usize = 4 << 20;
    let host = Host::start();
    passthrough(&host).await;
    host.start_stream("stalled", "passthrough", json!({})).await;
    let (recorded, before) = (host.record("stalled"), host.memory());
    let large = host.channel("large");
    let mut publisher = Publisher::new(host.client.clone(), large.clone(), PublisherConfig::default());
    let mut stalled = Vec::new();
    for number in 0..60 {
        publisher.begin();
        publisher.write(vec![0; SEGMENT].into()).await.unwrap();
        publisher.end();
        tokio::time::timeout(crate::harness::PATIENCE, publisher.answered()).await.unwrap().unwrap();
        if number < 5 {
            // Held, and never asked for a byte of it.
            let mut reader = Subscriber::new(host.client.clone(), large.clone(), Start::Seq(number));
            stalled.push((reader.next().await.unwrap(), reader));
        }
    }
    let grown = host.memory().saturating_sub(before);
    println!("240 MiB published, five segments held by readers: {} MiB more", grown >> 20);
    assert!(grown < 100 << 20, "{grown} bytes more");

    let out = host.channel("stalled-out");
    let mut publisher = host.publisher("stalled");
    let segments = media::small_segments("320x180", 6);
    host.feed(&mut publisher, "stalled", &segments[..2]).await;
    let mut reader = Subscriber::new(host.client.clone(), out, Start::Current);
    let held = reader.next().await.unwrap();
    host.feed(&mut publisher, "stalled", &segments[2..]).await;
    publisher.close().await.unwrap();
    let segments = segments.concat();
    assert_eq!(media::pts(&recorded.await.unwrap().concat(), "v"), media::pts(&segments, "v"));
    assert_eq!(host.ended("stalled").await["state"], "ENDED");
    drop((held, stalled));
}

/// Catches trust in certificates that nobody named, and named ones that are not trusted, in every command that speaks trickle.
#[tokio::test(flavor = "multi_thread")]
async fn self_signed_servers_are_trusted_as_the_flags_say() {
    let channels = Channels::start();
    let front = TlsFront::start(channels.address).await;
    let directory = TempDir::new().unwrap();
    let (certificate, out) = (directory.path().join("ca.pem"), directory.path().join("out.ts"));
    std::fs::write(&certificate, &front.certificate).unwrap();
    let (certificate, out) = (certificate.to_str().unwrap(), out.to_str().unwrap());
    let url = format!("{}/clip", front.base);
    let clip = clip();
    let publish = ["publish", clip.to_str().unwrap(), "--url", &url];

    let (worked, said) = rillbox(&publish).await;
    assert!(!worked && said.contains("TLS failed"), "{said}");
    let record = ["record", "--url", &url, "--out", out, "--trickle-insecure"];
    let publish = [&publish[..], &["--realtime", "--trickle-ca", certificate]].concat();
    let (published, (worked, said)) = tokio::join!(rillbox(&publish), rillbox(&record));
    assert!(published.0, "{}", published.1);
    assert!(worked && said.matches("--trickle-insecure").count() == 1, "{said}");

    let host = Host::start_beside(&channels, &["--trickle-ca", certificate]);
    passthrough(&host).await;
    let mut body = host.start_body("tls", "passthrough", json!({}));
    body["subscribe_url"] = json!(format!("{}/tls-in", front.base));
    body["publish_url"] = json!(format!("{}/tls-out", front.base));
    start(&host, body).await;
    let (recorded, mut publisher) = (host.record("tls"), host.publisher("tls"));
    let segments = media::small_segments("160x90", 2);
    host.feed(&mut publisher, "tls", &segments).await;
    publisher.close().await.unwrap();
    let segments = segments.concat();
    assert_eq!(media::pts(&recorded.await.unwrap().concat(), "v"), media::pts(&segments, "v"));
}

/// Runs the program; gives whether it worked, and what it said.
async fn rillbox(arguments: &[&str]) -> (bool, String) {
    let output =
        tokio::process::Command::new(program()).args(arguments).env("RUST_LOG", "warn").output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("panicked"), "{said}");
    (output.status.success(), said)
}

/// Catches flags that are taken although they cannot be meant, or that are refused without saying which.
#[tokio::test(flavor = "multi_thread")]
async fn bad_flags_are_named() {
    let directory = TempDir::new().unwrap();
    let (empty, data) = (directory.path().join("empty.pem"), directory.path().join("data"));
    std::fs::write(&empty, "no certificate at all").unwrap();
    let (empty, data) = (empty.to_str().unwrap(), data.to_str().unwrap());
    for (flags, word) in [
        (["--trickle-ca", "/nowhere.pem"], "--trickle-ca /nowhere.pem"),
        (["--trickle-ca", empty], "there is no certificate"),
        (["--drain", "soon"], "--drain"),
        (["--drain", "0s"], "--drain"),
        (["--input-timeout", "1m"], "--input-timeout"),
    ] {
        let serve = ["serve", "--no-trickle", "--listen", "127.0.0.1:0", "--data-dir", data];
        let (worked, said) = rillbox(&[&serve[..], &flags].concat()).await;
        assert!(!worked && said.contains(word), "{flags:?}: {said}");
    }
}

/// Catches readers who are not told that a stream has ended where the host did not wait for all of it, and work that goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_takes_too_long_is_cut_off_and_readers_are_told() {
    let host = Host::start_with(&["--drain", "1s", "--frame-budget", "5000"]);
    host.upload("slow", &hostile("slow")).await;
    let segments = media::small_segments("160x90", 1);
    let (_, status) = host.run("late", "slow", json!({ "milliseconds": 2_000 }), &segments).await;
    assert_eq!(status["state"], "ERROR", "{status}");
    assert!(status["reason"].as_str().unwrap().contains("did not go out in time"), "{status}");
    assert!(status["output"]["frames"].as_u64() < Some(25), "{status}");
    host.guests_are_gone().await;
}

/// Catches a host that cannot be ended any more once nobody reads its log.
#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let data = tempfile::tempdir().unwrap();
    let mut child = Command::new(program())
        .args(["serve", "--listen", "127.0.0.1:0", "--no-trickle", "--data-dir", data.path().to_str().unwrap()])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    assert!(log.lines().map_while(Result::ok).any(|line| line.contains("ready")), "it never was ready");
    let signalled = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    let asked = Instant::now();
    let exit = loop {
        match child.try_wait().unwrap() {
            Some(exit) => break exit,
            None if asked.elapsed() > PATIENCE => {
                child.kill().unwrap();
                panic!("it does not end");
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    assert!(exit.success(), "{exit}");
}

/// Catches a host that is killed rather than ended: outputs cut in the middle, channels left open, or a drain without end.
#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_every_stream_end_in_time() {
    let channels = Channels::start();
    let front = Front::start(channels.address, Manner::Silent).await;
    let mut host = Host::start_beside(&channels, &["--drain", "5s"]);
    passthrough(&host).await;
    let segments = long_segments();
    let (mut sources, mut recorded) = (Vec::new(), Vec::new());
    for id in ["a", "b", "c", "d", "e", "f"] {
        host.start_stream(id, "passthrough", json!({})).await;
        sources.push(Source::play(host.publisher(id), &segments, 0));
        recorded.push(host.record(id));
    }
    let mut body = host.start_body("stuck", "passthrough", json!({}));
    body["publish_url"] = json!(front.channel("stuck-out"));
    rillbox_trickle::create(&host.client, &channels.channel("stuck-in"), "video/mp2t").await.unwrap();
    start(&host, body).await;
    sources.push(Source::play(host.publisher("stuck"), &segments, 0));
    for id in ["a", "b", "c", "d", "e", "f", "stuck"] {
        host.status_when(id, |status| count(status, "output", "frames") > 30).await;
    }
    let asked = Instant::now();
    let exit = tokio::task::spawn_blocking(move || host.terminate()).await.unwrap();
    println!("ended {:?} after SIGTERM", asked.elapsed());
    assert!(exit.success(), "{exit}");
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    let sent = media::pts(&segments.concat(), "v");
    for recorded in recorded {
        let received = recorded.await.unwrap();
        let pts = media::pts(&received.concat(), "v");
        assert!(pts.len() > 25, "{pts:?}");
        assert_eq!(pts, sent[..pts.len()]);
        let last = media::file(received.last().unwrap());
        assert!(!media::pictures(last.path(), 160, 90).is_empty(), "the last segment cannot be decoded");
    }
    drop(sources);
}
