//! Everything of the REST surface that is not a stream or a processor: versions, metrics, the document.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::{Method, StatusCode};
use rillbox_trickle::{Publisher, PublisherConfig};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::harness::host::Host;
use crate::harness::{PATIENCE, PATIENT, guest, hostile, media, root};
use crate::http::with_headers;

fn host() -> Host {
    Host::start_with(&[&PATIENT[..], &["--processor", guest("green").to_str().unwrap()]].concat())
}

/// Catches fields that gateways read and that are missing or named otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn versions_and_hardware_have_the_shapes_of_other_workers() {
    let host = host();
    let manifest = host.get("/api/processors/green").await.1;
    let model = format!("green@{}", manifest["version"].as_str().unwrap());
    for prefix in ["", "/api"] {
        let version = host.get(&format!("{prefix}/version")).await;
        let expected = json!({ "pipeline": "byoc", "model_id": model, "version": env!("CARGO_PKG_VERSION") });
        assert_eq!(version, (StatusCode::OK, expected));
        let app = host.get(&format!("{prefix}/app-version")).await;
        assert_eq!(app, (StatusCode::OK, json!({ "version": manifest["version"] })));
        for (path, gpus) in [("info", "gpu_info"), ("stats", "gpu_stats")] {
            let (code, hardware) = host.get(&format!("{prefix}/hardware/{path}")).await;
            assert_eq!(code, StatusCode::OK);
            assert_eq!((&hardware["pipeline"], &hardware["model_id"]), (&json!("byoc"), &json!(model)));
            // One for each device file of a GPU, and so none where there is no NVIDIA.
            let devices = std::fs::read_dir("/dev").unwrap().flatten();
            let devices = devices.filter(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                name.strip_prefix("nvidia").is_some_and(|index| index.parse::<u32>().is_ok())
            });
            assert_eq!(hardware[gpus].as_object().unwrap().len(), devices.count(), "{hardware}");
        }
    }
}

/// Catches an orchestrator's call that starts nothing, starts something else, or is refused in a shape that it does not read.
#[tokio::test(flavor = "multi_thread")]
async fn live_video_to_video_is_a_start_in_another_shape() {
    let host = Host::start_with(&["--processor", guest("green").to_str().unwrap(), "--max-streams", "2"]);
    let body = json!({
        "subscribe_url": "http://127.0.0.1:9/in", "publish_url": "http://127.0.0.1:9/out", "control_url": "",
        "events_url": "", "model_id": "", "params": { "intensity": 0.25 }, "gateway_request_id": "live",
        "manifest_id": "m1", "stream_id": "s1" });
    let (code, answer) = host.post("/live-video-to-video", body.clone()).await;
    assert_eq!(code, StatusCode::OK, "{answer}");
    assert_eq!((&answer["publish_url"], &answer["manifest_id"]), (&body["publish_url"], &json!("m1")));
    assert_eq!(host.status("live").await["params"], json!({ "intensity": 0.25 }));

    let refused = |answer: (StatusCode, Value), code: StatusCode| {
        assert_eq!(answer.0, code, "{}", answer.1);
        assert!(answer.1["detail"]["msg"].as_str().is_some_and(|text| text.len() > 8), "{}", answer.1);
    };
    let path = "/api/live-video-to-video";
    refused(host.post(path, body).await, StatusCode::BAD_REQUEST);
    refused(host.post(path, json!({})).await, StatusCode::BAD_REQUEST);
    refused(host.post(path, json!(["http://127.0.0.1:9/in"])).await, StatusCode::BAD_REQUEST);
    let unknown = json!({ "subscribe_url": "http://127.0.0.1:9/in", "model_id": "nobody" });
    refused(host.post(path, unknown).await, StatusCode::BAD_REQUEST);
    refused(host.send(Method::POST, path, vec![b' '; 11 << 20]).await, StatusCode::BAD_REQUEST);
    let by_stream_id = json!({ "subscribe_url": "http://127.0.0.1:9/in", "stream_id": "second", "model_id": "green" });
    assert_eq!(host.post(path, by_stream_id).await.1["request_id"], "second");
    let third = json!({ "subscribe_url": "http://127.0.0.1:9/in" });
    refused(host.post(path, third).await, StatusCode::INTERNAL_SERVER_ERROR);
}

