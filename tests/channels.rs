//! Control, events and data: their shapes on the wire, and servers and messages that are bad.

use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::StatusCode;
use rillbox_trickle::{Publisher, PublisherConfig, Segment, Start, SubscribeError, Subscriber};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::harness::host::Host;
use crate::harness::{PATIENCE, PATIENT, hostile, media};

/// A host with the processor `talker`, and a second of small video.
async fn host() -> (Host, Vec<Vec<u8>>) {
    let host = Host::start_with(&PATIENT);
    host.upload("talker", &hostile("talker")).await;
    (host, media::small_segments("320x180", 1))
}

/// Starts a stream with channels of these names' ends, made before as a gateway's are.
async fn start(host: &Host, id: &str, params: Value, channels: &[&str]) {
    let mut body = host.start_body(id, "talker", params);
    for (end, content_type) in [("in", "video/MP2T"), ("out", "video/MP2T")] {
        let url = host.channel(&format!("{id}-{end}"));
        rillbox_trickle::create(&host.client, &url, content_type).await.unwrap();
    }
    for end in channels {
        let url = host.channel(&format!("{id}-{end}"));
        rillbox_trickle::create(&host.client, &url, "application/json").await.unwrap();
        body[format!("{end}_url")] = url.to_string().into();
    }
    let (status, answer) = host.post("/api/stream/start", body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

/// All segments of a channel, from the first one on until it ends.
fn record(host: &Host, name: &str) -> JoinHandle<Vec<String>> {
    let all = record_counting(host, name);
    tokio::spawn(async move { all.await.unwrap().0 })
}

/// As [`record`], with how many segments the server had no more when they were asked for.
fn record_counting(host: &Host, name: &str) -> JoinHandle<(Vec<String>, u64)> {
    let mut subscriber = Subscriber::new(host.client.clone(), host.channel(name), Start::Seq(0));
    tokio::spawn(async move {
        let (mut segments, mut skipped) = (Vec::new(), 0);
        loop {
            match subscriber.next().await {
                Ok(mut segment) => {
                    skipped += segment.skipped();
                    segments.push(text(&mut segment).await);
                }
                Err(error) if error.is_terminal() => return (segments, skipped),
                Err(error) => panic!("{error}"),
            }
        }
    })
}

async fn text(segment: &mut Segment) -> String {
    let mut bytes = Vec::new();
    while let Some(chunk) = segment.chunk().await.unwrap() {
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).unwrap()
}

/// The events of an events channel, each checked for what all have.
fn events(segments: &[String], id: &str) -> Vec<Value> {
    let event = |segment: &String| {
        let message: Value = serde_json::from_str(segment).unwrap();
        let keys: Vec<_> = message.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["event", "queue_event_type"]);
        assert_eq!((&message["event"]["stream_id"], &message["event"]["request_id"]), (&json!(id), &json!(id)));
        assert!(message["event"]["timestamp"].as_u64() > Some(1_600_000_000_000), "{message}");
        message
    };
    segments.iter().map(event).collect()
}

fn of_type<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"]["type"] == kind).collect()
}

/// Publishes whole messages to a stream's control channel.
struct Control<'a> {
    host: &'a Host,
    id: &'a str,
    publisher: Publisher,
    sent: u64,
}

impl<'a> Control<'a> {
    fn new(host: &'a Host, id: &'a str) -> Self {
        let url = host.channel(&format!("{id}-control"));
        Self { host, id, publisher: Publisher::new(host.client.clone(), url, PublisherConfig::default()), sent: 0 }
    }

