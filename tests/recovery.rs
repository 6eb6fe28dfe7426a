//! What a processor that breaks or runs on costs: its frame, then a pause, never the stream.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::harness::host::Host;
use crate::harness::{PATIENCE, PATIENT, hostile, media};

const WIDTH: usize = 160;
const HEIGHT: usize = 90;

fn segments(seconds: u32) -> Vec<Vec<u8>> {
    media::small_segments(&format!("{WIDTH}x{HEIGHT}"), seconds)
}

fn assert_whole(sent: &[Vec<u8>], received: &[Vec<u8>]) {
    assert_eq!(media::pts(&received.concat(), "v"), media::pts(&sent.concat(), "v"));
}

fn milliseconds(status: &Value, figure: &str) -> f64 {
    status["guest"]["overrun_ms"][figure].as_f64().unwrap()
}

/// Catches an endless loop that is not stopped at its budget, one of many that is not stopped at all, and a quarantine for good.
/// `scripts/bench limits` measures what is held to here with room for a busy machine.
#[tokio::test(flavor = "multi_thread")]
async fn endless_loops_are_stopped_in_their_time_again_and_again() {
    let (host, segments) = (Host::start(), segments(120));
    host.upload("spin", &hostile("spin")).await;
    host.start_stream("loops", "spin", json!({ "every": 2 })).await;
    let recorded = host.record("loops");
    let mut publisher = host.publisher("loops");
    let (overruns, began) = (AtomicU64::new(0), Instant::now());
    let enough = || overruns.load(Ordering::Relaxed) >= 50;
    let lifting = async {
        while !enough() {
            // On a machine that is too busy they are stopped as well, but the processor is not blamed.
            let seen = |status: &Value| status["errors"]["overruns"].as_u64().unwrap();
            let status = host.status_when("loops", |status| status["state"] == "DEGRADED" || seen(status) >= 50).await;
            overruns.store(seen(&status), Ordering::Relaxed);
            let (code, answer) = host.change("loops", json!({})).await;
            // Its first frame is a copy, and its second one is endless. On such a machine even a copy may be stopped.
            assert!(code == StatusCode::OK || answer.to_string().contains("too busy"), "{answer}");
            assert!(began.elapsed() < 3 * PATIENCE, "{status}");
        }
    };
    let (count, ()) = tokio::join!(host.feed_live(&mut publisher, &segments, enough), lifting);
    publisher.close().await.unwrap();
    let status = host.ended("loops").await;
    let received = timeout(PATIENCE, recorded).await.expect("the output ends").unwrap();
    assert_whole(&segments[..count], &received);
    assert!(status["errors"]["overruns"].as_u64() >= Some(50), "{status}");
    assert_eq!(status["errors"]["traps"], 0, "{status}");
    // Where most of a core is another's, a loop is stopped by the clock, at twice its budget, and what stops it may wait for a core.
    assert!((40.0..250.0).contains(&milliseconds(&status, "p50")), "{status}");
    assert!(milliseconds(&status, "max") < 2_000.0, "{status}");
    host.guests_are_gone().await;
}

/// Catches a guest that a call of the host hides from its end: by waiting in it, or by making one after the other.
#[tokio::test(flavor = "multi_thread")]
async fn imports_are_no_place_to_hide() {
    let host = Host::start();
    let segments = segments(30);
    host.upload("park", &hostile("park")).await;
    host.upload("nag", &hostile("nag")).await;
    let nags = ["clock", "log", "data", "pixels", "timer"];
    let guests = nags.map(|what| (what, "nag", json!({ "what": what })));
    for (id, processor, params) in guests.into_iter().chain([("park", "park", json!({}))]) {
        let enough = |status: &Value| status["errors"]["overruns"].as_u64() >= Some(5);
        let (count, received, status) = host.run_live(id, processor, params, &segments, enough).await;
        assert_whole(&segments[..count], &received);
        assert!(enough(&status), "{id}: {status}");
        // A waiting guest uses no time of its own, and is stopped by the clock: at twice its budget.
        let expected = if id == "park" { 60.0..250.0 } else { 40.0..250.0 };
        assert!(expected.contains(&milliseconds(&status, "p50")), "{id}: {status}");
        assert!(milliseconds(&status, "max") < 2_000.0, "{id}: {status}");
        host.guests_are_gone().await;
    }
}

/// Catches a start that waits in the host for ever, or goes on when it has been answered.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_waits_in_the_host_ends() {
    let host = Host::start();
    host.upload("park", &hostile("park_start")).await;
    let began = Instant::now();
    let (code, answer) = host.post("/api/stream/start", host.start_body("park", "park", json!({}))).await;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
    // 2 s, and a moment less than twice that on the wall clock.
    assert!((3.9..10.0).contains(&began.elapsed().as_secs_f64()), "{:?}", began.elapsed());
    host.guests_are_gone().await;
}

