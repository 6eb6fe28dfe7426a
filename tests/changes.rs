//! Another processor for a stream that runs: taken between two frames, or not at all.

use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::harness::component::tiny;
use crate::harness::host::Host;
use crate::harness::sound::Heard;
use crate::harness::{PATIENCE, PATIENT, guest, hostile, media};

const WIDTH: usize = 160;
const HEIGHT: usize = 90;

fn segments(seconds: u32) -> Vec<Vec<u8>> {
    media::small_segments(&format!("{WIDTH}x{HEIGHT}"), seconds)
}

/// A host with processors that tell by a shade of gray which of them it was.
async fn host() -> Host {
    let host = Host::start_with(&PATIENT);
    for name in ["one", "two"] {
        host.upload(name, &hostile("stamp")).await;
    }
    host
}

async fn changed(host: &Host, id: &str, body: Value) {
    let (code, answer) = host.change(id, body.clone()).await;
    assert_eq!(code, StatusCode::OK, "{body}: {answer}");
}

/// Catches a frame that is lost, doubled or shown without its effect where one processor gives way to another, a change that is
/// answered before it is one, and one that holds the stream up.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_changes_lose_and_double_no_frame() {
    let (host, segments) = (host().await, segments(60));
    let luma = |index: usize| 20 + 2 * index;
    host.start_stream("swap", "one", json!({ "luma": luma(0) })).await;
    let recorded = host.record("swap");
    let mut publisher = host.publisher("swap");
    let done = AtomicBool::new(false);
    let feed = host.feed_live(&mut publisher, &segments, || done.load(Ordering::Relaxed));
    let changes = async {
        host.status_when("swap", |status| status["output"]["frames"].as_u64() >= Some(10)).await;
        for index in 1..=100 {
            let processor = if index % 2 == 0 { "one" } else { "two" };
            changed(&host, "swap", json!({ "processor": processor, "params": { "luma": luma(index) } })).await;
            let status = host.status("swap").await;
            assert_eq!(status["processor"], format!("{processor}@0.1.0"));
            assert_eq!(status["params"], json!({ "luma": luma(index) }));
            // They are quicker than pictures are.
            if index % 5 == 0 {
                let shown = |status: &Value| status["output"]["frames"].as_u64().unwrap();
                let before = shown(&status);
                host.status_when("swap", |status| shown(status) > before).await;
            }
        }
        done.store(true, Ordering::Relaxed);
    };
    let (count, ()) = tokio::join!(feed, changes);
    publisher.close().await.unwrap();
    let status = host.ended("swap").await;
    let received = timeout(PATIENCE, recorded).await.expect("the output ends").unwrap().concat();
    assert_eq!(media::pts(&received, "v"), media::pts(&segments[..count].concat(), "v"), "{status}");
    let lumas = media::lumas(&received, WIDTH, HEIGHT);
    let indices: Vec<_> = lumas.iter().map(|shade| ((shade - 20.0) / 2.0).round() as i64).collect();
    for (shade, index) in lumas.iter().zip(&indices) {
        assert!((0..=100).contains(index), "a frame of the shade {shade} is nobody's: {lumas:?}");
        assert!((shade - luma(*index as usize) as f64).abs() < 0.9, "a frame is of the shade {shade}: {lumas:?}");
    }
    assert!(indices.is_sorted(), "an old processor had a frame after a newer one: {indices:?}");
    assert_eq!((indices[0], *indices.last().unwrap()), (0, 100), "{indices:?}");
    let mut seen = indices;
    seen.dedup();
    assert!(seen.len() > 15, "frames were held up while processors changed: {seen:?}");
    let (dropped, errors) = (&status["frames_dropped"], &status["errors"]);
    assert_eq!((dropped, errors), (&json!(0), &json!({ "reported": 0, "traps": 0, "overruns": 0 })), "{status}");
}

