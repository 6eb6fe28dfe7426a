//! Files become segments: what is copied is kept to the tick, what cannot be copied is encoded whole.
//!
//! Inputs are made with the `ffmpeg` program, outputs read by `ffprobe` and by our own demuxer and decoders.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail as tests do")]

use std::path::{Path, PathBuf};
use std::process::Command;

use rillbox_media::{
    FileChunk, FileSegments, Input, InputConfig, Media, OpenError, SegmentMode, TICKS_PER_SECOND, Ticks, TrackKind,
};

/// 132 frames, a key frame every 25, two B-frames; 249 packets of 5.1 AAC.
const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../tests/fixtures/bbb-720p25-idr1s.mp4");

/// Samples that Opus adds: it fills its last packet, and gives what it held back in another.
const OPUS_SLACK: usize = 2 * 960;

/// A path for a file of one test.
fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Makes a file; the arguments are those of `ffmpeg` between its common flags and the output's name.
fn make(name: &str, arguments: &str) -> PathBuf {
    let path = scratch(name);
    let made = Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "error", "-y"])
        .args(arguments.split_whitespace().map(|word| word.replace("FIXTURE", FIXTURE)))
        .arg(&path)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    path
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Packet {
    pts: i64,
    dts: i64,
    key: bool,
}

/// The packets of one kind as `ffprobe` sees them, in ticks.
fn probe(path: &Path, kind: TrackKind) -> Vec<Packet> {
    let stream = if kind == TrackKind::Video { "v:0" } else { "a:0" };
    let probed = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", stream, "-of", "csv=p=0"])
        .args(["-show_entries", "packet=pts_time,dts_time,flags"])
        .arg(path)
        .output()
        .unwrap();
    let ticks = |seconds: &str| (seconds.parse::<f64>().unwrap() * TICKS_PER_SECOND as f64).round() as i64;
    let text = String::from_utf8(probed.stdout).unwrap();
    // Where a packet has side data, an empty line follows it.
    let fields = text.lines().filter(|line| !line.is_empty()).map(|line| line.split(',').collect::<Vec<_>>());
    fields
        .map(|f| Packet {
            pts: ticks(f[0]),
            dts: ticks(f[1].replace("N/A", f[0]).as_str()),
            key: f[2].starts_with('K'),
        })
        .collect()
}

fn open(path: impl AsRef<Path>, mode: SegmentMode) -> FileSegments {
    rillbox_media::init();
    FileSegments::open(path, mode).unwrap()
}

fn play(segments: &mut FileSegments) -> Vec<FileChunk> {
    std::iter::from_fn(|| segments.next().unwrap()).collect()
}

/// Writes chunks to a file for `ffprobe`.
fn write(name: &str, chunks: &[FileChunk]) -> PathBuf {
    let path = scratch(name);
    std::fs::write(&path, chunks.iter().flat_map(|chunk| chunk.bytes.to_vec()).collect::<Vec<_>>()).unwrap();
    path
}

/// The bytes of each segment, and when it is due, in seconds.
fn split(chunks: &[FileChunk]) -> Vec<(f64, Vec<u8>)> {
    let mut segments: Vec<(f64, Vec<u8>)> = Vec::new();
    for chunk in chunks {
        if chunk.cut {
            segments.push((chunk.at.as_secs_f64(), Vec::new()));
        }
        segments.last_mut().expect("the first chunk begins a segment").1.extend_from_slice(&chunk.bytes);
    }
    segments
}

/// Times and key flags of the pictures, and the number of samples, that our own input finds in segments.
fn decode<'a>(segments: impl IntoIterator<Item = &'a (f64, Vec<u8>)>) -> (Vec<(Ticks, bool)>, usize) {
    let (mut pictures, mut samples) = (Vec::new(), 0);
    let mut take = |media| match media {
        Media::Video(frame) => pictures.push((frame.pts, frame.key)),
        Media::Audio(frame) => samples += frame.samples(),
        Media::Tracks(_) | Media::TooLarge { .. } => {}
    };
    let mut input = Input::new(InputConfig::default());
    for (_, bytes) in segments {
        input.push(bytes, &mut take);
        input.end_segment(&mut take);
    }
    input.finish(&mut take);
    let stats = input.stats();
    assert_eq!((stats.bad_units, stats.bad_packets, stats.skipped_bytes), (0, 0, 0));
    (pictures, samples)
}

/// What has to be added to every time of `source`, sorted, to have `given`.
fn constant(source: impl Iterator<Item = i64>, given: impl Iterator<Item = i64>) -> i64 {
    let (mut source, mut given) = (source.collect::<Vec<_>>(), given.collect::<Vec<_>>());
    source.sort();
    given.sort();
    assert_eq!(source.len(), given.len());
    let constant = given[0] - source[0];
    assert!(source.iter().zip(&given).all(|(source, given)| given - source == constant), "{source:?}\n{given:?}");
    constant
}

