//! Many streams: at once, beyond the limit, and one after the other until something would have leaked.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::channels::{Channels, Front, Manner};
use crate::harness::host::Host;
use crate::harness::{guest, hostile, media};

/// Catches frames that are lost, doubled or mixed up between streams that run at once.
#[tokio::test(flavor = "multi_thread")]
async fn twelve_streams_at_once_keep_every_frame() {
    let host = std::sync::Arc::new(Host::start());
    host.upload("green", &guest("green")).await;
    // Of their own lengths, so that a frame of another stream shows.
    let segments = [3, 4, 5].map(|seconds| media::small_segments("160x90", seconds));
    let mut streams = JoinSet::new();
    for number in 0..12 {
        let (host, segments) = (host.clone(), segments[number % 3].clone());
        streams.spawn(async move {
            let (out, status) = host.run(&format!("s{number}"), "green", json!({}), &segments).await;
            (out, segments, status)
        });
    }
    // Nothing is judged while others are read: FFmpeg's programs would hold up their readers.
    for (out, segments, status) in streams.join_all().await {
        assert_eq!(status["state"], "ENDED", "{status}");
        assert_eq!(media::pts(&out.concat(), "v"), media::pts(&segments.concat(), "v"), "{status}");
    }
}

/// Catches a start beyond the limit that is taken, or refused without saying when to try again, and a place that stays taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_beyond_the_limit_is_put_off() {
    let host = Host::start_with(&["--max-streams", "2"]);
    host.upload("green", &guest("green")).await;
    for id in ["a", "b"] {
        host.start_stream(id, "green", json!({})).await;
    }
    let body = host.start_body("c", "green", json!({})).to_string();
    let refused = host.answer(Method::POST, "/api/stream/start", body).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    let after: u64 = refused.headers()["Retry-After"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&after), "{after}");
    assert_eq!(host.send(Method::DELETE, "/api/streams/a", "").await.0, StatusCode::OK);
    host.start_stream("c", "green", json!({})).await;
}

/// Catches a stream that is forgotten as soon as it ends, because others that started later have ended before.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_to_end_are_remembered() {
    let host = Host::start();
    host.upload("passthrough", &guest("passthrough")).await;
    let body = json!({ "subscribe_url": "http://127.0.0.1:9/in", "processor": "passthrough" }).to_string();
    let start = async |id: &str| {
        let (code, answer) = host.send_for(Some(id), Method::POST, "/stream/start", body.clone()).await;
        assert_eq!(code, StatusCode::OK, "{answer}");
    };
    let stop = async |id: &str| {
        assert_eq!(host.send(Method::DELETE, &format!("/api/streams/{id}"), "").await.0, StatusCode::OK);
    };
    start("long").await;
    for number in 0..66 {
        start(&format!("short-{number}")).await;
        stop(&format!("short-{number}")).await;
    }
    stop("long").await;
    start("next").await;
    assert_eq!(host.status("long").await["state"], "ENDED");
    assert_eq!(host.get("/api/streams/short-0").await.0, StatusCode::NOT_FOUND);
    assert_eq!(host.status("short-65").await["state"], "ENDED");
}

/// Between two calls about a processor that starts, which takes it longer.
const PAUSE: Duration = Duration::from_millis(30);

/// What every start of the last test needs.
struct Ground {
    host: Host,
    channels: Channels,
    silent: Front,
    missing: Front,
    segment: Vec<u8>,
}

/// Ways for a stream to come and go.
const WAYS: [&str; 14] = [
    "stopped while it starts",
    "stopped while it connects",
    "stopped while it is live",
    "stopped before its channel is there",
    "stopped before its server is there",
    "ended by its input",
    "ended by its output",
    "ended before its first segment",
    "left by its publisher",
    "left by its caller",
    "without an answer",
    "without an output",
    "refused",
    "trapped",
];