/// Catches a processor that is taken although it does not load, start or process, or for which the stream's params do not fit, a
/// refusal without its reason, and one after which the old processor is another, or has other params.
#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_fails_changes_nothing() {
    let (host, segments) = (host().await, segments(3));
    for name in ["load_error", "restless", "trap", "spin", "failing"] {
        host.upload(name, &hostile(name)).await;
    }
    host.start_stream("keep", "one", json!({ "luma": 60, "width": WIDTH, "height": HEIGHT })).await;
    let recorded = host.record("keep");
    let mut publisher = host.publisher("keep");
    host.feed(&mut publisher, "keep", &segments[..1]).await;
    host.status_when("keep", |status| status["output"]["frames"].as_u64() >= Some(24)).await;
    let before = host.status("keep").await;
    let often = json!({ "every": 1 });
    for (body, code, word) in [
        (json!({ "processor": "load_error", "params": {} }), StatusCode::CONFLICT, "`load`"),
        (json!({ "processor": "restless", "params": {} }), StatusCode::CONFLICT, "`start`"),
        (json!({ "processor": "trap", "params": often }), StatusCode::CONFLICT, "panicked"),
        (json!({ "processor": "spin", "params": often }), StatusCode::CONFLICT, "the processor ran"),
        (json!({ "processor": "failing", "params": often }), StatusCode::CONFLICT, "frame 1 failed"),
        (json!({ "processor": "trap" }), StatusCode::CONFLICT, "/luma"),
        (json!({ "processor": "two", "params": { "luma": "x" } }), StatusCode::BAD_REQUEST, "/luma"),
        (json!({ "processor": "two", "params": { "width": 7 } }), StatusCode::BAD_REQUEST, "/width"),
        (json!({ "processor": "two", "params": [] }), StatusCode::BAD_REQUEST, "object"),
        (json!({ "processor": "nobody" }), StatusCode::NOT_FOUND, "nobody"),
        (json!({ "processor": "one@9.9.9" }), StatusCode::NOT_FOUND, "one@9.9.9"),
        (json!({ "model_id": "two" }), StatusCode::BAD_REQUEST, "model_id"),
    ] {
        let (answered, answer) = host.change("keep", body.clone()).await;
        assert_eq!(answered, code, "{body}: {answer}");
        assert!(answer["message"].as_str().unwrap().contains(word), "{body}: {answer}");
        let now = host.status("keep").await;
        for field in ["processor", "params", "state", "errors"] {
            assert_eq!(now[field], before[field], "{body}");
        }
        assert!(!now["events"].to_string().contains("processor_changed"), "{body}");
    }
    host.feed(&mut publisher, "keep", &segments[1..]).await;
    publisher.close().await.unwrap();
    let received = timeout(PATIENCE, recorded).await.expect("the output ends").unwrap().concat();
    assert_eq!(media::pts(&received, "v"), media::pts(&segments.concat(), "v"));
    assert!(media::lumas(&received, WIDTH, HEIGHT).iter().all(|shade| (shade - 60.0).abs() < 0.9));
    let ended = host.change("keep", json!({ "processor": "two" })).await;
    assert_eq!(ended.0, StatusCode::CONFLICT, "{}", ended.1);
    assert_eq!(host.change("nobody", json!({ "processor": "two" })).await.0, StatusCode::NOT_FOUND);
}

/// Catches a version that is not the one that was named, and a way back that leads elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_gives_way_to_another_and_comes_back() {
    let (host, segments) = (Host::start(), segments(2));
    for version in ["1.0.0", "2.0.0"] {
        let (code, answer) = host.send(Method::POST, "/api/processors", tiny(version, "")).await;
        assert_eq!(code, StatusCode::CREATED, "{answer}");
    }
    host.start_stream("back", "tiny@1.0.0", json!({})).await;
    let recorded = host.record("back");
    let mut publisher = host.publisher("back");
    host.feed(&mut publisher, "back", &segments[..1]).await;
    for (named, meant) in [("tiny@2.0.0", "tiny@2.0.0"), ("tiny@1.0.0", "tiny@1.0.0"), ("tiny", "tiny@2.0.0")] {
        changed(&host, "back", json!({ "processor": named })).await;
        assert_eq!(host.status("back").await["processor"], meant, "{named}");
    }
    host.feed(&mut publisher, "back", &segments[1..]).await;
    publisher.close().await.unwrap();
    let received = timeout(PATIENCE, recorded).await.expect("the output ends").unwrap().concat();
    assert_eq!(media::pts(&received, "v"), media::pts(&segments.concat(), "v"));
}

