//! Guests and inputs that do what they should not: it costs them a frame, and nobody the stream.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::harness::host::Host;
use crate::harness::text::Text;
use crate::harness::{CLIP_FRAMES, PATIENCE, PATIENT, clip, guest, hostile, media, picture, program};

/// Runs a second of small video through a hostile guest that has the time it needs; all frames but the withheld must come out.
async fn run(name: &str, params: Value) -> (Vec<Vec<u8>>, Vec<Vec<u8>>, Value) {
    run_with(&PATIENT, name, params).await
}

/// Runs small video through a hostile guest in real time until the stream is as wanted; gives what went in, too.
async fn run_until(name: &str, enough: impl Fn(&Value) -> bool) -> (Vec<Vec<u8>>, Vec<Vec<u8>>, Value) {
    let host = Host::start();
    host.upload("hostile", &hostile(name)).await;
    let mut segments = media::small_segments("320x180", 30);
    let (count, out, status) = host.run_live("bad", "hostile", json!({}), &segments, enough).await;
    segments.truncate(count);
    (segments, out, status)
}

/// As [`run`], on a host with these flags.
async fn run_with(flags: &[&str], name: &str, params: Value) -> (Vec<Vec<u8>>, Vec<Vec<u8>>, Value) {
    let host = Host::start_with(flags);
    host.upload("hostile", &hostile(name)).await;
    let segments = media::small_segments("320x180", 1);
    let (out, status) = host.run("bad", "hostile", params, &segments).await;
    (segments, out, status)
}

fn assert_whole(sent: &[Vec<u8>], received: &[Vec<u8>]) {
    assert_eq!(media::pts(&received.concat(), "v"), media::pts(&sent.concat(), "v"));
}

/// Catches a trap that takes the stream down, or more than its own frame's effect.
#[tokio::test(flavor = "multi_thread")]
async fn a_trap_costs_its_frame_alone_until_quarantine() {
    let (sent, received, status) = run_until("trap", |status| status["state"] == "DEGRADED").await;
    assert_whole(&sent, &received);
    // Frames 5, 10, … of each instance; after a trap the count starts anew.
    assert_eq!(status["errors"]["traps"], 5, "{status}");
    assert!(status["last_error"].as_str().unwrap().contains("panicked"), "{status}");
    let events = status["events"].to_string();
    assert!(events.contains("quarantine"), "{events}");
}

/// Catches an endless loop that is not stopped, or whose frame is lost.
#[tokio::test(flavor = "multi_thread")]
async fn an_endless_loop_is_stopped_and_its_frame_passes() {
    let enough = |status: &Value| status["errors"]["overruns"].as_u64() >= Some(2);
    let (sent, received, status) = run_until("spin", enough).await;
    assert_whole(&sent, &received);
    assert!(enough(&status), "{status}");
    assert_eq!(status["errors"]["traps"], 0, "{status}");
}

/// Catches a processor that overran in one stream and has as much of the machine as the others in its next one.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_overran_begins_behind_in_its_next_stream() {
    let host = Host::start();
    host.upload("hostile", &hostile("spin")).await;
    let segments = media::small_segments("320x180", 1);
    let ran = || ["guest", "guest-behind"].map(|threads| host.ran(threads));
    // Loops that are stopped because the machine is too busy are not blamed, so that more than one stream may be needed.
    let (mut streams, mut blamed, began) = (0, false, Instant::now());
    while !blamed {
        assert!(began.elapsed() < 3 * PATIENCE, "no stream was blamed: {:?}", ran());
        let (_, status) = host.run(&format!("first-{streams}"), "hostile", json!({}), &segments).await;
        blamed = status["last_error"].as_str().is_some_and(|error| error.contains("ran longer than"));
        streams += 1;
    }
    // And run for less than their 40 ms.
    let (before, mut streams, began) = (ran(), 0, Instant::now());
    let since = || {
        let now = ran();
        [now[0] - before[0], now[1] - before[1]]
    };
    while since()[1] < Duration::from_millis(40) {
        assert!(began.elapsed() < 3 * PATIENCE, "no stream began behind: {:?}", since());
        host.run(&format!("next-{streams}"), "hostile", json!({}), &segments).await;
        streams += 1;
    }
    // Streams that began in front would overrun there first, each for as long as it does behind.
    let [front, behind] = since();
    assert!(2 * front <= behind, "{front:?} in front, {behind:?} behind");
}