/// Metrics as they were scraped once: each series, with its labels, and its value.
struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    /// Reads the text format, and holds it to its rules: HELP and TYPE before a family's samples, families in one piece, each
    /// series once, histograms cumulative up to `+Inf`.
    async fn of(host: &Host) -> Self {
        let text = String::from_utf8(host.fetch("/metrics").await.to_vec()).unwrap();
        assert!(text.ends_with('\n'));
        let (mut series, mut families, mut helped) = (BTreeMap::new(), BTreeMap::new(), String::new());
        for line in text.lines() {
            let words: Vec<_> = line.splitn(4, ' ').collect();
            if words[..2] == ["#", "HELP"] {
                assert!(words[3].len() > 3, "{line}");
                helped = words[2].to_owned();
            } else if words[..2] == ["#", "TYPE"] {
                assert_eq!(words[2], helped, "TYPE without HELP, or in another place");
                assert!(families.insert(words[2].to_owned(), words[3].to_owned()).is_none(), "twice: {line}");
            } else {
                let (name, value) = line.rsplit_once(' ').unwrap();
                let kind = families.get(&helped).expect("a type before samples");
                let family = name.split('{').next().unwrap();
                let suffix = family.strip_prefix(&helped).unwrap_or_else(|| panic!("{name} is within {helped}"));
                match kind.as_str() {
                    "histogram" => assert!(["_bucket", "_sum", "_count"].contains(&suffix), "{line}"),
                    "counter" => assert!(suffix.is_empty() && family.ends_with("_total"), "{line}"),
                    "gauge" => assert!(suffix.is_empty() && !family.ends_with("_total"), "{line}"),
                    kind => panic!("{kind}"),
                }
                let value: f64 = value.parse().unwrap();
                assert!(value >= 0.0, "{line}");
                assert!(series.insert(name.to_owned(), value).is_none(), "twice: {line}");
            }
        }
        let scrape = Self(series);
        scrape.check_histograms(&text);
        scrape
    }

    fn check_histograms(&self, text: &str) {
        let (mut previous, mut histograms) = ((f64::NEG_INFINITY, 0.0), 0);
        for line in text.lines().filter(|line| line.contains("_bucket{")) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let (labels, bound) = name.split_once("le=\"").unwrap();
            let bucket: (f64, f64) = (bound.trim_end_matches("\"}").parse().unwrap(), value.parse().unwrap());
            assert!(bucket.0 > previous.0 && bucket.1 >= previous.1, "not cumulative: {line}");
            previous = bucket;
            if bucket.0 == f64::INFINITY {
                let count = format!("{}}}", labels.replace("_bucket{", "_count{").trim_end_matches(','));
                assert_eq!(self.0.get(&count), Some(&bucket.1), "{count} is not what +Inf is");
                (previous, histograms) = ((f64::NEG_INFINITY, 0.0), histograms + 1);
            }
        }
        let counts = self.0.keys().filter(|name| name.contains("_seconds_count{")).count();
        assert_eq!(counts, histograms, "a histogram has no +Inf");
    }

    fn get(&self, name: &str) -> f64 {
        *self.0.get(name).unwrap_or_else(|| panic!("there is no {name}"))
    }

    /// A count of a processor.
    fn processor(&self, name: &str, processor: &str) -> f64 {
        self.get(&format!("rillbox_processor_{name}{{processor=\"{processor}\"}}"))
    }
}

