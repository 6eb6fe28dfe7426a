//! The REST surface: shapes, ids, and everything that must be refused without a trace.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::host::Host;
use crate::harness::{guest, media};

async fn host() -> Host {
    let host = Host::start_with(&["--processor", guest("green").to_str().unwrap()]);
    assert_eq!(host.get("/health").await.1, json!({ "status": "IDLE" }));
    host
}

fn assert_error(what: &str, code: StatusCode, answer: (StatusCode, Value)) {
    assert_eq!(answer.0, code, "{what}: {}", answer.1);
    assert_eq!(answer.1["status"], "error", "{what}");
    assert!(answer.1["message"].as_str().is_some_and(|message| message.len() > 8), "{what}: {}", answer.1);
}

/// Catches calls that PyTrickle's users know and that do not work as they are written.
#[tokio::test(flavor = "multi_thread")]
async fn the_four_calls_work_with_and_without_the_prefix() {
    let host = host().await;
    for prefix in ["/api", ""] {
        let body = json!({
            "subscribe_url": "http://127.0.0.1:9/input", "publish_url": "http://127.0.0.1:9/output",
            "control_url": "", "events_url": "", "data_url": "",
            "gateway_request_id": "my_stream", "params": { "intensity": 0.8 } });
        let (code, answer) = host.post(&format!("{prefix}/stream/start"), body).await;
        assert_eq!(
            (code, &answer["status"], &answer["request_id"]),
            (StatusCode::OK, &json!("success"), &json!("my_stream"))
        );
        let (code, answer) = host.post(&format!("{prefix}/stream/params"), json!({ "intensity": 0.9 })).await;
        assert_eq!((code, &answer["status"]), (StatusCode::OK, &json!("success")));
        let (code, status) = host.get(&format!("{prefix}/stream/status")).await;
        assert_eq!((code, &status["params"]), (StatusCode::OK, &json!({ "intensity": 0.9 })));
        assert_eq!(host.get("/health").await.1, json!({ "status": "OK" }));
        for _ in 0..3 {
            let (code, answer) = host.send(Method::POST, &format!("{prefix}/stream/stop"), "stream ended").await;
            assert_eq!((code, &answer["status"]), (StatusCode::OK, &json!("success")));
        }
        let (_, status) = host.get(&format!("{prefix}/stream/status")).await;
        assert_eq!(status["state"], "ENDED");
    }
}

/// Catches `load_model` that is refused, or that anybody hears of although it does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn asking_for_a_model_is_taken_and_changes_nothing() {
    let host = host().await;
    let body = json!({
        "subscribe_url": "http://127.0.0.1:9/input", "gateway_request_id": "loaded",
        "params": { "intensity": 0.8, "load_model": true } });
    assert_eq!(host.post("/api/stream/start", body).await.0, StatusCode::OK);
    for update in [json!({ "load_model": { "name": "a" } }), json!({ "intensity": 0.9, "load_model": null })] {
        let (code, answer) = host.post("/api/stream/params", update).await;
        assert_eq!(code, StatusCode::OK, "{answer}");
    }
    let status = host.status("loaded").await;
    assert_eq!(status["params"], json!({ "intensity": 0.9 }));
    let updated = status["events"].as_array().unwrap().iter().filter(|event| event["type"] == "params_updated");
    assert_eq!(updated.count(), 1, "{status}");
}

