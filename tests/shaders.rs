//! Shaders on the host: what processors make of pictures with them, and what they cannot make the host do. The device is one
//! in software, which is no real GPU: what a driver of one does with a shader that takes seconds is not seen here.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use rillbox::clip::{self, RunOptions, RunSummary};
use rillbox::egress::Grants;
use rillbox::registry::Compiler;
use rillbox::sandbox::{
    ChildCompiler, Choice, Engine, Failure, Gpu, HttpAccess, Identity, Instance, Limits, ShaderReader, VideoResult,
};
use rillbox::serve::{self, HostConfig};
use rillbox::session::{self, StreamTimes};
use rillbox_media::{
    Color, ColorMatrix, ColorRange, InputConfig, OutputConfig, PixelFormat, Presentation, Ticks, VideoFrame, convert,
};
use rillbox_trickle::ClientConfig;
use serde_json::{Value, json};

use crate::harness::host::Host;
use crate::harness::{PATIENCE, asked, guest, hostile, media, program};

/// The first device that there is, in software where there is no other; it takes its time, and the machine may be busy.
const PATIENT: [&str; 6] = ["--device", "gpu:0", "--frame-budget", "3000", "--drain", "60s"];

/// Runs a guest on this source, all of which must come out; gives its pictures, of so many times the size.
async fn shown(component: PathBuf, params: Value, scale: usize) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let host = Host::start_with(&PATIENT);
    let name = component.file_stem().unwrap().to_str().unwrap();
    let name = name.replace('_', "-");
    host.upload(&name, &component).await;
    let segments = media::small_segments("320x180", 1);
    let (received, status) = host.run(&name, &name, params, &segments).await;
    assert_eq!(media::pts(&received.concat(), "v"), media::pts(&segments.concat(), "v"), "{status}");
    assert_eq!(status["errors"], json!({ "reported": 0, "traps": 0, "overruns": 0 }), "{status}");
    let (frames, gpu) = (status["output"]["frames"].as_u64().unwrap(), &status["guest"]["gpu"]);
    // Each picture goes up, and comes down.
    assert_eq!(gpu["color"]["count"].as_u64(), Some(2 * frames), "{status}");
    assert!(gpu["program"]["count"].as_u64() >= Some(frames), "{status}");
    let metrics = String::from_utf8(host.fetch("/api/metrics").await.to_vec()).unwrap();
    let planes = 320 * 180 * 3 / 2 * frames;
    let series = |name: &str| metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    assert_eq!(series("rillbox_gpu_bytes_total{direction=\"to\"}"), Some(planes), "{metrics}");
    assert!(series("rillbox_gpu_bytes_total{direction=\"from\"}") >= Some(planes), "{metrics}");
    assert_eq!((series("rillbox_gpu_waiting"), series("rillbox_gpu_lost_total")), (Some(0), Some(0)), "{metrics}");
    assert!(metrics.contains("rillbox_gpu_info{"), "{metrics}");
    let pictures =
        |stream: &[Vec<u8>], scale| media::pictures(media::file(&stream.concat()).path(), 320 * scale, 180 * scale);
    (pictures(&segments, 1), pictures(&received, scale))
}

/// Mean square of the difference of neighbours in rows of luma: how much detail there is.
fn detail(pictures: &[Vec<u8>], width: usize, height: usize) -> f64 {
    let rows = pictures.iter().flat_map(|picture| picture[..width * height].chunks(width));
    let differences = rows.flat_map(|row| row.windows(2).map(|pair| f64::from(pair[0].abs_diff(pair[1])).powi(2)));
    differences.sum::<f64>() / (pictures.len() * height * (width - 1)) as f64
}

fn mean(pictures: &[Vec<u8>], samples: usize) -> f64 {
    let sum: f64 = pictures.iter().flat_map(|picture| &picture[..samples]).map(|sample| f64::from(*sample)).sum();
    sum / (pictures.len() * samples) as f64
}

/// Catches a status that says nothing of the GPU while a stream works there: how long that takes, or what is held
/// there.
#[tokio::test(flavor = "multi_thread")]
async fn a_status_tells_of_the_gpu_while_it_is_used() {
    let host = Host::start_with(&PATIENT);
    host.upload("blur-shader", &guest("blur-shader")).await;
    let segments = media::small_segments("320x180", 60);
    let mut told = Value::Null;
    let (_, _, last) = host
        .run_live("told", "blur-shader", json!({ "radius": 6 }), &segments, |status| {
            told = status["guest"]["gpu"].clone();
            told["program"]["ms"].as_f64() > Some(0.0) && told["memory_bytes"].as_u64() > Some(0)
        })
        .await;
    // A picture at least, and no more than an instance may have; times are of the GPU's own clock.
    assert!((320 * 180 * 4..256 << 20).contains(&told["memory_bytes"].as_u64().unwrap()), "{told}");
    let time = |kind: &str| told[kind]["ms"].as_f64().unwrap();
    assert!(time("program") > 0.0 && time("color") > 0.0, "{told}");
    assert_eq!(last["errors"], json!({ "reported": 0, "traps": 0, "overruns": 0 }), "{last}");
}