/// Those of them that end when nothing has come for the 3 s that an input may be silent.
const SILENT: [&str; 2] = ["left by its publisher", "without an answer"];

impl Ground {
    async fn new() -> Self {
        let channels = Channels::start();
        let host = Host::start_thrifty(&channels, &["--input-timeout", "3s", "--max-streams", "256"]);
        host.upload("green", &guest("green")).await;
        for name in ["trap", "load_error", "slow_start"] {
            host.upload(name, &hostile(name)).await;
        }
        let silent = Front::start(channels.address, Manner::Silent).await;
        let missing = Front::start(channels.address, Manner::Answering(404)).await;
        Self { host, channels, silent, missing, segment: media::small_segments("160x90", 1).concat() }
    }

    /// One start and its end; `id` is free before and after.
    async fn cycle(&self, id: &str, way: &str) {
        let host = &self.host;
        let body = |processor: &str| host.start_body(id, processor, json!({}));
        match way {
            "stopped while it starts" => {
                let mut body = body("slow_start");
                // Cut short by the stop.
                body["params"] = json!({ "milliseconds": 1_500 });
                let start = host.post("/api/stream/start", body);
                tokio::pin!(start);
                let (code, answer) = loop {
                    tokio::select! {
                        started = &mut start => break started,
                        () = tokio::time::sleep(PAUSE) => {}
                    }
                    host.send(Method::DELETE, &format!("/api/streams/{id}"), "").await;
                };
                assert_eq!(code, StatusCode::CONFLICT, "{answer}");
            }
            "stopped while it connects" => {
                self.create(id).await;
                self.start(body("green")).await;
                self.stop(id).await;
            }
            "stopped before its channel is there" => {
                self.start(body("green")).await;
                self.stop(id).await;
            }
            "stopped before its server is there" => {
                let mut body = body("green");
                body["subscribe_url"] = json!("http://127.0.0.1:9/in");
                self.start(body).await;
                self.stop(id).await;
            }
            "ended before its first segment" => {
                self.create(id).await;
                self.start(body("green")).await;
                rillbox_trickle::delete(&host.client, &self.channels.channel(&format!("{id}-in"))).await.unwrap();
                // Whether the stream saw the channel before it went decides the state.
                host.send(Method::DELETE, &format!("/api/streams/{id}"), "").await;
                host.ended(id).await;
            }
            "left by its caller" => {
                let call = host.post("/api/stream/start", body("slow_start"));
                assert!(tokio::time::timeout(PAUSE, call).await.is_err(), "the processor starts for 500 ms");
                while host.post("/api/stream/start", body("green")).await.0 == StatusCode::CONFLICT {
                    tokio::time::sleep(PAUSE).await;
                }
                self.stop(id).await;
            }
            "without an answer" => {
                let mut body = body("green");
                body["subscribe_url"] = json!(self.silent.channel("in"));
                self.start(body).await;
                self.over(id, "ERROR").await;
            }
            "without an output" => {
                let mut body = body("green");
                body["publish_url"] = json!(self.missing.channel(&format!("{id}-out")));
                self.start(body).await;
                self.over(id, "ERROR").await;
            }
            "refused" => {
                let (code, answer) = host.post("/api/stream/start", body("load_error")).await;
                assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
                let mut body = body("green");
                body["params"] = json!({ "intensity": 7 });
                assert_eq!(host.post("/api/stream/start", body).await.0, StatusCode::BAD_REQUEST);
            }
            _ => self.live(id, way).await,
        }
        for end in ["in", "out"] {
            // Most are gone by now.
            let _ = rillbox_trickle::delete(&host.client, &self.channels.channel(&format!("{id}-{end}"))).await;
        }
    }

