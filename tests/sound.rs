//! Sound through a component and out again: what is heard, when, and in which channel.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::host::Host;
use crate::harness::sound::{Heard, burst, bursts};
use crate::harness::{PATIENT, guest, hostile, media, picture};

/// Seconds of sound in these tests.
const SECONDS: usize = 3;

/// Bursts in a layout, encoded by FFmpeg.
fn sound(layout: &str, channels: usize, codec: &str, seconds: usize) -> Vec<Vec<u8>> {
    let source = bursts(layout, channels, seconds as u32);
    media::segments(&["-f", "lavfi", "-i", &source], &codec.split(' ').collect::<Vec<_>>())
}

/// A small moving picture with bursts in stereo.
fn picture_and_sound(seconds: usize) -> Vec<Vec<u8>> {
    let (picture, sound) =
        (format!("testsrc2=size=320x180:rate=25:duration={seconds}"), bursts("stereo", 2, seconds as u32));
    let codecs = "-c:v libx264 -preset ultrafast -tune zerolatency -g 25 -keyint_min 25 -sc_threshold 0 -pix_fmt yuv420p -c:a aac";
    media::segments(
        &["-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &sound],
        &codecs.split(' ').collect::<Vec<_>>(),
    )
}

/// The bursts of these seconds are heard where they were, and again `delay` seconds later at `strength`; and nothing else is.
fn assert_echo(sent: &Heard, heard: &Heard, seconds: std::ops::Range<usize>, delay: f64, strength: f64) {
    let first = sent.onset(0);
    for (channel, second) in
        (0..sent.channels()).flat_map(|channel| seconds.clone().map(move |second| (channel, second)))
    {
        let at = burst(first, channel, second);
        let (loud, source) = (heard.burst(channel, at), sent.burst(channel, at));
        let place = format!("channel {channel}, {at:.2} s");
        assert!(source > 0.05, "{place}: the source is silent ({source})");
        assert!((loud / source - 1.0).abs() < 0.15, "{place}: {loud} instead of {source}");
        let echo = heard.burst(channel, at + delay) / source;
        assert!((echo - strength).abs() < 0.1, "{place}: the echo is {echo} of the sound instead of {strength}");
        for (from, to) in [(at + 0.1, at + delay - 0.02), (at + delay + 0.1, at + 0.9)] {
            let silence = heard.loudness(channel, from, to) / source;
            assert!(silence < 0.08, "{place}: {silence} of the sound between {from:.2} s and {to:.2} s");
        }
    }
}

/// Catches an echo at another time or strength, in another channel or only in some, codecs and layouts that do not get
/// through, and sound that moves in time.
#[tokio::test(flavor = "multi_thread")]
async fn an_echo_is_heard_in_every_channel_of_every_codec() {
    let host = Host::start_with(&PATIENT);
    host.upload("echo", &guest("echo")).await;
    for (layout, channels, codec) in [
        ("stereo", 2, "-c:a aac -ar 44100"),
        ("5.1", 6, "-c:a aac -b:a 512k"),
        ("stereo", 2, "-c:a libopus -b:a 128k"),
        ("mono", 1, "-c:a libmp3lame -b:a 96k"),
        ("stereo", 2, "-c:a ac3 -b:a 192k"),
    ] {
        hear_echo(&host, layout, channels, codec, "opus").await;
    }
}

/// Catches sound that is asked for as AAC and comes as something else, without its effect, or without some of its channels.
#[tokio::test(flavor = "multi_thread")]
async fn an_echo_is_heard_in_aac_too() {
    let host = Host::start_with(&[&PATIENT[..], &["--audio-codec", "aac"]].concat());
    host.upload("echo", &guest("echo")).await;
    for (layout, channels, codec) in [("stereo", 2, "-c:a libopus -b:a 128k"), ("5.1", 6, "-c:a ac3 -b:a 448k")] {
        hear_echo(&host, layout, channels, codec, "aac").await;
    }
}

/// Puts bursts through `echo`; all channels must have theirs, in the codec that goes out.
async fn hear_echo(host: &Host, layout: &str, channels: usize, codec: &str, out_codec: &str) {
    let segments = sound(layout, channels, codec, SECONDS);
    let id = codec.replace([' ', ':'], "_");
    let params = json!({ "echo_delay": 0.3, "echo_strength": 0.6 });
    let (out, status) = host.run(&id, "echo", params, &segments).await;
    assert_eq!(status["state"], "ENDED", "{codec}: {status}");
    let (sent, received) = (Heard::of(&segments.concat()), out.concat());
    let heard = Heard::of(&received);
    assert_eq!(media::property(&received, "a", "codec_name"), out_codec, "{codec}");
    assert_eq!(heard.channels(), channels, "{codec}");
    assert_echo(&sent, &heard, 0..SECONDS - 1, 0.3, 0.6);
}

/// Catches a processor of sound that touches pictures, or that loses its delay line at a segment's or frame's end.
#[tokio::test(flavor = "multi_thread")]
async fn an_echo_leaves_pictures_alone() {
    let host = Host::start_with(&PATIENT);
    host.upload("echo", &guest("echo")).await;
    let segments = picture_and_sound(SECONDS);
    let params = json!({ "echo_delay": 0.75, "echo_strength": 0.4 });
    let (out, status) = host.run("both", "echo", params, &segments).await;
    let (sent, received) = (segments.concat(), out.concat());
    assert_eq!(media::pts(&received, "v"), media::pts(&sent, "v"), "{status}");
    let [shown, source] = [&received, &sent].map(|stream| media::pictures(media::file(stream).path(), 320, 180));
    let quality = picture::mean_psnr(&shown, &source);
    assert!(quality >= 33.0, "PSNR {quality:.2} dB");
    let (sent, heard) = (Heard::of(&sent), Heard::of(&received));
    let first = sent.onset(0);
    for second in 0..SECONDS - 1 {
        let echo = heard.burst(0, first + second as f64 + 0.75) / sent.burst(0, first);
        assert!((echo - 0.4).abs() < 0.1, "the echo is {echo} of the sound");
    }
}

/// Catches params that reach one of two instances only, and effects that `showcase` leaves out.
#[tokio::test(flavor = "multi_thread")]
async fn showcase_does_what_two_calls_name() {
    let host = Host::start_with(&PATIENT);
    host.upload("showcase", &guest("showcase")).await;
    let segments = picture_and_sound(6);
    let params = json!({ "intensity": 0.8, "echo_delay": 0.3, "analysis_interval": 60 });
    let mut body = host.start_body("show", "showcase", params);
    body["data_url"] = host.channel("show-data").to_string().into();
    for end in ["in", "out"] {
        rillbox_trickle::create(&host.client, &host.channel(&format!("show-{end}")), "video/MP2T").await.unwrap();
    }
    let (code, answer) = host.post("/api/stream/start", body).await;
    assert_eq!(code, StatusCode::OK, "{answer}");
    let (recorded, data) = (host.record("show"), host.record_channel("show-data"));
    let mut publisher = host.publisher("show");
    host.feed(&mut publisher, "show", &segments[..3]).await;
    host.status_when("show", |status| status["output"]["frames"].as_u64() >= Some(74)).await;
    let update = json!({ "intensity": 0.9, "echo_strength": 0.6, "brightness_threshold": 0.4 });
    let (code, answer) = host.post("/api/stream/params", update).await;
    assert_eq!(code, StatusCode::OK, "{answer}");
    host.feed(&mut publisher, "show", &segments[3..]).await;
    publisher.close().await.unwrap();
    let (sent, received) = (segments.concat(), recorded.await.unwrap().concat());
    let status = host.status("show").await;
    assert_eq!(status["errors"], json!({ "reported": 0, "traps": 0, "overruns": 0 }), "{status}");

    assert_eq!(media::pts(&received, "v"), media::pts(&sent, "v"));
    let [shown, source] = [&received, &sent].map(|stream| media::pictures(media::file(stream).path(), 320, 180));
    for (intensity, frames) in [(0.8, 0..70), (0.9, 80..150)] {
        let green: Vec<_> =
            source[frames.clone()].iter().map(|each| picture::green(each, 320, 180, intensity)).collect();
        let quality = picture::mean_psnr(&shown[frames], &green);
        assert!(quality >= 30.0, "PSNR to an intensity of {intensity}: {quality:.2} dB");
    }
    let lines = String::from_utf8(data.await.unwrap().concat()).unwrap();
    let published: Vec<Value> =
        lines.lines().flat_map(|line| serde_json::from_str::<Vec<Value>>(line).unwrap()).collect();
    assert_eq!(published.len(), 2, "two of 150 frames: {lines}");
    let pts = media::pts(&sent, "v");
    for (report, (frame, threshold)) in published.iter().zip([(60, 0.5), (120, 0.4)]) {
        let brightness = picture::brightness(&source[frame - 1], 320, 180);
        assert_eq!(report["frame_count"], frame, "{lines}");
        assert!((report["mean_brightness"].as_f64().unwrap() - brightness).abs() < 1e-4, "{brightness}: {lines}");
        assert_eq!(report["bright"], brightness >= threshold, "{brightness}: {lines}");
        let late = report["stream_time"].as_f64().unwrap() - pts[frame - 1] as f64 / 90_000.0;
        assert!(late.abs() < 1e-6, "told for a picture {late} s away: {lines}");
    }
    let (sent, heard) = (Heard::of(&sent), Heard::of(&received));
    assert_echo(&sent, &heard, 0..2, 0.3, 0.5);
    assert_echo(&sent, &heard, 4..5, 0.3, 0.6);
}

/// Runs bursts through a guest that silences them and does something else with every third run.
async fn muted(act: &str) -> (Heard, Heard, Vec<i64>, Value) {
    muted_of(act, "-c:a aac").await
}

/// The same of a source in this codec.
async fn muted_of(act: &str, codec: &str) -> (Heard, Heard, Vec<i64>, Value) {
    let host = Host::start_with(&PATIENT);
    host.upload("mute", &hostile("mute")).await;
    let segments = sound("stereo", 2, codec, SECONDS);
    let (out, status) = host.run("muted", "mute", json!({ "act": act }), &segments).await;
    let received = out.concat();
    (Heard::of(&segments.concat()), Heard::of(&received), media::pts(&received, "a"), status)
}

/// As [`muted`], in real time until nothing has been silenced for a second; gives how many seconds that took, too.
async fn muted_until_quarantine(act: &str) -> (usize, Heard, Heard, Vec<i64>, Value) {
    let host = Host::start();
    host.upload("mute", &hostile("mute")).await;
    let segments = sound("stereo", 2, "-c:a aac", 40);
    let mut degraded = 0;
    let enough = |status: &Value| {
        degraded += usize::from(status["state"] == "DEGRADED");
        degraded > 1
    };
    let (count, out, status) = host.run_live("muted", "mute", json!({ "act": act }), &segments, enough).await;
    let (sent, received) = (segments[..count].concat(), out.concat());
    (count, Heard::of(&sent), Heard::of(&received), media::pts(&received, "a"), status)
}

fn assert_without_gaps(pts: &[i64]) {
    assert!(pts.windows(2).all(|pair| (pair[1] - pair[0] - 1_800).abs() <= 1), "sound has gaps: {pts:?}");
}

/// Catches errors and traps that cost sound, and silence that a failed call staged.
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_processor_costs_no_sound() {
    let loudness = |heard: &Heard| heard.loudness(0, 0.0, SECONDS as f64);

    let (sent, heard, pts, status) = muted("pass").await;
    assert_without_gaps(&pts);
    assert!(loudness(&heard) < 1e-3, "what was silenced is heard");
    assert!(heard.seconds() > sent.seconds() - 0.1, "{} of {} s: {status}", heard.seconds(), sent.seconds());

    // Of every three runs the last is the source's own.
    let (sent, heard, pts, status) = muted("fail").await;
    assert_without_gaps(&pts);
    let runs = status["errors"]["reported"].as_u64().unwrap();
    assert!((44..=49).contains(&runs), "a third of 141 runs or so: {status}");
    let part = loudness(&heard) / loudness(&sent);
    assert!((0.3..0.8).contains(&part), "{part} of the loudness is heard instead of about 0.58");

    // After five failures nothing is silenced any more.
    for (act, kind) in [("abort", "traps"), ("spin", "overruns")] {
        let (seconds, sent, heard, pts, status) = muted_until_quarantine(act).await;
        assert_without_gaps(&pts);
        // A loop that is stopped because the machine is too busy is not blamed for it.
        let failures = status["errors"][kind].as_u64().unwrap();
        assert!(failures == 5 || act == "spin" && failures > 5, "{act}: {status}");
        let last = burst(sent.onset(0), 0, seconds - 1);
        let part = heard.burst(0, last) / sent.burst(0, last);
        assert!((part - 1.0).abs() < 0.15, "{act}: {part} of the sound comes through at last");
    }
}

/// Catches a stream that ends where a processor of sound gives none back, or runs of nothing, or that waits for it. Sound of
/// another rate goes through a resampler.
#[tokio::test(flavor = "multi_thread")]
async fn sound_may_be_withheld() {
    for (act, codec) in [("swallow", "-c:a aac"), ("empty", "-c:a aac"), ("empty", "-c:a aac -ar 44100")] {
        let (sent, heard, _, status) = muted_of(act, codec).await;
        assert_eq!(status["state"], "ENDED", "{act}, {codec}: {status}");
        assert!(heard.seconds() > sent.seconds() / 2.0, "{act}, {codec}: {} of {} s", heard.seconds(), sent.seconds());
    }
}
