//! What an instance may have, and what it can make the host spend: guests that want more get an answer, and it is counted.

use std::process::Stdio;
use std::time::Instant;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::host::Host;
use crate::harness::text::Text;
use crate::harness::{clip, guest, hostile, media, program};

/// Instances have this many bytes.
const MEMORY: u64 = 256 << 20;

/// Nothing here is about time, and the machine may be busy.
const PATIENT: [&str; 2] = ["--frame-budget", "5000"];

/// A host that has a hostile guest under its own name.
async fn host(flags: &[&str], name: &str) -> Host {
    let host = Host::start_with(&[&PATIENT, flags].concat());
    host.upload(name, &hostile(name)).await;
    host
}

/// Runs a second of video of this size through a guest; all of it must come out. Gives the stream's status.
async fn run(host: &Host, name: &str, size: &str, params: Value) -> Value {
    let segments = media::small_segments(size, 1);
    let id = format!("{name}-{}", params.to_string().replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
    let (received, status) = host.run(&id, name, params, &segments).await;
    assert_eq!(media::pts(&received.concat(), "v"), media::pts(&segments.concat(), "v"), "{status}");
    status
}

/// The number after a word of the last error.
fn said(status: &Value, word: &str) -> u64 {
    let error = status["last_error"].as_str().unwrap();
    let (_, rest) = error.split_once(word).unwrap_or_else(|| panic!("{error}"));
    rest.trim_start().split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

/// Catches memory beyond the limit, a refusal that traps, and one that nobody counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_takes_all_memory_is_told_where_it_ends() {
    let host = host(&[], "reserve").await;
    let status = run(&host, "reserve", "320x180", json!({})).await;
    assert!((240..=256).contains(&said(&status, "got ")), "{status}");
    assert_eq!(status["errors"], json!({ "reported": 25, "traps": 0, "overruns": 0 }), "{status}");
    assert!(status["guest"]["refused"]["memory"].as_u64() >= Some(25), "{status}");
    assert!(status["guest"]["memory_bytes"].as_u64() <= Some(MEMORY), "{status}");
}

/// A component with more core modules in it, each instantiated so many times.
fn with_module(component: &[u8], module: &str, instances: usize) -> Vec<u8> {
    fn leb(mut value: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while value >= 128 {
            bytes.push(value as u8 | 128);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    }
    let section = |id: u8, body: &[u8]| [&[id], &leb(body.len())[..], body].concat();
    // A section is its kind, its length and its bytes; those of kind 1 are core modules.
    let (mut modules, mut at) = (0, 8);
    while at < component.len() {
        modules += usize::from(component[at] == 1);
        let (mut length, mut shift) = (0_usize, 0);
        loop {
            at += 1;
            length |= usize::from(component[at] & 127) << shift;
            shift += 7;
            if component[at] < 128 {
                break;
            }
        }
        at += 1 + length;
    }
    let module = section(1, &wat::parse_str(module).unwrap());
    let instance = [&[0], &leb(modules)[..], &[0]].concat();
    let instances = section(2, &[leb(instances), instance.repeat(instances)].concat());
    [component, &module, &instances].concat()
}

/// Catches a component that gets more than an instance may have by declaring it, one that may use what is switched off, and a
/// refusal that does not say why.
#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_declares_too_much_is_refused() {
    let host = Host::start();
    let component = std::fs::read(guest("passthrough")).unwrap();
    let upload = async |name: &str, module: &str, instances: usize| {
        let bytes = with_module(&component, module, instances);
        let (status, answer) = host.send(Method::POST, &format!("/api/processors?name={name}"), bytes).await;
        (status, answer["message"].as_str().unwrap_or_default().to_owned())
    };
    let tables = "(table 65536 funcref)".repeat(14);
    let elements = format!("(module (elem funcref {}))", "(ref.null func)".repeat(20_000));
    // Pages have 64 KiB.
    for (name, module, instances, words) in [
        ("memories", "(module (memory 1600))", 3, "declares memories and tables of"),
        ("sum", &format!("(module (memory 3968) {tables})"), 1, "declares memories and tables of"),
        ("memory", "(module (memory 4800))", 1, "minimum byte size of 314572800"),
        ("table", "(module (table 70000 funcref))", 1, "table"),
        ("elements", &elements, 1, "20000 elements in passive segments"),
        ("many-memories", "(module (memory 1))", 4, "memor"),
        ("many-tables", "(module (table 1 funcref))", 16, "table"),
        ("many-parts", "(module)", 65, "instances"),
        ("multi-memory", "(module (memory 1) (memory 1))", 1, "multi"),
        ("memory64", "(module (memory i64 1))", 1, "memory64"),
        ("threads", "(module (memory 1 1 shared))", 1, "threads"),
        ("exceptions", "(module (tag))", 1, "exceptions"),
        ("gc", "(module (type (struct)))", 1, "gc"),
        ("references", "(module (type $t (func)) (func (param (ref $t))))", 1, "function references"),
        ("page-sizes", "(module (memory 1 (pagesize 1)))", 1, "custom"),
    ] {
        let (status, message) = upload(name, module, instances).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{name}: {message}");
        assert!(message.to_lowercase().contains(words), "{name}: {message}");
        assert!(!message.contains("pool"), "{name}: {message}");
    }
    let (status, message) = upload("enough", "(module (memory 1600) (table 65536 funcref))", 2).await;
    assert_eq!(status, StatusCode::CREATED, "{message}");
}

/// Catches handles without end, and frames that are kept without being counted.
#[tokio::test(flavor = "multi_thread")]
async fn retained_frames_are_counted_in_handles_and_in_bytes() {
    let host = host(&[], "keeper").await;
    let status = run(&host, "keeper", "320x180", json!({})).await;
    // The frame that is retained is a handle, too.
    assert_eq!((said(&status, "holds "), &status["guest"]["refused"]["handles"]), (999, &json!(1)), "{status}");
    let status = run(&host, "keeper", "1280x720", json!({})).await;
    let most = MEMORY / (1280 * 720 * 3 / 2);
    assert!((most - 10..most).contains(&said(&status, "holds ")), "{most}: {status}");
    assert_eq!(status["guest"]["refused"]["memory"], 1, "{status}");
    assert_eq!(status["errors"]["traps"], 0, "{status}");
}

/// Statements that are carried out in one call of an export alone, `times` over, where `n` is a global of its own.
fn once(n: &str, times: u32, statements: &str) -> String {
    format!(
        "(block $done (loop $more
            (br_if $done (i32.ge_u (global.get {n}) (i32.const {times})))
            (global.set {n} (i32.add (global.get {n}) (i32.const 1)))
            {statements} (br $more)))"
    )
}

