//! The main job: real video through a component and out again, frame by frame.

use reqwest::StatusCode;
use rillbox_media::{Input, InputConfig, Media, PixelFormat, convert};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::harness::host::Host;
use crate::harness::{CLIP_FRAMES, PATIENCE, PATIENT, clip, guest, media, picture};

/// More pictures of the clip than a decoder still has of a segment whose bytes are all there: the last one, and those that it puts
/// in order.
const HELD: usize = 5;

/// Runs the clip through a stream, each segment when the one before has come out: a machine that is too slow for the clip drops no
/// picture of it. Gives what came out and the last status.
async fn run_clip(processor: &str, params: Value, segments: &[Vec<u8>]) -> (Vec<Vec<u8>>, Value) {
    let host = Host::start_with(&PATIENT);
    host.upload(processor, &guest(processor)).await;
    host.start_stream("clip", processor, params).await;
    let (recorded, mut publisher) = (host.record("clip"), host.publisher("clip"));
    let mut sent = 0;
    for segment in segments {
        host.feed(&mut publisher, "clip", std::slice::from_ref(segment)).await;
        sent = CLIP_FRAMES.min(sent + 25);
        let out = |status: &Value| status["output"]["frames"].as_u64() >= Some((sent - HELD) as u64);
        host.status_when("clip", out).await;
    }
    publisher.close().await.unwrap();
    let status = host.ended("clip").await;
    (timeout(PATIENCE, recorded).await.expect("the output's channel ends").unwrap(), status)
}

/// Catches frames that are lost, doubled, retimed or damaged on the way, and sound that is.
#[tokio::test(flavor = "multi_thread")]
async fn passthrough_keeps_every_frame_its_time_and_its_pixels() {
    let segments = media::clip_segments();
    let (out, status) = run_clip("passthrough", json!({}), &segments).await;
    let (sent, received) = (segments.concat(), out.concat());

    assert_eq!(media::pts(&received, "v"), media::pts(&sent, "v"));
    assert_eq!(status["frames_dropped"], 0, "{status}");
    assert_eq!(status["state"], "ENDED", "{status}");
    let file = media::file(&received);
    let shown = media::pictures(file.path(), 1280, 720);
    let source = media::pictures(&clip(), 1280, 720);
    assert_eq!(shown.len(), CLIP_FRAMES);
    let quality = picture::mean_psnr(&shown, &source);
    assert!(quality >= 36.0, "PSNR {quality:.2} dB");

    assert_eq!(media::property(&received, "a", "codec_name"), "opus");
    assert_eq!(media::property(&received, "a", "channels"), "6");
    assert_eq!(media::property(&received, "v", "color_space"), "bt709");
    let loudness = media::mean_volume(&received) - media::mean_volume(&sent);
    assert!(loudness.abs() < 1.0, "sound is {loudness} dB louder");
    let (first_sound, first_picture) = (media::pts(&received, "a")[0], media::pts(&received, "v")[0]);
    let (sent_sound, sent_picture) = (media::pts(&sent, "a")[0], media::pts(&sent, "v")[0]);
    let drift = (first_sound - first_picture) - (sent_sound - sent_picture);
    assert!(drift.abs() <= 1_800, "sound moved by {drift} ticks against the picture");
}

/// Catches wrong maths in the guest or on its way in and out, and a size that is not applied.
#[tokio::test(flavor = "multi_thread")]
async fn green_matches_its_definition_at_the_size_asked_for() {
    let segments = media::clip_segments();
    let params = json!({ "intensity": 0.8, "width": 512, "height": 512 });
    let (out, _) = run_clip("green", params, &segments).await;
    let received = out.concat();
    assert_eq!(media::pts(&received, "v"), media::pts(&segments.concat(), "v"));
    let file = media::file(&received);
    let shown = media::pictures(file.path(), 512, 512);

    let scaled = media::ffmpeg(
        &format!(
            "-i {} -vf crop=720:720,scale=512:512:flags=bilinear -pix_fmt yuv420p -f rawvideo -",
            clip().display()
        )
        .split(' ')
        .collect::<Vec<_>>(),
    );
    let wanted: Vec<Vec<u8>> =
        scaled.chunks(512 * 512 * 3 / 2).map(|source| picture::green(source, 512, 512, 0.8)).collect();
    let quality = picture::mean_psnr(&shown, &wanted);
    assert!(quality >= 33.0, "PSNR to the reference {quality:.2} dB");
    let untouched: Vec<Vec<u8>> = scaled.chunks(512 * 512 * 3 / 2).map(<[u8]>::to_vec).collect();
    let to_source = picture::mean_psnr(&shown, &untouched);
    assert!(to_source < 25.0, "the picture is hardly changed: PSNR to the source {to_source:.2} dB");
}

