//! Tensors on the host: what processors make of pictures with them, and what they cannot make the host do.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::host::Host;
use crate::harness::{PATIENT, asked, guest, media};

const SIZE: (usize, usize) = (320, 180);

fn pictures(segments: &[Vec<u8>]) -> Vec<Vec<u8>> {
    media::pictures(media::file(&segments.concat()).path(), SIZE.0, SIZE.1)
}

/// [`PATIENT`] with the first GPU that there is, in software where there is no other.
const ON_GPU: [&str; 6] = ["--device", "gpu:0", "--frame-budget", "3000", "--drain", "60s"];

/// What a host makes of a source with a guest of ours, all of which must come out; its last status, and its metrics.
async fn run(flags: &[&str], component: &Path, params: Value, segments: &[Vec<u8>]) -> (Vec<Vec<u8>>, Value, String) {
    let host = Host::start_with(flags);
    let name = component.file_stem().unwrap().to_str().unwrap();
    host.upload(name, component).await;
    let (received, status) = host.run(name, name, params, segments).await;
    assert_eq!(media::pts(&received.concat(), "v"), media::pts(&segments.concat(), "v"), "{status}");
    assert_eq!(status["errors"], json!({ "reported": 0, "traps": 0, "overruns": 0 }), "{status}");
    let metrics = String::from_utf8(host.fetch("/api/metrics").await.to_vec()).unwrap();
    (pictures(&received), status, metrics)
}

/// Catches a kernel that differs from what the CPU does, tensors that leave the GPU on the way, and pictures that cross the bus more
/// than once each way.
#[tokio::test(flavor = "multi_thread")]
async fn pictures_on_the_gpu_are_those_of_the_cpu() {
    let segments = media::small_segments("320x180", 1);
    for (component, params, kinds) in [
        (
            guest("edges"),
            json!({ "threshold": 0.3, "strength": 0.5 }),
            &["convolution", "elementwise", "reduction"][..],
        ),
        (guest("night"), json!({ "cold": 0.5 }), &["resize", "elementwise", "reduction", "layout", "color"]),
    ] {
        let (expected, on_cpu, _) = run(&PATIENT, &component, params.clone(), &segments).await;
        let (shown, status, metrics) = run(&ON_GPU, &component, params, &segments).await;
        for kind in kinds.iter().chain(&["transfer"]) {
            assert!(status["guest"]["gpu"][kind]["count"].as_u64() > Some(0), "{kind}: {status}");
            // Only what is made of bytes is made here.
            let here = status["guest"]["tensors"].get(kind);
            assert!(here.is_none() || *kind == "transfer", "{kind}: {status}");
        }
        assert_eq!(on_cpu["guest"]["gpu"]["transfer"], Value::Null, "{on_cpu}");
        // Luma and chroma, and for `night` a table and 32 counts.
        let frames = status["output"]["frames"].as_u64().unwrap();
        let planes = SIZE.0 as u64 * SIZE.1 as u64 * 3 / 2 * frames;
        let moved = |direction: &str| {
            let series = format!("rillbox_gpu_bytes_total{{direction=\"{direction}\"}}");
            metrics.lines().find_map(|line| line.strip_prefix(&series)?.trim().parse::<u64>().ok()).unwrap()
        };
        for direction in ["to", "from"] {
            assert!((planes..planes + frames * 8_192).contains(&moved(direction)), "{direction}: {metrics}");
        }
        let differences = shown.iter().zip(&expected).flat_map(|(shown, expected)| shown.iter().zip(expected));
        let sum: u64 = differences.map(|(shown, expected)| u64::from(shown.abs_diff(*expected))).sum();
        let mean = sum as f64 / (shown.len() * shown[0].len()) as f64;
        // The encoder makes more of one level than the kernels do.
        assert!(mean < 1.0, "{}: {mean}", component.display());
    }
}

