//! The one harness: a host as its users run it, what feeds it, and what reads it.

pub mod bombs;
pub mod channels;
pub mod component;
pub mod disk;
pub mod host;
pub mod media;
pub mod picture;
pub mod service;
pub mod sound;
pub mod source;
pub mod text;
pub mod tls;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use self::host::Host;

/// Longest that anything is waited for.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Flags of a host where the time of a call is not what is tested: the machine may be busy.
pub const PATIENT: [&str; 2] = ["--frame-budget", "2000"];

/// The repository.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The clip: 132 frames of 720p with a key frame each second and B-frames, and 5.1 sound.
pub fn clip() -> PathBuf {
    root().join("tests/fixtures/bbb-720p25-idr1s.mp4")
}

/// Frames of the clip.
pub const CLIP_FRAMES: usize = 132;

/// A component of `guests/`, built by `make guests`.
pub fn guest(name: &str) -> PathBuf {
    // Cargo names a library so.
    built(&format!("{}.wasm", name.replace('-', "_")))
}

/// A component of `tests/guests/`, built along with them.
pub fn hostile(name: &str) -> PathBuf {
    built(&format!("examples/{name}.wasm"))
}

fn built(path: &str) -> PathBuf {
    let path = root().join("guests/target/wasm32-wasip2/release").join(path);
    assert!(path.is_file(), "{} is not built; run `make guests`", path.display());
    path
}

/// A figure of `/proc/PID/status`, in bytes.
fn memory(pid: u32, figure: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(figure)).unwrap();
    line.trim_matches([':', ' ', '\t']).trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// The program, beside which the test's own is built.
pub fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.ancestors().nth(2).unwrap().join("rillbox");
    assert!(program.is_file(), "{} is not built; run `make build`", program.display());
    program
}

/// Runs a hostile guest whose `what` says which of its misdeeds it does: the stream must lose no picture, and the host not panic.
/// Gives the stream's last status.
pub async fn asked(guest: &str, what: &str, flags: &[&str]) -> (Value, Host) {
    let host = Host::start_with(flags);
    host.upload(guest, &hostile(guest)).await;
    let segments = media::small_segments("320x180", 1);
    let (received, status) = host.run(what, guest, json!({ "what": what }), &segments).await;
    assert_eq!(media::pts(&received.concat(), "v"), media::pts(&segments.concat(), "v"), "{status}");
    assert_eq!(host.panics(), Vec::<String>::new());
    (status, host)
}