/// Catches pictures that are not blurred, are darker or brighter, or come in another order.
#[tokio::test(flavor = "multi_thread")]
async fn a_blur_takes_detail_and_leaves_brightness() {
    let (before, after) = shown(guest("blur-shader"), json!({ "radius": 6 }), 1).await;
    let (sharp, soft) = (detail(&before, 320, 180), detail(&after, 320, 180));
    assert!(soft < 0.5 * sharp, "{sharp} {soft}");
    for (before, after) in before.iter().zip(&after) {
        let [before, after] = [before, after].map(|picture| mean(std::slice::from_ref(picture), 320 * 180));
        assert!((before - after).abs() < 2.0, "{before} {after}");
    }
}

/// Catches an encoder that keeps to the old size, and pictures that are moved or cut.
#[tokio::test(flavor = "multi_thread")]
async fn the_output_has_the_size_that_a_shader_makes() {
    let (before, after) = shown(guest("upscale"), json!({}), 2).await;
    for (before, after) in before.iter().zip(&after) {
        // Each two by two of them is about what it was made from.
        let differences = (0..320 * 180).map(|at| {
            let (x, y) = (2 * (at % 320), 2 * (at / 320));
            let four = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(dx, dy)| f64::from(after[(y + dy) * 640 + x + dx]));
            (four.iter().sum::<f64>() / 4.0 - f64::from(before[at])).abs()
        });
        let difference = differences.sum::<f64>() / f64::from(320 * 180);
        assert!(difference < 6.0, "{difference}");
    }
}

/// Catches misuse that traps, is carried out, or breaks what comes after it.
#[tokio::test(flavor = "multi_thread")]
async fn misuse_of_shaders_is_an_answer() {
    let (status, _host) = asked("shaders", "misuse", &PATIENT).await;
    assert_eq!(status["errors"], json!({ "reported": 0, "traps": 0, "overruns": 0 }), "{status}");
}

/// Catches a shader that the host reads itself before somebody else has got through it: it would take the host with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_shader_that_is_too_much_to_read_is_refused() {
    let (status, host) = asked("shaders", "reading", &["--device", "gpu:0", "--frame-budget", "10000"]).await;
    assert_eq!(status["errors"], json!({ "reported": 0, "traps": 0, "overruns": 0 }), "{status}");
    assert!(host.peak_memory() < 700 << 20, "{}", host.peak_memory());
}

/// Catches handles and memory beyond the limits, and what is not counted.
#[tokio::test(flavor = "multi_thread")]
async fn handles_and_memory_on_the_gpu_are_the_guests() {
    let (status, _host) = asked("shaders", "handles", &PATIENT).await;
    assert!(status["guest"]["refused"]["handles"].as_u64() >= Some(25), "{status}");
    for what in ["programs", "memory"] {
        let (status, host) = asked("shaders", what, &PATIENT).await;
        let said = status["last_error"].as_str().unwrap();
        let kept = said.split_whitespace().find_map(|word| word.parse::<u64>().ok()).unwrap();
        assert!((240..256).contains(&kept), "{what}: {said}");
        assert!(status["guest"]["refused"]["memory"].as_u64() >= Some(25), "{what}: {status}");
        // In software, the device's memory is the host's.
        assert!(host.peak_memory() < 900 << 20, "{what}: {}", host.peak_memory());
    }
}

/// Catches images that outlive their handles.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_back_on_the_gpu_can_be_taken_again() {
    let (status, host) = asked("shaders", "churn", &PATIENT).await;
    assert_eq!(status["errors"], json!({ "reported": 0, "traps": 0, "overruns": 0 }), "{status}");
    assert_eq!(status["guest"]["refused"]["memory"], 0, "{status}");
    assert!(host.peak_memory() < 700 << 20, "{}", host.peak_memory());
}