    /// Sends a message in pieces, and waits until the stream has read it.
    async fn send(&mut self, message: &[u8]) {
        self.publisher.begin();
        for piece in message.chunks(message.len().div_ceil(3).max(1)) {
            self.publisher.write(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        self.publisher.end();
        self.sent += 1;
        let sent = self.sent;
        // A segment that is too large is not read.
        let read = |status: &Value| {
            let control = &status["channels"]["control"];
            control["segments"].as_u64().unwrap() + u64::from(message.len() > 1 << 20) >= sent
        };
        self.host.status_when(self.id, read).await;
        self.sent -= u64::from(message.len() > 1 << 20);
    }

    async fn status(&self) -> Value {
        self.host.status(self.id).await["channels"]["control"].clone()
    }
}

/// Feeds the segments, ends the input, and gives the output and the last status.
async fn play(host: &Host, id: &str, segments: &[Vec<u8>]) -> (Vec<u8>, Value) {
    let recorded = host.record(id);
    let mut publisher = host.publisher(id);
    host.feed(&mut publisher, id, segments).await;
    publisher.close().await.unwrap();
    let received = timeout(PATIENCE, recorded).await.expect("the output's channel ends").unwrap().concat();
    let ended = |status: &Value| status["state"] == "ENDED" || status["state"] == "ERROR";
    (received, host.status_when(id, ended).await)
}

fn assert_whole(received: &[u8], segments: &[Vec<u8>]) {
    assert_eq!(media::pts(received, "v"), media::pts(&segments.concat(), "v"));
}

/// Catches events that are missing, doubled, out of order, of another shape, or lost because the stream ends.
#[tokio::test(flavor = "multi_thread")]
async fn events_tell_of_a_streams_life() {
    let (host, segments) = host().await;
    start(&host, "life", json!({}), &["events"]).await;
    let recorded = record(&host, "life-events");
    for _ in 0..2 {
        let (code, answer) = host.post("/api/stream/params", json!({ "level": 7 })).await;
        assert_eq!(code, StatusCode::OK, "{answer}");
    }
    let (received, status) = play(&host, "life", &segments).await;
    assert_whole(&received, &segments);
    let events = events(&timeout(PATIENCE, recorded).await.expect("the channel ends").unwrap(), "life");

    let one = |kind: &str| {
        let found = of_type(&events, kind);
        assert_eq!(found.len(), 1, "{kind}: {events:?}");
        found[0]
    };
    assert_eq!(one("params_updated")["event"]["params"], json!({ "level": 7 }));
    assert_eq!(one("params_updated")["queue_event_type"], "ai_stream_events");
    assert_eq!(one("receive_first_ingest_segment")["queue_event_type"], "stream_trace");
    assert_eq!(one("send_first_processed_segment")["queue_event_type"], "stream_trace");
    assert_eq!(one("stream_stopped")["event"]["reason"], "the input ended");
    assert_eq!(one("stream_stopped")["event"]["state"], "OFFLINE");
    assert_eq!(events.last().unwrap()["event"]["type"], "stream_stopped");
    let first = of_type(&events, "status")[0];
    assert_eq!(first["queue_event_type"], "ai_stream_events");
    assert_eq!(first["event"]["pipeline"], status["processor"]);
    assert_eq!(first["event"]["start_time"], status["started_at"]);
    let beat = of_type(&events, "heartbeat")[0];
    assert_eq!(beat["queue_event_type"], "stream_heartbeat");
    assert_eq!(beat["event"]["urls"]["subscribe"], status["subscribe_url"]);
    assert_eq!(status["channels"]["events"]["segments"], events.len());
    let times: Vec<_> = events.iter().map(|event| event["event"]["timestamp"].as_u64().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
}

/// Catches an end for a bad reason that nobody is told of.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_an_event_with_its_reason() {
    let (host, _) = host().await;
    start(&host, "stopped", json!({}), &["events"]).await;
    let recorded = record(&host, "stopped-events");
    host.status_when("stopped", |status| status["channels"]["events"]["segments"].as_u64() >= Some(2)).await;
    let (code, _) = host.send_for(Some("stopped"), reqwest::Method::POST, "/api/stream/stop", "").await;
    assert_eq!(code, StatusCode::OK);
    let events = events(&timeout(PATIENCE, recorded).await.expect("the channel ends").unwrap(), "stopped");
    assert_eq!(events.last().unwrap()["event"]["type"], "stream_stopped");
    assert_eq!(events.last().unwrap()["event"]["reason"], "stopped");
}

/// Catches values that are lost, doubled, out of order or in segments that a reader does not take, and what is published last.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_processor_publishes_arrives_whole() {
    let (host, segments) = host().await;
    for (id, params) in
        [("many", json!({ "values": 40, "bytes": 10 })), ("large", json!({ "values": 3, "bytes": 30_000 }))]
    {
        let mut body = host.start_body(id, "talker", params);
        // The channel comes with the first segment, and has its type.
        body["data_url"] = host.channel(&format!("{id}-data")).to_string().into();
        for end in ["in", "out"] {
            let url = host.channel(&format!("{id}-{end}"));
            rillbox_trickle::create(&host.client, &url, "video/MP2T").await.unwrap();
        }
        let (code, answer) = host.post("/api/stream/start", body).await;
        assert_eq!(code, StatusCode::OK, "{answer}");
        let mut subscriber = Subscriber::new(host.client.clone(), host.channel(&format!("{id}-data")), Start::Seq(0));
        let recorded = tokio::spawn(async move {
            let (mut values, mut begun) = (Vec::new(), false);
            loop {
                match subscriber.next().await {
                    Ok(mut segment) => {
                        begun = true;
                        assert_eq!(segment.content_type(), Some("application/jsonl"));
                        let text = text(&mut segment).await;
                        assert!(text.len() <= 60 << 10, "{} bytes", text.len());
                        assert_eq!((text.matches('\n').count(), text.ends_with("]\n")), (1, true));
                        values.extend(serde_json::from_str::<Vec<Value>>(&text).unwrap());
                    }
                    Err(SubscribeError::NotFound) if !begun => tokio::task::yield_now().await,
                    Err(_) => return values,
                }
            }
        });
        let (received, status) = play(&host, id, &segments).await;
        assert_whole(&received, &segments);
        let mut values = timeout(PATIENCE, recorded).await.expect("the channel ends").unwrap();
        assert_eq!(values.pop(), Some(json!("stopped")), "what was published at the end");
        let counts: Vec<_> = values.iter().map(|value| value["count"].as_u64().unwrap()).collect();
        assert_eq!(counts, (1..=counts.len() as u64).collect::<Vec<_>>(), "{status}");
        assert_eq!(counts.len() as u64 + 1, status["guest"]["outputs"].as_u64().unwrap(), "{status}");
        assert_eq!(status["channels"]["data"]["dropped"], 0, "{status}");
    }
}

/// Catches a processor's events that do not arrive, and those that pass for the host's.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_processor_emits_is_an_event_unless_it_is_the_hosts() {
    let (host, segments) = host().await;
    for (id, event, expected) in [("mood", "mood", "mood"), ("forged", "stream_stopped", "misuse")] {
        start(&host, id, json!({ "event": event }), &["events"]).await;
        let recorded = record_counting(&host, &format!("{id}-events"));
        let (_, status) = play(&host, id, &segments).await;
        let (segments, skipped) = timeout(PATIENCE, recorded).await.expect("the channel ends").unwrap();
        let events = events(&segments, id);
        let emitted = of_type(&events, expected);
        // More than leave in the time that there is, or than a slow reader gets. With them the first status and heartbeat may go.
        let told = emitted.len() as u64 + status["channels"]["events"]["dropped"].as_u64().unwrap();
        assert!(told <= 25 + 2 && told + skipped >= 25, "{skipped} segments were skipped of {events:?}");
        assert!((5..=25).contains(&emitted.len()), "{events:?}");
        assert!(emitted.iter().all(|event| event["queue_event_type"] == "ai_stream_events"));
        assert!(emitted.is_sorted_by_key(|event| event["event"]["count"].as_u64()), "{events:?}");
        assert_eq!(of_type(&events, "stream_stopped").len(), 1);
    }
}

