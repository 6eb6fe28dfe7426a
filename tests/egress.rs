//! Where processors and streams may reach: nowhere, unless it was asked for and granted.

use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::time::{Duration, sleep};

use crate::harness::host::Host;
use crate::harness::service::Service;
use crate::harness::tls::TlsFront;
use crate::harness::{PATIENT, guest, hostile, media};

/// Video in segments of a second, as much as a stream is given at most while something is waited for.
fn segments() -> &'static [Vec<u8>] {
    static SEGMENTS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    SEGMENTS.get_or_init(|| media::small_segments("160x90", 40))
}

/// What came of each of a list of requests, and the stream's last status.
struct Called {
    id: String,
    outcomes: Vec<Value>,
    status: Value,
}

impl Called {
    fn http(&self, figure: &str) -> u64 {
        self.status["guest"]["http"][figure].as_u64().unwrap()
    }

    fn error(&self, at: usize) -> &str {
        self.outcomes[at]["error"].as_str().unwrap()
    }
}

/// A host on which `caller` may call what is granted.
async fn host(grants: &[&str]) -> Host {
    let flags = grants.iter().flat_map(|grant| ["--grant-http", grant]);
    let host = Host::start_with(&PATIENT.into_iter().chain(flags).collect::<Vec<_>>());
    host.upload("caller", &hostile("caller")).await;
    host
}

/// Has `caller` make requests, and gives it frames until it has published so many outcomes. All frames must come out.
async fn call(host: &Host, params: Value, outcomes: usize) -> Called {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let id = format!("call-{}", CALLS.fetch_add(1, Ordering::Relaxed));
    let id = id.as_str();
    let mut body = host.start_body(id, "caller", params);
    for end in ["in", "out", "data"] {
        rillbox_trickle::create(&host.client, &host.channel(&format!("{id}-{end}")), "video/MP2T").await.unwrap();
    }
    body["data_url"] = host.channel(&format!("{id}-data")).to_string().into();
    let (code, answer) = host.post("/api/stream/start", body).await;
    assert_eq!(code, StatusCode::OK, "{answer}");
    let (recorded, data) = (host.record(id), host.record_channel(&format!("{id}-data")));
    let mut publisher = host.publisher(id);
    let mut sent = Vec::new();
    for segment in segments() {
        host.feed(&mut publisher, id, std::slice::from_ref(segment)).await;
        sent.extend_from_slice(segment);
        if published(host, id, outcomes).await {
            break;
        }
    }
    publisher.close().await.unwrap();
    let status = host.ended(id).await;
    let received = recorded.await.unwrap().concat();
    assert_eq!(media::pts(&received, "v"), media::pts(&sent, "v"), "a frame waited or was lost: {status}");
    let data = String::from_utf8(data.await.unwrap().concat()).unwrap();
    let outcomes = data.lines().flat_map(|line| serde_json::from_str::<Vec<Value>>(line).unwrap()).collect();
    Called { id: id.to_owned(), outcomes, status }
}

/// Whether so much was published within a second.
async fn published(host: &Host, id: &str, outcomes: usize) -> bool {
    for _ in 0..20 {
        if host.status(id).await["guest"]["outputs"].as_u64().unwrap() >= outcomes as u64 {
            return true;
        }
        sleep(Duration::from_millis(50)).await;
    }
    false
}

/// Catches a file, a variable, an argument, a socket or a name that a guest gets without having been given it.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_ambient() {
    let service = Service::start().await;
    // Even where it could be called over HTTP.
    let host = Host::start_with(&[&PATIENT[..], &["--grant-http", "*:*,127.0.0.0/8:*"]].concat());
    host.upload("ambient", &hostile("ambient")).await;
    let segments = media::small_segments("160x90", 1);
    let params = json!({ "listener": service.address.to_string() });
    let (_, status) = host.run("reach", "ambient", params, &segments).await;
    assert_eq!(status["frames_withheld"], 25, "{status}");
    assert_eq!(status["errors"], json!({ "reported": 0, "traps": 0, "overruns": 0 }), "{status}");
    assert_eq!(service.accepted(), 0);
    assert!(!std::path::Path::new("/tmp/rillbox-ambient").exists());
}