/// Catches params that are lost or forced on the new processor, and those of the host that go with the old one.
#[tokio::test(flavor = "multi_thread")]
async fn params_are_kept_where_none_are_given() {
    let (host, segments) = (host().await, segments(3));
    host.start_stream("kept", "one", json!({ "luma": 60, "width": 200, "height": 100 })).await;
    let recorded = host.record("kept");
    let mut publisher = host.publisher("kept");
    let wanted = [
        (json!({ "processor": "two" }), json!({ "luma": 60, "width": 200, "height": 100 })),
        (
            json!({ "processor": "one", "params": { "trap_every": 0, "width": 100 } }),
            json!({ "trap_every": 0, "width": 100, "height": 100 }),
        ),
    ];
    for (segment, (body, params)) in segments.chunks(1).zip(wanted) {
        host.feed(&mut publisher, "kept", segment).await;
        changed(&host, "kept", body).await;
        assert_eq!(host.status("kept").await["params"], params);
    }
    host.feed(&mut publisher, "kept", &segments[2..]).await;
    publisher.close().await.unwrap();
    let received = timeout(PATIENCE, recorded).await.expect("the output ends").unwrap();
    assert_eq!(media::pts(&received.concat(), "v"), media::pts(&segments.concat(), "v"));
    let last = received.last().unwrap();
    assert_eq!(media::property(last, "v", "width"), "100");
    let shade = *media::lumas(last, 100, 100).last().unwrap();
    assert!(shade < 17.0, "`luma` is 0 where it was not given: {shade}");
}

/// Catches a track that is lost, doubled or out of order where the new processor takes others than the old one, or in other
/// instances.
#[tokio::test(flavor = "multi_thread")]
async fn tracks_and_isolation_may_be_others() {
    let host = Host::start();
    for name in ["green", "echo", "showcase", "passthrough"] {
        host.upload(name, &guest(name)).await;
    }
    host.upload("burn", &hostile("burn")).await;
    let segments = segments(16);
    host.start_stream("tracks", "green", json!({})).await;
    let recorded = host.record("tracks");
    let mut publisher = host.publisher("tracks");
    let order = ["echo", "showcase", "passthrough", "burn", "green", "showcase", "echo", "burn", "passthrough", "echo"];
    let changes = async {
        host.status_when("tracks", |status| status["output"]["frames"].as_u64() >= Some(10)).await;
        for processor in order {
            let seen = host.status("tracks").await["output"]["frames"].as_u64().unwrap();
            changed(&host, "tracks", json!({ "processor": processor, "params": {} })).await;
            host.status_when("tracks", |status| status["output"]["frames"].as_u64() > Some(seen + 5)).await;
        }
    };
    let (_, ()) = tokio::join!(host.feed_live(&mut publisher, &segments, || false), changes);
    publisher.close().await.unwrap();
    let status = host.ended("tracks").await;
    let received = timeout(PATIENCE, recorded).await.expect("the output ends").unwrap().concat();
    let sent = segments.concat();
    assert_eq!(media::pts(&received, "v"), media::pts(&sent, "v"), "{status}");
    assert_eq!(media::sound_gaps(&received), []);
    let (sent, heard) = (Heard::of(&sent).seconds(), Heard::of(&received).seconds());
    assert!((sent - heard).abs() < 0.1, "{heard} s of sound of {sent}");
    assert_eq!(status["audio_latency_ms"]["max"].as_f64().map(|max| max > 0.0), Some(true), "{status}");
}