/// Catches an overrun that is not paid back, or is paid back for ever.
#[tokio::test(flavor = "multi_thread")]
async fn an_overrun_is_paid_back_in_skipped_calls() {
    let host = Host::start();
    host.upload("spin", &hostile("spin")).await;
    let segments = segments(40);
    let enough = |status: &Value| status["errors"]["overruns"].as_u64() >= Some(3);
    let (seconds, received, status) = host.run_live("debt", "spin", json!({ "every": 3 }), &segments, enough).await;
    assert_whole(&segments[..seconds], &received);
    let count = |path: &str| status.pointer(path).and_then(Value::as_u64).unwrap();
    let (overruns, skipped) = (count("/errors/overruns"), count("/frames_skipped"));
    // Two frames that go well, one that is stopped after 40 ms and more, and the next two. On a busy machine it took longer, so
    // that more go by, or was stopped before it had run for 40 ms; and what goes well elsewhere may be stopped there. After the last
    // overrun there may be no more frames.
    assert!(overruns >= 3, "{status}");
    assert!(skipped + 1 >= overruns, "{status}");
    let good = 25 * seconds as u64 - overruns - skipped;
    assert!(good >= overruns, "{good} went well: {status}");
    let metrics = String::from_utf8(host.fetch("/api/metrics").await.to_vec()).unwrap();
    let line = format!("rillbox_processor_frames_skipped_total{{processor=\"spin@0.1.0\"}} {skipped}");
    assert!(metrics.lines().any(|other| other == line), "{metrics}");
}

/// Catches a trap that costs more than its frame, and a fresh instance with params that are no longer the stream's.
#[tokio::test(flavor = "multi_thread")]
async fn a_trap_costs_one_frame_and_the_next_has_the_last_params() {
    let host = Host::start_with(&PATIENT);
    host.upload("stamp", &hostile("stamp")).await;
    let segments = segments(10);
    host.start_stream("trap", "stamp", json!({ "luma": 40, "trap_every": 20 })).await;
    let (code, answer) = host.post("/api/streams/trap/params", json!({ "luma": 230 })).await;
    assert_eq!(code, StatusCode::OK, "{answer}");
    let enough = |status: &Value| status["errors"]["traps"].as_u64() >= Some(2);
    let (count, received, status) = host.play_live("trap", &segments, enough).await;
    assert_whole(&segments[..count], &received);
    assert!(enough(&status), "{status}");
    assert_eq!((&status["errors"]["reported"], &status["errors"]["overruns"]), (&json!(0), &json!(0)), "{status}");
    let (bare, skipped) = (bare(&received.concat(), 230.0), status["frames_skipped"].as_u64().unwrap());
    // A machine that is busy may take longer than the 20 ms that frames wait for a fresh instance.
    let without = status["errors"]["traps"].as_u64().unwrap() + skipped;
    assert!(bare[0] == 19 && bare.len() as u64 == without, "frames without the last shade: {bare:?}, {status}");
    assert!(skipped <= 25, "{status}");
}

/// The pictures of another shade, by their number.
fn bare(stream: &[u8], luma: f64) -> Vec<usize> {
    let lumas = media::lumas(stream, WIDTH, HEIGHT);
    lumas.iter().enumerate().filter(|(_, shade)| (*shade - luma).abs() > 1.5).map(|(index, _)| index).collect()
}

/// Catches a `load` that holds frames up, and params that come while it runs and are lost.
#[tokio::test(flavor = "multi_thread")]
async fn frames_pass_while_a_fresh_instance_loads_and_it_gets_what_came_meanwhile() {
    let host = Host::start_with(&PATIENT);
    host.upload("heavy", &hostile("heavy")).await;
    let segments = segments(8);
    host.start_stream("load", "heavy", json!({ "luma": 40 })).await;
    let recorded = host.record("load");
    let mut publisher = host.publisher("load");
    let update = async {
        host.status_when("load", |status| status["errors"]["traps"] == 1).await;
        let (code, answer) = host.post("/api/streams/load/params", json!({ "luma": 230 })).await;
        assert_eq!(code, StatusCode::OK, "{answer}");
    };
    tokio::join!(host.feed_live(&mut publisher, &segments, || false), update);
    publisher.close().await.unwrap();
    let status = host.ended("load").await;
    let received = timeout(PATIENCE, recorded).await.expect("the output ends").unwrap();
    assert_whole(&segments, &received);
    let received = received.concat();
    let lumas = media::lumas(&received, WIDTH, HEIGHT);
    assert!(lumas[..9].iter().all(|shade| (shade - 40.0).abs() < 1.5), "{lumas:?}");
    assert!(lumas[9..].iter().all(|shade| (shade - 40.0).abs() > 1.5), "params that are no longer: {lumas:?}");
    assert!(lumas.iter().any(|shade| (shade - 230.0).abs() < 1.5), "params that came while it loaded: {lumas:?}");
    let loading = lumas[9..].iter().position(|shade| (shade - 230.0).abs() < 1.5).unwrap();
    assert!(loading >= 10, "a second of loading is {loading} frames");
    assert_eq!(status["frames_dropped"], 0, "{status}");
}