/// Catches a component that can make requests without having asked for it where its operator sees it.
#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_imports_http_without_asking_is_refused() {
    let host = Host::start_with(&["--grant-http", "*"]);
    let bytes = std::fs::read(hostile("unasked")).unwrap();
    let (code, answer) = host.send(Method::POST, "/api/processors?name=unasked", bytes).await;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
    let message = answer["message"].as_str().unwrap();
    assert!(message.contains("imports wasi:http/") && message.contains("capability"), "{message}");
    // The same bindings, unused, are not even imported.
    let manifest = host.upload("green", &guest("green")).await;
    assert_eq!(manifest["capabilities"], json!([]));
    let manifest = host.upload("remote", &guest("remote-api")).await;
    assert_eq!(manifest["capabilities"], json!(["http:{url}"]));
}

/// Catches a stream that starts without what its processor needs, and a refusal that does not say what to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_says_which_host_to_grant() {
    let host = Host::start_with(&["--grant-http", "other=localhost:9000", "--grant-http", "remote@0.1.0=a.example"]);
    host.upload("remote", &guest("remote-api")).await;
    for (params, code, words) in [
        (json!({}), StatusCode::FORBIDDEN, "--grant-http remote=localhost:9000"),
        (json!({ "url": "https://api.example.com/v1" }), StatusCode::FORBIDDEN, "--grant-http remote=api.example.com"),
        (json!({ "url": "http://0x7f.1:9000/" }), StatusCode::FORBIDDEN, "--grant-http remote=127.0.0.1:9000"),
        (json!({ "url": "http://user@a.example/" }), StatusCode::BAD_REQUEST, "params/url"),
    ] {
        let (status, answer) = host.post("/api/stream/start", host.start_body("remote", "remote", params)).await;
        assert_eq!(status, code, "{answer}");
        assert!(answer["message"].as_str().unwrap().contains(words), "{answer}");
        assert_eq!(host.get("/api/streams/remote").await.0, StatusCode::NOT_FOUND, "a stream is left");
    }
    host.start_stream("remote", "remote", json!({ "url": "http://a.example/" })).await;
}

/// Catches a way around a grant: another spelling of an address, another port, a user name before the host, a name that leads
/// to an address that is not public.
#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_granted_is_connected_to() {
    let (service, other) = (Service::start().await, Service::start().await);
    let (port, elsewhere) = (service.port(), other.port());
    let host = host(&[&format!("localhost:{port}"), &format!("*:{elsewhere}"), &format!("[::1]:{port}")]).await;
    let refused = [
        // Granted is the name, not its address, however that is written.
        format!("http://127.0.0.1:{port}/ok"),
        format!("http://0x7f000001:{port}/ok"),
        format!("http://2130706433:{port}/ok"),
        format!("http://0177.0.0.1:{port}/ok"),
        format!("http://127.1:{port}/ok"),
        format!("http://[::ffff:127.0.0.1]:{port}/ok"),
        format!("http://[::ffff:7f00:1]:{port}/ok"),
        format!("http://[::1%25lo]:{port}/ok"),
        format!("http://user@localhost:{port}/ok"),
        format!("http://localhost:{port}@127.0.0.1:{elsewhere}/ok"),
        "http://localhost/ok".to_owned(),
        format!("http://localhost.evil.example:{port}/ok"),
        // Granted is every public host at this port: a name that leads to loopback is none, nor is loopback itself.
        format!("http://localhost:{elsewhere}/ok"),
        format!("http://127.0.0.1:{elsewhere}/ok"),
        format!("http://0:{elsewhere}/ok"),
        format!("http://[::]:{elsewhere}/ok"),
        format!("http://169.254.169.254:{elsewhere}/latest/meta-data"),
        format!("http://10.0.0.1:{elsewhere}/ok"),
        format!("http://[fd00::1]:{elsewhere}/ok"),
        format!("http://[64:ff9b::7f00:1]:{elsewhere}/ok"),
        format!("http://[2002:7f00:1::]:{elsewhere}/ok"),
    ];
    let allowed = [format!("http://LOCALHOST.:{port}/ok"), format!("http://localhost:{port}/host")];
    let urls: Vec<_> = refused.iter().chain(&allowed).collect();
    let called = call(&host, json!({ "urls": urls }), urls.len()).await;
    assert_eq!(called.outcomes.len(), urls.len(), "{:?}", called.outcomes);
    for (outcome, url) in called.outcomes.iter().zip(&refused) {
        assert_eq!((&outcome["url"], &outcome["status"]), (&json!(url), &json!(0)), "{outcome}");
    }
    for outcome in &called.outcomes[refused.len()..] {
        assert_eq!(outcome["status"], 200, "{outcome}");
    }
    assert_eq!(called.outcomes.last().unwrap()["bytes"], format!("localhost:{port}").len());
    assert!(called.error(0).contains("--grant-http"), "{}", called.error(0));
    assert_eq!((service.accepted(), other.accepted()), (2, 0), "{:?}", called.outcomes);
    assert!(called.http("refused") >= 15, "{}", called.status);
    assert!(called.status["guest"]["http"]["last_refusal"].is_string(), "{}", called.status);
}