/// Catches a change of which nobody is told, an old version that stays in use, a new one that can be deleted, and counts that
/// move from one processor to the other.
#[tokio::test(flavor = "multi_thread")]
async fn everything_that_hangs_on_the_processor_goes_over() {
    let (host, segments) = (host().await, segments(2));
    let mut body = host.start_body("lease", "one", json!({ "luma": 60 }));
    for end in ["in", "out", "events", "data"] {
        rillbox_trickle::create(&host.client, &host.channel(&format!("lease-{end}")), "video/MP2T").await.unwrap();
        if ["events", "data"].contains(&end) {
            body[format!("{end}_url")] = json!(host.channel(&format!("lease-{end}")).to_string());
        }
    }
    let (events, data) = (host.record_channel("lease-events"), host.record_channel("lease-data"));
    let (code, answer) = host.post("/api/stream/start", body).await;
    assert_eq!(code, StatusCode::OK, "{answer}");
    let mut publisher = host.publisher("lease");
    host.feed(&mut publisher, "lease", &segments[..1]).await;
    host.status_when("lease", |status| status["output"]["frames"].as_u64() >= Some(24)).await;
    changed(&host, "lease", json!({ "processor": "two", "params": { "luma": 80 } })).await;
    assert_eq!(host.send(Method::DELETE, "/api/processors/two", "").await.0, StatusCode::CONFLICT);
    let (code, answer) = host.send(Method::DELETE, "/api/processors/one", "").await;
    assert_eq!(code, StatusCode::OK, "{answer}");
    assert_eq!(host.change("lease", json!({ "processor": "one" })).await.0, StatusCode::NOT_FOUND);

    host.feed(&mut publisher, "lease", &segments[1..]).await;
    publisher.close().await.unwrap();
    let status = host.ended("lease").await;
    assert_eq!(status["processor"], "two@0.1.0");
    let metrics = String::from_utf8(host.fetch("/api/metrics").await.to_vec()).unwrap();
    let count = |name: &str, processor: &str| -> f64 {
        let start = format!("rillbox_processor_{name}_total{{processor=\"{processor}@0.1.0\"}} ");
        let line = metrics.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("{start}{metrics}"));
        line[start.len()..].parse().unwrap()
    };
    assert!(count("output_frames", "one") >= 24.0 && count("output_frames", "two") >= 24.0);
    assert_eq!(count("output_frames", "one") + count("output_frames", "two"), 50.0);
    for (name, expected) in [("streams_started", [1.0, 1.0]), ("streams_ended", [0.0, 1.0])] {
        assert_eq!([count(name, "one"), count(name, "two")], expected, "{name}");
    }

    let events = timeout(PATIENCE, events).await.expect("the channel ends").unwrap();
    let events: Vec<Value> = events.iter().filter_map(|event| serde_json::from_slice(event).ok()).collect();
    let events: Vec<_> = events.iter().map(|envelope| &envelope["event"]).collect();
    let told = events.iter().find(|event| event["type"] == "processor_changed").expect("an event of the change");
    assert_eq!((&told["from"], &told["to"]), (&json!("one@0.1.0"), &json!("two@0.1.0")));
    let params = events.iter().find(|event| event["type"] == "params_updated").expect("an event of the params");
    assert_eq!(params["params"], json!({ "luma": 80 }));
    let data = timeout(PATIENCE, data).await.expect("the channel ends").unwrap().concat();
    let data = String::from_utf8(data).unwrap();
    let said: Vec<_> = data.lines().filter(|line| *line != "[]").collect();
    assert_eq!(said, ["[60]", "[80]"], "both were stopped, each once");
}

/// Catches a change that waits for a frame, two at a time, and one that outlives its stream.
#[tokio::test(flavor = "multi_thread")]
async fn changes_need_no_frames_and_come_one_at_a_time() {
    let host = host().await;
    host.upload("slow", &hostile("slow_start")).await;
    host.start_stream("still", "one", json!({})).await;
    changed(&host, "still", json!({ "processor": "two" })).await;
    changed(&host, "still", json!({})).await;
    assert_eq!(host.status("still").await["processor"], "two@0.1.0");
    let slow = json!({ "processor": "slow", "params": { "milliseconds": 1_500 } });
    // A change is under way once there is a task that makes the new instance, beside that of the one at work: those of others may
    // take a moment to end.
    let before = host.guest_tasks_when(|tasks| tasks == 1).await;
    let (first, second) = tokio::join!(host.change("still", slow.clone()), async {
        host.guest_tasks_when(|tasks| tasks > before).await;
        host.change("still", json!({ "processor": "one" })).await
    });
    let codes = [first.0, second.0];
    assert!(codes == [StatusCode::OK, StatusCode::CONFLICT], "{} {}", first.1, second.1);
    assert!(second.1["message"].as_str().unwrap().contains("another call"), "{}", second.1);
    let before = host.guest_tasks_when(|tasks| tasks == 1).await;
    let (late, stopped) = tokio::join!(host.change("still", slow), async {
        host.guest_tasks_when(|tasks| tasks > before).await;
        host.send(Method::DELETE, "/api/streams/still", "").await
    });
    assert_eq!((late.0, stopped.0), (StatusCode::CONFLICT, StatusCode::OK), "{} {}", late.1, stopped.1);
    assert!(late.1["message"].as_str().unwrap().contains("ended"), "{}", late.1);
    host.guests_are_gone().await;
}