/// Catches misuse of tensors on the GPU that is carried out, and memory there beyond the guest's.
#[tokio::test(flavor = "multi_thread")]
async fn tensors_on_the_gpu_have_the_same_limits() {
    let (status, _host) = asked("tensors", "misuse", &ON_GPU).await;
    assert_eq!(status["errors"], json!({ "reported": 0, "traps": 0, "overruns": 0 }), "{status}");
    let (status, _host) = asked("tensors", "pictures", &ON_GPU).await;
    assert_eq!(status["errors"]["traps"], 0, "{status}");
    assert!(status["last_error"].as_str().unwrap().contains("pictures"), "{status}");
    assert!(status["guest"]["refused"]["memory"].as_u64() > Some(0), "{status}");
    let (status, host) = asked("tensors", "endless", &["--device", "gpu:0"]).await;
    assert!(status["errors"]["overruns"].as_u64() >= Some(1), "{status}");
    host.guests_are_gone().await;
}

/// Runs a guest of ours on this source, all of which must come out; gives the pictures before and after.
async fn shown(component: PathBuf, params: Value, segments: &[Vec<u8>]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let (after, status, metrics) = run(&PATIENT, &component, params, segments).await;
    let frames = status["output"]["frames"].as_u64().unwrap();
    // Each picture goes to a tensor, and comes from one.
    assert!(status["guest"]["tensors"]["transfer"]["count"].as_u64() >= Some(2 * frames), "{status}");
    assert!(status["guest"]["tensors"]["transfer"]["ms"].as_f64() > Some(0.0), "{status}");
    let name = component.file_stem().unwrap().to_str().unwrap();
    let series = format!("rillbox_processor_tensor_operations_total{{processor=\"{name}@0.1.0\",kind=\"transfer\"}}");
    assert!(metrics.lines().any(|line| line.starts_with(&series)), "{metrics}");
    (pictures(segments), after)
}

/// How steep a picture is at a place: Sobel's two differences of luma.
fn steepness(picture: &[u8], x: usize, y: usize) -> i32 {
    let at = |dx: usize, dy: usize| i32::from(picture[(y + dy - 1) * SIZE.0 + x + dx - 1]);
    let columns = at(2, 0) + 2 * at(2, 1) + at(2, 2) - at(0, 0) - 2 * at(0, 1) - at(0, 2);
    let rows = at(0, 2) + 2 * at(1, 2) + at(2, 2) - at(0, 0) - 2 * at(1, 0) - at(2, 0);
    columns.abs() + rows.abs()
}

/// Catches a convolution, a comparison or a picture that differs from what they are defined as, anywhere between decoder and
/// encoder.
#[tokio::test(flavor = "multi_thread")]
async fn edges_are_those_of_the_source() {
    let segments = media::small_segments("320x180", 1);
    let (before, after) = shown(guest("edges"), json!({ "threshold": 0.3, "strength": 1.0 }), &segments).await;
    // Of places at an edge, and of others: how many, and how many of these are wrong.
    let mut counts = [(0, 0); 2];
    for (before, after) in before.iter().zip(&after).step_by(5) {
        for (x, y) in (1..SIZE.1 - 1).flat_map(|y| (1..SIZE.0 - 1).map(move |x| (x, y))) {
            // Luma of 219 steps; where it is close, decoders may differ.
            let steep = f64::from(steepness(before, x, y)) / 4.0 / 219.0;
            if (steep - 0.3).abs() > 0.1 {
                let bright = after[y * SIZE.0 + x] > 125;
                let (all, wrong) = &mut counts[usize::from(steep > 0.3)];
                *all += 1;
                *wrong += i32::from(bright != (steep > 0.3));
            }
        }
    }
    // Black and white lines of one pixel are what an encoder is worst at.
    for ((all, wrong), share) in counts.into_iter().zip([0.03, 0.3]) {
        assert!(all > 1_000 && f64::from(wrong) < share * f64::from(all), "{wrong} wrong of {all}");
    }
}

