//! Versions of a processor: which one a name stands for, and what outlives a restart.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::component::tiny;
use crate::harness::host::Host;

async fn upload(host: &Host, version: &str) -> Value {
    let (status, answer) = host.send(Method::POST, "/api/processors?name=tiny", tiny(version, "")).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    assert_eq!(answer["version"], version);
    answer
}

async fn versions(host: &Host) -> Value {
    let (status, answer) = host.get("/api/processors/tiny/versions").await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer
}

/// The version that the bare name stands for, by its manifest and by the list, which must agree.
async fn current(host: &Host) -> Value {
    let (status, manifest) = host.get("/api/processors/tiny").await;
    assert_eq!(status, StatusCode::OK, "{manifest}");
    assert_eq!(versions(host).await["current"], manifest["version"]);
    manifest["version"].clone()
}

async fn choose(host: &Host, version: Value) -> (StatusCode, Value) {
    host.send(Method::PUT, "/api/processors/tiny/default", json!({ "version": version }).to_string()).await
}

/// Catches a bare name that is the last upload, or the greatest text, rather than the newest release; and a stream that gets
/// another version than the name says.
#[tokio::test(flavor = "multi_thread")]
async fn a_bare_name_is_the_newest_release() {
    let host = Host::start();
    for (uploaded, expected) in [
        ("2.0.0-rc.1", "2.0.0-rc.1"),
        ("1.9.0", "1.9.0"),
        ("1.10.0", "1.10.0"),
        ("1.2.0", "1.10.0"),
        ("2.0.0-rc.2", "1.10.0"),
    ] {
        upload(&host, uploaded).await;
        assert_eq!(current(&host).await, expected, "after {uploaded}");
    }
    let list = versions(&host).await;
    let all: Vec<_> = list["versions"].as_array().unwrap().iter().map(|one| one["version"].clone()).collect();
    assert_eq!(all, ["1.2.0", "1.9.0", "1.10.0", "2.0.0-rc.1", "2.0.0-rc.2"]);
    assert_eq!((&list["name"], &list["default"]), (&json!("tiny"), &Value::Null));
    assert_eq!(host.get("/api/processors/tiny@1.9.0").await.1["version"], "1.9.0");
    for (id, processor, version) in [("bare", "tiny", "tiny@1.10.0"), ("exact", "tiny@2.0.0-rc.1", "tiny@2.0.0-rc.1")] {
        host.start_stream(id, processor, json!({})).await;
        assert_eq!(host.status(id).await["processor"], version);
    }
}