/// Catches failures that follow each other without a pause, a quarantine that comes too soon or never, one that nothing lifts, and
/// a state that stays when it is lifted.
#[tokio::test(flavor = "multi_thread")]
async fn failures_in_a_row_rest_and_quarantine_is_lifted() {
    let host = Host::start_with(&PATIENT);
    host.upload("trap", &hostile("trap")).await;
    host.upload("stamp", &hostile("stamp")).await;
    let segments = segments(60);
    host.start_stream("rest", "trap", json!({ "every": 1 })).await;
    let recorded = host.record("rest");
    let mut publisher = host.publisher("rest");
    let done = AtomicBool::new(false);
    let enough = || done.load(Ordering::Relaxed);
    let watch = async {
        let first = Instant::now();
        host.status_when("rest", |status| status["errors"]["traps"].as_u64() >= Some(1)).await;
        let status = host.status_when("rest", |status| status["state"] == "DEGRADED").await;
        // One at once, and then after 1, 2 and 4 s.
        assert!(first.elapsed() > Duration::from_millis(6_500), "after {:?}: {status}", first.elapsed());
        assert_eq!(status["errors"]["traps"], 5, "{status}");
        assert!(status["events"].to_string().contains("quarantine"), "{status}");
        assert_eq!(host.get("/health").await.1, json!({ "status": "ERROR" }));
        // What fails again at once is not taken.
        assert_eq!(host.change("rest", json!({})).await.0, StatusCode::CONFLICT);
        assert_eq!(host.status("rest").await["state"], "DEGRADED");
        let (code, answer) = host.change("rest", json!({ "params": { "every": 1_000_000 } })).await;
        assert_eq!(code, StatusCode::OK, "{answer}");
        let lifted = host.status("rest").await;
        assert_eq!(lifted["state"], "ONLINE", "{lifted}");
        assert_eq!(lifted["events"].as_array().unwrap().last().unwrap()["type"], "params_updated", "{lifted}");
        assert!(lifted["events"].to_string().contains("processor_changed"), "{lifted}");
        assert_eq!(host.get("/health").await.1, json!({ "status": "OK" }));

        let (code, answer) = host.change("rest", json!({ "params": { "every": 2 } })).await;
        assert_eq!(code, StatusCode::OK, "{answer}");
        host.status_when("rest", |status| status["state"] == "DEGRADED").await;
        let (code, answer) = host.change("rest", json!({ "processor": "stamp", "params": { "luma": 230 } })).await;
        assert_eq!(code, StatusCode::OK, "{answer}");
        let frames = host.status("rest").await["output"]["frames"].as_u64().unwrap();
        let lifted = host.status_when("rest", |status| status["output"]["frames"].as_u64() > Some(frames + 5)).await;
        assert_eq!((&lifted["state"], &lifted["processor"]), (&json!("ONLINE"), &json!("stamp@0.1.0")), "{lifted}");
        done.store(true, Ordering::Relaxed);
    };
    let (count, ()) = tokio::join!(host.feed_live(&mut publisher, &segments, enough), watch);
    publisher.close().await.unwrap();
    let received = timeout(PATIENCE, recorded).await.expect("the output ends").unwrap();
    assert_whole(&segments[..count], &received);
    let shade = *media::lumas(&received.concat(), WIDTH, HEIGHT).last().unwrap();
    assert!((shade - 230.0).abs() < 1.5, "{shade}");
}

/// Catches sound that waits for the pictures of a processor that has an instance for each.
#[tokio::test(flavor = "multi_thread")]
async fn sound_does_not_wait_for_pictures_in_instances_of_their_own() {
    let host = Host::start();
    host.upload("burn", &hostile("burn")).await;
    let segments = segments(6);
    let mut seen = Vec::new();
    // Where others have most of the cores, even a burning processor of its own stream does not keep up, and its pictures hold up what
    // is decoded after them. Sound that waits for each picture does so every time.
    for attempt in 0..5 {
        let (idle_id, burning_id) = (format!("idle-{attempt}"), format!("burning-{attempt}"));
        // Both at once: what others take of the machine they both lose.
        let idle = host.run_live(&idle_id, "burn", json!({ "spare": 0 }), &segments, |_| false);
        let burning = host.run_live(&burning_id, "burn", json!({ "spare": 3 }), &segments, |_| false);
        let ((_, of_idle, idle), (_, of_burning, burning)) = tokio::join!(idle, burning);
        for received in [of_idle, of_burning] {
            assert_eq!(media::sound_gaps(&received.concat()), []);
        }
        assert!(burning["guest"]["time_ms"]["p50"].as_f64() > Some(30.0), "{burning}");
        let [idle, burning] = [idle, burning].map(|status| status["audio_latency_ms"]["p50"].as_f64().unwrap());
        if burning < idle + 15.0 {
            return;
        }
        seen.push((idle, burning));
    }
    panic!("ms of sound where pictures take no time, and where they take all of it: {seen:?}");
}
