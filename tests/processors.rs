//! Uploads: what is taken, what is refused and why, and what survives.

use reqwest::{Method, StatusCode};
use serde_json::json;
use tempfile::TempDir;

use crate::harness::host::Host;
use crate::harness::{PATIENT, guest, hostile, media};

const UPLOAD: &str = "/api/processors?name=x";

/// Catches an upload whose answer, listing or bytes are not what was sent.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_described_listed_fetched_and_deleted() {
    let host = Host::start();
    let answer = host.upload("tint", &guest("green")).await;
    assert_eq!(answer["name"], "tint");
    assert_eq!(answer["version"], "0.1.0");
    assert_eq!(answer["params_schema"]["properties"]["intensity"]["maximum"], 1.0);
    assert_eq!(answer["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(host.upload("tint", &guest("green")).await, answer, "the same bytes again change nothing");

    let (_, list) = host.get("/api/processors").await;
    assert_eq!(list["processors"], json!([answer]));
    for name in ["tint", "tint@0.1.0"] {
        assert_eq!(host.get(&format!("/api/processors/{name}")).await, (StatusCode::OK, answer.clone()));
        let bytes = host.fetch(&format!("/api/processors/{name}.wasm")).await;
        assert_eq!(bytes, std::fs::read(guest("green")).unwrap());
    }
    let other = std::fs::read(guest("passthrough")).unwrap();
    let (code, _) = host.send(Method::POST, "/api/processors?name=tint", other).await;
    assert_eq!(code, StatusCode::CONFLICT, "another component under the same name and version");

    host.start_stream("using", "tint", json!({})).await;
    let (code, answer) = host.send(Method::DELETE, "/api/processors/tint", "").await;
    assert_eq!(code, StatusCode::CONFLICT, "{answer}");
    host.post("/api/stream/stop", json!({})).await;
    let (code, answer) = host.send(Method::DELETE, "/api/processors/tint", "").await;
    assert_eq!(code, StatusCode::OK, "{answer}");
    assert_eq!(host.get("/api/processors/tint").await.0, StatusCode::NOT_FOUND);
    assert_eq!(host.get("/api/processors").await.1, json!({ "processors": [] }));
}

/// Catches a status with the memory of one of a processor's two instances, and one that forgets what an instance had at once.
#[tokio::test(flavor = "multi_thread")]
async fn the_memory_of_both_instances_is_counted() {
    let host = Host::start_with(&PATIENT);
    host.upload("hoard", &hostile("hoard")).await;
    host.start_stream("hoard", "hoard", json!({})).await;
    let memory = |status: &serde_json::Value| status["guest"]["memory_bytes"].as_u64().unwrap();
    let before = memory(&host.status_when("hoard", |status| memory(status) > 0).await);
    assert!(before < 16 << 20, "{before} bytes before the first frame");
    let mut publisher = host.publisher("hoard");
    host.feed(&mut publisher, "hoard", &media::small_segments("160x90", 2)).await;
    let status = host.status_when("hoard", |status| memory(status) >= before + (32 << 20)).await;
    assert!(memory(&status) < before + (40 << 20), "{status}");
}

/// Catches a refusal without its reason, and leftovers of what was refused.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_processor_is_refused_with_the_reason() {
    let data = TempDir::new().unwrap();
    let host = Host::start_in(data.path(), &[]);
    let whole = std::fs::read(guest("green")).unwrap();
    let cached = Host::start();
    cached.upload("green", &guest("green")).await;
    let cases: [(&str, Vec<u8>, &str); 7] = [
        ("nothing", Vec::new(), "empty"),
        ("text", b"hello, world".to_vec(), "not a WebAssembly component"),
        ("a core module", b"\0asm\x01\0\0\0".to_vec(), "core WebAssembly module"),
        ("an empty component", b"\0asm\x0d\0\x01\0".to_vec(), "rillbox:processor/processor"),
        ("half a component", whole[..whole.len() / 2].to_vec(), "out of bounds"),
        ("another world", other_world(), "rillbox:processor/processor"),
        ("an import that is not offered", foreign_import(), "example:secret/door"),
    ];
    for (what, bytes, word) in cases {
        let (code, answer) = host.send(Method::POST, UPLOAD, bytes).await;
        assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY, "{what}: {answer}");
        assert_eq!(answer["status"], "error");
        let message = answer["message"].as_str().unwrap();
        assert!(message.contains(word), "{what}: {message}");
    }
    let (code, answer) = host.send(Method::POST, UPLOAD, vec![0; 33 << 20]).await;
    assert_eq!(code, StatusCode::PAYLOAD_TOO_LARGE, "{answer}");
    for name in ["../up", "a%20b", "", &"n".repeat(65)] {
        let (code, answer) = host.send(Method::POST, &format!("/api/processors?name={name}"), whole.clone()).await;
        assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY, "{name:?}: {answer}");
    }
    let left = |part: &str| std::fs::read_dir(data.path().join(part)).unwrap().count();
    assert_eq!((left("processors"), left("compiled"), left("incoming")), (0, 0, 0));
}