/// Catches updates that are lost, taken twice or told twice, and a message that does harm.
#[tokio::test(flavor = "multi_thread")]
async fn control_updates_params_and_garbage_does_no_harm() {
    let (host, segments) = host().await;
    start(&host, "told", json!({ "values": 1 }), &["control", "events", "data"]).await;
    let recorded = (record(&host, "told-events"), record(&host, "told-data"));
    let mut control = Control::new(&host, "told");

    control.send(br#"{"keep":"alive"}"#).await;
    control.send(b"").await;
    assert_eq!(
        (control.status().await["updates"].clone(), control.status().await["rejected"].clone()),
        (json!(0), json!(0))
    );
    control.send(br#"{"level": 1, "gateway_request_id": "told"}"#).await;
    control.send(b"{\n \"level\": 1\n}").await;
    let status = host.status_when("told", |status| status["channels"]["control"]["updates"] == 2).await;
    assert_eq!(status["params"], json!({ "values": 1, "level": 1 }));

    let (deep, large) = ("[".repeat(200_000), format!("{{\"level\": \"{}\"}}", "x".repeat(10 << 20)));
    let nested = format!("{{\"level\": {}1{}}}", "[".repeat(500), "]".repeat(500));
    let bad: [&[u8]; 10] = [
        b"garbage",
        b"\xff\xfe\x00\x01",
        b"null",
        b"[{\"level\": 9}]",
        b"{\"level\": \"high\"}",
        b"{\"level\": 9, \"unknown\": 1}",
        b"{\"level\": 9, \"width\": 7}",
        deep.as_bytes(),
        nested.as_bytes(),
        large.as_bytes(),
    ];
    for (index, message) in bad.iter().enumerate() {
        control.send(message).await;
        let rejected = |status: &Value| status["channels"]["control"]["rejected"] == index + 1;
        let status = host.status_when("told", rejected).await;
        assert_eq!(status["params"]["level"], 1, "{status}");
    }
    control.send(b"{\"level\": 2}\nnonsense\n{\"level\": 3}\n").await;
    host.status_when("told", |status| status["params"]["level"] == 3).await;

    let (received, status) = play(&host, "told", &segments).await;
    assert_whole(&received, &segments);
    let control = &status["channels"]["control"];
    assert_eq!((&control["updates"], &control["rejected"]), (&json!(4), &json!(11)), "{status}");
    let events = events(&timeout(PATIENCE, recorded.0).await.expect("the channel ends").unwrap(), "told");
    let updated: Vec<_> =
        of_type(&events, "params_updated").iter().map(|event| event["event"]["params"]["level"].clone()).collect();
    assert_eq!(updated, [1, 2, 3], "what changes nothing is not told");
    let errors = of_type(&events, "error");
    assert!((1..=3).contains(&errors.len()), "eleven bad messages in a row: {errors:?}");
    assert!(errors[0]["event"]["message"].as_str().unwrap().contains("not JSON"), "{errors:?}");
    assert_eq!(errors[0]["event"]["suppressed"], 0);
    let data = timeout(PATIENCE, recorded.1).await.expect("the channel ends").unwrap().concat();
    assert!(data.contains(r#""level":3"#) && data.contains(r#""updates":4"#) && !data.contains(r#""updates":5"#));
}

/// What a bad server does with a request.
#[derive(Clone, Copy, Debug)]
enum Bad {
    Refuses,
    KnowsNothing,
    Hangs,
    HangsUp,
    IsSlow,
}

/// A server that behaves so to every request.
async fn bad_server(bad: Bad) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, bad));
        }
    });
    format!("http://{address}")
}