/// Where results of imports go, the first byte of which says whether there is an error: then the guest traps.
const OR_TRAP: &str = "(if (i32.load8_u (i32.const 4096)) (then unreachable))";

/// Keeps so many pictures and tensors with its first picture, and so much sound with its first sound.
fn keeping(pictures: u32, tensors: u32, sounds: u32) -> Vec<u8> {
    let text = Text::new("keeping")
        .importing(
            r#"(import "rillbox:processor/video@0.1.0" "[method]video-frame.retain" (func $picture (param i32 i32)))
            (import "rillbox:processor/audio@0.1.0" "[method]audio-frame.retain" (func $sound (param i32 i32)))
            (import "rillbox:processor/tensor@0.1.0" "[static]tensor.full" (func $tensor (param i32 i32 i32 f64 i32)))"#,
        )
        .and(
            "(global $pictures (mut i32) (i32.const 0)) (global $tensors (mut i32) (i32.const 0))
            (global $sounds (mut i32) (i32.const 0))
            (data (i32.const 4200) \"\\01\")",
        );
    let picture = once("$pictures", pictures, &format!("(call $picture (local.get 0) (i32.const 4096)) {OR_TRAP}"));
    // One element of the type `uint8`.
    let tensor = "(call $tensor (i32.const 2) (i32.const 4200) (i32.const 1) (f64.const 1) (i32.const 4096))";
    let tensor = once("$tensors", tensors, &format!("{tensor} {OR_TRAP}"));
    let sound = once("$sounds", sounds, &format!("(call $sound (local.get 0) (i32.const 4096)) {OR_TRAP}"));
    text.before("process-video", &(picture + &tensor)).before("process-audio", &sound).component()
}

/// Catches a kind of handle with a limit of its own: an instance would have as many limits as there are kinds.
#[tokio::test(flavor = "multi_thread")]
async fn handles_of_all_kinds_are_one_sum() {
    let host = Host::start_with(&PATIENT);
    // A thousand, with the frame of a call.
    for (name, sounds, refused) in [("all", 449, false), ("one-more", 450, true)] {
        let (code, answer) = host.offer(name, keeping(50, 500, sounds)).await;
        assert_eq!(code, StatusCode::CREATED, "{answer}");
        let status = run(&host, name, "320x180", json!({})).await;
        assert_eq!(status["errors"]["traps"].as_u64() > Some(0), refused, "{name}: {status}");
        assert_eq!(status["guest"]["refused"]["handles"].as_u64() > Some(0), refused, "{name}: {status}");
    }
}

/// Makes so many handles of its own, which the host knows nothing of, with its first picture, and retains that so
/// often.
fn making(handles: u32, pictures: u32) -> Vec<u8> {
    let text = Text::new("making")
        .importing(
            r#"(import "rillbox:processor/video@0.1.0" "[method]video-frame.retain" (func $picture (param i32 i32)))
            (import "[export]example:mine/things@1.0.0" "[resource-new]thing" (func $thing (param i32) (result i32)))"#,
        )
        .and("(global $pictures (mut i32) (i32.const 0)) (global $things (mut i32) (i32.const 0))");
    let picture = once("$pictures", pictures, &format!("(call $picture (local.get 0) (i32.const 4096)) {OR_TRAP}"));
    let thing = once("$things", handles, "(drop (call $thing (i32.const 7)))");
    text.before("process-video", &(picture + &thing)).component_of(
        "package example:mine@1.0.0; interface things { resource thing; }
        world w { include rillbox:processor/live-processor@0.1.0; export things; }",
        "w",
    )
}

/// Catches handles of a guest's own making, each of which takes memory of the host's, without end; and a limit of
/// theirs that is in the way of the host's.
#[tokio::test(flavor = "multi_thread")]
async fn a_guest_makes_few_handles_of_its_own() {
    let host = Host::start_with(&PATIENT);
    // Two thousand, with the one that is lent.
    for (name, handles, pictures, refused) in [
        ("alone", 1_999, 0, false),
        ("beside-ours", 1_000, 999, false),
        ("alone-and-more", 2_000, 0, true),
        ("beside-ours-and-more", 1_001, 999, true),
    ] {
        let (code, answer) = host.offer(name, making(handles, pictures)).await;
        assert_eq!(code, StatusCode::CREATED, "{answer}");
        let status = run(&host, name, "320x180", json!({})).await;
        assert_eq!(status["errors"]["traps"].as_u64() > Some(0), refused, "{name}: {status}");
        // It is not the host's that there are too many of.
        assert_eq!(status["guest"]["refused"]["handles"], 0, "{name}: {status}");
        let error = status["last_error"].as_str().unwrap_or_default();
        assert_eq!(error.contains("handle"), refused, "{name}: {status}");
    }
}

/// Catches lists that are copied whatever their length, and text that a guest sends on to logs, channels and answers.
#[tokio::test(flavor = "multi_thread")]
async fn lists_are_as_long_as_the_largest_frame_and_a_quarter() {
    // 288,000 bytes.
    let host = host(&["--max-pixels", "57600"], "lists").await;
    for way in ["log", "fields", "publish", "event", "error"] {
        let status = run(&host, "lists", "320x180", json!({ "way": way, "bytes": 300_000 })).await;
        assert!(status["errors"]["traps"].as_u64() > Some(0), "{way}: {status}");
        assert!(status["last_error"].as_str().unwrap().contains("too much data"), "{way}: {status}");
        let status = run(&host, "lists", "320x180", json!({ "way": way, "bytes": 280_000 })).await;
        assert_eq!(status["errors"]["traps"], 0, "{way}: {status}");
        let (outputs, errors) = (&status["guest"]["refused"]["outputs"], &status["errors"]["reported"]);
        assert_eq!(outputs, if ["publish", "event"].contains(&way) { 25 } else { 0 }, "{way}: {status}");
        assert_eq!(errors, if way == "error" { 25 } else { 0 }, "{way}");
        assert!(status.to_string().len() < 20_000, "{way}: {status}");
    }
}

/// Catches values that pass a flush's limit, and refusals that are not counted.
#[tokio::test(flavor = "multi_thread")]
async fn data_beyond_a_flush_is_refused_and_counted() {
    let host = host(&[], "talker").await;
    let (began, bytes) = (Instant::now(), 5_000);
    let status = run(&host, "talker", "320x180", json!({ "values": 100, "bytes": bytes })).await;
    // What passed at once when a flush began was allowed in that flush, and so was what passed when the last one did.
    let flushes = began.elapsed().as_secs_f64() / 0.333 + 1.0;
    let (sent, refused) = (&status["guest"]["outputs"], &status["guest"]["refused"]["outputs"]);
    let (sent, refused) = (sent.as_u64().unwrap(), refused.as_u64().unwrap());
    // One more may be said as the stream stops.
    assert!((2_500..=2_501).contains(&(sent + refused)) && refused > 1_000, "{status}");
    // Each value is its text at least, and one of a flush is there at least.
    let most = flushes * f64::from(60 << 10) / f64::from(bytes);
    assert!(sent >= 12 && sent as f64 <= most + 1.0, "{sent} of {bytes} bytes in {flushes} flushes: {status}");
    assert_eq!(status["errors"]["traps"], 0, "{status}");
}

/// Catches a log that a guest fills, and lines that are dropped without a count.
#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_shouts_is_heard_64_kib_a_second() {
    let host = host(&[], "shout").await;
    let status = run(&host, "shout", "320x180", json!({})).await;
    let refused = status["guest"]["refused"]["log_lines"].as_u64().unwrap();
    assert!(refused > 500, "{status}");
    assert_eq!(status["errors"]["traps"], 0, "{status}");
    let began = Instant::now();
    let (_, log) = run_clip("shout", "");
    let seconds = began.elapsed().as_secs_f64();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(r#""target":"guest""#)).collect();
    let bytes: usize = lines.iter().map(|line| line.len()).sum();
    // Whatever passed at once when a second began was allowed in that second.
    assert!((20_000..=((seconds + 1.0) * 65_536.0) as usize).contains(&bytes), "{bytes} bytes in {seconds} s");
    assert!(log.contains("lines were dropped"), "{}", lines.len());
}

/// Puts the clip through a guest with `rillbox run`, under a shell's `limits`; gives its exit and its log.
fn run_clip(name: &str, limits: &str) -> (bool, String) {
    let out = TempDir::new().unwrap();
    let output = std::process::Command::new("sh")
        .args(["-c", &format!("{limits} exec \"$@\""), "sh"])
        .args([
            program().as_os_str(),
            "run".as_ref(),
            if name == "passthrough" { guest(name) } else { hostile(name) }.as_os_str(),
        ])
        .args(["--input".as_ref(), clip().as_os_str()])
        .args(["--output".as_ref(), out.path().join("out.ts").as_os_str()])
        .args(["--log-format", "json", "--frame-budget", "5000"])
        .env("RUST_LOG", "info")
        .stdout(Stdio::null())
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

/// Catches WASI as a way around the limits: handles, output and bytes of its own.
#[tokio::test(flavor = "multi_thread")]
async fn wasi_has_the_same_limits() {
    let host = host(&[], "wasi").await;
    for way in ["timers", "streams", "write", "zeros", "random"] {
        let status = run(&host, "wasi", "320x180", json!({ "way": way })).await;
        let traps = status["errors"]["traps"].as_u64();
        assert!(traps > Some(0), "{way}: {status}");
        assert_eq!(status["errors"], json!({ "reported": 0, "traps": traps, "overruns": 0 }), "{way}: {status}");
    }
}

/// Catches sound that is made out of nothing, for the host to encode, and sound that is kept without being counted.
#[tokio::test(flavor = "multi_thread")]
async fn a_guest_gives_back_no_more_sound_than_it_was_given() {
    let host = host(&[], "swell").await;
    let segments = media::clip_segments();
    let sound = |segments: &[Vec<u8>]| media::pts(&segments.concat(), "a").len() as f64;
    for copies in [2, 100] {
        let (received, status) =
            host.run(&format!("made-{copies}"), "swell", json!({ "copies": copies }), &segments).await;
        assert!(status["errors"]["reported"].as_u64() > Some(20), "{status}");
        assert!(status["last_error"].as_str().unwrap().contains("s of sound"), "{status}");
        // 21 ms a packet came in, 20 ms go out.
        let (seconds_in, seconds_out) = (sound(&segments) * 0.0214, sound(&received) * 0.02);
        assert!(seconds_out <= seconds_in + 1.2, "{seconds_in} s became {seconds_out} s");
    }
    let before = host.memory();
    let (_, status) = host.run("kept", "swell", json!({ "kept_seconds": 5 }), &segments).await;
    assert!(status["guest"]["refused"]["memory"].as_u64() > Some(0), "{status}");
    assert!(status["guest"]["memory_bytes"].as_u64() <= Some(MEMORY), "{status}");
    assert_eq!(status["errors"]["traps"], 0, "{status}");
    assert!(host.memory() < before + 2 * MEMORY, "{} after {before}", host.memory());
}

/// Catches a description of any size that the host reads, keeps and hands on.
#[tokio::test(flavor = "multi_thread")]
async fn a_component_says_little_of_itself() {
    let host = Host::start();
    let bytes = std::fs::read(hostile("boast")).unwrap();
    let (status, answer) = host.send(Method::POST, "/api/processors", bytes).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
    let message = answer["message"].as_str().unwrap();
    assert!(message.contains("bytes of itself, more than") && message.len() < 300, "{message}");
}

/// Catches a guest without vice that is taken for one with.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_may_go_there_and_back() {
    let host = host(&[], "rgba").await;
    let status = run(&host, "rgba", "320x180", json!({})).await;
    assert_eq!(status["errors"], json!({ "reported": 0, "traps": 0, "overruns": 0 }), "{status}");
    let none = json!({ "memory": 0, "handles": 0, "outputs": 0, "log_lines": 0, "operations": 0 });
    assert_eq!(status["guest"]["refused"], none);
}

/// Catches a host that does not start where it cannot reserve addresses, and one that never tries to.
#[tokio::test(flavor = "multi_thread")]
async fn without_address_space_instances_are_made_on_demand() {
    let warning = "made on demand";
    let (succeeded, log) = run_clip("passthrough", "");
    assert!(succeeded && !log.contains(warning), "{log}");
    // 32 GiB, in KiB: a few memories of 4 GiB each, and no pool of them.
    let (succeeded, log) = run_clip("passthrough", "ulimit -v 33554432;");
    assert!(succeeded && log.contains(warning), "{log}");
}