/// Catches a redirect that is followed past the grant, by the host or by the guest.
#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_leads_no_further_than_a_grant() {
    let (service, forbidden) = (Service::start().await, Service::start().await);
    let host = host(&[&format!("localhost:{}", service.port())]).await;
    let url = format!("http://localhost:{}/to/{}", service.port(), forbidden.port());
    let called = call(&host, json!({ "urls": [url], "follow": true }), 2).await;
    assert_eq!(called.outcomes[0]["status"], 302, "{:?}", called.outcomes);
    assert!(called.error(1).contains("has not granted"), "{:?}", called.outcomes);
    assert_eq!(forbidden.accepted(), 0);
}

/// Catches a request whose target names a host: a service that is a proxy as well would send it on to where nobody has
/// granted anything.
#[tokio::test(flavor = "multi_thread")]
async fn requests_go_out_in_origin_form() {
    let service = Service::start().await;
    let host = host(&[&format!("localhost:{}", service.port())]).await;
    let targets = ["/target", "/target/http://127.0.0.1:9/ok", "/target//127.0.0.1:9", "/target?http://127.0.0.1:9/ok"];
    let url = |target: &&str| format!("http://localhost:{}{target}", service.port());
    let called = call(&host, json!({ "urls": targets.iter().map(url).collect::<Vec<_>>() }), targets.len()).await;
    for (outcome, target) in called.outcomes.iter().zip(targets) {
        assert_eq!((&outcome["status"], &outcome["bytes"]), (&json!(200), &json!(target.len())), "{target}: {outcome}");
    }
    assert_eq!(service.accepted(), targets.len(), "{:?}", called.outcomes);
}

/// Catches answers that fill the memory or hold a request for ever, and requests that are larger than they may be.
#[tokio::test(flavor = "multi_thread")]
async fn sizes_and_times_are_bounded() {
    let service = Service::start().await;
    let host = host(&[&format!("localhost:{}", service.port())]).await;
    let url = |path: &str| format!("http://localhost:{}/{path}", service.port());
    let paths = ["announced", "endless", "head", "broken", "slow", "ok"];
    let urls: Vec<_> = paths.iter().map(|path| url(path)).collect();
    let before = host.memory();
    let called = call(&host, json!({ "urls": urls }), urls.len()).await;
    for (at, word) in [(0, "too large"), (1, "broke off"), (2, "Header"), (3, "broke off"), (4, "broke off")] {
        assert!(called.error(at).contains(word), "{}: {:?}", paths[at], called.outcomes[at]);
    }
    assert_eq!(called.outcomes[5]["status"], 200, "{:?}", called.outcomes);
    assert_eq!(called.http("failed"), 5, "{}", called.status);
    assert!(called.http("bytes_received") < 9 << 20, "{}", called.status);
    assert!(host.memory() < before + (200 << 20), "{} became {}", before, host.memory());

    let called = call(&host, json!({ "urls": [url("echo")], "bytes": 1 << 20 }), 1).await;
    assert_eq!((&called.outcomes[0]["status"], &called.outcomes[0]["bytes"]), (&json!(200), &json!(1024)));
    let called = call(&host, json!({ "urls": [url("echo")], "bytes": 9 << 20 }), 1).await;
    assert!(called.error(0).contains("too large"), "{:?}", called.outcomes);
    let called = call(&host, json!({ "urls": [url("ok")], "header": 40_000 }), 1).await;
    assert_ne!(called.error(0), "", "{:?}", called.outcomes);
}