async fn answer(mut stream: TcpStream, bad: Bad) {
    let mut request = vec![0; 64 << 10];
    let Ok(length @ 1..) = stream.read(&mut request).await else { return };
    let is_post = request[..length].starts_with(b"POST");
    let reply = match bad {
        Bad::HangsUp => return,
        Bad::Hangs => {
            // Until the host gives up.
            while let Ok(1..) = stream.read(&mut request).await {}
            return;
        }
        Bad::Refuses => "HTTP/1.1 500 no\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        Bad::KnowsNothing => "HTTP/1.1 404 no\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        Bad::IsSlow => {
            tokio::time::sleep(Duration::from_millis(400)).await;
            // A whole segment of a small message ends like this.
            while is_post && !request[..].windows(5).any(|end| end == b"0\r\n\r\n") {
                let Ok(1..) = stream.read(&mut request).await else { return };
            }
            "HTTP/1.1 200 OK\r\nLp-Trickle-Latest: 0\r\nContent-Length: 1\r\nConnection: close\r\n\r\n0"
        }
    };
    // The host may have gone.
    let _ = stream.write_all(reply.as_bytes()).await;
}

/// Catches a side channel whose server ends the stream, costs a frame, delays the end or goes uncounted.
#[tokio::test(flavor = "multi_thread")]
async fn bad_servers_cost_no_frame_and_no_time() {
    let (host, segments) = host().await;
    tokio::join!(
        survive(&host, &segments, Bad::Refuses),
        survive(&host, &segments, Bad::KnowsNothing),
        survive(&host, &segments, Bad::Hangs),
        survive(&host, &segments, Bad::HangsUp),
        survive(&host, &segments, Bad::IsSlow),
    );
}

