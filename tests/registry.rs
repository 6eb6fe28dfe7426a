//! What is on the disk: whole or not at all, whenever the host is killed, and nobody else's.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::harness::component::tiny;
use crate::harness::host::Host;
use crate::harness::{disk, guest, hostile, media, program};

/// Uploads under which hosts are killed.
const UPLOADS: usize = 200;

/// Clients that upload at once.
const CLIENTS: usize = 4;

/// One of the uploads, and what is known of it.
struct Upload {
    id: String,
    path: String,
    bytes: Vec<u8>,
    sha256: String,
    fate: Mutex<Fate>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// Nothing was asked, or it was answered that it is gone.
    Absent,
    /// Asked, and not answered.
    Either,
    /// Answered that it is there.
    Stored,
}

impl Upload {
    fn new(number: usize) -> Self {
        let (name, version) = (format!("p{}", number / 4), format!("1.{}.0", number % 4));
        let bytes = tiny(&version, &number.to_string());
        let sha256 = disk::sha256(&bytes);
        let path = format!("/api/processors?name={name}");
        Self { id: format!("{name}@{version}"), path, bytes, sha256, fate: Mutex::new(Fate::Absent) }
    }

    fn becomes(&self, fate: Fate) {
        *self.fate.lock().unwrap() = fate;
    }
}

/// Uploads, and deletes every fifth again, until there is none left or the host is gone.
async fn work(
    host: Arc<Host>,
    uploads: Arc<Vec<Upload>>,
    queue: Arc<Mutex<VecDeque<usize>>>,
    answers: mpsc::UnboundedSender<()>,
) {
    loop {
        let Some(number) = queue.lock().unwrap().pop_front() else { return };
        let upload = &uploads[number];
        upload.becomes(Fate::Either);
        let Some((status, answer)) = host.try_send(Method::POST, &upload.path, upload.bytes.clone()).await else {
            queue.lock().unwrap().push_front(number);
            return;
        };
        assert_eq!(
            (status, answer["sha256"].as_str()),
            (StatusCode::CREATED, Some(upload.sha256.as_str())),
            "{answer}"
        );
        upload.becomes(Fate::Stored);
        let _ = answers.send(());
        if number % 5 == 0 {
            upload.becomes(Fate::Either);
            let path = format!("/api/processors/{}", upload.id);
            let Some((status, answer)) = host.try_send(Method::DELETE, &path, Vec::new()).await else { return };
            assert_eq!(status, StatusCode::OK, "{answer}");
            upload.becomes(Fate::Absent);
            let _ = answers.send(());
        }
    }
}

/// Holds a host that has just started, and its disk, to what was answered. Gives how many processors there are.
async fn check(host: &Host, data: &Path, uploads: &[Upload]) -> usize {
    let (_, list) = host.get("/api/processors").await;
    let manifests = list["processors"].as_array().unwrap();
    let id =
        |manifest: &Value| format!("{}@{}", manifest["name"].as_str().unwrap(), manifest["version"].as_str().unwrap());
    let mut listed: BTreeMap<String, &Value> = manifests.iter().map(|manifest| (id(manifest), manifest)).collect();
    for upload in uploads {
        let (there, fate) = (listed.remove(&upload.id), *upload.fate.lock().unwrap());
        let wrong = fate == Fate::Stored && there.is_none() || fate == Fate::Absent && there.is_some();
        assert!(!wrong, "{}: {fate:?}, but {there:?}", upload.id);
        // Whatever became of a call without an answer, it stays so.
        upload.becomes(if there.is_some() { Fate::Stored } else { Fate::Absent });
        if let Some(manifest) = there {
            assert_eq!(manifest["sha256"], upload.sha256.as_str(), "{}", upload.id);
            let bytes = host.fetch(&format!("/api/processors/{}.wasm", upload.id)).await;
            assert_eq!(disk::sha256(&bytes), upload.sha256, "{}", upload.id);
        }
    }
    assert!(listed.is_empty(), "nobody uploaded {listed:?}");
    assert_eq!(disk::files(data), disk::expected(data, manifests), "what was left is not cleaned");
    let left = fs::read_dir(data.join("incoming")).unwrap().count();
    assert_eq!(left, 0, "what was being made is still there");
    manifests.len()
}