/// Catches a request that is held open by a service that does not answer, or that goes on for ever, a byte at a time.
#[tokio::test(flavor = "multi_thread")]
async fn requests_have_an_end() {
    let service = Service::start().await;
    let host = host(&[&format!("localhost:{}", service.port())]).await;
    let called = async |path: &str| {
        let (began, url) = (Instant::now(), format!("http://localhost:{}/{path}", service.port()));
        let called = call(&host, json!({ "urls": [url] }), 1).await;
        assert_eq!((called.outcomes.len(), called.http("failed")), (1, 1), "{path}: {}", called.status);
        began.elapsed().as_secs()
    };
    let (unanswered, dripping) = tokio::join!(called("never"), called("drip"));
    assert!((10..20).contains(&unanswered), "{unanswered} s without an answer");
    assert!(dripping >= 30, "{dripping} s, of silences that were all short");
}

/// Catches frames that wait for a service that never answers, requests without number, and requests that outlive their stream.
#[tokio::test(flavor = "multi_thread")]
async fn frames_flow_while_a_service_never_answers() {
    let service = Service::start().await;
    let host = host(&[&format!("localhost:{}", service.port())]).await;
    let urls = vec![format!("http://localhost:{}/never", service.port()); 12];
    let called = call(&host, json!({ "urls": urls, "at_once": true }), 4).await;
    assert_eq!(called.outcomes.len(), 4, "eight of twelve wait: {:?}", called.outcomes);
    assert!(called.error(0).contains("too many"), "{:?}", called.outcomes);
    assert_eq!((called.http("requests"), called.http("refused")), (8, 4), "{}", called.status);
    assert!(called.status["latency_ms"]["max"].as_f64() < Some(5_000.0), "{}", called.status);
    assert_eq!(called.status["errors"], json!({ "reported": 0, "traps": 0, "overruns": 0 }), "{}", called.status);
    host.status_when(&called.id, |status| status["guest"]["http"]["in_flight"] == 0).await;
    let closed = async {
        while service.open() > 0 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    // Sooner than any of a request's own limits.
    tokio::time::timeout(Duration::from_secs(5), closed).await.expect("requests end with their stream");
}

/// Catches handles of WASI's own that are not counted: headers, requests, and what is waited for; and bodies of requests that are not
/// sent, of which each may have half a megabyte.
#[tokio::test(flavor = "multi_thread")]
async fn handles_of_wasi_are_counted() {
    let host = Host::start_with(&[&PATIENT[..], &["--grant-http", "*"]].concat());
    host.upload("handles", &hostile("handles")).await;
    let segments = media::small_segments("160x90", 1);
    for kind in ["fields", "requests", "pollables", "bodies"] {
        let (received, status) = host.run(kind, "handles", json!({ "kind": kind }), &segments).await;
        assert_eq!(media::pts(&received.concat(), "v"), media::pts(&segments.concat(), "v"), "{status}");
        assert_eq!((&status["frames_withheld"], &status["errors"]["overruns"]), (&json!(0), &json!(0)), "{status}");
        assert!(status["errors"]["traps"].as_u64() > Some(0), "{status}");
        assert!(status["last_error"].as_str().unwrap().contains("table"), "{status}");
    }
    assert!(host.peak_memory() < 300 << 20, "{}", host.peak_memory());
}

/// Catches TLS whose server nobody vouches for, and an authority of the operator's that does not count.
#[tokio::test(flavor = "multi_thread")]
async fn services_over_tls_must_be_vouched_for() {
    let service = Service::start().await;
    let front = TlsFront::start(service.address).await;
    let mut authority = NamedTempFile::new().unwrap();
    authority.write_all(front.certificate.as_bytes()).unwrap();
    let grant = front.base.trim_start_matches("https://");
    let url = format!("{}/ok", front.base);
    for (flags, vouched) in [(&[][..], false), (&["--http-ca", authority.path().to_str().unwrap()][..], true)] {
        let host = Host::start_with(&[&PATIENT, &["--grant-http", grant], flags].concat());
        host.upload("caller", &hostile("caller")).await;
        let called = call(&host, json!({ "urls": [url] }), 1).await;
        assert_eq!(called.outcomes[0]["status"] == 200, vouched, "{:?}", called.outcomes);
        assert_eq!(service.accepted() > 0, vouched, "a request went to a server that nobody vouches for");
    }
}

/// Catches a stream whose channels are where the operator does not let them be, whichever they are.
#[tokio::test(flavor = "multi_thread")]
async fn channels_are_only_where_urls_are_allowed() {
    // Every public host, and this host's own channels below one path.
    let trickle = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let own = format!("http://127.0.0.1:{}/live", trickle.port());
    let host = Host::start_with(&["--no-trickle", "--allow-url", "*:*", "--allow-url", &own]);
    host.upload("passthrough", &guest("passthrough")).await;
    let good = json!({
        "processor": "passthrough", "gateway_request_id": "s",
        "subscribe_url": format!("{own}/in"), "publish_url": format!("{own}/out"),
        "control_url": format!("{own}/control"), "events_url": format!("{own}/events"), "data_url": format!("{own}/data"),
    });
    for field in ["subscribe_url", "publish_url", "control_url", "events_url", "data_url"] {
        for url in [
            format!("http://127.0.0.1:{}/other", trickle.port()),
            format!("http://127.0.0.1:{}/live/../other", trickle.port()),
            format!("https://127.0.0.1:{}/live/x", trickle.port()),
            format!("http://localhost:{}/live/x", trickle.port()),
            "http://169.254.169.254/latest/meta-data".to_owned(),
            "http://0xa000001/x".to_owned(),
            "http://[::ffff:10.0.0.1]:8935/x".to_owned(),
        ] {
            let mut body = good.clone();
            body[field] = url.clone().into();
            let (code, answer) = host.post("/api/stream/start", body).await;
            assert_eq!(code, StatusCode::FORBIDDEN, "{field} {url}: {answer}");
            let message = answer["message"].as_str().unwrap();
            assert!(message.contains(field) && message.contains("--allow-url"), "{message}");
        }
    }
    let (code, answer) = host.post("/api/stream/start", good).await;
    assert_eq!(code, StatusCode::OK, "{answer}");
}

/// Catches a stream that does not run where its URLs are allowed, and a refusal of what was always possible: without the flag,
/// on loopback, everything is.
#[tokio::test(flavor = "multi_thread")]
async fn allowed_channels_carry_a_stream() {
    let channels = crate::harness::channels::Channels::start();
    let segments = media::small_segments("160x90", 1);
    for flags in [&[][..], &["--allow-url", &channels.base()][..]] {
        let host = Host::start_beside(&channels, flags);
        host.upload("passthrough", &guest("passthrough")).await;
        let id = format!("allowed-{}", flags.len());
        let (received, status) = host.run(&id, "passthrough", json!({}), &segments).await;
        assert_eq!(media::pts(&received.concat(), "v"), media::pts(&segments.concat(), "v"), "{status}");
    }
}