/// Runs a stream whose side channels are all at a bad server.
async fn survive(host: &Host, segments: &[Vec<u8>], bad: Bad) {
    let (id, server) = (format!("{bad:?}"), bad_server(bad).await);
    let mut body = host.start_body(&id, "talker", json!({ "values": 1 }));
    for channel in ["control", "events", "data"] {
        body[format!("{channel}_url")] = format!("{server}/{channel}").into();
    }
    for end in ["in", "out"] {
        let url = host.channel(&format!("{id}-{end}"));
        rillbox_trickle::create(&host.client, &url, "video/MP2T").await.unwrap();
    }
    let (code, answer) = host.post("/api/stream/start", body).await;
    assert_eq!(code, StatusCode::OK, "{answer}");
    let recorded = host.record(&id);
    let mut publisher = host.publisher(&id);
    host.feed(&mut publisher, &id, segments).await;
    publisher.close().await.unwrap();
    let received = timeout(PATIENCE, recorded).await.expect("the output's channel ends").unwrap().concat();
    let ending = Instant::now();
    let status = host.status_when(&id, |status| status["state"] == "ENDED").await;
    assert!(ending.elapsed() < Duration::from_secs(6), "{bad:?}: {:?}", ending.elapsed());
    assert_whole(&received, segments);
    assert_eq!(status["reason"], "the input ended", "{bad:?}");
    if matches!(bad, Bad::IsSlow) {
        return;
    }
    for channel in ["events", "data"] {
        let counts = &status["channels"][channel];
        assert!(counts["failures"].as_u64() > Some(0) && counts["dropped"].as_u64() > Some(0), "{bad:?}: {status}");
        assert!(counts["last_error"].is_string(), "{bad:?}: {status}");
    }
    let control = &status["channels"]["control"];
    assert!(matches!(bad, Bad::Hangs) || control["failures"].as_u64() > Some(0), "{bad:?}: {status}");
}

/// Catches a channel that is given up when its server has lost it, and one that goes on where nobody reads.
#[tokio::test(flavor = "multi_thread")]
async fn channels_that_are_deleted_are_taken_up_again() {
    let (host, segments) = host().await;
    start(&host, "again", json!({ "values": 1 }), &["control", "data", "events"]).await;
    let mut publisher = host.publisher("again");
    host.feed(&mut publisher, "again", &segments).await;
    host.status_when("again", |status| status["channels"]["data"]["segments"].as_u64() >= Some(1)).await;
    for end in ["control", "data", "events"] {
        rillbox_trickle::delete(&host.client, &host.channel(&format!("again-{end}"))).await.unwrap();
    }
    let url = host.channel("again-control");
    rillbox_trickle::create(&host.client, &url, "application/json").await.unwrap();
    let mut control = Publisher::new(host.client.clone(), url, PublisherConfig::default());
    control.write(Bytes::from_static(br#"{"level": 5}"#)).await.unwrap();
    control.end();
    host.status_when("again", |status| status["params"]["level"] == 5).await;
    // The update is an event, and what the next pictures bring is data; before it there may be what the last ones brought.
    let comes = async |end: &str, word: &str| {
        let mut subscriber =
            Subscriber::new(host.client.clone(), host.channel(&format!("again-{end}")), Start::Current);
        loop {
            match subscriber.next().await {
                Ok(mut segment) => {
                    if text(&mut segment).await.contains(word) {
                        return;
                    }
                }
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    timeout(PATIENCE, comes("events", "stream_id")).await.expect("an event");
    host.feed(&mut publisher, "again", &segments).await;
    timeout(PATIENCE, comes("data", r#""level":5"#)).await.expect("data");
    let (code, _) = host.post("/api/stream/stop", json!({})).await;
    assert_eq!(code, StatusCode::OK);
    assert_eq!(host.status("again").await["state"], "ENDED");
}

/// Catches a stream that would write where it reads.
#[tokio::test(flavor = "multi_thread")]
async fn channels_of_a_stream_are_different() {
    let (host, _) = host().await;
    let mut body = host.start_body("same", "talker", json!({}));
    body["data_url"] = body["publish_url"].clone();
    let (code, answer) = host.post("/api/stream/start", body.clone()).await;
    assert_eq!(code, StatusCode::BAD_REQUEST, "{answer}");
    assert!(answer["message"].as_str().unwrap().contains("publish_url and data_url"), "{answer}");
    body["data_url"] = "not a URL".into();
    assert_eq!(host.post("/api/stream/start", body).await.0, StatusCode::BAD_REQUEST);
}