/// Catches native code that is taken for a component: it would run outside the sandbox.
#[tokio::test(flavor = "multi_thread")]
async fn precompiled_code_is_refused() {
    let data = TempDir::new().unwrap();
    let host = Host::start_in(data.path(), &[]);
    host.upload("green", &guest("green")).await;
    let mut compiled = std::fs::read_dir(data.path().join("compiled")).unwrap().map(|entry| entry.unwrap().path());
    let code = compiled.find(|path| path.extension().is_some_and(|end| end == "cwasm")).unwrap();
    let (status, answer) = host.send(Method::POST, UPLOAD, std::fs::read(code).unwrap()).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer["message"].as_str().unwrap().contains("precompiled"), "{answer}");
}

/// Catches processors that a restart loses, and cached code that is trusted when it is damaged.
#[tokio::test(flavor = "multi_thread")]
async fn processors_survive_a_restart_and_damaged_code_is_compiled_anew() {
    let data = TempDir::new().unwrap();
    let mut host = Host::start_in(data.path(), &[]);
    let uploaded = host.upload("green", &guest("green")).await;
    assert!(host.terminate().success());
    for entry in std::fs::read_dir(data.path().join("compiled")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "cwasm") {
            let mut code = std::fs::read(&path).unwrap();
            let middle = code.len() / 2;
            code[middle] ^= 0xff;
            std::fs::write(&path, code).unwrap();
        }
    }
    std::fs::create_dir(data.path().join("processors/half@1.0.0")).unwrap();
    let host = Host::start_in(data.path(), &["--processor", "green@0.1.0"]);
    assert_eq!(host.get("/api/processors").await.1["processors"], json!([uploaded]));
    let segments = media::small_segments("160x90", 1);
    let (out, _) = host.run("again", "green", json!({}), &segments).await;
    assert_eq!(media::pts(&out.concat(), "v"), media::pts(&segments.concat(), "v"));
}

/// Catches a processor by its path that `serve` does not take.
#[tokio::test(flavor = "multi_thread")]
async fn serve_takes_a_component_by_its_path() {
    let host = Host::start_with(&["--processor", hostile("withhold").to_str().unwrap()]);
    let mut body = host.start_body("default", "", json!({}));
    body.as_object_mut().unwrap().remove("processor");
    let (code, answer) = host.post("/stream/start", body).await;
    assert_eq!(code, StatusCode::OK, "{answer}");
    assert_eq!(answer["processor"], "withhold@0.1.0");
}

/// A component with one nested, empty component and nothing to offer.
fn other_world() -> Vec<u8> {
    let nested = b"\0asm\x0d\0\x01\0";
    [&nested[..], &[4, nested.len() as u8], nested].concat()
}

/// A component that imports the instance `example:secret/door` with one function, `open`.
fn foreign_import() -> Vec<u8> {
    let name = b"example:secret/door";
    let open = [&[0x01, 0x40, 0, 0x01, 0, 0x04, 0, 4], &b"open"[..], &[0x01, 0]].concat();
    let types = [&[1, 0x42, 2], &open[..]].concat();
    let import = [&[1, 0, name.len() as u8], &name[..], &[5, 0]].concat();
    let section = |id: u8, body: &[u8]| [&[id, body.len() as u8], body].concat();
    [&b"\0asm\x0d\0\x01\0"[..], &section(7, &types), &section(10, &import)].concat()
}