/// Catches malformed requests that are taken, answered in another shape, or that change something.
#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_are_refused_and_change_nothing() {
    let host = host().await;
    let url = "http://127.0.0.1:9/x";
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    for body in [
        "",
        "{",
        "[]",
        "null",
        "7",
        "\"text\"",
        "{} {}",
        deep.as_str(),
        "{\"subscribe_url\":",
        "\u{0}",
        "{}",
        r#"{"subscribe_url": 7}"#,
        r#"{"subscribe_url": "ftp://127.0.0.1/x"}"#,
        r#"{"subscribe_url": "not a url"}"#,
        r#"{"subscribe_url": "http://127.0.0.1:9/x", "publish_url": []}"#,
        r#"{"subscribe_url": "http://127.0.0.1:9/x", "publish_url": "http://user:secret@127.0.0.1/x"}"#,
        r#"{"subscribe_url": "http://127.0.0.1:9/x", "gateway_request_id": 7}"#,
        r#"{"subscribe_url": "http://127.0.0.1:9/x", "control_url": "nonsense"}"#,
        r#"{"subscribe_url": "http://127.0.0.1:9/x", "params": []}"#,
        r#"{"subscribe_url": "http://127.0.0.1:9/x", "params": {"intensity": "much"}}"#,
        r#"{"subscribe_url": "http://127.0.0.1:9/x", "params": {"intensity": 1.5}}"#,
        r#"{"subscribe_url": "http://127.0.0.1:9/x", "params": {"unknown": 1}}"#,
        r#"{"subscribe_url": "http://127.0.0.1:9/x", "params": {"width": 512}}"#,
        r#"{"subscribe_url": "http://127.0.0.1:9/x", "params": {"width": 511, "height": 512}}"#,
        r#"{"subscribe_url": "http://127.0.0.1:9/x", "params": {"width": 1e9, "height": 2}}"#,
        r#"{"subscribe_url": "http://127.0.0.1:9/x", "params": {"max_framerate": 0}}"#,
    ] {
        let shown: String = body.chars().take(60).collect();
        assert_error(
            &shown,
            StatusCode::BAD_REQUEST,
            host.send(Method::POST, "/api/stream/start", body.to_owned()).await,
        );
    }
    // Small as text, and most of a gigabyte in memory.
    let many = format!(r#"{{"subscribe_url":"{url}","params":{{"a":[{}{{}}]}}}}"#, r#"{"":0},"#.repeat(1_000_000));
    for path in ["/api/stream/start", "/api/stream/params"] {
        let refused = host.send(Method::POST, path, many.clone()).await;
        assert!(refused.1.to_string().contains("values"), "{}", refused.1);
        assert_error("many values", StatusCode::PAYLOAD_TOO_LARGE, refused);
    }
    let (_, cut_off) = host.send(Method::POST, "/api/stream/start", r#"{"subscribe_url":"#).await;
    assert!(cut_off["message"].as_str().unwrap().starts_with("the body is not JSON: EOF"), "{cut_off}");
    let unknown = json!({ "subscribe_url": url, "processor": "nobody" });
    assert_error("an unknown processor", StatusCode::NOT_FOUND, host.post("/api/stream/start", unknown).await);
    let large = vec![b' '; 11 << 20];
    assert_error("11 MB", StatusCode::PAYLOAD_TOO_LARGE, host.send(Method::POST, "/api/stream/start", large).await);
    assert_error("no route", StatusCode::NOT_FOUND, host.get("/api/nothing").await);
    assert_error("no method", StatusCode::METHOD_NOT_ALLOWED, host.get("/api/stream/start").await);
    assert_error("no stream", StatusCode::BAD_REQUEST, host.post("/api/stream/params", json!({})).await);
    assert_error("no status", StatusCode::NOT_FOUND, host.get("/api/stream/status").await);
    assert_eq!(host.get("/api/streams").await.1, json!({ "streams": [] }));
    assert_eq!(host.get("/health").await.1, json!({ "status": "IDLE" }));
}

/// Catches params that are half taken, or taken although the processor's schema forbids them.
#[tokio::test(flavor = "multi_thread")]
async fn refused_params_leave_the_old_ones() {
    let host = host().await;
    host.start_stream("keep", "green", json!({ "intensity": 0.25 })).await;
    for bad in [
        json!({ "intensity": 2 }),
        json!({ "intensity": null }),
        json!({ "intensity": 0.5, "colour": "green" }),
        json!({ "intensity": 0.5, "height": 100 }),
        json!([0.5]),
        json!(null),
    ] {
        assert_error(&bad.to_string(), StatusCode::BAD_REQUEST, host.post("/api/stream/params", bad.clone()).await);
        assert_eq!(host.status("keep").await["params"], json!({ "intensity": 0.25 }), "after {bad}");
    }
    let (_, answer) = host.post("/api/stream/params", json!({ "intensity": 2 })).await;
    assert!(answer["message"].as_str().unwrap().contains("/intensity"), "{answer}");
}

/// Catches an id, or a channel to write to, that is taken twice, and calls that reach another stream than theirs.
#[tokio::test(flavor = "multi_thread")]
async fn many_streams_are_told_apart() {
    let host = host().await;
    for id in ["a", "b"] {
        host.start_stream(id, "green", json!({})).await;
    }
    assert_error(
        "busy",
        StatusCode::CONFLICT,
        host.post("/stream/start", host.start_body("a", "green", json!({}))).await,
    );
    let mut onto_others = host.start_body("c", "green", json!({}));
    onto_others["publish_url"] = host.start_body("a", "green", json!({}))["publish_url"].clone();
    let taken = host.post("/stream/start", onto_others).await;
    assert!(taken.1["message"].as_str().unwrap().contains("\"a\" writes to"), "{}", taken.1);
    assert_error("another's output", StatusCode::CONFLICT, taken);
    let ambiguous = host.post("/stream/params", json!({ "intensity": 0.1 })).await;
    assert!(ambiguous.1["message"].as_str().unwrap().contains("a, b"), "{}", ambiguous.1);
    assert_error("ambiguous", StatusCode::BAD_REQUEST, ambiguous);
    assert_error("ambiguous", StatusCode::BAD_REQUEST, host.send(Method::POST, "/stream/stop", "").await);

    let header = host.send_for(Some("a"), Method::POST, "/stream/params", r#"{"intensity": 0.1}"#).await;
    assert_eq!(header.0, StatusCode::OK);
    let body = host.post("/stream/params", json!({ "gateway_request_id": "b", "intensity": 0.2 })).await;
    assert_eq!(body.0, StatusCode::OK);
    let both = r#"{"gateway_request_id": "a", "intensity": 0.3}"#;
    assert_eq!(host.send_for(Some("b"), Method::POST, "/stream/params", both).await.0, StatusCode::OK);
    assert_eq!(host.status("a").await["params"], json!({ "intensity": 0.1 }));
    assert_eq!(host.status("b").await["params"], json!({ "intensity": 0.3 }));

    for _ in 0..2 {
        assert_eq!(host.send_for(Some("a"), Method::POST, "/stream/stop", "").await.0, StatusCode::OK);
    }
    assert_error("unknown", StatusCode::NOT_FOUND, host.send_for(Some("z"), Method::POST, "/stream/stop", "").await);
    // Whoever is named, be it twice or beside too much, is not the one that still runs.
    let twice = r#"{"gateway_request_id": "b", "gateway_request_id": "z"}"#;
    assert_error("unknown", StatusCode::NOT_FOUND, host.send(Method::POST, "/stream/stop", twice).await);
    let much = format!(r#"{{"gateway_request_id": "a", "x": [{}0]}}"#, "0,".repeat(100_000));
    assert_error("large", StatusCode::PAYLOAD_TOO_LARGE, host.send(Method::POST, "/stream/stop", much).await);
    assert_error("ended", StatusCode::CONFLICT, host.send_for(Some("a"), Method::POST, "/stream/params", "{}").await);
    assert_eq!(host.status("b").await["state"], "CONNECTING", "the other goes on");
    host.start_stream("a", "green", json!({})).await;
    assert_eq!(host.send(Method::DELETE, "/api/streams/a", "").await.0, StatusCode::OK);
    let (_, list) = host.get("/api/streams").await;
    assert_eq!(list["streams"].as_array().unwrap().len(), 2);
}

/// Catches a missing id that is not made up, and a limit that is not kept.
#[tokio::test(flavor = "multi_thread")]
async fn ids_are_made_up_and_streams_limited() {
    let host = Host::start_with(&["--processor", guest("green").to_str().unwrap(), "--max-streams", "1"]);
    let body = json!({ "subscribe_url": "http://127.0.0.1:9/in" });
    let (code, answer) = host.post("/api/streams", body.clone()).await;
    assert_eq!(code, StatusCode::OK, "{answer}");
    let id = answer["stream_id"].as_str().unwrap();
    assert!(id.len() >= 16, "{id}");
    assert_error("full", StatusCode::SERVICE_UNAVAILABLE, host.post("/api/streams", body).await);
}

/// Catches an unreachable server that is silent, or that ends the stream at once.
#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_server_is_an_event_and_then_the_end() {
    let host = host().await;
    let mut body = host.start_body("mute", "green", json!({}));
    body["publish_url"] = json!("http://127.0.0.1:9/out");
    assert_eq!(host.post("/stream/start", body).await.0, StatusCode::OK);
    let mut publisher = host.publisher("mute");
    host.feed(&mut publisher, "mute", &media::small_segments("160x90", 1)).await;
    let status = host.status_when("mute", |status| status["events"].to_string().contains("cannot publish")).await;
    assert_eq!(status["state"], "ONLINE", "{status}");

    let body = json!({ "subscribe_url": "http://127.0.0.1:9/in", "publish_url": "http://127.0.0.1:9/far",
        "gateway_request_id": "far" });
    assert_eq!(host.post("/stream/start", body).await.0, StatusCode::OK);
    let status = host.status_when("far", |status| status["events"].as_array().is_some_and(|all| !all.is_empty())).await;
    assert_eq!(status["state"], "CONNECTING", "{status}");
    assert!(status["events"].to_string().contains("127.0.0.1:9/in"), "{status}");
    let status = host.status_when("far", |status| status["state"] == "ERROR").await;
    assert!(status["uptime_s"].as_f64() >= Some(29.0), "{status}");
    assert!(status["reason"].as_str().unwrap().contains("30 s"), "{status}");
    let status = host.status_when("mute", |status| status["state"] == "ERROR").await;
    assert!(status["reason"].as_str().unwrap().contains("127.0.0.1:9/out"), "{status}");
    assert_eq!(host.get("/health").await.1, json!({ "status": "IDLE" }));
}