/// Catches shaders that are never done, a stream that waits for them, and neighbours that lose pictures or are blamed: one that has
/// nothing to do with the device, and one that waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_shader_without_end_costs_its_own_frames_alone() {
    let host = Host::start_with(&["--device", "gpu:0", "--frame-budget", "100"]);
    host.upload("shaders", &hostile("shaders")).await;
    for name in ["green", "blur-shader"] {
        host.upload(name, &guest(name)).await;
    }
    // So small that it takes a device in software no time of its own, however busy the machine is.
    let segments = media::small_segments("64x48", 6);
    // To compile a shader is work of one's own, and not what is waited for.
    host.run("compiled", "blur-shader", json!({}), &segments).await;
    host.start_stream("endless", "shaders", json!({ "what": "endless" })).await;
    host.start_stream("waits", "blur-shader", json!({})).await;
    let good = host.run("good", "green", json!({}), &segments);
    let (waits, bad) = (host.play("waits", &segments), host.play("endless", &segments));
    let ((of_good, good), (of_waits, waits), (of_bad, bad)) = tokio::join!(good, waits, bad);
    for (received, status) in [(of_good, &good), (of_waits, &waits), (of_bad, &bad)] {
        assert_eq!(media::pts(&received.concat(), "v"), media::pts(&segments.concat(), "v"), "{status}");
    }
    // A driver in software works on what it is given before it takes it, when nobody can tell whose time it is.
    let failures = ["overruns", "reported"].map(|kind| bad["errors"][kind].as_u64().unwrap());
    assert!(failures.iter().sum::<u64>() >= 1, "{bad}");
    assert_eq!(good["errors"], json!({ "reported": 0, "traps": 0, "overruns": 0 }), "{good}");
    let said = waits["last_error"].as_str().unwrap_or("it never waited");
    assert!(waits["errors"]["reported"].as_u64() >= Some(1) && said.contains("GPU"), "{said}: {waits}");
    assert_eq!((&waits["errors"]["traps"], &waits["errors"]["overruns"]), (&json!(0), &json!(0)), "{waits}");
    assert_eq!(host.panics(), Vec::<String>::new());
    host.guests_are_gone().await;
    // Whoever comes next has a device that works, be it the same or another, and is not taken for the one that was stopped. In software,
    // what was given up goes on for a while on the same cores, and makes what comes after it late.
    let since = Instant::now();
    for run in 0.. {
        assert!(since.elapsed() < 2 * PATIENCE, "no device that works after {run} streams");
        let id = format!("after-{run}");
        if host.offer_stream(&id, "shaders", json!({ "what": "invert" })).await.0 != StatusCode::OK {
            continue;
        }
        let (_, status) = host.play(&id, &segments).await;
        if status["guest"]["gpu"]["program"]["count"].as_u64() >= Some(1) && status["errors"]["overruns"] == 0 {
            break;
        }
    }
}

/// Catches compilers that a guest keeps busy for ever.
#[tokio::test(flavor = "multi_thread")]
async fn shaders_without_number_are_stopped() {
    let (status, host) = asked("shaders", "compile", &["--device", "gpu:0"]).await;
    assert!(status["errors"]["overruns"].as_u64() >= Some(1), "{status}");
    host.guests_are_gone().await;
}

/// Catches a device that is used although the operator lends none, and an answer that does not say how to lend one.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_device_the_stream_says_so() {
    let host = Host::start_with(&["--device", "cpu"]);
    host.upload("blur-shader", &guest("blur-shader")).await;
    let (status, answer) = host.post("/api/stream/start", host.start_body("cpu", "blur-shader", json!({}))).await;
    assert_eq!(status, 422, "{answer}");
    assert!(answer.to_string().contains("--device cpu"), "{answer}");
}

/// Catches a driver that is started although nothing would run on it: it takes memory and threads, and is a risk of its
/// own.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_opened_for_who_uses_it_alone() {
    let host = Host::start_with(&PATIENT);
    let segments = media::small_segments("320x180", 1);
    for (name, opens) in [("green", false), ("blur-shader", true)] {
        host.upload(name, &guest(name)).await;
        let (_, status) = host.run(name, name, json!({}), &segments).await;
        assert_eq!(status["errors"], json!({ "reported": 0, "traps": 0, "overruns": 0 }), "{name}: {status}");
        let metrics = String::from_utf8(host.fetch("/api/metrics").await.to_vec()).unwrap();
        assert_eq!(metrics.contains("rillbox_gpu_info"), opens, "{name}: {metrics}");
        assert_eq!(host.log().contains("GPU opened"), opens, "{name}");
    }
}

/// Puts a file through a processor of a host within this process; gives what came out.
async fn through(host: &session::Host, processor: &str, input: &Path, directory: &Path) -> (RunSummary, Vec<u8>) {
    let output = directory.join(format!("{processor}.ts"));
    let options = RunOptions {
        processor: processor.to_owned(),
        input: input.to_owned(),
        output: output.clone(),
        params: json!({}),
        stop: Default::default(),
    };
    let summary = clip::run(host, options).await.unwrap();
    (summary, std::fs::read(output).unwrap())
}