/// Catches an upload that was answered and is lost, one that is listed half-written or after its removal was answered, an
/// index that is not read again, and leftovers that stay: after `kill -9` at random moments of 200 uploads.
#[tokio::test(flavor = "multi_thread")]
async fn kill_9_at_any_moment_loses_nothing_that_was_answered() {
    let seed = std::env::var("SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("SEED={seed} chooses the same moments again");
    let mut moments = StdRng::seed_from_u64(seed);
    let data = TempDir::new().unwrap();
    let uploads: Arc<Vec<_>> = Arc::new((0..UPLOADS).map(Upload::new).collect());
    let queue: Arc<Mutex<VecDeque<usize>>> = Arc::new(Mutex::new((0..UPLOADS).collect()));
    let (mut kills, mut unanswered) = (0, 0);
    while !queue.lock().unwrap().is_empty() {
        let host = Arc::new(Host::start_in(data.path(), &[]));
        check(&host, data.path(), &uploads).await;
        let (sender, mut answers) = mpsc::unbounded_channel();
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            clients.spawn(work(host.clone(), uploads.clone(), queue.clone(), sender.clone()));
        }
        drop(sender);
        for _ in 0..moments.random_range(0..16) {
            // None are left to come when all is uploaded.
            answers.recv().await;
        }
        tokio::time::sleep(Duration::from_micros(moments.random_range(0..100_000))).await;
        host.kill();
        kills += 1;
        while let Some(ended) = clients.join_next().await {
            ended.unwrap();
        }
        unanswered += uploads.iter().filter(|upload| *upload.fate.lock().unwrap() == Fate::Either).count();
    }
    let host = Host::start_in(data.path(), &[]);
    let left = check(&host, data.path(), &uploads).await;
    println!("{kills} kills in {UPLOADS} uploads, {unanswered} calls cut off; {left} processors are left");
    assert!(kills >= 10 && unanswered >= 10, "hardly anything was killed in the middle");
    host.start_stream("last", &uploads[UPLOADS - 1].id, json!({})).await;
}

/// Catches each leftover that a killed host can leave, and files of somebody else's that are removed along with them.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_host_leaves_is_cleaned() {
    let data = TempDir::new().unwrap();
    let host = Host::start_in(data.path(), &[]);
    let mut uploaded = Vec::new();
    for version in ["1.0.0", "2.0.0"] {
        let (_, manifest) = host.send(Method::POST, "/api/processors", tiny(version, "")).await;
        uploaded.push(manifest);
    }
    drop(host);
    let whole = disk::files(data.path());
    assert_eq!(whole, disk::expected(data.path(), &uploaded));
    let leave = |path: &str, bytes: &[u8]| {
        let path = data.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let component = tiny("3.0.0", "");
    let manifest = serde_json::to_vec(&uploaded[0]).unwrap();
    let sha256 = disk::sha256(&component);
    for (path, bytes) in [
        // An upload before its manifest, while that is written, and while it is moved into place.
        (format!("processors/tiny@3.0.0/{sha256}.wasm"), &component),
        (format!("processors/tiny@4.0.0/{sha256}.wasm#1"), &component),
        (format!("processors/tiny@5.0.0/{sha256}.wasm"), &component),
        ("processors/tiny@5.0.0/manifest.json#1".to_owned(), &manifest),
        ("processors/tiny@1.0.0/manifest.json#12".to_owned(), &manifest),
        // One that another upload of the same version came before.
        (format!("processors/tiny@2.0.0/{sha256}.wasm"), &component),
        // Choices: half-written, and of a version that was deleted.
        ("defaults/tiny.json#1".to_owned(), &manifest),
        ("defaults/tiny.json".to_owned(), &br#"{"version":"9.9.9"}"#.to_vec()),
        // What was compiled for a processor that is not there, and by another version of the host.
        (format!("compiled/{sha256}-0123456789abcdef.cwasm"), &component),
        (format!("compiled/{}-0123456789abcdef.cwasm", uploaded[0]["sha256"].as_str().unwrap()), &component),
        ("compiled/anything".to_owned(), &component),
        ("incoming/.tmpabc/component.wasm".to_owned(), &component),
    ] {
        leave(&path, bytes);
    }
    fs::create_dir(data.path().join("processors/tiny@6.0.0")).unwrap();
    // These are not a host's own.
    let theirs = ["processors/README", "processors/tiny@7.0.0/notes", "processors/tiny@8.0.0/manifest.json", "README"];
    for path in theirs {
        leave(path, &manifest);
    }
    let host = Host::start_in(data.path(), &[]);
    assert_eq!(host.get("/api/processors").await.1["processors"], json!(uploaded));
    assert_eq!(host.get("/api/processors/tiny/versions").await.1["default"], Value::Null);
    let expected = whole.into_iter().chain(theirs.map(str::to_owned)).collect();
    assert_eq!(disk::files(data.path()), expected);
    assert!(!data.path().join("processors/tiny@6.0.0").exists());
    let (status, answer) = host.send(Method::POST, "/api/processors", tiny("8.0.0", "")).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer["message"].as_str().unwrap().contains("tiny@8.0.0"), "{answer}");
}

