//! Media made and read by FFmpeg's own programs, so that nothing of ours judges itself.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::{NamedTempFile, TempDir};

/// Runs `ffmpeg`; gives its standard output.
pub fn ffmpeg(arguments: &[&str]) -> Vec<u8> {
    run("ffmpeg", &[&["-v", "error", "-nostdin", "-y"], arguments].concat())
}

fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().expect("FFmpeg is installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
    output.stdout
}

/// A file as segments of MPEG-TS of one second, made by `ffmpeg` with these codec options.
pub fn segments(input: &[&str], codecs: &[&str]) -> Vec<Vec<u8>> {
    let directory = TempDir::new().unwrap();
    let pattern = directory.path().join("%05d.ts");
    let muxer = [
        "-f",
        "segment",
        "-segment_time",
        "1",
        "-segment_format",
        "mpegts",
        "-segment_format_options",
        "mpegts_copyts=1",
        pattern.to_str().unwrap(),
    ];
    ffmpeg(&[input, codecs, &muxer].concat());
    let mut paths: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// The clip's packets as they are.
pub fn clip_segments() -> Vec<Vec<u8>> {
    segments(&["-i", super::clip().to_str().unwrap()], &["-c", "copy"])
}

/// A small synthetic stream: a moving test picture and a tone, `seconds` long.
pub fn small_segments(size: &str, seconds: u32) -> Vec<Vec<u8>> {
    small_segments_from(size, seconds, 0)
}

/// As [`small_segments`], with times that begin so many seconds later.
pub fn small_segments_from(size: &str, seconds: u32, start: u32) -> Vec<Vec<u8>> {
    let picture = format!("testsrc2=size={size}:rate=25:duration={seconds}");
    let tone = format!("sine=frequency=440:sample_rate=48000:duration={seconds}");
    let input = ["-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &tone];
    let codecs = "-c:v libx264 -preset ultrafast -tune zerolatency -g 25 -keyint_min 25 -sc_threshold 0 -pix_fmt yuv420p -c:a aac";
    let codecs = format!("{codecs} -output_ts_offset {start}");
    segments(&input, &codecs.split(' ').collect::<Vec<_>>())
}

/// Bytes as a file that FFmpeg's programs can open.
pub fn file(bytes: &[u8]) -> NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".ts").tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// Times of all packets of a track (`v` or `a`), in 90 kHz ticks, sorted.
pub fn pts(stream: &[u8], track: &str) -> Vec<i64> {
    let file = file(stream);
    let entries = ["-select_streams", track, "-show_entries", "packet=pts", "-of", "csv=p=0"];
    let arguments = [&["-v", "error"], &entries[..], &[file.path().to_str().unwrap()]].concat();
    let text = String::from_utf8(run("ffprobe", &arguments)).unwrap();
    let number = |line: &str| line.trim_matches([',', ' ']).parse().ok();
    let mut pts: Vec<i64> = text.lines().filter_map(number).collect();
    pts.sort_unstable();
    pts
}

/// Where the packets of Opus sound do not follow each other by 20 ms: times and steps, in ticks.
pub fn sound_gaps(stream: &[u8]) -> Vec<(i64, i64)> {
    // What the codec puts before time 0 has times just below the wrap.
    let mut pts: Vec<i64> =
        pts(stream, "a").into_iter().map(|pts| if pts >= 1 << 32 { pts - (1 << 33) } else { pts }).collect();
    pts.sort_unstable();
    let steps = pts.windows(2).map(|pair| (pair[0], pair[1] - pair[0]));
    steps.filter(|(_, step)| (step - 1_800).abs() > 1).collect()
}

/// One property of a track, as `ffprobe` names it.
pub fn property(stream: &[u8], track: &str, name: &str) -> String {
    let file = file(stream);
    let entry = format!("stream={name}");
    let entries = ["-select_streams", track, "-show_entries", &entry, "-of", "csv=p=0"];
    let arguments = [&["-v", "error"], &entries[..], &[file.path().to_str().unwrap()]].concat();
    let text = String::from_utf8(run("ffprobe", &arguments)).unwrap();
    text.lines().next().unwrap_or_default().trim_matches(',').to_owned()
}

/// All pictures of a stream in the order of their times, decoded by FFmpeg, as I420 of one size.
pub fn pictures(path: &Path, width: usize, height: usize) -> Vec<Vec<u8>> {
    let path = path.to_str().unwrap();
    let raw =
        ffmpeg(&["-i", path, "-map", "0:v", "-fps_mode", "passthrough", "-pix_fmt", "yuv420p", "-f", "rawvideo", "-"]);
    let bytes = width * height * 3 / 2;
    assert!(raw.len().is_multiple_of(bytes), "pictures are not all {width}×{height}");
    raw.chunks(bytes).map(<[u8]>::to_vec).collect()
}

/// The mean luma of each picture of a stream, in the order of their times.
pub fn lumas(stream: &[u8], width: usize, height: usize) -> Vec<f64> {
    let file = file(stream);
    let luma = |picture: &Vec<u8>| {
        let samples = &picture[..width * height];
        samples.iter().map(|sample| f64::from(*sample)).sum::<f64>() / samples.len() as f64
    };
    pictures(file.path(), width, height).iter().map(luma).collect()
}

/// Mean loudness of the sound, in decibels of full scale.
pub fn mean_volume(stream: &[u8]) -> f64 {
    let file = file(stream);
    let path = file.path().to_str().unwrap();
    let output = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostdin", "-i", path, "-map", "0:a", "-af", "volumedetect", "-f", "null", "-"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    let after = text.split("mean_volume: ").nth(1).expect("there is sound");
    after.split(' ').next().unwrap().parse().unwrap()
}