/// Catches a start that takes a core from the streams beside it for as long as it may last.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_takes_long_goes_on_behind() {
    let host = Host::start();
    host.upload("hostile", &hostile("restless")).await;
    let (code, answer) = host.post("/api/stream/start", host.start_body("hostile", "hostile", json!({}))).await;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
    let [front, behind] = ["guest", "guest-behind"].map(|threads| host.ran(threads));
    assert!(front <= Duration::from_millis(500) && behind >= Duration::from_millis(20), "{front:?}, {behind:?}");
}

/// What a component has that knows tensors.
const TENSORS: &str = r#"
    (import "rillbox:processor/tensor@0.1.0" "[static]tensor.full" (func $full (param i32 i32 i32 f64 i32)))
    (import "rillbox:processor/tensor@0.1.0" "[method]tensor.shape" (func $shape (param i32 i32)))
    (import "rillbox:processor/tensor@0.1.0" "[resource-drop]tensor" (func $forget (param i32)))"#;

/// Catches handles that are looked up beyond the instance that has them, or that are taken for another kind: they would
/// be a way to what others have.
#[tokio::test(flavor = "multi_thread")]
async fn a_handle_that_is_not_the_guests_own_is_a_trap() {
    let host = Host::start_with(&PATIENT);
    let text = |name, statements| {
        Text::new(name).importing(TENSORS).and(r#"(data (i32.const 4200) "\01")"#).before("process-video", statements)
    };
    // Three tensors of one `uint8`, before there is anything else: their handles are 1, 2 and 3.
    let three = "(call $full (i32.const 2) (i32.const 4200) (i32.const 1) (f64.const 1) (i32.const 4096))
        (if (i32.load8_u (i32.const 4096)) (then unreachable))
        (if (i32.gt_u (i32.load (i32.const 4100)) (i32.const 3)) (then unreachable))"
        .repeat(3);
    let third = "(call $shape (i32.const 3) (i32.const 4096))";
    let owner = text("owner", third).before("load", &three).component();
    let strangers = [
        ("another-instances", third),
        ("another-instances-to-drop", "(call $forget (i32.const 3))"),
        ("a-frames", "(call $shape (local.get 0) (i32.const 4096))"),
        ("a-frames-to-drop", "(call $forget (local.get 0))"),
        ("nobodys", "(call $shape (i32.const 100000) (i32.const 4096))"),
    ];
    let strange = strangers.map(|(name, statements)| (name, text(name, statements).component()));
    for (name, component) in [("owner", owner)].into_iter().chain(strange) {
        let (code, answer) = host.offer(name, component).await;
        assert_eq!(code, StatusCode::CREATED, "{name}: {answer}");
    }
    let segments = media::small_segments("320x180", 1);
    let mut publisher = host.publisher("owner");
    host.start_stream("owner", "owner", json!({})).await;
    let recorded = host.record("owner");
    host.feed(&mut publisher, "owner", &segments).await;
    // It has its tensors for as long as the others look for them.
    for (name, _) in strangers {
        let (received, status) = host.run(name, name, json!({}), &segments).await;
        assert_whole(&segments, &received);
        let traps = status["errors"]["traps"].as_u64();
        assert!(traps > Some(0), "{name}: {status}");
        assert_eq!(status["errors"], json!({ "reported": 0, "traps": traps, "overruns": 0 }), "{name}: {status}");
        assert!(status["last_error"].as_str().unwrap().contains("handle index"), "{name}: {status}");
    }
    let more = media::small_segments_from("320x180", 1, 1);
    host.feed(&mut publisher, "owner", &more).await;
    publisher.close().await.unwrap();
    let status = host.ended("owner").await;
    assert_whole(&[segments, more].concat(), &timeout(PATIENCE, recorded).await.unwrap().unwrap());
    assert_eq!(status["errors"], json!({ "reported": 0, "traps": 0, "overruns": 0 }), "{status}");
    assert!(host.panics().is_empty(), "{:?}", host.panics());
}

/// Catches an error that costs more than its frame, or an instance thrown away for one.
#[tokio::test(flavor = "multi_thread")]
async fn a_reported_error_passes_the_frame() {
    let (sent, received, status) = run("failing", json!({})).await;
    assert_whole(&sent, &received);
    assert_eq!(status["errors"]["reported"], 25 / 3, "{status}");
    assert_eq!(status["errors"]["traps"], 0, "{status}");
}

/// Catches a withheld frame that is shown.
#[tokio::test(flavor = "multi_thread")]
async fn withheld_frames_are_not_shown() {
    let (sent, received, status) = run("withhold", json!({})).await;
    let (sent, received) = (media::pts(&sent.concat(), "v"), media::pts(&received.concat(), "v"));
    assert_eq!(received.len() as u64 + status["frames_withheld"].as_u64().unwrap(), sent.len() as u64);
    assert_eq!(status["frames_withheld"], 12);
    assert!(received.iter().all(|pts| sent.contains(pts)));
}

/// Catches a stream that stands still while its processor withholds everything, a loading picture that stays once it is not
/// needed or moves in time, and one that is shown although it was switched off.
#[tokio::test(flavor = "multi_thread")]
async fn a_loading_picture_stands_in_for_a_long_silence() {
    let segments = media::small_segments("320x180", 4);
    for (flags, stood_in) in [(&[][..], true), (&["--no-loading"][..], false)] {
        let host = Host::start_with(&[&PATIENT, flags].concat());
        host.upload("hostile", &hostile("withhold")).await;
        let (received, status) = host.run("quiet", "hostile", json!({ "all": true }), &segments).await;
        let (sent, received) = (media::pts(&segments.concat(), "v"), media::pts(&received.concat(), "v"));
        // 1.5 s of 4 are waited for.
        let expected =
            if stood_in { sent.iter().copied().filter(|pts| pts - sent[0] >= 135_000).collect() } else { vec![] };
        assert_eq!(received, expected, "{status}");
        assert_eq!(status["frames_loading"], expected.len(), "{status}");
        assert_eq!(status["frames_withheld"], 100, "{status}");
    }
}

/// Catches `show_loading` without effect, and a loading picture that does not give way again.
#[tokio::test(flavor = "multi_thread")]
async fn the_loading_picture_comes_and_goes_on_request() {
    let host = Host::start();
    host.upload("passthrough", &guest("passthrough")).await;
    let segments = media::small_segments("320x180", 4);
    host.start_stream("load", "passthrough", json!({ "show_loading": true })).await;
    let recorded = host.record("load");
    let mut publisher = host.publisher("load");
    host.feed(&mut publisher, "load", &segments[..2]).await;
    host.status_when("load", |status| status["output"]["frames"].as_u64() >= Some(49)).await;
    let (code, answer) = host.post("/api/stream/params", json!({ "show_loading": false })).await;
    assert_eq!(code, StatusCode::OK, "{answer}");
    host.feed(&mut publisher, "load", &segments[2..]).await;
    publisher.close().await.unwrap();
    let received = recorded.await.unwrap();
    assert_whole(&segments, &received);
    let chroma = |segment: &[u8]| {
        let file = media::file(segment);
        picture::mean_chroma(&media::pictures(file.path(), 320, 180)[10], 320, 180)
    };
    let (gray, shown, source) = (chroma(&received[0]), chroma(&received[3]), chroma(&segments[3]));
    assert!((gray.0 - 128.0).abs() < 1.0 && (gray.1 - 128.0).abs() < 1.0, "{gray:?}");
    assert!((shown.0 - source.0).abs() < 1.5 && (shown.1 - source.1).abs() < 1.5, "{shown:?} {source:?}");
}

/// Catches memory that is not bounded.
#[tokio::test(flavor = "multi_thread")]
async fn memory_beyond_the_limit_is_refused() {
    let (sent, received, status) = run("grow", json!({ "mebibytes": 400 })).await;
    assert_whole(&sent, &received);
    assert!(status["last_error"].as_str().unwrap().contains("memory"), "{status}");
}

/// Catches a latency that grows with every frame of a processor that is too slow, and sound that suffers for its pictures.
#[tokio::test(flavor = "multi_thread")]
async fn a_processor_slower_than_the_stream_loses_pictures_and_no_sound() {
    let host = Host::start_with(&["--frame-budget", "500"]);
    host.upload("hostile", &hostile("slow")).await;
    // 120 ms over each picture that comes every 40 ms: the last of them would be 10 s late.
    host.start_stream("late", "hostile", json!({ "milliseconds": 120, "width": 320, "height": 180 })).await;
    let recorded = host.record("late");
    let (file, url) = (clip(), host.channel("late-in").to_string());
    let publish = ["publish", file.to_str().unwrap(), "--realtime", "--url", &url];
    let published = tokio::process::Command::new(program()).args(publish).status().await.unwrap();
    assert!(published.success());
    let received = recorded.await.unwrap().concat();
    let status = host.ended("late").await;
    let [dropped, sent] = [&status["frames_dropped"], &status["input"]["frames"]].map(|count| count.as_u64().unwrap());
    let shown = media::pts(&received, "v").len() as u64;
    assert_eq!(shown + dropped, sent, "{status}");
    // A host that is seconds behind when its input's channel is deleted has not read all of it.
    assert!(sent >= CLIP_FRAMES as u64 - 10, "{status}");
    assert!(dropped >= 10, "{status}");
    assert!(status["latency_ms"]["max"].as_f64() < Some(5_000.0), "{status}");
    let sound = media::pts(&received, "a");
    assert!(sound.windows(2).all(|pair| (pair[1] - pair[0] - 1_800).abs() <= 1), "sound has gaps: {sound:?}");
    assert!(20 * sound.len() as u64 + 200 >= 40 * sent, "{} packets of 20 ms", sound.len());
}

/// Catches a new size that the encoder does not follow, and sizes that must be refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_guest_may_change_the_size_within_limits() {
    let (sent, received, _) = run("resize", json!({ "columns": 200, "rows": 100 })).await;
    assert_whole(&sent, &received);
    assert_eq!(media::property(&received.concat(), "v", "width"), "200");
    // Odd, empty, more than a source of this size may become, and more than any picture may have.
    let (usual, few): (&[&str], &[&str]) = (&[], &["--max-pixels", "230400"]);
    for (flags, columns, rows) in [(usual, 201, 100), (usual, 0, 0), (usual, 1_282, 720), (few, 500, 500)] {
        // Making the largest takes longer than a frame may where much else runs.
        let params = json!({ "columns": columns, "rows": rows });
        let (sent, received, status) = run_with(&[&["--frame-budget", "5000"], flags].concat(), "resize", params).await;
        assert_whole(&sent, &received);
        assert_eq!(media::property(&received.concat(), "v", "width"), "320");
        assert!(status["errors"]["reported"].as_u64() > Some(0), "{columns}×{rows}: {status}");
    }
}