/// Catches a choice that does not count, is forgotten by a host that is killed, or outlives its version; and choices taken
/// that are none.
#[tokio::test(flavor = "multi_thread")]
async fn a_chosen_version_counts_until_it_is_deleted() {
    let data = TempDir::new().unwrap();
    let host = Host::start_in(data.path(), &[]);
    for version in ["1.0.0", "1.1.0", "2.0.0"] {
        upload(&host, version).await;
    }
    let (status, answer) = choose(&host, json!("1.0.0")).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!((&answer["current"], &answer["default"]), (&json!("1.0.0"), &json!("1.0.0")));
    upload(&host, "3.0.0").await;
    assert_eq!(current(&host).await, "1.0.0", "the newest does not displace what was chosen");
    host.kill();
    drop(host);
    let host = Host::start_in(data.path(), &[]);
    assert_eq!(current(&host).await, "1.0.0", "after kill -9");

    let (status, answer) = choose(&host, json!("9.0.0")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(answer["message"].as_str().unwrap().contains("tiny@9.0.0"), "{answer}");
    for body in ["{}", r#"{"version": "one"}"#, r#"{"version": 1}"#, "[]", ""] {
        let (status, answer) = host.send(Method::PUT, "/api/processors/tiny/default", body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {answer}");
    }
    for (method, path) in [(Method::GET, "versions"), (Method::DELETE, "default")] {
        let (status, answer) = host.send(method, &format!("/api/processors/none/{path}"), "").await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{answer}");
    }
    assert_eq!(current(&host).await, "1.0.0", "what was refused changed nothing");

    host.start_stream("using", "tiny", json!({})).await;
    let (status, answer) = host.send(Method::DELETE, "/api/processors/tiny@1.0.0", "").await;
    assert_eq!(status, StatusCode::CONFLICT, "{answer}");
    assert_eq!(choose(&host, Value::Null).await.1["current"], "3.0.0");
    assert_eq!(host.status("using").await["processor"], "tiny@1.0.0", "what runs keeps its version");
    host.post("/api/stream/stop", json!({})).await;
    choose(&host, json!("1.0.0")).await;
    let (status, answer) = host.send(Method::DELETE, "/api/processors/tiny@1.0.0", "").await;
    assert_eq!((status, &answer["version"]), (StatusCode::OK, &json!("1.0.0")));
    assert_eq!(host.get("/api/processors/tiny@1.0.0").await.0, StatusCode::NOT_FOUND);
    assert_eq!(current(&host).await, "3.0.0", "without its version a choice is none");
    upload(&host, "1.0.0").await;
    assert_eq!(current(&host).await, "3.0.0", "nor does it come back with it");

    choose(&host, json!("2.0.0")).await;
    let (status, answer) = host.send(Method::DELETE, "/api/processors/tiny/default", "").await;
    assert_eq!((status, &answer["current"], &answer["default"]), (StatusCode::OK, &json!("3.0.0"), &Value::Null));
    host.kill();
    drop(host);
    assert_eq!(current(&Host::start_in(data.path(), &[])).await, "3.0.0");
}

/// Catches versions that a file system or a URL would take for something else.
#[tokio::test(flavor = "multi_thread")]
async fn odd_versions_are_stored_or_refused() {
    let data = TempDir::new().unwrap();
    let host = Host::start_in(data.path(), &[]);
    let odd = "1.0.0-rc.1+build.2026-07";
    let uploaded = upload(&host, odd).await;
    for version in ["1.0", "latest", "../../1.0.0", "", &format!("1.0.0-{}", "x".repeat(60))] {
        let (status, answer) = host.send(Method::POST, "/api/processors", tiny(version, "")).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{version:?}: {answer}");
        assert!(answer["message"].as_str().unwrap().contains("version"), "{version:?}: {answer}");
    }
    drop(host);
    let host = Host::start_in(data.path(), &[]);
    assert_eq!(host.get("/api/processors").await.1["processors"], json!([uploaded]));
    assert_eq!(host.get(&format!("/api/processors/tiny@{odd}")).await, (StatusCode::OK, uploaded));
    let (status, answer) = host.send(Method::DELETE, &format!("/api/processors/tiny@{odd}"), "").await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

/// Catches a host that is filled up by uploads, one that then refuses what it has already, or that stays full.
#[tokio::test(flavor = "multi_thread")]
async fn no_more_versions_are_stored_than_may_be() {
    let host = Host::start_with(&["--max-processors", "2"]);
    for version in ["1.0.0", "1.1.0"] {
        upload(&host, version).await;
    }
    let (status, answer) = host.send(Method::POST, "/api/processors?name=tiny", tiny("1.2.0", "")).await;
    assert_eq!(status, StatusCode::INSUFFICIENT_STORAGE, "{answer}");
    assert!(answer["message"].as_str().unwrap().contains("2 versions are stored"), "{answer}");
    upload(&host, "1.1.0").await;
    let (status, answer) = host.send(Method::DELETE, "/api/processors/tiny@1.0.0", "").await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    upload(&host, "1.2.0").await;
    assert_eq!(versions(&host).await["versions"].as_array().unwrap().len(), 2);
}

/// Catches a processor that is started with params that nothing has checked, or a host that does not start, where a schema that was
/// stored is no longer one that is taken, as after an update of the host.
#[tokio::test(flavor = "multi_thread")]
async fn a_stored_schema_that_is_not_taken_any_more_is_told() {
    let data = TempDir::new().unwrap();
    let host = Host::start_in(data.path(), &[]);
    upload(&host, "1.0.0").await;
    drop(host);
    let path = data.path().join("processors/tiny@1.0.0/manifest.json");
    let mut manifest: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    manifest["params_schema"] = json!({ "$ref": "https://example.org/schema.json" });
    std::fs::write(&path, manifest.to_string()).unwrap();
    let host = Host::start_in(data.path(), &[]);
    let body = host.start_body("old", "tiny", json!({}));
    let (status, answer) = host.send(Method::POST, "/api/stream/start", body.to_string()).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{answer}");
    let message = answer["message"].as_str().unwrap();
    assert!(message.contains("tiny@1.0.0") && message.contains("https://example.org/schema.json"), "{answer}");
}