/// Catches data of the first version of rillbox that is no longer found: components had no digest in their names.
#[tokio::test(flavor = "multi_thread")]
async fn data_of_an_earlier_version_is_taken_over() {
    let data = TempDir::new().unwrap();
    let host = Host::start_in(data.path(), &[]);
    let (_, uploaded) = host.send(Method::POST, "/api/processors", tiny("1.0.0", "")).await;
    drop(host);
    let folder = data.path().join("processors/tiny@1.0.0");
    let sha256 = uploaded["sha256"].as_str().unwrap();
    fs::rename(folder.join(format!("{sha256}.wasm")), folder.join("component.wasm")).unwrap();
    fs::rename(disk::code(data.path(), sha256, "seal"), data.path().join("compiled/0.sha256")).unwrap();
    fs::remove_file(data.path().join("key")).unwrap();
    fs::remove_dir(data.path().join("defaults")).unwrap();
    let host = Host::start_in(data.path(), &[]);
    assert_eq!(host.get("/api/processors").await.1["processors"], json!([uploaded]));
    assert_eq!(host.fetch("/api/processors/tiny.wasm").await, tiny("1.0.0", ""));
    host.start_stream("old", "tiny", json!({})).await;
    assert_eq!(disk::files(data.path()), disk::expected(data.path(), &[uploaded]));
}

/// Catches a component that is served or compiled although it is not what was uploaded.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_component_is_told_and_replaced_by_a_new_upload() {
    let data = TempDir::new().unwrap();
    let host = Host::start_in(data.path(), &[]);
    let (_, uploaded) = host.send(Method::POST, "/api/processors", tiny("1.0.0", "")).await;
    let sha256 = uploaded["sha256"].as_str().unwrap();
    let mut other = tiny("1.0.0", "");
    *other.last_mut().unwrap() ^= 1;
    fs::write(data.path().join(format!("processors/tiny@1.0.0/{sha256}.wasm")), other).unwrap();
    fs::remove_file(disk::code(data.path(), sha256, "cwasm")).unwrap();
    let (status, answer) = host.get("/api/processors/tiny.wasm").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer["message"].as_str().unwrap().contains("damaged"), "{answer}");
    let (status, answer) = host.post("/api/stream/start", host.start_body("s", "tiny", json!({}))).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer["message"].as_str().unwrap().contains("damaged"), "{answer}");
    assert_eq!(host.send(Method::DELETE, "/api/processors/tiny", "").await.0, StatusCode::OK);
    host.send(Method::POST, "/api/processors", tiny("1.0.0", "")).await;
    host.start_stream("s", "tiny", json!({})).await;
}