    /// The ways of a stream that was live.
    async fn live(&self, id: &str, way: &str) {
        let host = &self.host;
        let processor = if way == "trapped" { "trap" } else { "green" };
        host.start_stream(id, processor, json!({})).await;
        let mut publisher = host.publisher(id);
        publisher.write(Bytes::copy_from_slice(&self.segment)).await.unwrap();
        let frames = |status: &Value| status["output"]["frames"].as_u64() >= Some(10);
        host.status_when(id, frames).await;
        match way {
            "stopped while it is live" => self.stop(id).await,
            "ended by its output" => {
                // It is gone where the stream has ended by itself.
                let _ = rillbox_trickle::delete(&host.client, &self.channels.channel(&format!("{id}-out"))).await;
                self.over(id, "ENDED").await;
            }
            "left by its publisher" => {
                drop(publisher);
                self.over(id, "ENDED").await;
            }
            "ended by its input" | "trapped" => {
                publisher.close().await.unwrap();
                self.over(id, "ENDED").await;
            }
            unknown => panic!("there is no way {unknown:?}"),
        }
    }

    async fn create(&self, id: &str) {
        let channel = self.channels.channel(&format!("{id}-in"));
        rillbox_trickle::create(&self.host.client, &channel, "video/mp2t").await.unwrap();
    }

    async fn start(&self, body: Value) {
        let (code, answer) = self.host.post("/api/stream/start", body).await;
        assert_eq!(code, StatusCode::OK, "{answer}");
    }

    async fn stop(&self, id: &str) {
        let (code, answer) = self.host.send(Method::DELETE, &format!("/api/streams/{id}"), "").await;
        assert_eq!(code, StatusCode::OK, "{answer}");
        self.over(id, "ENDED").await;
    }

    async fn over(&self, id: &str, state: &str) {
        let status = self.host.ended(id).await;
        assert_eq!(status["state"], state, "{status}");
    }

    /// So many rounds of all ways, each way in so many lanes of its own, whose ids come again and again. Ways that wait for seconds
    /// have a third of the rounds, in three times the lanes. Gives how many starts there were.
    async fn rounds(self: &std::sync::Arc<Self>, lanes: usize, rounds: usize) -> usize {
        let (mut running, mut starts) = (JoinSet::new(), 0);
        for way in WAYS {
            let (lanes, rounds) = if SILENT.contains(&way) { (3 * lanes, rounds.div_ceil(3)) } else { (lanes, rounds) };
            starts += lanes * rounds;
            for lane in 0..lanes {
                let ground = self.clone();
                running.spawn(async move {
                    let id = format!("{}-{lane}", way.replace(' ', "-"));
                    for _ in 0..rounds {
                        ground.cycle(&id, way).await;
                    }
                });
            }
        }
        running.join_all().await;
        starts
    }
}

/// Catches whatever a stream may leave behind, however it came and went: tasks, threads, descriptors, memory, its id, its place,
/// or its hold on a processor.
#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_starts_and_stops_leave_nothing_behind() {
    let ground = std::sync::Arc::new(Ground::new().await);
    let host = &ground.host;
    let (threads, descriptors) = (host.used("task"), host.used("fd"));
    // More at once than later, so that what memory the busiest moment takes is taken.
    ground.rounds(4, 6).await;
    let memory = host.memory();
    let begun = std::time::Instant::now();
    let starts = ground.rounds(2, 11).await;
    let grown = host.memory().saturating_sub(memory);
    println!("{starts} starts and ends in {:?}; {} KiB more", begun.elapsed(), grown >> 10);
    assert!(grown < 12 << 20, "{grown} bytes more");
    assert_eq!(host.get("/health").await.1, json!({ "status": "IDLE" }));
    for name in ["green", "trap", "load_error", "slow_start"] {
        let (code, answer) = host.send(Method::DELETE, &format!("/api/processors/{name}"), "").await;
        assert_eq!(code, StatusCode::OK, "{answer}");
    }
    // Connections to servers that may be asked again stay for ten seconds.
    let used = host.settled(threads + 1, descriptors + 2).await;
    println!("threads {threads} and descriptors {descriptors} are {used:?}");
}