/// Catches a start that hangs, and errors of `load` and `start` that nobody hears of.
#[tokio::test(flavor = "multi_thread")]
async fn a_processor_that_does_not_start_is_an_answer() {
    let host = Host::start();
    for (name, word) in [("restless", "the processor ran"), ("load_error", "load")] {
        host.upload(name, &hostile(name)).await;
        let (code, answer) = host.post("/api/stream/start", host.start_body(name, name, json!({}))).await;
        assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY, "{name}: {answer}");
        assert!(answer["message"].as_str().unwrap().contains(word), "{name}: {answer}");
        let (code, _) = host.get(&format!("/api/streams/{name}")).await;
        assert_eq!(code, StatusCode::NOT_FOUND, "{name} left a stream");
    }
}

/// Waits until a stream starts.
async fn starts(host: &Host) {
    let starts = async { while host.get("/health").await.1 != json!({ "status": "LOADING" }) {} };
    timeout(PATIENCE, starts).await.expect("no stream starts");
}

/// What has `slow_start` start for longer than anybody waits here.
fn long() -> Value {
    json!({ "milliseconds": 1_500 })
}

/// Catches a stop that is lost because the stream is still starting.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_can_be_stopped_while_it_starts() {
    let host = Host::start();
    host.upload("slow", &hostile("slow_start")).await;
    let starting = host.post("/api/stream/start", host.start_body("slow", "slow", long()));
    let stopping = async {
        starts(&host).await;
        host.send_for(Some("slow"), reqwest::Method::POST, "/api/stream/stop", "").await
    };
    let (started, stopped) = tokio::join!(starting, stopping);
    assert_eq!((started.0, stopped.0), (StatusCode::CONFLICT, StatusCode::OK), "{} {}", started.1, stopped.1);
    assert_eq!(host.get("/health").await.1, json!({ "status": "IDLE" }));
    assert_eq!(host.get("/api/streams/slow").await.0, StatusCode::NOT_FOUND);
}