#[test]
fn copying_keeps_every_packet_and_moves_times_by_one_constant() {
    let mut segments = open(FIXTURE, SegmentMode::Auto);
    assert!(segments.copies());
    assert_eq!((segments.frames(), segments.why_encoded()), (132, None));
    let copied = write("copied.ts", &play(&mut segments));
    let mut constants = Vec::new();
    for kind in [TrackKind::Video, TrackKind::Audio] {
        let (source, given) = (probe(Path::new(FIXTURE), kind), probe(&copied, kind));
        constants.push(constant(source.iter().map(|p| p.pts), given.iter().map(|p| p.pts)));
        constants.push(constant(source.iter().map(|p| p.dts), given.iter().map(|p| p.dts)));
    }
    assert!(constants.iter().all(|each| *each == constants[0]), "{constants:?}");
    let video = probe(&copied, TrackKind::Video);
    assert_eq!(video.iter().map(|packet| packet.dts).min(), Some(90_000));
    assert!(video.iter().any(|packet| packet.pts != packet.dts), "B-frames are still there");
}

#[test]
fn segments_last_a_second_begin_with_a_key_frame_and_decode_alone() {
    let mut segments = open(FIXTURE, SegmentMode::Auto);
    let chunks = play(&mut segments);
    assert!(chunks.is_sorted_by_key(|chunk| chunk.at));
    assert!(chunks.iter().all(|chunk| chunk.bytes.len().is_multiple_of(188)));
    let split = split(&chunks);
    let frames: Vec<usize> = split.iter().map(|segment| decode([segment]).0.len()).collect();
    assert_eq!(frames, [25, 25, 25, 25, 25, 7]);
    for (index, segment) in split.iter().enumerate() {
        let (at, (pictures, _)) = (segment.0, decode([segment]));
        assert!((at - index as f64).abs() < 0.1, "segment {index} is due at {at}");
        assert!(pictures[0].1, "segment {index} begins with a key frame");
    }
}

#[test]
fn a_rewound_file_goes_on_where_it_ended() {
    let mut segments = open(FIXTURE, SegmentMode::Auto);
    let mut chunks = play(&mut segments);
    let once = chunks.len();
    segments.rewind().unwrap();
    chunks.extend(play(&mut segments));
    assert!(segments.next().unwrap().is_none());
    assert!(chunks[once].cut);
    assert_eq!(chunks[once].at - chunks[0].at, segments.duration());
    assert_eq!(chunks.len(), 2 * once);
    let looped = write("looped.ts", &chunks);
    for kind in [TrackKind::Video, TrackKind::Audio] {
        let packets = probe(&looped, kind);
        assert!(packets.is_sorted_by(|a, b| a.dts < b.dts), "{kind:?} goes backwards");
        assert!(packets.windows(2).all(|pair| pair[1].dts - pair[0].dts < 9_000), "{kind:?} has a hole");
    }
}

#[test]
fn matroska_is_copied_although_it_stores_no_decoding_times() {
    let source = make("b.mkv", "-i FIXTURE -c copy");
    let mut segments = open(&source, SegmentMode::Auto);
    assert_eq!(segments.why_encoded(), None);
    let split = split(&play(&mut segments));
    let (pictures, _) = decode(&split);
    constant(probe(&source, TrackKind::Video).iter().map(|p| p.pts), pictures.iter().map(|(pts, _)| pts.0));
    assert_eq!((pictures.len(), split.len()), (132, 6));
}

#[test]
fn rare_key_frames_are_encoded_and_no_frame_is_lost() {
    let source = make("rare.mp4", "-i FIXTURE -vf scale=320:180 -c:v libx264 -preset ultrafast -bf 2 -g 999 -c:a copy");
    let mut segments = open(&source, SegmentMode::Auto);
    assert!(segments.why_encoded().unwrap().contains("key frames are up to 5."), "{:?}", segments.why_encoded());
    let split = split(&play(&mut segments));
    let (pictures, samples) = decode(&split);
    constant(probe(&source, TrackKind::Video).iter().map(|p| p.pts), pictures.iter().map(|(pts, _)| pts.0));
    assert!(samples.abs_diff(249 * 1024) <= OPUS_SLACK, "{samples} samples");
    let frames: Vec<usize> = split.iter().map(|segment| decode([segment]).0.len()).collect();
    assert_eq!(frames, [25, 25, 25, 25, 25, 7]);
}