/// Catches figures that are not the streams' own, series that a stream leaves behind, and counters that fall.
#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_what_streams_count() {
    let host = host();
    let before = Scrape::of(&host).await;
    assert!(before.get("process_resident_memory_bytes") > 1e6 && before.get("process_open_fds") > 3.0);
    assert!(before.get("process_cpu_seconds_total") > 0.0 && before.get("rillbox_uptime_seconds") < 600.0);
    assert_eq!(before.get("rillbox_build_info{version=\"0.1.0\"}"), 1.0);
    assert_eq!(before.get("rillbox_streams{state=\"ONLINE\"}"), 0.0);

    // An id that would end a label's value, or a line, if it were not escaped.
    let id = "a\"b\\c";
    let body = host.start_body("metrics", "green", json!({}));
    let url = |end: &str| host.channel(&format!("metrics-{end}"));
    for end in ["in", "out"] {
        rillbox_trickle::create(&host.client, &url(end), "video/MP2T").await.unwrap();
    }
    let (code, answer) = host.send_for(Some(id), Method::POST, "/stream/start", body.to_string()).await;
    assert_eq!(code, StatusCode::OK, "{answer}");
    let processor = answer["processor"].as_str().unwrap();
    let mut publisher = host.publisher("metrics");
    for segment in media::small_segments("160x90", 2) {
        publisher.begin();
        publisher.write(segment.into()).await.unwrap();
    }
    let path = "/api/streams/a%22b%5Cc";
    let status = timeout(PATIENCE, async {
        loop {
            let status = host.get(path).await.1;
            if status["output"]["frames"] == 50 {
                return status;
            }
        }
    });
    let status = status.await.expect("all pictures come out");

    let running = Scrape::of(&host).await;
    let of_stream = |name: &str| {
        let labels = "{stream=\"a\\\"b\\\\c\",processor=\"PROCESSOR\"}".replace("PROCESSOR", processor);
        running.get(&format!("rillbox_stream_{name}{labels}"))
    };
    for (name, pointer) in [
        ("input_frames_total", "/input/frames"),
        ("input_bytes_total", "/input/bytes"),
        ("input_segments_total", "/input/segments"),
        ("output_frames_total", "/output/frames"),
        ("frames_dropped_total", "/frames_dropped"),
        ("guest_traps_total", "/errors/traps"),
        ("latency_seconds_count", "/output/frames"),
        ("guest_time_seconds_count", "/input/frames"),
        ("guest_memory_bytes", "/guest/memory_bytes"),
    ] {
        assert_eq!(Some(of_stream(name)), status.pointer(pointer).and_then(Value::as_f64), "{name}, {status}");
    }
    let latency = of_stream("latency_seconds_sum") / 50.0 * 1e3;
    let (p50, max) = (status["latency_ms"]["p50"].as_f64().unwrap(), status["latency_ms"]["max"].as_f64().unwrap());
    assert!(latency <= max && latency * 2.0 >= p50, "a mean of {latency} ms with a median of {p50} and at most {max}");
    assert_eq!(running.get("rillbox_streams{state=\"ONLINE\"}"), 1.0);
    assert_eq!(running.processor("streams", processor), 1.0);
    assert_eq!(running.processor("output_frames_total", processor), 50.0);

    assert_eq!(host.send(Method::DELETE, path, "").await.0, StatusCode::OK);
    // The same id again, and nothing to read: the first stream is forgotten.
    let body = json!({ "subscribe_url": "http://127.0.0.1:9/in" });
    let (code, answer) = host.send_for(Some(id), Method::POST, "/stream/start", body.to_string()).await;
    assert_eq!(code, StatusCode::OK, "{answer}");
    let again = Scrape::of(&host).await;
    assert_eq!(again.processor("streams_started_total", processor), 2.0);
    assert_eq!(again.processor("streams_ended_total", processor), 1.0);
    assert_eq!(again.processor("latency_seconds_count", processor), 50.0);
    for (name, value) in running.0.iter().filter(|(name, _)| name.starts_with("rillbox_processor_")) {
        let gauge = name.starts_with("rillbox_processor_streams{");
        assert!(gauge || again.get(name) >= *value, "{name} fell from {value}");
    }
    assert_eq!(host.send(Method::DELETE, path, "").await.0, StatusCode::OK);
    let after = Scrape::of(&host).await;
    assert!(!after.0.keys().any(|name| name.starts_with("rillbox_stream_")), "an ended stream has series");
    assert_eq!(after.processor("output_frames_total", processor), 50.0);
}

/// Metrics of channels, and where a status has them.
const CHANNEL_COUNTS: [(&str, &str); 13] = [
    ("control_segments", "control/segments"),
    ("control_segments_skipped", "control/skipped"),
    ("control_updates", "control/updates"),
    ("control_rejected", "control/rejected"),
    ("control_failures", "control/failures"),
    ("events_segments", "events/segments"),
    ("events_segments_skipped", "events/skipped"),
    ("events_dropped", "events/dropped"),
    ("events_failures", "events/failures"),
    ("data_segments", "data/segments"),
    ("data_segments_skipped", "data/skipped"),
    ("data_dropped", "data/dropped"),
    ("data_failures", "data/failures"),
];

