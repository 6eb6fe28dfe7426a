//! The examples, run as their readers run them.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::sound::Heard;
use crate::harness::{CLIP_FRAMES, clip, media, picture, program, root};

/// Ports that were free a moment ago.
fn free_ports() -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// What an example said and recorded.
struct Ran {
    _directory: TempDir,
    recorded: PathBuf,
    said: String,
}

/// Runs an example, which must end well. It bounds everything that it waits for, and ends what it started.
fn run(example: &str) -> Ran {
    let directory = TempDir::new().unwrap();
    let recorded = directory.path().join("output.ts");
    let [api, trickle, service] = free_ports();
    let output = Command::new(root().join("examples").join(example).join("run"))
        .arg(&recorded)
        .env("RILLBOX", program())
        .env("API_PORT", api.to_string())
        .env("TRICKLE_PORT", trickle.to_string())
        // What a picture takes on a machine that does much else must not put the processor out of the stream.
        .env("SERVE_FLAGS", "--frame-budget 2000")
        .env("SERVICE_PORT", service.to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    Ran { _directory: directory, recorded, said }
}

impl Ran {
    /// The status that was printed.
    fn status(&self) -> Value {
        let status = self.said.lines().find(|line| line.starts_with(r#"{"id""#)).expect("a status is printed");
        serde_json::from_str(status).unwrap()
    }

    /// The pictures that were recorded, as many as there must be and greener than the clip's.
    fn green_pictures(&self, at_least: usize) -> Vec<Vec<u8>> {
        let shown = media::pictures(&self.recorded, 1280, 720);
        assert!(shown.len() >= at_least, "{} pictures of at least {at_least}", shown.len());
        let (cb, cr) = mean_chroma(&shown);
        let (source_cb, source_cr) = mean_chroma(&media::pictures(&clip(), 1280, 720));
        let tinted = "pictures are not greener than the clip's";
        assert!(
            cb < source_cb - 5.0 && cr < source_cr - 5.0,
            "{tinted}: ({source_cb}, {source_cr}) became ({cb}, {cr})"
        );
        shown
    }
}

fn mean_chroma(pictures: &[Vec<u8>]) -> (f64, f64) {
    let all = pictures.iter().map(|each| picture::mean_chroma(each, 1280, 720));
    let (cb, cr) = all.fold((0.0, 0.0), |(cb, cr), each| (cb + each.0, cr + each.1));
    (cb / pictures.len() as f64, cr / pictures.len() as f64)
}

/// Catches calls of the documentation that are refused, and a stream that they do not tint.
#[test]
fn first_stream_records_a_clip_that_has_turned_green() {
    let ran = run("first-stream");
    assert_eq!(ran.status()["params"], json!({ "intensity": 0.9 }), "the params are not the last ones");
    ran.green_pictures(90);
    let recorded = std::fs::read(&ran.recorded).unwrap();
    assert_eq!(media::property(&recorded, "a", "codec_name"), "opus");
}

/// Catches calls that are refused, params that are lost between them, and sound that has no echo.
#[test]
fn three_calls_show_in_the_picture_and_are_heard() {
    let ran = run("three-calls");
    let params = json!({
        "intensity": 0.9, "echo_delay": 0.3, "echo_strength": 0.6,
        "analysis_interval": 60, "brightness_threshold": 0.4,
    });
    assert_eq!(ran.status()["params"], params);
    let data = ran.said.lines().filter_map(|line| serde_json::from_str::<Vec<Value>>(line).ok()).flatten();
    let counts: Vec<Value> = data.map(|report| report["frame_count"].clone()).collect();
    assert!(counts.starts_with(&[json!(60), json!(120)]), "frames {counts:?} of 150 or more are analyzed");
    ran.green_pictures(140);
    let heard = Heard::of(&std::fs::read(&ran.recorded).unwrap());
    let source = Heard::of(&media::clip_segments().concat());
    let (delay, strength) = heard.echo_of(&source, 1.2..2.6);
    assert!((delay - 0.3).abs() < 0.005 && (strength - 0.5).abs() < 0.1, "{strength} after {delay} s");
}

/// Catches a host that needs a trickle server of its own, or whose stream does not end with its input.
#[test]
fn two_hosts_turn_a_whole_clip_green() {
    let ran = run("two-hosts");
    let status = ran.status();
    assert_eq!((&status["state"], &status["input"]["frames"]), (&json!("ENDED"), &json!(CLIP_FRAMES)), "{status}");
    // A machine that is too slow for the clip shows less of it, and says so.
    let shown = ran.green_pictures(50).len() as u64;
    assert_eq!(Some(shown), status["output"]["frames"].as_u64(), "{status}");
    let dropped = status["frames_dropped"].as_u64().unwrap();
    assert_eq!(shown + dropped, CLIP_FRAMES as u64, "{status}");
}

/// Catches a start without its grant, a refusal that does not say what to grant, and answers that never show.
#[test]
fn remote_api_blends_what_the_service_answers() {
    let ran = run("remote-api");
    assert!(ran.said.contains("asks for HTTP to localhost:"), "{}", ran.said);
    let http = &ran.status()["guest"]["http"];
    let (requests, received) = (http["requests"].as_u64().unwrap(), http["bytes_received"].as_u64().unwrap());
    // A request may be on its way.
    assert!(requests >= 2 && received >= (requests - 1) * 160 * 90, "{http}");
    assert_eq!((&http["refused"], &http["failed"]), (&json!(0), &json!(0)), "{http}");
    let shown = media::pictures(&ran.recorded, 1280, 720);
    // The middle of a run of frames and its source: blended with the negative, what was bright is dark.
    let source = media::pictures(&clip(), 1280, 720);
    let likeness = |pictures: &[Vec<u8>]| {
        let (shown, source) = (&pictures[60][..1280 * 720], &source[60][..1280 * 720]);
        let mean = |luma: &[u8]| luma.iter().map(|&sample| f64::from(sample)).sum::<f64>() / luma.len() as f64;
        let (own, theirs) = (mean(shown), mean(source));
        shown.iter().zip(source).map(|(a, b)| (f64::from(*a) - own) * (f64::from(*b) - theirs)).sum::<f64>()
    };
    assert!(likeness(&source) > 0.0 && likeness(&shown) < 0.0, "the pictures are not the clip's negative");
}