#[test]
fn codecs_that_are_not_carried_are_encoded() {
    let source = make(
        "vp8.webm",
        "-f lavfi -i testsrc=s=320x180:r=30 -f lavfi -i sine=r=44100 -t 2.5 -c:v libvpx -deadline realtime -c:a libvorbis",
    );
    let mut segments = open(&source, SegmentMode::Auto);
    assert_eq!(segments.why_encoded(), Some("its video is vp8"));
    let split = split(&play(&mut segments));
    assert_eq!(split.len(), 3);
    let (pictures, samples) = decode(&split);
    constant(probe(&source, TrackKind::Video).iter().map(|p| p.pts), pictures.iter().map(|(pts, _)| pts.0));
    assert_eq!(pictures.len() as u64, segments.frames());
    // 111,168 samples of 44.1 kHz: Vorbis has filled its last packet too.
    assert!(samples.abs_diff(121_000) <= OPUS_SLACK, "{samples} samples");
}

/// Catches pictures that the file has for those after them alone, since an edit list cuts them off, and that are shown.
#[test]
fn what_an_edit_list_cuts_off_is_not_shown() {
    // From half a second after a key frame on.
    let path = make("trimmed.mp4", "-ss 2.5 -i FIXTURE -c copy -an");
    let packets = probe(&path, TrackKind::Video);
    let shown = packets.iter().filter(|packet| packet.pts >= 0).count();
    assert!(shown + 5 < packets.len(), "{packets:?}");
    for mode in [SegmentMode::Auto, SegmentMode::Encode] {
        let mut segments = open(&path, mode);
        let (pictures, _) = decode(&split(&play(&mut segments)));
        assert_eq!(pictures.len(), shown, "{mode:?}");
    }
}

#[test]
fn encoding_on_demand_keeps_the_order_of_b_frames() {
    let source = make("b.mp4", "-i FIXTURE -vf scale=160:90 -c:v libx264 -preset veryfast -bf 3 -g 25 -an");
    assert!(open(&source, SegmentMode::Auto).copies());
    let mut segments = open(&source, SegmentMode::Encode);
    assert_eq!(segments.why_encoded(), Some("encoding was asked for"));
    let mut chunks = play(&mut segments);
    segments.rewind().unwrap();
    chunks.extend(play(&mut segments));
    let (pictures, _) = decode(&split(&chunks));
    assert_eq!(pictures.len(), 2 * 132);
    assert!(pictures.windows(2).all(|pair| pair[1].0 - pair[0].0 == 3_600), "25 frames a second, over the seam too");
}

#[test]
fn an_encoded_loop_never_goes_backwards() {
    let mut segments = open(FIXTURE, SegmentMode::Encode);
    let mut chunks = play(&mut segments);
    segments.rewind().unwrap();
    chunks.extend(play(&mut segments));
    let looped = write("encoded-loop.ts", &chunks);
    for kind in [TrackKind::Video, TrackKind::Audio] {
        let packets = probe(&looped, kind);
        assert!(packets.is_sorted_by(|a, b| a.dts < b.dts), "{kind:?} goes backwards");
    }
}

#[test]
fn sound_alone_is_cut_each_second_and_a_cover_is_no_video() {
    let source = make(
        "cover.mp3",
        "-f lavfi -i sine=r=48000:d=3.5 -f lavfi -i testsrc=s=64x64:d=0.04 -map 0 -map 1 -c:v mjpeg -disposition:v attached_pic",
    );
    for (mode, copies) in [(SegmentMode::Auto, true), (SegmentMode::Encode, false)] {
        let mut segments = open(&source, mode);
        assert_eq!(segments.copies(), copies);
        let split = split(&play(&mut segments));
        assert_eq!(split.len(), 4, "{mode:?}");
        let (pictures, samples) = decode(&split);
        assert!(pictures.is_empty());
        assert!(samples.abs_diff(48_000 * 7 / 2) < 2 * 1152 + OPUS_SLACK, "{mode:?}: {samples} samples");
    }
}

#[test]
fn what_is_no_media_is_refused_with_its_name() {
    let text = scratch("text.mp4");
    std::fs::write(&text, "no media at all\n".repeat(100)).unwrap();
    let subtitles = scratch("only.srt");
    std::fs::write(&subtitles, "1\n00:00:00,000 --> 00:00:01,000\nHello\n").unwrap();
    let refusal = |path: &Path| FileSegments::open(path, SegmentMode::Auto).err().unwrap();
    for path in [&text, &scratch("missing.mp4"), &scratch("")] {
        let error = refusal(path);
        assert!(matches!(error, OpenError::Open { .. }), "{error}");
        assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
    }
    assert!(refusal(&scratch("missing.mp4")).to_string().contains("No such file"));
    assert!(matches!(refusal(&subtitles), OpenError::NoTracks(_)));
}
