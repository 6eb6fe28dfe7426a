//! Hostile uploads: each is refused with its reason, in time, and in a process that the host does not depend on.

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::host::Host;
use crate::harness::text::{Text, dummy, stranger};
use crate::harness::{PATIENCE, PATIENT, bombs, guest, media};

const CLOCK: &str = r#"(import "rillbox:processor/clock@0.1.0" "now" (func $now (result i64)))"#;

/// Functions that take a compiler some seconds.
const SOME: u32 = 40;

/// Between two looks at a host's children.
const LOOK: Duration = Duration::from_millis(20);

async fn refused(host: &Host, what: &str, bytes: Vec<u8>) -> String {
    let (code, answer) = host.offer("x", bytes).await;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY, "{what}: {answer}");
    answer["message"].as_str().unwrap().to_owned()
}

async fn refused_for(host: &Host, what: &str, bytes: Vec<u8>, word: &str) {
    let mut message = refused(host, what, bytes.clone()).await;
    // What does not get its time is not named for what it did with it.
    for _ in 0..20 {
        if message.contains(word) || !message.contains("too busy") {
            break;
        }
        message = refused(host, what, bytes.clone()).await;
    }
    assert!(message.contains(word), "{what}: {message}");
    assert!(message.len() < 4_000, "{what}: {} bytes of message", message.len());
}

fn left(data: &Path) -> usize {
    ["processors", "compiled", "incoming"].map(|part| std::fs::read_dir(data.join(part)).unwrap().count()).iter().sum()
}

/// The components of the other tests differ from this one by their one fault: catches a generator whose refusals are of its own
/// making.
#[tokio::test(flavor = "multi_thread")]
async fn a_component_without_a_fault_is_taken_and_runs() {
    let host = Host::start_with(&PATIENT);
    let (code, answer) = host.offer("text", Text::new("text").component()).await;
    assert_eq!(code, StatusCode::CREATED, "{answer}");
    let segments = media::small_segments("160x90", 1);
    let (out, status) = host.run("text", "text", json!({ "any": 1 }), &segments).await;
    assert_eq!(media::pts(&out.concat(), "v"), media::pts(&segments.concat(), "v"), "{status}");
    assert_eq!(status["errors"], json!({ "reported": 0, "traps": 0, "overruns": 0 }));
}

/// Catches a component of another shape that is taken, or refused without saying what it lacks.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_the_contract_is_named() {
    let data = TempDir::new().unwrap();
    let host = Host::start_in(data.path(), &[]);
    let export = "package rillbox:processor@0.1.0; world w { export processor; }";
    let lacking = format!("{export} interface processor {{ load: func() -> result<_, string>; stop: func(); }}");
    let differing = format!(
        "{export} interface processor {{ describe: func() -> u32; load: func(); start: func(); update-params: func();
            stop: func(); process-video: func(); process-audio: func(); }}"
    );
    let secret = "package example:secret@1.0.0; interface door { open: func(); }
        world w { include rillbox:processor/live-processor@0.1.0; import door; }";
    let cases = [
        ("a core module", Text::new("x").core(), "core WebAssembly module"),
        ("an empty component", b"\0asm\x0d\0\x01\0".to_vec(), "rillbox:processor/processor"),
        ("another world", stranger("package a:b; world w { export run: func(); }"), "rillbox:processor/processor"),
        ("a world that lacks an export", stranger(&lacking), "describe"),
        ("an export of another signature", stranger(&differing), "type mismatch"),
        ("an import that is not offered", dummy(Some((secret, "w"))), "example:secret/door"),
        ("more memory than there may be", Text::new("x").pages(5_000).component(), "memory"),
    ];
    for (what, bytes, word) in cases {
        refused_for(&host, what, bytes, word).await;
    }
    assert_eq!(left(data.path()), 0, "leftovers of what was refused");
    assert!(host.panics().is_empty(), "{:?}", host.panics());
}

