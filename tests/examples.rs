//! The examples, run as their readers run them.

use std::net::TcpListener;
use std::process::Command;

use tempfile::TempDir;

use crate::harness::{clip, media, picture, program, root};

/// Two ports that were free a moment ago.
fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// Catches calls of the documentation that are refused, and a stream that they do not tint.
#[test]
fn first_stream_records_a_clip_that_has_turned_green() {
    let directory = TempDir::new().unwrap();
    let recorded = directory.path().join("output.ts");
    let [api, trickle] = free_ports();
    // The script bounds everything that it waits for, and ends what it started.
    let output = Command::new(root().join("examples/first-stream/run"))
        .arg(&recorded)
        .env("RILLBOX", program())
        .env("API_PORT", api.to_string())
        .env("TRICKLE_PORT", trickle.to_string())
        .output()
        .unwrap();
    let (said, complaints) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{complaints}");
    assert!(said.contains(r#""params":{"intensity":0.9}"#), "the params are not the last ones: {said}");

    let shown = media::pictures(&recorded, 1280, 720);
    assert!(shown.len() >= 90, "{} pictures of at least 100", shown.len());
    let mean = |pictures: &[Vec<u8>]| {
        let all = pictures.iter().map(|each| picture::mean_chroma(each, 1280, 720));
        let (cb, cr) = all.fold((0.0, 0.0), |(cb, cr), each| (cb + each.0, cr + each.1));
        (cb / pictures.len() as f64, cr / pictures.len() as f64)
    };
    let (cb, cr) = mean(&shown);
    let (source_cb, source_cr) = mean(&media::pictures(&clip(), 1280, 720));
    let tinted = "pictures are not greener than the clip's";
    assert!(cb < source_cb - 5.0 && cr < source_cr - 5.0, "{tinted}: ({source_cb}, {source_cr}) became ({cb}, {cr})");
    let sound = std::fs::read(&recorded).unwrap();
    assert_eq!(media::property(&sound, "a", "codec_name"), "opus");
}