/// Catches counts of the control, events and data channels that metrics do not have, or have otherwise than the status.
#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_control_events_and_data() {
    let host = host();
    host.upload("talker", &hostile("talker")).await;
    let mut body = host.start_body("well", "talker", json!({ "values": 1 }));
    for end in ["in", "out", "control", "events", "data"] {
        let url = host.channel(&format!("well-{end}"));
        rillbox_trickle::create(&host.client, &url, "application/json").await.unwrap();
        if !["in", "out"].contains(&end) {
            body[format!("{end}_url")] = json!(url.to_string());
        }
    }
    let (code, answer) = host.post("/api/stream/start", body).await;
    assert_eq!(code, StatusCode::OK, "{answer}");
    let processor = answer["processor"].as_str().unwrap();
    let segments = media::small_segments("160x90", 2);
    let mut publisher = host.publisher("well");
    host.feed(&mut publisher, "well", &segments).await;
    let control = host.channel("well-control");
    let mut control = Publisher::new(host.client.clone(), control, PublisherConfig::default());
    control.write("{\"level\": 1}\ngarbage".into()).await.unwrap();
    control.end();
    let counted = |status: &Value| {
        let channels = &status["channels"];
        let control = &channels["control"];
        control["updates"] == 1 && control["rejected"] == 1 && channels["data"]["segments"].as_u64() > Some(0)
    };
    host.status_when("well", counted).await;
    let running = Scrape::of(&host).await;
    for (name, value) in [("segments", 1.0), ("updates", 1.0), ("rejected", 1.0), ("failures", 0.0)] {
        let labels = format!("{{stream=\"well\",processor=\"{processor}\"}}");
        assert_eq!(running.get(&format!("rillbox_stream_control_{name}_total{labels}")), value, "{name}");
    }

    let mut body = host.start_body("lost", "talker", json!({ "values": 1 }));
    for end in ["control", "events", "data"] {
        body[format!("{end}_url")] = json!(format!("http://127.0.0.1:9/{end}"));
    }
    rillbox_trickle::create(&host.client, &host.channel("lost-in"), "video/MP2T").await.unwrap();
    rillbox_trickle::create(&host.client, &host.channel("lost-out"), "video/MP2T").await.unwrap();
    assert_eq!(host.post("/api/stream/start", body).await.0, StatusCode::OK);
    let mut lost = host.publisher("lost");
    host.feed(&mut lost, "lost", &segments).await;
    publisher.close().await.unwrap();
    lost.close().await.unwrap();
    let statuses = [host.ended("well").await, host.ended("lost").await];
    let after = Scrape::of(&host).await;
    for (name, at) in CHANNEL_COUNTS {
        let of = |status: &Value| status.pointer(&format!("/channels/{at}")).and_then(Value::as_f64).unwrap();
        let wanted: f64 = statuses.iter().map(of).sum();
        assert_eq!(after.processor(&format!("{name}_total"), processor), wanted, "{name}: {statuses:?}");
        assert!(wanted > 0.0 || name.ends_with("_skipped"), "{name} counts nothing here: {statuses:?}");
    }
}

/// Every reference in a document.
fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// Catches a route that is not described, a description without a route, and a document that tools would not take.
#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_what_is_served() {
    let host = host();
    let (code, document) = host.get("/api/openapi.json").await;
    assert_eq!(code, StatusCode::OK);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 5, "{found:?}");
    for reference in found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference} leads nowhere");
    }

    let paths = document["paths"].as_object().unwrap();
    let mut ids = BTreeSet::new();
    for (path, item) in paths {
        let item = item.as_object().unwrap();
        let concrete = path.replace("{id}", "nobody").replace("{name}", "nobody");
        for (method, operation) in item {
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{method} {path}");
            assert!(!operation["responses"].as_object().unwrap().is_empty(), "{method} {path}");
            if let Some(id) = operation["operationId"].as_str() {
                assert!(ids.insert(id), "{id} is there twice");
            }
            let named = operation["parameters"].as_array().into_iter().flatten();
            let named = named.filter(|parameter| parameter["in"] == "path").count();
            assert_eq!(named, path.matches('{').count(), "{method} {path}");
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let (code, answer) = host.send(method, &concrete, "").await;
            assert_ne!(code, StatusCode::METHOD_NOT_ALLOWED, "{path}");
            assert!(!answer.to_string().contains("no such route"), "{path}");
            let described = !operation["responses"][code.as_str()].is_null();
            assert!(described, "{path} answers {code}, which is not described: {answer}");
        }
        let (code, head) = with_headers(&host, &format!("OPTIONS {concrete}"), &[], "").await;
        assert_eq!(code, 204, "{path}: {head}");
        let allow = head.lines().find_map(|line| line.strip_prefix("allow: ")).unwrap();
        let allowed: BTreeSet<_> = allow.split(',').filter(|method| *method != "HEAD").map(str::to_lowercase).collect();
        assert_eq!(allowed, item.keys().cloned().collect(), "{path}");
    }
    for path in ["/stream/start", "/health", "/version", "/live-video-to-video", "/metrics", "/hardware/stats"] {
        assert!(paths.contains_key(path) && paths.contains_key(&format!("/api{path}")), "{path}");
    }
    for path in crate::tidy::files(&root().join("host/src/api"), ".rs") {
        let text = std::fs::read_to_string(&path).unwrap();
        let served = text.split("#[cfg(test)]").next().unwrap();
        assert!(!served.contains(".route("), "{} has a route that is not described", path.display());
    }
}

/// Catches a page that is not there without the internet, or that may load something from it.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_needs_nothing_from_elsewhere() {
    let host = host();
    let (code, answer) = with_headers(&host, "GET /api/docs", &[], "").await;
    assert_eq!(code, 200);
    assert!(
        answer.contains("content-type: text/html") && answer.contains("content-security-policy: default-src 'none'")
    );
    assert!(answer.contains("/api/openapi.json") && answer.contains("</html>"));
    assert!(!answer.contains("://") && !answer.contains("src=") && !answer.contains("innerHTML"), "{answer}");
}
