//! Formats of pictures: depth, subsampling, range, fields, odd sides, rates and sizes beyond what is taken.

use rillbox_media::{ColorRange, Geometry, InputConfig, OutputConfig, PixelFormat, convert};

use crate::made::{self, H264, Scratch, picture, stream, tone};
use crate::played::{play, play_with, psnr};

/// Catches formats that are refused, shifted in colour or brightness, or scaled by their range.
#[test]
fn deep_wide_and_full_range_pictures_keep_their_colours() {
    let x264 = "-c:v libx264 -preset ultrafast -qp 10 -bf 0 -g 25";
    let (limited, full) = (ColorRange::Limited, ColorRange::Full);
    for (format, arguments, range) in [
        ("yuv420p10le", x264, limited),
        ("yuv422p", x264, limited),
        ("yuv422p10le", x264, limited),
        ("yuv444p", x264, limited),
        ("yuvj420p", x264, full),
        ("yuvj422p", x264, full),
        ("yuv420p10le -color_range pc", x264, full),
        ("gray", "-c:v libx265 -preset ultrafast -x265-params log-level=none:range=limited", limited),
    ] {
        let source = picture("320x180", 25, 0.4);
        let range_of_source = if range == full { "-vf scale=out_range=full" } else { "" };
        let sent = stream(&format!("{source} {range_of_source} {arguments} -pix_fmt {format}"), 1.0);
        let played = play(std::slice::from_ref(&sent));
        assert_eq!(played.pictures.len(), 10, "{format}");
        assert_eq!(played.pictures[0].color().range, range, "{format}");
        let file = Scratch::of(&sent, "ts");
        let keep = if range == full { "full" } else { "limited" };
        let wanted = made::pictures(&file.0, &format!("-vf scale=in_range={keep}:out_range={keep}"), (320, 180));
        let quality = psnr(&played.planes(), &wanted);
        assert!(quality > 38.0, "{format}: PSNR {quality:.1} dB");
        let expected = if range == full { "pc" } else { "tv" };
        assert_eq!(made::property(&played.bytes(), "v", "color_range"), expected, "{format}");
    }
}

/// Catches RGB that is taken for the wrong matrix or range.
#[test]
fn rgb_keeps_its_colours() {
    for size in ["320x180", "1280x720"] {
        let sent = stream(
            &format!("{} -c:v libx264rgb -preset ultrafast -qp 8 -bf 0 -pix_fmt rgb24", picture(size, 5, 0.4)),
            1.0,
        );
        let played = play(std::slice::from_ref(&sent));
        assert_eq!(played.pictures.len(), 2);
        let file = Scratch::of(&sent, "ts");
        let wanted = made::ffmpeg(&format!("-i {} -pix_fmt rgba -f rawvideo -", file.0.display()));
        let got: Vec<Vec<u8>> =
            played.pictures.iter().map(|picture| convert::read(picture, PixelFormat::Rgba8)).collect();
        let wanted: Vec<Vec<u8>> = wanted.chunks(got[0].len()).map(<[u8]>::to_vec).collect();
        // Halving the chroma of saturated bars costs much; a wrong matrix costs more than this.
        let quality = psnr(&got, &wanted);
        assert!(quality > 24.0, "{size}: PSNR {quality:.1} dB");
        let mean = |pictures: &[Vec<u8>]| {
            let bytes = pictures.concat();
            bytes.iter().map(|byte| f64::from(*byte)).sum::<f64>() / bytes.len() as f64
        };
        assert!((mean(&got) - mean(&wanted)).abs() < 2.0, "{size}: brightness {} for {}", mean(&got), mean(&wanted));
    }
}

/// Catches anamorphic pictures that come out narrow, and high dynamic range that comes out flat.
#[test]
fn the_shape_of_pixels_primaries_and_transfer_go_out_as_they_came() {
    let properties = ["sample_aspect_ratio", "color_primaries", "color_transfer", "color_space"];
    for (arguments, expected) in [
        ("", ["1:1", "smpte170m", "smpte170m", "smpte170m"]),
        ("-vf setsar=16/11 -colorspace smpte170m", ["16:11", "smpte170m", "smpte170m", "smpte170m"]),
        (
            "-pix_fmt yuv420p10le -color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc",
            ["1:1", "bt2020", "smpte2084", "bt2020nc"],
        ),
        ("-color_primaries bt709 -color_trc iec61966-2-1 -colorspace bt709", ["1:1", "bt709", "iec61966-2-1", "bt709"]),
    ] {
        let sent = stream(&format!("{} {H264} {arguments}", picture("320x180", 25, 0.4)), 1.0);
        let bytes = play(std::slice::from_ref(&sent)).bytes();
        assert_eq!(properties.map(|name| made::property(&bytes, "v", name)), expected, "{arguments}");
    }
}