/// Catches a device whose loss takes the stream that uses it, or a frame of one that does not: the first passes on what
/// it cannot work on, and goes on with the next device.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_disappears_within_a_stream_leaves_it_whole() {
    let directory = tempfile::tempdir().unwrap();
    let host = serve::host(HostConfig {
        data_dir: directory.path().join("data"),
        processor: None,
        program: program(),
        limits: Limits { instances: 8, frame_budget: Duration::from_secs(3), ..Limits::default() },
        device: Choice::Gpu(0),
        input: InputConfig::default(),
        output: OutputConfig::default(),
        loading: false,
        client: ClientConfig::default(),
        allowed_urls: None,
        grants: Grants::default(),
        http_authorities: Vec::new(),
        max_processors: 2,
        max_streams: 2,
        times: StreamTimes::default(),
    })
    .await
    .unwrap();
    for name in ["green", "blur-shader"] {
        host.registry.upload(std::fs::read(guest(name)).unwrap().into(), Some(name)).await.unwrap();
    }
    let film = media::file(&media::small_segments("320x180", 10).concat());
    let gpu = host.engine.gpu().clone();
    let picture = 320 * 180 * 3 / 2;
    let closed = async {
        // In the middle of it: some are done, and most are to come.
        while gpu.moved().1 < 20 * picture {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        gpu.opened().unwrap().close();
        gpu.moved().1
    };
    let [of_green, of_blur] = ["green", "blur-shader"].map(|name| through(&host, name, film.path(), directory.path()));
    let ((green, of_green), (blur, of_blur), before) = tokio::join!(of_green, of_blur, closed);
    assert!(before < 200 * picture, "the device was lost too late: {before}");
    // Where a file begins is its reader's affair.
    let steps = |stream: &[u8]| {
        let pts = media::pts(stream, "v");
        pts.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>()
    };
    let sent = steps(&std::fs::read(film.path()).unwrap());
    assert_eq!(steps(&of_green), sent, "{green:?}");
    assert_eq!(steps(&of_blur), sent, "{blur:?}");
    assert_eq!((green.unprocessed, green.last_error), (0, None));
    assert!((1..125).contains(&blur.unprocessed), "{blur:?}");
    assert!(blur.last_error.as_ref().is_some_and(|error| error.contains("GPU")), "{blur:?}");
    assert_eq!(gpu.reopened(), 1, "{blur:?}");
    // What was worked on after it was lost came down from the next one.
    assert!(gpu.moved().1 > before, "{blur:?}");
    drop((gpu, host));
    let_the_driver_end().await;
}

/// Catches a host that goes down with its device, instances that go on with what is gone, and a device that does not come back.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_disappears_costs_frames_and_no_more() {
    let limits = Limits { instances: 4, frame_budget: Duration::from_secs(3), ..Limits::default() };
    let engine = Engine::start(limits, Gpu::new(Choice::Gpu(0)), ShaderReader::child(&program())).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let code = directory.path().join("code");
    ChildCompiler::new(engine.clone(), program()).compile(&guest("blur-shader"), &code).await.unwrap();
    let component = engine.load(&code).unwrap();
    let color = Color { matrix: ColorMatrix::Bt709, range: ColorRange::Limited };
    let picture = convert::write(PixelFormat::Gray8, 64, 48, &[90; 64 * 48], color).unwrap();
    let frame = VideoFrame { pts: Ticks(0), key: true, picture, presentation: Presentation::default() };
    for round in 0..3 {
        let identity = Identity {
            stream: "test".to_owned(),
            processor: "blur-shader@0.1.0".to_owned(),
            started: Instant::now(),
            http: HttpAccess::none(),
        };
        let mut instance = Instance::new(&engine, &component, &identity).await.unwrap();
        instance.load().await.unwrap();
        instance.start("{}").await.unwrap();
        let pending = async |instance: &mut Instance| match instance.video(&frame).await {
            Ok(VideoResult::Pending(pending)) => pending,
            other => panic!("{other:?}"),
        };
        let (shown, _) = pending(&mut instance).await.picture().unwrap();
        assert_eq!(convert::read(&shown, PixelFormat::Gray8), vec![90; 64 * 48], "in round {round}");
        let under_way = pending(&mut instance).await;
        engine.gpu().opened().unwrap().close();
        assert_eq!(under_way.picture().unwrap_err(), Failure::Lost);
        let failure = instance.video(&frame).await.unwrap_err();
        assert!(failure == Failure::Lost && failure.is_fatal() && failure.is_blameless(), "{failure}");
        assert_eq!(engine.gpu().reopened(), round);
    }
    drop((component, engine));
    let_the_driver_end().await;
}

/// A process that ends while the driver still works in it may crash.
async fn let_the_driver_end() {
    let works = || {
        let threads = std::fs::read_dir("/proc/self/task").unwrap();
        let mut names = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok());
        names.any(|name| name.starts_with("gpu") || name.starts_with("llvmpipe"))
    };
    let gone = async {
        while works() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("the GPU's threads end with it");
}