/// Catches an analysis that is not made, is made of more frames than asked for, or touches pictures.
#[tokio::test(flavor = "multi_thread")]
async fn analyze_publishes_and_leaves_pictures_alone() {
    let host = Host::start_with(&PATIENT);
    host.upload("analyze", &guest("analyze")).await;
    let segments = media::small_segments("320x180", 2);
    let (out, status) = host.run("seen", "analyze", json!({ "analysis_interval": 20 }), &segments).await;
    let (sent, received) = (segments.concat(), out.concat());
    assert_eq!(media::pts(&received, "v"), media::pts(&sent, "v"));
    let [shown, source] = [&received, &sent].map(|stream| media::pictures(media::file(stream).path(), 320, 180));
    let quality = picture::mean_psnr(&shown, &source);
    assert!(quality >= 33.0, "PSNR {quality:.2} dB");
    assert_eq!(status["guest"]["outputs"], 2, "two of 50 frames: {status}");
}

/// Catches a decoder that loses, reorders or damages pictures, B-frames among them.
#[test]
fn decoding_gives_what_ffmpeg_gives() {
    rillbox_media::init();
    let mut input = Input::new(InputConfig::default());
    let mut decoded = Vec::new();
    let mut take = |media| {
        if let Media::Video(frame) = media {
            decoded.push((frame.pts.0, convert::read(&frame.picture, PixelFormat::I420)));
        }
    };
    let segments = media::clip_segments();
    for segment in &segments {
        // Pieces that end anywhere.
        segment.chunks(1_000).for_each(|bytes| input.push(bytes, &mut take));
        input.end_segment(&mut take);
    }
    input.finish(&mut take);
    let expected = media::pictures(&clip(), 1280, 720);
    assert_eq!(decoded.len(), expected.len());
    let times: Vec<i64> = decoded.iter().map(|(pts, _)| *pts).collect();
    assert_eq!(times, media::pts(&segments.concat(), "v"));
    for (index, ((_, ours), theirs)) in decoded.iter().zip(&expected).enumerate() {
        assert!(ours == theirs, "picture {index} differs");
    }
}

/// Catches params that are lost, applied twice or applied to the wrong stream.
#[tokio::test(flavor = "multi_thread")]
async fn params_changed_mid_stream_show_in_the_pixels() {
    let host = Host::start_with(&PATIENT);
    host.upload("green", &guest("green")).await;
    let segments = media::small_segments("320x180", 6);
    host.start_stream("tint", "green", json!({ "intensity": 0.0 })).await;
    let recorded = host.record("tint");
    let mut publisher = host.publisher("tint");
    host.feed(&mut publisher, "tint", &segments[..3]).await;
    host.status_when("tint", |status| status["output"]["frames"].as_u64() >= Some(74)).await;
    let (code, answer) = host.post("/api/stream/params", json!({ "intensity": 1.0, "width": 160, "height": 90 })).await;
    assert_eq!(code, StatusCode::OK, "{answer}");
    host.feed(&mut publisher, "tint", &segments[3..]).await;
    publisher.close().await.unwrap();
    let received = recorded.await.unwrap();
    let status = host.status("tint").await;
    assert_eq!(status["params"], json!({ "intensity": 1.0, "width": 160, "height": 90 }));
    assert_eq!(media::pts(&received.concat(), "v"), media::pts(&segments.concat(), "v"));

    let before = media::file(&received[0]);
    let (cb, cr) = picture::mean_chroma(&media::pictures(before.path(), 320, 180)[10], 320, 180);
    let last = media::file(received.last().unwrap());
    let (green_cb, green_cr) = picture::mean_chroma(&media::pictures(last.path(), 160, 90)[0], 160, 90);
    assert!(green_cb < cb - 10.0 && green_cr < cr - 10.0, "({cb}, {cr}) became ({green_cb}, {green_cr})");
}