/// Catches pictures that are stretched when they are given a size.
#[test]
fn anamorphic_pictures_are_square_once_they_have_a_size_of_their_own() {
    let sent = stream(&format!("{} -vf setsar=16/11 {H264}", picture("352x288", 25, 0.4)), 1.0);
    let geometry = Geometry::Fill { width: 512, height: 288 };
    let input = InputConfig { geometry, ..InputConfig::default() };
    let played = play_with(std::slice::from_ref(&sent), input, OutputConfig::default());
    assert_eq!(made::property(&played.bytes(), "v", "sample_aspect_ratio"), "1:1");
    let file = Scratch::of(&sent, "ts");
    let wanted = made::pictures(&file.0, "-vf scale=512:288:flags=bilinear", (512, 288));
    let quality = psnr(&played.planes(), &wanted);
    assert!(quality > 30.0, "PSNR {quality:.1} dB");
}

/// Catches interlaced pictures of which one field is lost, and fields that come as pictures.
#[test]
fn interlaced_pictures_come_whole() {
    for arguments in [
        "-c:v libx264 -preset veryfast -flags +ilme+ildct -x264opts tff=1:bframes=2",
        "-c:v mpeg2video -b:v 4M -flags +ilme+ildct -top 1 -bf 2",
    ] {
        let source = format!("{} -vf tinterlace=interleave_top,fieldorder=tff", picture("320x192", 50, 2.0));
        let sent = stream(&format!("{source} {arguments} -g 25 -pix_fmt yuv420p"), 1.0);
        let played = play(std::slice::from_ref(&sent));
        let file = Scratch::of(&sent, "ts");
        let wanted = made::pictures(&file.0, "", (320, 192));
        assert_eq!(wanted.len(), 50);
        assert!(played.planes() == wanted, "{arguments}: {} pictures differ", played.pictures.len());
        assert_eq!(made::pts(&played.bytes(), "v"), made::pts(&sent, "v"));
    }
}

/// Catches odd sides that are refused, or shift the picture.
#[test]
fn odd_sides_lose_a_line() {
    for arguments in [
        "-c:v libx264 -preset ultrafast -qp 10 -pix_fmt yuv444p",
        "-c:v mpeg2video -b:v 8M -pix_fmt yuv420p",
        "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 4M -pix_fmt yuv420p",
    ] {
        let source = made::ffmpeg(&format!("{} {arguments} -g 25 -f nut -", picture("161x91", 25, 0.4)));
        let source = Scratch::of(&source, "nut");
        let sent = stream(&format!("-i {} -c copy", source.0.display()), 1.0);
        let played = play(&[sent]);
        assert_eq!(played.pictures.len(), 10, "{arguments}");
        let wanted = made::pictures(&source.0, "-vf format=yuv444p,crop=160:90:0:0,format=yuv420p", (160, 90));
        let quality = psnr(&played.planes(), &wanted);
        assert!(quality > 30.0, "{arguments}: PSNR {quality:.1} dB");
        assert_eq!(made::property(&played.bytes(), "v", "width,height"), "160,90");
    }
}

/// Catches a cap that lets more through, or drops more than it has to.
#[test]
fn a_hundred_and_twenty_a_second_become_thirty() {
    let sent = stream(&format!("{} {H264} -tune zerolatency", picture("160x90", 120, 2.0)), 1.0);
    let capped = InputConfig { max_framerate: Some(30), ..InputConfig::default() };
    let played = play_with(&[sent], capped, OutputConfig::default());
    assert_eq!(played.times.len(), 60);
    assert!(played.times.windows(2).all(|pair| pair[1] - pair[0] == 3_000), "{:?}", played.times);
    assert_eq!((played.stats.video_frames, played.stats.thinned_frames), (240, 180));
}

/// Catches pictures beyond the limit that are decoded all the same, that take the sound with them, or are not spoken of; and
/// pictures of just the limit that are refused, coded with more lines than they show.
#[test]
fn pictures_beyond_the_limit_are_left_out_and_sound_goes_on() {
    let part =
        |size: &str, start: f64| stream(&format!("{} {} {H264} -c:a aac", picture(size, 25, 2.0), tone(2.0)), start);
    let limit = InputConfig { max_pixels: 320 * 180, ..InputConfig::default() };
    for (size, stated) in [("322x180", (322, 180)), ("320x182", (320, 182)), ("1280x720", (1280, 720))] {
        let sent = [part("320x180", 1.0), part(size, 3.0), part("320x180", 5.0)];
        let played = play_with(&sent, limit, OutputConfig::default());
        let wanted = [made::pts(&sent[0], "v"), made::pts(&sent[2], "v")].concat();
        assert_eq!(played.times, wanted, "{size}");
        assert_eq!(made::pts(&played.bytes(), "v"), wanted, "{size}");
        assert_eq!(played.too_large, [stated]);
        assert_eq!(played.stats.bad_units, 50, "{size}");
        assert!((played.heard() - 6.0).abs() < 0.2, "{size}: {} s of sound", played.heard());
        let gaps = made::pts(&played.bytes(), "a").windows(2).map(|pair| pair[1] - pair[0]).max();
        assert!(gaps <= Some(2 * 1_920), "{size}: sound stops for {gaps:?} ticks");
    }
}
