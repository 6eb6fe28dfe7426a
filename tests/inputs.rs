//! Inputs that are not what most are: segments and pictures that are too large, and interlaced ones.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::harness::channels::Channels;
use crate::harness::host::Host;
use crate::harness::source::Source;
use crate::harness::{guest, media, picture};

/// A transport packet.
const PACKET: usize = 188;

/// The large segments of these tests.
const LARGE: usize = 200 << 20;

/// What the host may have more of at its worst moment: its queue of 64 pieces, which are half a megabyte at most, and a unit of
/// 16 MiB while it grows.
const BOUND: u64 = 96 << 20;

/// Sixteen packets of a PID, with the counters that follow each other; the first byte after each head is `fill`.
fn packets(pid: u16, fill: u8) -> Bytes {
    let mut packets = Vec::with_capacity(16 * PACKET);
    for counter in 0..16 {
        packets.extend_from_slice(&[0x47, (pid >> 8) as u8, pid as u8, 0x10 | counter]);
        packets.resize(packets.len() + PACKET - 4, fill);
    }
    packets.into()
}

/// Packets of no PID, which everybody skips.
fn nothing() -> Bytes {
    packets(0x1fff, 0xff)
}

/// The start of a picture of FFmpeg's first track, which states no length.
fn beginning() -> Bytes {
    let mut packet = vec![0x47, 0x41, 0x00, 0x1f, 0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 5, 0x21, 0x00, 0x05, 0xbf, 0x21];
    packet.resize(PACKET, 7);
    packet.into()
}

async fn host(flags: &[&str]) -> Host {
    let host = Host::start_with(flags);
    host.upload("passthrough", &guest("passthrough")).await;
    host
}

/// Catches a segment, or a picture without end in it, that is held in memory, ends the stream, goes uncounted, or costs the
/// segments after it something.
#[tokio::test(flavor = "multi_thread")]
async fn a_segment_of_200_mb_costs_no_memory_and_no_later_segment() {
    let segments = media::small_segments("160x90", 4);
    let mut large = vec![(Bytes::from(segments[0].clone()), 1), (beginning(), 1)];
    let half = LARGE / 2 / (16 * PACKET);
    large.extend([(packets(0x100, 7), half), (nothing(), half)]);
    let later = segments[1..].iter().map(|segment| vec![(Bytes::from(segment.clone()), 1)]);
    let source = Source::start([large].into_iter().chain(later).collect()).await;

    let host = host(&[]).await;
    rillbox_trickle::create(&host.client, &host.channel("large-out"), "video/MP2T").await.unwrap();
    let mut body = host.start_body("large", "passthrough", json!({}));
    body["subscribe_url"] = json!(source.channel("large-in"));
    let before = host.memory();
    let (code, answer) = host.post("/api/stream/start", body).await;
    assert_eq!(code, 200, "{answer}");
    let received = host.record("large").await.unwrap().concat();
    let status = host.ended("large").await;
    let grown = host.peak_memory().saturating_sub(before);
    println!("{} MiB more at most", grown >> 20);
    assert!(grown < BOUND, "{grown} bytes more");
    assert_eq!(media::pts(&received, "v"), media::pts(&segments.concat(), "v"), "{status}");
    assert_eq!((&status["state"], &status["reason"]), (&json!("ENDED"), &json!("the input ended")), "{status}");
    assert!(status["input"]["bytes"].as_u64().unwrap() as usize > LARGE, "{status}");
    assert_eq!(status["input"]["bad_units"], 1, "the picture without end: {status}");
}

/// Catches a server that takes a segment of any size, or is in disorder after one, and a stream that ends with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_segment_of_200_mb_is_cut_by_our_server_and_the_next_ones_come_out() {
    let channels = Channels::start();
    let host = Host::start_beside(&channels, &[]);
    host.upload("passthrough", &guest("passthrough")).await;
    let segments = media::small_segments("160x90", 4);
    host.start_stream("cut", "passthrough", json!({})).await;
    let (recorded, mut publisher) = (host.record("cut"), host.publisher("cut"));
    let before = (host.memory(), channels.memory());
    publisher.begin();
    publisher.write(Bytes::copy_from_slice(&segments[0])).await.unwrap();
    let piece = Bytes::from(nothing().repeat(100));
    for _ in 0..LARGE / piece.len() {
        publisher.write(piece.clone()).await.unwrap();
    }
    host.feed(&mut publisher, "cut", &segments[1..]).await;
    publisher.close().await.unwrap();
    let received = recorded.await.unwrap().concat();
    let status = host.ended("cut").await;
    let grown = (host.peak_memory().saturating_sub(before.0), channels.peak_memory().saturating_sub(before.1));
    println!("{} MiB more at most, and {} MiB of the server", grown.0 >> 20, grown.1 >> 20);
    assert!(grown.0 < BOUND, "{} bytes more", grown.0);
    // A segment of 64 MiB, which is cut there, with what is under way.
    assert!(grown.1 < BOUND, "{} bytes more of the server", grown.1);
    assert_eq!(media::pts(&received, "v"), media::pts(&segments.concat(), "v"), "{status}");
    assert_eq!(status["reason"], "the input ended", "{status}");
    assert!((status["input"]["bytes"].as_u64().unwrap() as usize) < LARGE, "{status}");
}