/// Catches a pipeline that waits for a track that is not there.
#[tokio::test(flavor = "multi_thread")]
async fn video_alone_works() {
    let host = Host::start();
    host.upload("passthrough", &guest("passthrough")).await;
    let picture = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=2"];
    let codecs = "-c:v libx264 -preset ultrafast -g 25 -bf 0 -pix_fmt yuv420p";
    let segments = media::segments(&picture, &codecs.split(' ').collect::<Vec<_>>());
    let (out, _) = host.run("silent", "passthrough", json!({}), &segments).await;
    assert_eq!(media::pts(&out.concat(), "v"), media::pts(&segments.concat(), "v"));
    assert_eq!(media::property(&out.concat(), "a", "codec_name"), "");
}

/// Catches a track that comes later than the other and never goes out, and one that is waited for without end.
#[tokio::test(flavor = "multi_thread")]
async fn a_track_that_comes_late_is_not_lost() {
    let host = Host::start();
    host.upload("passthrough", &guest("passthrough")).await;
    let picture = ["-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25:duration=4"];
    let tone = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=4"];
    let codecs = "-c:v libx264 -preset ultrafast -tune zerolatency -g 25 -keyint_min 25 -sc_threshold 0 -pix_fmt yuv420p -c:a aac";
    let codecs: Vec<&str> = codecs.split(' ').collect();
    for (id, input) in [
        ("late-picture", [&["-itsoffset", "2"], &picture[..], &tone[..]].concat()),
        ("late-sound", [&picture[..], &["-itsoffset", "2"], &tone[..]].concat()),
    ] {
        let segments = media::segments(&input, &codecs);
        let (out, status) = host.run(id, "passthrough", json!({}), &segments).await;
        let (sent, received) = (segments.concat(), out.concat());
        assert_eq!(media::pts(&received, "v"), media::pts(&sent, "v"), "{id}: {status}");
        let sound = media::pts(&received, "a").len();
        // What comes before a key frame that the new track can begin with is not heard: two seconds at most.
        assert!(sound >= 100, "{id}: {sound} packets of 20 ms: {status}");
    }
}

/// Catches segments that are too short, do not start with a key frame, or cannot be decoded by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn every_segment_stands_alone() {
    let host = Host::start();
    host.upload("passthrough", &guest("passthrough")).await;
    let segments = media::small_segments("320x180", 4);
    let (out, _) = host.run("cut", "passthrough", json!({}), &segments).await;
    assert_eq!(out.len(), 4);
    for segment in &out {
        let file = media::file(segment);
        assert_eq!(media::pictures(file.path(), 320, 180).len(), 25);
    }
}

/// Catches a cap that is ignored, or that thins unevenly.
#[tokio::test(flavor = "multi_thread")]
async fn the_frame_rate_cap_thins_evenly() {
    let host = Host::start();
    host.upload("passthrough", &guest("passthrough")).await;
    let segments = media::small_segments("320x180", 3);
    let (out, status) = host.run("thin", "passthrough", json!({ "max_framerate": 5 }), &segments).await;
    let pts = media::pts(&out.concat(), "v");
    assert_eq!(pts.len(), 15);
    assert!(pts.windows(2).all(|pair| pair[1] - pair[0] == 18_000), "{pts:?}");
    assert_eq!(status["input"]["frames_thinned"], 60);
}

/// Catches tasks, threads and descriptors that a stream leaves behind.
#[tokio::test(flavor = "multi_thread")]
async fn stopping_leaves_nothing_behind() {
    let host = Host::start();
    host.upload("green", &guest("green")).await;
    let segments = media::small_segments("160x90", 1);
    let cycle = async |id: String| {
        host.start_stream(&id, "green", json!({})).await;
        let mut publisher = host.publisher(&id);
        host.feed(&mut publisher, &id, &segments).await;
        host.status_when(&id, |status| status["output"]["frames"].as_u64() >= Some(20)).await;
        let (code, _) = host.send_for(Some(&id), reqwest::Method::POST, "/stream/stop", "stream ended").await;
        assert_eq!(code, StatusCode::OK);
        assert_eq!(host.status(&id).await["state"], "ENDED");
        drop(publisher);
    };
    for index in 0..4 {
        cycle(format!("warm-{index}")).await;
    }
    let (threads, descriptors) = (host.used("task"), host.used("fd"));
    for index in 0..12 {
        cycle(format!("cycle-{index}")).await;
    }
    host.settled(threads + 1, descriptors + 4).await;
    let (_, health) = host.get("/health").await;
    assert_eq!(health, json!({ "status": "IDLE" }));
}
