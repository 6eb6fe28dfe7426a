//! The command line: what `publish`, `record` and `run` do, and what they say when they cannot.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::harness::host::Host;
use crate::harness::{CLIP_FRAMES, clip, guest, hostile, media, program};

fn rillbox(arguments: &[&str]) -> Output {
    Command::new(program()).args(arguments).env("RUST_LOG", "warn").output().unwrap()
}

fn assert_fails(arguments: &[&str], word: &str) {
    let output = rillbox(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{arguments:?} worked");
    assert!(said.contains(word), "{arguments:?}: {said}");
    assert!(!said.contains("panicked"), "{arguments:?}: {said}");
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Catches a file run that loses frames, or that is another pipeline than the live one.
#[test]
fn run_puts_a_file_through_a_processor() {
    let directory = TempDir::new().unwrap();
    let out = directory.path().join("out.ts");
    let params = r#"{"intensity": 0.7, "width": 640, "height": 360}"#;
    let green = guest("green");
    let output = rillbox(&["run", text(&green), "--input", text(&clip()), "--output", text(&out), "--params", params]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("132 frames in, 132 out"));
    assert_eq!(media::pictures(&out, 640, 360).len(), CLIP_FRAMES);
    let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left, [out]);
}

/// Catches failures that are silent, panic, or leave half a file.
#[test]
fn what_cannot_be_run_is_said_and_leaves_nothing() {
    let directory = TempDir::new().unwrap();
    let (out, nonsense) = (directory.path().join("out.ts"), directory.path().join("nonsense.mp4"));
    std::fs::write(&nonsense, b"no video at all").unwrap();
    let (green, clip) = (guest("green"), clip());
    let run = |wasm: &Path, input: &Path, output: &Path, params: &str, word: &str| {
        assert_fails(&["run", text(wasm), "--input", text(input), "--output", text(output), "--params", params], word);
    };
    run(&green, &nonsense, &out, "{}", "nonsense.mp4");
    run(&green, Path::new("/nowhere.mp4"), &out, "{}", "/nowhere.mp4");
    run(&nonsense, &clip, &out, "{}", "not a WebAssembly component");
    run(Path::new("/nowhere.wasm"), &clip, &out, "{}", "/nowhere.wasm");
    run(&green, &clip, &out, "{", "JSON");
    run(&green, &clip, &out, r#"{"intensity": 3}"#, "/intensity");
    run(&green, &clip, &directory.path().join("out.mp4"), "{}", ".ts");
    run(&hostile("load_error"), &clip, &out, "{}", "load");
    assert!(!out.exists());
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "only the nonsense is left");
}

/// Catches a publisher or recorder that loses packets, or does not end with the channel.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_can_be_recorded() {
    let host = Host::start();
    let directory = TempDir::new().unwrap();
    let out = directory.path().join("recorded.ts");
    let url = host.channel("clip").to_string();
    let recorder = Command::new(program()).args(["record", "--url", &url, "--out", text(&out)]).spawn().unwrap();
    let published = tokio::task::spawn_blocking({
        let url = url.clone();
        move || rillbox(&["publish", text(&clip()), "--url", &url, "--realtime"])
    });
    let published = published.await.unwrap();
    assert!(published.status.success(), "{}", String::from_utf8_lossy(&published.stderr));
    let recorded = tokio::task::spawn_blocking(move || recorder.wait_with_output()).await.unwrap().unwrap();
    assert!(recorded.status.success());
    let bytes = std::fs::read(&out).unwrap();
    let pts = media::pts(&bytes, "v");
    assert_eq!(pts.len(), CLIP_FRAMES);
    assert!(pts.windows(2).all(|pair| pair[1] - pair[0] == 3_600), "{pts:?}");
    assert_eq!(media::pictures(&out, 1280, 720), media::pictures(&clip(), 1280, 720), "copied, not encoded");
}

/// Catches bad addresses and URLs that are taken, or told without a reason.
#[test]
fn bad_arguments_are_named() {
    assert_fails(&["publish", "/nowhere.mp4", "--url", "http://127.0.0.1:9/x"], "/nowhere.mp4");
    assert_fails(&["publish", text(&clip()), "--url", "nonsense"], "--url");
    assert_fails(&["publish", text(&clip()), "--url", "http://127.0.0.1:9/x"], "127.0.0.1:9");
    assert_fails(&["record", "--url", "http://127.0.0.1:9/x", "--out", "/tmp/never.ts", "--wait", "1"], "127.0.0.1:9");
    assert_fails(&["serve", "--listen", "nonsense"], "--listen");
    assert_fails(&["serve", "--no-trickle", "--data-dir", "/proc/none"], "/proc/none");
    assert_fails(&["serve", "--crf", "52"], "--crf");
}