/// Catches a `describe` that keeps the host waiting, takes it down, or fills it.
#[tokio::test(flavor = "multi_thread")]
async fn a_describe_that_misbehaves_is_named() {
    let data = TempDir::new().unwrap();
    let host = Host::start_in(data.path(), &[]);
    let x = || Text::new("x");
    // Where the description is, and what its fields are set to.
    let set = |fields: &[(u32, u32)]| {
        let stores = fields.iter().map(|(at, value)| format!("(i32.store (i32.const {at}) (i32.const {value}))"));
        stores.collect::<String>() + "(i32.const 64)"
    };
    let megabytes = 200 << 20;
    let schema = |schema: &Value| x().schema(&schema.to_string()).component();
    let with = |key: &str, value: Value| schema(&json!({ "properties": { "a": { key: value } } }));
    let deep = (0..60).fold(json!({}), |inner, _| json!({ "not": inner }));
    let mut doubling = json!({ "$ref": "#/$defs/0", "$defs": { "25": {} } });
    for level in 0..25 {
        let next = json!({ "$ref": format!("#/$defs/{}", level + 1) });
        doubling["$defs"][level.to_string()] = json!({ "allOf": [next, next] });
    }
    let cases = [
        ("it loops", x().with("describe", "(loop $l (br $l)) unreachable"), "the processor ran"),
        (
            "it calls imports",
            x().importing(CLOCK).with("describe", "(loop $l (drop (call $now)) (br $l)) unreachable"),
            "the processor ran",
        ),
        ("it traps", x().with("describe", "unreachable"), "unreachable"),
        (
            "it recurses",
            x().and("(func $again (call $again))").with("describe", "(call $again) (i32.const 64)"),
            "stack",
        ),
        ("it points outside", x().with("describe", "(i32.const -4)"), "describe"),
        ("megabytes of name", x().pages(3_300).with("describe", &set(&[(68, megabytes)])), "describe"),
        ("megabytes of list", x().pages(3_300).with("describe", &set(&[(92, 1024), (96, megabytes / 8)])), "describe"),
        (
            "a name that is no text",
            x().with("describe", "(i32.store8 (i32.const 256) (i32.const 255)) (i32.const 64)"),
            "utf-8",
        ),
        ("no version", x().with("describe", &set(&[(76, 0)])), "version"),
        ("no track", x().with("describe", &set(&[(88, 0x0200)])), "neither video nor audio"),
        ("formats that there are not", x().with("describe", &set(&[(88, 0x0903)])), "describe"),
    ];
    for (what, text, word) in cases {
        refused_for(&host, what, text.component(), word).await;
    }
    let schemas = [
        ("a schema that is no JSON", x().schema("{").component(), "not JSON"),
        ("a schema that is no schema", with("type", json!(7)), "does not hold"),
        ("a schema from elsewhere", with("$ref", json!("http://127.0.0.1:9/schema")), "$ref"),
        ("a schema in a file", with("$ref", json!("file:///etc/passwd")), "$ref"),
        ("a schema too large", with("description", json!("x".repeat(65 << 10))), "bytes"),
        ("a schema too deep", schema(&deep), "deep"),
        ("JSON too deep", x().schema(&("[".repeat(10_000) + &"]".repeat(10_000))).component(), "not JSON"),
        ("a schema in a circle", with("$ref", json!("#")), "circle"),
        ("a schema that doubles", schema(&doubling), "parts"),
        ("a schema that takes a host's key", schema(&json!({ "properties": { "width": {} } })), "width"),
        ("a pattern too large", with("pattern", json!("((a{1000}){1000}){1000}")), "does not hold"),
        ("a pattern of a megabyte", with("pattern", json!("(?:[^x]{100}){100}")), "does not hold"),
    ];
    for (what, bytes, word) in schemas {
        refused_for(&host, what, bytes, word).await;
    }
    assert_eq!(left(data.path()), 0, "leftovers of what was refused");
    assert!(host.panics().is_empty(), "{:?}", host.panics());
}

