//! Codecs of pictures, and changes of codec, size and rate on the way.

use rillbox_media::{Geometry, InputConfig, OutputConfig, VideoCodec};

use crate::made::{self, H264, Scratch, picture, stream, tone};
use crate::played::{play, play_with, psnr};

/// Catches a codec whose pictures are lost, out of order, mistimed or damaged; VP9 comes from FFmpeg without any name.
#[test]
fn every_codec_gives_the_pictures_that_ffmpeg_gives() {
    for (codec, arguments) in [
        (VideoCodec::H264, "-c:v libx264 -preset veryfast -bf 3 -b_strategy 0 -g 25"),
        (VideoCodec::Hevc, "-c:v libx265 -preset ultrafast -x265-params log-level=none:bframes=3:keyint=25"),
        (VideoCodec::Vp9, "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 25"),
        (VideoCodec::Mpeg2, "-c:v mpeg2video -b:v 2M -bf 2 -g 25"),
        (VideoCodec::Mpeg4, "-c:v mpeg4 -b:v 2M -bf 2 -g 25"),
    ] {
        let source = made::ffmpeg(&format!("{} {arguments} -pix_fmt yuv420p -f nut -", picture("160x90", 25, 2.0)));
        let source = Scratch::of(&source, "nut");
        // MPEG-4 keeps its headers in front of the stream unless they are repeated.
        let headers = if codec == VideoCodec::Mpeg4 { "-bsf:v dump_extra=freq=keyframe" } else { "" };
        let sent = stream(&format!("-i {} -c copy {headers}", source.0.display()), 10.0);
        let played = play(std::slice::from_ref(&sent));
        assert_eq!(played.tracks.last().unwrap().video, Some(codec));
        let wanted = made::pictures(&source.0, "", (160, 90));
        assert_eq!(wanted.len(), 50);
        assert!(played.planes() == wanted, "{codec:?}: pictures differ: {} of {}", played.pictures.len(), wanted.len());
        let first = played.times[0];
        let times: Vec<i64> = (0..50).map(|frame| first + frame * 3_600).collect();
        assert_eq!(played.times, times, "{codec:?}");
        assert_eq!(played.stats.bad_units, 0, "{codec:?}");
        assert_eq!(made::pts(&played.bytes(), "v"), times, "{codec:?}");
    }
}

/// Catches a change of codec that costs pictures or sound, stops the stream, or shows in the output's codec.
#[test]
fn the_codec_of_pictures_changes_with_and_without_a_new_pid() {
    let part = |codec: &str, start: f64, pid: u32| {
        let source = format!("{} {}", picture("160x90", 25, 2.0), tone(2.0));
        stream(&format!("{source} {codec} -pix_fmt yuv420p -c:a aac -streamid 0:{pid} -streamid 1:{}", pid + 1), start)
    };
    let sent = [
        part(H264, 10.0, 0x100),
        part("-c:v mpeg2video -b:v 2M -g 25", 12.0, 0x100),
        part("-c:v libx265 -preset ultrafast -x265-params log-level=none:bframes=0", 14.0, 0x200),
        part(H264, 16.0, 0x300),
    ];
    let played = play(&sent);
    let wanted: Vec<i64> = sent.iter().flat_map(|part| made::pts(part, "v")).collect();
    assert_eq!(wanted.len(), 200);
    assert_eq!(played.times, wanted);
    assert_eq!(made::pts(&played.bytes(), "v"), wanted);
    assert_eq!(made::property(&played.bytes(), "v", "codec_name"), "h264");
    assert!((played.heard() - 8.0).abs() < 0.2, "{} s of sound", played.heard());
    assert_eq!((played.stats.bad_units, played.stats.jumps), (0, 0));
    let last = Scratch::of(&sent[3], "ts");
    assert!(played.planes()[150..] == made::pictures(&last.0, "", (160, 90)), "pictures after the last change differ");
}

/// Catches a change of size or rate that loses pictures, and a size that does not follow the source or stays when it should not.
#[test]
fn size_and_rate_change_on_the_way() {
    let part = |size: &str, rate: u32, start: f64| {
        stream(&format!("{} {H264} -tune zerolatency", picture(size, rate, 2.0)), start)
    };
    let sent = [part("160x90", 25, 10.0), part("320x240", 50, 12.0), part("96x64", 10, 14.0)];
    let wanted: Vec<i64> = sent.iter().flat_map(|part| made::pts(part, "v")).collect();
    assert_eq!(wanted.len(), 50 + 100 + 20);

    let played = play(&sent);
    assert_eq!(played.times, wanted);
    assert_eq!(made::pts(&played.bytes(), "v"), wanted);
    let sizes: Vec<_> = played.pictures.iter().map(|picture| (picture.width(), picture.height())).collect();
    assert_eq!((sizes[49], sizes[50], sizes[149], sizes[150]), ((160, 90), (320, 240), (320, 240), (96, 64)));
    let shown = made::probe(&played.bytes(), "v", "frame=width,height");
    assert_eq!((&*shown[49], &*shown[50], &*shown[169]), ("160,90", "320,240", "96,64"));

    let pinned = InputConfig { geometry: Geometry::Pinned, ..InputConfig::default() };
    let played = play_with(&sent, pinned, OutputConfig::default());
    assert_eq!(made::pts(&played.bytes(), "v"), wanted);
    let middle = Scratch::of(&sent[1], "ts");
    let scaled = made::pictures(&middle.0, "-vf crop=320:180,scale=160:90:flags=bilinear", (160, 90));
    let quality = psnr(&played.planes()[50..150], &scaled);
    assert!(quality > 30.0, "pinned pictures are not the scaled middle of the source: PSNR {quality:.1} dB");
}
