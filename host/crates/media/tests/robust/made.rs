//! Sources made by `ffmpeg`, and what FFmpeg's programs find in bytes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A test picture and a tone, small and quick to encode, with a key frame each second at 25 frames a second.
pub const H264: &str = "-c:v libx264 -preset ultrafast -bf 0 -g 25 -keyint_min 25 -sc_threshold 0 -pix_fmt yuv420p";

/// A file of this name in a directory of this process, which tests of other names do not touch.
fn scratch(end: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("robust-{}-{}.{end}", std::process::id(), COUNT.fetch_add(1, Relaxed));
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// A file that is gone when it is dropped.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn of(bytes: &[u8], end: &str) -> Self {
        let path = scratch(end);
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Runs `ffmpeg` with arguments that have no spaces in them; gives its standard output.
pub fn ffmpeg(arguments: &str) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(arguments.split_whitespace())
        .stdin(Stdio::null())
        .output()
        .expect("FFmpeg is installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ffmpeg {arguments}: {errors}");
    output.stdout
}

/// A stream of MPEG-TS whose times begin at `start` seconds.
pub fn stream(arguments: &str, start: f64) -> Vec<u8> {
    ffmpeg(&format!("{arguments} -output_ts_offset {start} -mpegts_copyts 1 -f mpegts -"))
}

/// The test picture: `size`, frames a second, seconds.
pub fn picture(size: &str, rate: u32, seconds: f64) -> String {
    format!("-f lavfi -i testsrc2=size={size}:rate={rate}:duration={seconds}")
}

/// A tone of this many seconds.
pub fn tone(seconds: f64) -> String {
    format!("-f lavfi -i sine=frequency=440:sample_rate=48000:duration={seconds}")
}

/// The usual stream of pictures of 160×90 and AAC, in segments of a second from `start` on.
pub fn segments(seconds: u32, start: f64) -> Vec<Vec<u8>> {
    let seconds = f64::from(seconds);
    let arguments = format!("{} {} {H264} -c:a aac", picture("160x90", 25, seconds), tone(seconds));
    split(&stream(&arguments, start))
}

/// Cuts a stream where its tables are repeated before a key frame, as segments of trickle are.
pub fn split(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut segments: Vec<Vec<u8>> = Vec::new();
    let mut tables = Vec::new();
    for packet in stream.chunks(188) {
        let pid = u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
        let key = packet[3] & 0x20 != 0 && packet[4] > 0 && packet[5] & 0x40 != 0 && packet[1] & 0x40 != 0;
        match (pid, segments.last_mut()) {
            (0 | 0x11 | 0x1000, _) => {
                if pid == 0 {
                    tables.clear();
                }
                tables.extend_from_slice(packet);
            }
            (0x100, _) if key => segments.push([&tables[..], packet].concat()),
            (_, Some(segment)) => segment.extend_from_slice(packet),
            (_, None) => tables.extend_from_slice(packet),
        }
    }
    segments
}

/// All pictures of a file as FFmpeg decodes and converts them, as I420 without gaps.
pub fn pictures(path: &Path, filter: &str, size: (u32, u32)) -> Vec<Vec<u8>> {
    let path = path.display();
    let raw = ffmpeg(&format!("-i {path} -map 0:v {filter} -fps_mode passthrough -pix_fmt yuv420p -f rawvideo -"));
    let bytes = (size.0 * size.1 * 3 / 2) as usize;
    assert!(raw.len().is_multiple_of(bytes), "pictures are not all {size:?}");
    raw.chunks(bytes).map(<[u8]>::to_vec).collect()
}

/// What `ffprobe` says, a line each.
pub fn probe(bytes: &[u8], track: &str, entries: &str) -> Vec<String> {
    let file = Scratch::of(bytes, "ts");
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", track, "-show_entries", entries, "-of", "csv=p=0"])
        .arg(&file.0)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.trim_matches(',').to_owned()).filter(|line| !line.is_empty()).collect()
}

/// Times of all packets of a track (`v` or `a`), in ticks, sorted.
pub fn pts(bytes: &[u8], track: &str) -> Vec<i64> {
    let mut pts: Vec<i64> = probe(bytes, track, "packet=pts").iter().map(|pts| pts.parse().unwrap()).collect();
    pts.sort_unstable();
    pts
}

/// One property of a track's codec.
pub fn property(bytes: &[u8], track: &str, name: &str) -> String {
    probe(bytes, track, &format!("stream={name}")).first().cloned().unwrap_or_default()
}