/// Catches a component that was cut off and is taken, or breaks what reads it.
#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_component_is_refused_wherever_it_ends() {
    let data = TempDir::new().unwrap();
    let host = Host::start_in(data.path(), &[]);
    let whole = std::fs::read(guest("green")).unwrap();
    for sixteenth in 0..16 {
        let bytes = whole[..whole.len() * sixteenth / 16].to_vec();
        let message = refused(&host, &format!("{sixteenth}/16"), bytes).await;
        assert!(
            ["empty", "offset", "bounds", "rillbox:"].iter().any(|word| message.contains(word)),
            "{sixteenth}: {message}"
        );
    }
    assert_eq!(left(data.path()), 0, "leftovers of what was refused");
    assert!(host.panics().is_empty(), "{:?}", host.panics());
}

/// A host's children, by the directories of their processes.
fn children(host: &Host) -> Vec<procfs::process::Process> {
    let parent = i32::try_from(host.pid()).unwrap();
    let all = procfs::process::all_processes().unwrap().flatten();
    all.filter(|process| process.stat().is_ok_and(|stat| stat.ppid == parent && stat.state != 'Z')).collect()
}

/// Children that compile: their program has begun and lowered its own limits.
fn begun(host: &Host) -> Vec<procfs::process::Process> {
    let own = procfs::process::Process::new(i32::try_from(host.pid()).unwrap()).unwrap().stat().unwrap().nice;
    children(host).into_iter().filter(|child| child.stat().is_ok_and(|stat| stat.nice > own)).collect()
}