/// Catches pictures of one pixel too many that are shown, end the stream, go uncounted or unsaid, take the sound with them, or
/// keep those out that come after them and are small again.
#[tokio::test(flavor = "multi_thread")]
async fn pictures_of_one_pixel_too_many_are_left_out_and_told_of() {
    let host = host(&["--max-pixels", "57599"]).await;
    let parts = [("160x90", 10), ("320x180", 12), ("160x90", 14)];
    let parts = parts.map(|(size, start)| media::small_segments_from(size, 2, start));
    host.start_stream("pixels", "passthrough", json!({})).await;
    let (recorded, mut publisher) = (host.record("pixels"), host.publisher("pixels"));
    host.feed(&mut publisher, "pixels", &parts[0]).await;
    host.feed(&mut publisher, "pixels", &parts[1]).await;
    let left_out = |status: &Value| status["input"]["bad_units"] == 50;
    let status = host.status_when("pixels", left_out).await;
    assert_eq!(status["state"], "ONLINE", "{status}");
    let told: Vec<_> = status["events"].as_array().unwrap().iter().filter(|event| event["type"] == "error").collect();
    assert_eq!(told.len(), 1, "{status}");
    let message = told[0]["message"].as_str().unwrap();
    assert!(message.contains("320×180") && message.contains("57599 pixels (--max-pixels)"), "{message}");
    host.feed(&mut publisher, "pixels", &parts[2]).await;
    publisher.close().await.unwrap();
    let received = recorded.await.unwrap().concat();
    let status = host.ended("pixels").await;
    let pts = |part: usize| media::pts(&parts[part].concat(), "v");
    assert_eq!(media::pts(&received, "v"), [pts(0), pts(2)].concat(), "{status}");
    assert_eq!((&status["state"], &status["input"]["frames"]), (&json!("ENDED"), &json!(100)), "{status}");
    let sound = media::pts(&received, "a");
    assert!(sound.len().abs_diff(300) <= 10, "{} packets of 20 ms in 6 s", sound.len());
}

/// Catches interlaced pictures of which a field is lost, that come as two, change size or lose their times.
#[tokio::test(flavor = "multi_thread")]
async fn interlaced_pictures_come_out_whole() {
    let host = host(&[]).await;
    // Fields of 50 moments a second, two of them woven into each picture.
    let source = "testsrc2=size=320x192:rate=50:duration=3,tinterlace=interleave_top,fieldorder=tff";
    for (id, codec) in [
        ("avc", "-c:v libx264 -preset veryfast -flags +ilme+ildct -x264opts tff=1:bframes=2 -g 25 -sc_threshold 0"),
        ("mpeg2", "-c:v mpeg2video -b:v 4M -flags +ilme+ildct -top 1 -bf 2 -g 25 -sc_threshold 1000000000"),
    ] {
        let codec: Vec<&str> = codec.split(' ').chain(["-pix_fmt", "yuv420p"]).collect();
        let segments = media::segments(&["-f", "lavfi", "-i", source], &codec);
        let sent = segments.concat();
        assert_eq!(media::property(&sent, "v", "field_order"), "tt", "{id}");
        let (out, status) = host.run(id, "passthrough", json!({}), &segments).await;
        let received = out.concat();
        assert_eq!(media::pts(&received, "v").len(), 75, "{id}: {status}");
        assert_eq!(media::pts(&received, "v"), media::pts(&sent, "v"), "{id}: {status}");
        assert_eq!(media::property(&received, "v", "width,height"), "320,192", "{id}");
        assert_eq!(media::property(&received, "v", "field_order"), "progressive", "{id}");
        let [shown, wanted] = [&received, &sent].map(|stream| media::pictures(media::file(stream).path(), 320, 192));
        let quality = picture::mean_psnr(&shown, &wanted);
        assert!(quality >= 33.0, "{id}: PSNR {quality:.2} dB");
    }
}