/// Catches a stop that names nobody and misses the one stream that is still starting, and a start that fails and takes along what is
/// known of the stream that had its id.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_comes_to_nothing_changes_nothing() {
    let host = Host::start();
    host.upload("slow", &hostile("slow_start")).await;
    host.upload("passthrough", &guest("passthrough")).await;
    let segments = media::small_segments("160x90", 1);
    let (_, before) = host.run("same", "passthrough", json!({}), &segments).await;
    let starting = host.post("/api/stream/start", host.start_body("same", "slow", long()));
    let stopping = async {
        starts(&host).await;
        host.post("/api/stream/stop", json!({})).await
    };
    let (started, stopped) = tokio::join!(starting, stopping);
    assert_eq!((started.0, stopped.0), (StatusCode::CONFLICT, StatusCode::OK), "{} {}", started.1, stopped.1);
    let (code, _) = host.post("/api/stream/start", host.start_body("same", "slow", json!({ "x": 1 }))).await;
    assert_eq!(code, StatusCode::BAD_REQUEST);
    let (code, after) = host.get("/api/streams/same").await;
    assert_eq!((code, &after["state"]), (StatusCode::OK, &before["state"]), "{after}");
    let metrics = String::from_utf8(host.fetch("/api/metrics").await.to_vec()).unwrap();
    assert!(metrics.contains("processor=\"passthrough@0.1.0\"") && !metrics.contains("processor=\"slow@"), "{metrics}");
}