/// Catches a lookup, a histogram or a reduction that comes to something else on the host than in the processor's own tests.
#[tokio::test(flavor = "multi_thread")]
async fn night_becomes_day_and_day_stays() {
    let source = |picture: &str| {
        // Always the same gradient.
        let picture = format!("{picture}:size=320x180:rate=25:duration=1:seed=1");
        let codecs = "-c:v libx264 -preset ultrafast -tune zerolatency -g 25 -pix_fmt yuv420p";
        media::segments(&["-f", "lavfi", "-i", &picture], &codecs.split(' ').collect::<Vec<_>>())
    };
    let mean = |pictures: &[Vec<u8>]| {
        let samples = pictures.iter().flat_map(|picture| &picture[..SIZE.0 * SIZE.1]);
        samples.map(|sample| f64::from(*sample)).sum::<f64>() / (pictures.len() * SIZE.0 * SIZE.1) as f64
    };
    let (before, after) =
        shown(guest("night"), json!({ "cold": 0.0 }), &source("gradients=c0=0x000020:c1=0x303020")).await;
    assert!(mean(&after) > mean(&before) + 10.0, "{} {}", mean(&before), mean(&after));
    let (before, after) =
        shown(guest("night"), json!({ "cold": 0.0 }), &source("gradients=c0=0x909090:c1=0xe0d0d0")).await;
    assert!((mean(&after) - mean(&before)).abs() < 4.0, "{} {}", mean(&before), mean(&after));
}

/// Catches misuse that traps, is carried out, or breaks what comes after it.
#[tokio::test(flavor = "multi_thread")]
async fn misuse_is_an_answer() {
    let (status, _host) = asked("tensors", "misuse", &PATIENT).await;
    assert_eq!(status["errors"], json!({ "reported": 0, "traps": 0, "overruns": 0 }), "{status}");
}

/// Catches an operation of the contract that leads to another one in the host.
#[tokio::test(flavor = "multi_thread")]
async fn every_operation_is_what_its_name_says() {
    let (status, _host) = asked("tensors", "all", &PATIENT).await;
    assert_eq!(status["errors"], json!({ "reported": 0, "traps": 0, "overruns": 0 }), "{status}");
}

/// Catches handles and memory beyond the limits, and refusals that nobody counts.
#[tokio::test(flavor = "multi_thread")]
async fn handles_and_memory_of_tensors_are_the_guests() {
    let (status, _host) = asked("tensors", "handles", &PATIENT).await;
    // Once it has them all, there is none left for a frame.
    assert_eq!(status["errors"], json!({ "reported": 25, "traps": 0, "overruns": 0 }), "{status}");
    assert!(status["guest"]["refused"]["handles"].as_u64() >= Some(25), "{status}");

    let (status, host) = asked("tensors", "memory", &PATIENT).await;
    let said = status["last_error"].as_str().unwrap();
    let kept = said.split_whitespace().find_map(|word| word.parse::<u64>().ok()).unwrap();
    assert!((240..256).contains(&kept), "{said}");
    assert!(status["guest"]["refused"]["memory"].as_u64() >= Some(25), "{status}");
    assert!(host.peak_memory() < 700 << 20, "{}", host.peak_memory());
}

/// Catches an operation that is begun although nothing could stop it before its time is up.
#[tokio::test(flavor = "multi_thread")]
async fn operations_that_would_take_too_long_do_not_begin() {
    let (status, _host) = asked("tensors", "long", &["--frame-budget", "100"]).await;
    assert_eq!(status["errors"]["reported"], 0, "{status}");
    assert_eq!(status["errors"]["traps"], 0, "{status}");
    assert!(status["guest"]["refused"]["operations"].as_u64() >= Some(3), "{status}");
}

/// Catches a guest that goes on for ever in operations that are each short enough.
#[tokio::test(flavor = "multi_thread")]
async fn operations_without_end_are_stopped() {
    let (status, host) = asked("tensors", "endless", &[]).await;
    assert!(status["errors"]["overruns"].as_u64() >= Some(1), "{status}");
    host.guests_are_gone().await;
}

/// Catches tensors that outlive their handles.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_back_can_be_taken_again() {
    let (status, _host) = asked("tensors", "churn", &PATIENT).await;
    assert_eq!(status["errors"], json!({ "reported": 0, "traps": 0, "overruns": 0 }), "{status}");
    assert_eq!(status["guest"]["refused"]["memory"], 0, "{status}");
}