/// A child that compiles, once there is one.
async fn compiling(host: &Host) -> procfs::process::Process {
    let found = async {
        loop {
            match begun(host).pop() {
                Some(child) => return child,
                None => tokio::time::sleep(LOOK).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("a child that compiles")
}

/// Catches a component that takes the host's time or memory while it is compiled, a child that is not bounded, one that has
/// anything of the host's, more children than two, and a good upload that bombs keep out.
#[tokio::test(flavor = "multi_thread")]
async fn compile_bombs_go_off_in_a_child() {
    let data = TempDir::new().unwrap();
    let host = std::sync::Arc::new(Host::start_in(data.path(), &[]));
    refused_for(&host, "types", bombs::of_types(), "type size").await;
    let memory = host.memory();
    let mut uploads = tokio::task::JoinSet::new();
    for (what, bytes, reasons) in [
        ("time", bombs::of_time(), &["longer than 30 s"][..]),
        ("memory", bombs::of_memory(), &["2048 MiB of memory"]),
        // On a machine that does much else, memory may last for as long as time does.
        ("length", bombs::of_length(), &["2048 MiB of memory", "longer than 30 s"]),
        ("depth", bombs::of_depth(), &["2048 MiB of memory", "longer than 30 s"]),
    ] {
        let host = host.clone();
        uploads.spawn(async move {
            let message = refused(&host, what, bytes).await;
            assert!(reasons.iter().any(|reason| message.contains(reason)), "{what}: {message}");
        });
    }
    assert_holds_nothing(&compiling(&host).await);
    let good = host.clone();
    uploads.spawn(async move {
        let (code, answer) = good.offer("green", std::fs::read(guest("green")).unwrap()).await;
        assert_eq!(code, StatusCode::CREATED, "{answer}");
    });
    let mut most = 0;
    while !uploads.is_empty() {
        most = most.max(children(&host).len());
        assert!(host.memory() < memory + (128 << 20), "the host itself grew to {} bytes", host.memory());
        if let Ok(Some(upload)) = tokio::time::timeout(LOOK, uploads.join_next()).await {
            upload.unwrap();
        }
    }
    assert_eq!(most, 2, "children at once");
    assert!(host.panics().is_empty(), "{:?}", host.panics());
}

/// Stops a process where it is, if it still is there and goes on.
fn stop(process: &procfs::process::Process) {
    if process.stat().is_ok_and(|stat| stat.state == 'T') {
        return;
    }
    std::process::Command::new("kill").args(["-STOP", &process.pid.to_string()]).output().unwrap();
}

/// Catches uploads that wait for a compiler without end, and an answer that blames whoever sent one, or does not say
/// when to come again.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_too_long_for_a_compiler_is_told_to_come_again() {
    let host = std::sync::Arc::new(Host::start());
    let mut uploads = tokio::task::JoinSet::new();
    // Two at once, for 30 s each: after 60 s there are some that have waited as long as they may.
    for place in 0..8 {
        let host = host.clone();
        uploads.spawn(async move {
            let began = Instant::now();
            let answer = host.answer_to_offer(&format!("x-{place}"), bombs::of_some_time(SOME)).await;
            let again = answer.headers().get("retry-after").map(|seconds| seconds.to_str().unwrap().to_owned());
            (began.elapsed(), answer.status(), again, answer.json::<Value>().await.unwrap())
        });
    }
    let mut busy = 0;
    while !uploads.is_empty() {
        // Whoever stands still takes its 30 s from nobody else.
        begun(&host).iter().for_each(stop);
        let Ok(Some(upload)) = tokio::time::timeout(LOOK, uploads.join_next()).await else { continue };
        let (waited, code, again, answer) = upload.unwrap();
        let message = answer["message"].as_str().unwrap();
        if code == StatusCode::SERVICE_UNAVAILABLE {
            assert!(waited >= Duration::from_secs(60) && message.contains("try again"), "{waited:?}: {answer}");
            assert!(again.is_some_and(|seconds| seconds.parse::<u32>().is_ok_and(|seconds| seconds > 0)), "{answer}");
            busy += 1;
        } else {
            assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
            assert!(message.contains("longer than 30 s"), "{answer}");
        }
        if busy == 2 {
            break;
        }
    }
    assert_eq!(busy, 2, "all others had their turn");
    // Those that are left give way with whoever sent them.
    uploads.shutdown().await;
    let (code, answer) = host.offer("text", Text::new("text").component()).await;
    assert_eq!(code, StatusCode::CREATED, "{answer}");
    assert!(host.panics().is_empty(), "{:?}", host.panics());
}

/// Nothing that a child could use against the host.
fn assert_holds_nothing(child: &procfs::process::Process) {
    assert_eq!(child.environ().unwrap().len(), 0, "an environment");
    let open: Vec<_> = child.fd().unwrap().flatten().map(|open| (open.fd, open.target)).collect();
    let target = |wanted: i32| open.iter().find(|(fd, _)| *fd == wanted).map(|(_, target)| format!("{target:?}"));
    assert!(target(0).is_some_and(|target| target.contains("/dev/null")), "{open:?}");
    // Beside the pipes to the host only what its own runtime opens for itself, and what says for a moment how many cores it has.
    let (itself, cores) = (format!("/proc/{}/", child.pid), "/sys/fs/cgroup/");
    for (fd, target) in open.iter().filter(|(fd, _)| *fd > 2) {
        let target = format!("{target:?}");
        let own = ["eventfd", "eventpoll", ".wasm", &itself, cores].iter().any(|own| target.contains(own));
        assert!(own, "descriptor {fd} is {target}");
    }
    let limits = child.limits().unwrap();
    let limit = |limit: &procfs::process::LimitValue| match limit {
        procfs::process::LimitValue::Value(value) => *value,
        procfs::process::LimitValue::Unlimited => u64::MAX,
    };
    assert!(limit(&limits.max_data_size.hard_limit) <= 2 << 30);
    assert!(limit(&limits.max_cpu_time.soft_limit) <= 60);
    assert_eq!(limit(&limits.max_core_file_size.hard_limit), 0);
}

/// Catches a child that goes on when its host was killed.
#[tokio::test(flavor = "multi_thread")]
async fn a_child_goes_with_its_host() {
    let host = Host::start();
    let address = host.api_address().to_owned();
    let upload = tokio::spawn(async move {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.post(format!("http://{address}/api/processors?name=x")).body(bombs::of_time()).send().await
    });
    let child = compiling(&host).await;
    let began = Instant::now();
    host.kill();
    assert!(upload.await.unwrap().is_err(), "the host is gone");
    // It may be a zombie for as long as nobody asks for its end.
    while child.stat().is_ok_and(|stat| stat.state != 'Z') {
        assert!(began.elapsed() < Duration::from_secs(10), "the child is still there");
        tokio::time::sleep(LOOK).await;
    }
}