/// Catches two hosts that work in one directory, where each would clean away what the other is making.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_host_does_not_get_the_directory() {
    let data = TempDir::new().unwrap();
    let host = Host::start_in(data.path(), &[]);
    let second = Command::new(program())
        .args(["serve", "--no-trickle", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(data.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success() && said.contains("another host") && said.contains("--data-dir"), "{said}");
    drop(host);
    Host::start_in(data.path(), &[]);
}

/// Catches native code that is loaded although this host did not write it for that component: it would run outside the
/// sandbox. Each case puts something in the place of `green`'s code; the code of `withhold` would withhold every second frame.
#[tokio::test(flavor = "multi_thread")]
async fn compiled_code_of_others_is_not_loaded() {
    let (here, there) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (host, foreign) = (Host::start_in(here.path(), &[]), Host::start_in(there.path(), &[]));
    let green = host.upload("green", &guest("green")).await;
    let withhold = host.upload("withhold", &hostile("withhold")).await;
    foreign.upload("green", &guest("green")).await;
    let [green, withhold] = [green, withhold].map(|manifest| manifest["sha256"].as_str().unwrap().to_owned());
    let file = |data: &TempDir, sha256: &str, end| disk::code(data.path(), sha256, end);
    let (code, seal) = (file(&here, &green, "cwasm"), file(&here, &green, "seal"));
    let own = [&code, &seal].map(|path| fs::read(path).unwrap());
    let other = ["cwasm", "seal"].map(|end| fs::read(file(&here, &withhold, end)).unwrap());
    let theirs = ["cwasm", "seal"].map(|end| fs::read(file(&there, &green, end)).unwrap());
    let damaged: Vec<u8> =
        own[0].iter().enumerate().map(|(at, byte)| byte ^ u8::from(at == own[0].len() / 2)).collect();
    let segments = media::small_segments("160x90", 1);
    for (what, planted, its_seal) in [
        ("without a seal", &other[0], None),
        ("with the seal of what it replaces", &other[0], Some(&own[1])),
        ("with its own seal, of another component", &other[0], Some(&other[1])),
        ("with its plain digest", &other[0], Some(&disk::sha256(&other[0]).into_bytes())),
        ("with a seal of nothing", &other[0], Some(&Vec::new())),
        ("of the same component, sealed by another host", &theirs[0], Some(&theirs[1])),
        ("damaged", &damaged, Some(&own[1])),
    ] {
        fs::write(&code, planted).unwrap();
        match its_seal {
            Some(bytes) => fs::write(&seal, bytes).unwrap(),
            None => fs::remove_file(&seal).unwrap(),
        }
        let id = what.replace(' ', "-");
        let (out, status) = host.run(&id, "green", json!({}), &segments).await;
        assert_eq!(media::pts(&out.concat(), "v"), media::pts(&segments.concat(), "v"), "code {what}: {status}");
        assert_ne!(fs::read(&seal).ok().as_ref(), its_seal.filter(|bytes| **bytes != own[1]), "code {what} was taken");
        assert_ne!(fs::read(&code).unwrap(), other[0], "code {what} was left in its place");
    }
    for (path, mode) in [("key", 0o600), ("compiled", 0o700)] {
        let its = fs::metadata(here.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(its, mode, "{path} is not for its owner alone");
    }
}

/// Catches a key that others have read and that is trusted all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_others_can_read_is_replaced() {
    let data = TempDir::new().unwrap();
    let key = data.path().join("key");
    let mut keys = Vec::new();
    for spoil in [readable as fn(&Path), short] {
        let host = Host::start_in(data.path(), &[]);
        host.send(Method::POST, "/api/processors", tiny("1.0.0", "")).await;
        host.start_stream("s", "tiny", json!({})).await;
        keys.push(fs::read(&key).unwrap());
        drop(host);
        spoil(&key);
    }
    Host::start_in(data.path(), &[]);
    keys.push(fs::read(&key).unwrap());
    assert!(keys.iter().all(|key| key.len() == 32));
    assert!(keys[0] != keys[1] && keys[1] != keys[2], "the same key again");
}

fn readable(key: &Path) {
    fs::set_permissions(key, Permissions::from_mode(0o640)).unwrap();
}

fn short(key: &Path) {
    let key = fs::File::options().write(true).open(key).unwrap();
    key.set_len(16).unwrap();
}