/// Catches a stream that broken bytes end, and damage that is not counted.
#[tokio::test(flavor = "multi_thread")]
async fn broken_segments_are_counted_and_survived() {
    let host = Host::start();
    host.upload("passthrough", &guest("passthrough")).await;
    let mut segments = media::small_segments("320x180", 5);
    let whole = segments.concat();
    segments[1] = (0..20_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let half = segments[2].len() / 2 + 7;
    segments[2].truncate(half);
    segments.insert(3, Vec::new());
    for byte in segments[4].iter_mut().skip(2_000).step_by(1_013) {
        *byte ^= 0x55;
    }
    let (out, status) = host.run("broken", "passthrough", json!({}), &segments).await;
    let (sent, received) = (media::pts(&whole, "v"), media::pts(&out.concat(), "v"));
    let has = |range: std::ops::Range<usize>| sent[range].iter().all(|pts| received.contains(pts));
    assert!(has(0..25), "the first second is whole: {received:?}");
    assert!(has(100..125), "the last second is whole: {received:?}");
    assert!(received.len() < sent.len());
    assert_eq!(status["state"], "ENDED", "{status}");
    assert!(status["input"]["skipped_bytes"].as_u64() > Some(10_000), "{status}");
    assert!(status["input"]["bad_packets"].as_u64() > Some(0), "{status}");
}
