//! The events channel: what happens, and every ten seconds how the stream is, one JSON object a segment.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio::time::{MissedTickBehavior, interval};

use super::report::Report;
use crate::session::event::{StreamEvent, TimedEvent};
use crate::session::meters::Meters;

/// Time between two reports: a gateway takes a stream without an event for 30 s to be lost.
const BEAT: Duration = Duration::from_secs(10);

/// Events that wait while the server takes none, and their bytes.
const MAX_WAITING: usize = 128;
const MAX_WAITING_BYTES: usize = 1 << 20;

/// Waiting events that still go out once the stream has stopped; there is hardly time for more.
const LAST: usize = 8;

/// The task that makes events. Ends when it has handed on that the stream stopped.
pub struct Events {
    told: broadcast::Receiver<TimedEvent>,
    report: Report,
    outbox: mpsc::Sender<Bytes>,
    waiting: Waiting,
}

impl Events {
    pub fn new(told: broadcast::Receiver<TimedEvent>, report: Report, outbox: mpsc::Sender<Bytes>) -> Self {
        let meters = report.meters().clone();
        Self { told, report, outbox, waiting: Waiting { events: VecDeque::new(), bytes: 0, meters } }
    }

    pub async fn run(mut self) {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                permit = self.outbox.reserve(), if !self.waiting.events.is_empty() => {
                    let (Ok(permit), Some(event)) = (permit, self.waiting.pop()) else { return };
                    permit.send(event);
                }
                told = self.told.recv() => match told {
                    Ok(told) => {
                        self.waiting.push(self.report.event(&told), is_essential(&told.what));
                        if matches!(told.what, StreamEvent::Stopped { .. }) {
                            break;
                        }
                    }
                    Err(RecvError::Lagged(lost)) => self.waiting.meters.channels.events.dropped.add(lost),
                    Err(RecvError::Closed) => break,
                },
                _ = beat.tick() => {
                    self.waiting.push(self.report.status(), false);
                    self.waiting.push(self.report.heartbeat(), false);
                }
            }
        }
        self.waiting.shrink(LAST, MAX_WAITING_BYTES);
        while let Some(event) = self.waiting.pop() {
            if self.outbox.send(event).await.is_err() {
                return;
            }
        }
    }
}

/// Whether nothing later makes up for its loss.
fn is_essential(what: &StreamEvent) -> bool {
    !matches!(what, StreamEvent::Emitted(..))
}

/// Events in their order. Those that are left when it is dropped count as dropped too.
struct Waiting {
    /// With whether they are essential.
    events: VecDeque<(Bytes, bool)>,
    /// Bytes of `events`.
    bytes: usize,
    meters: Arc<Meters>,
}

impl Waiting {
    fn push(&mut self, event: Bytes, essential: bool) {
        self.bytes += event.len();
        self.events.push_back((event, essential));
        self.shrink(MAX_WAITING, MAX_WAITING_BYTES);
    }

    /// Drops the oldest of what matters least.
    fn shrink(&mut self, events: usize, bytes: usize) {
        while self.events.len() > events || self.bytes > bytes {
            let least = self.events.iter().position(|(_, essential)| !essential).unwrap_or(0);
            if let Some((event, _)) = self.events.remove(least) {
                self.bytes -= event.len();
                self.meters.channels.events.dropped.add(1);
            }
        }
    }

    fn pop(&mut self) -> Option<Bytes> {
        let (event, _) = self.events.pop_front()?;
        self.bytes -= event.len();
        Some(event)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.meters.channels.events.dropped.add(self.events.len() as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use serde_json::{Map, Value, json};
    use tokio::time::Instant;

    use super::super::report::{Facts, Urls};
    use super::*;

    struct Rig {
        meters: Arc<Meters>,
        outbox: mpsc::Receiver<Bytes>,
        task: tokio::task::JoinHandle<()>,
        began: Instant,
    }

    impl Rig {
        fn new() -> Self {
            let meters = Arc::new(Meters::new());
            let urls = Urls { subscribe: "http://s/in".to_owned(), ..Urls::default() };
            let (stream, processor) = ("one".to_owned(), "green@1.0.0".to_owned());
            let facts = Facts { stream, processor, started: SystemTime::now(), urls };
            let (sender, outbox) = mpsc::channel(1);
            let task = tokio::spawn(Events::new(meters.life.listen(), Report::of(facts, meters.clone()), sender).run());
            Self { meters, outbox, task, began: Instant::now() }
        }

        async fn next(&mut self) -> (Value, u64) {
            let event = self.outbox.recv().await.unwrap();
            (serde_json::from_slice(&event).unwrap(), self.began.elapsed().as_secs())
        }

        fn stop(&self) {
            self.meters.life.emit(StreamEvent::Stopped { failed: false, reason: "stopped".to_owned() });
        }

        /// Everything that is left, by type.
        async fn rest(mut self) -> Vec<String> {
            let mut kinds = Vec::new();
            while let Some(event) = self.outbox.recv().await {
                let event: Value = serde_json::from_slice(&event).unwrap();
                kinds.push(event["event"]["type"].as_str().unwrap().to_owned());
            }
            self.task.await.unwrap();
            kinds
        }
    }

    fn emitted(bytes: usize) -> StreamEvent {
        StreamEvent::Emitted("mood".to_owned(), Map::from_iter([("text".to_owned(), "x".repeat(bytes).into())]))
    }

    /// Catches a stream that a gateway takes to be lost because nothing happens in it, and the shapes that it knows.
    #[tokio::test(start_paused = true)]
    async fn status_and_heartbeat_come_every_ten_seconds() {
        let mut rig = Rig::new();
        for due in [0, 10, 20] {
            let (status, at) = rig.next().await;
            assert_eq!((status["event"]["type"].as_str(), at), (Some("status"), due));
            assert_eq!(status["queue_event_type"], "ai_stream_events");
            assert_eq!(status["event"]["state"], "LOADING");
            assert_eq!(status["event"]["pipeline"], "green@1.0.0");
            assert_eq!(status["event"]["input_status"], json!({ "last_input_time": null, "fps": 0.0 }));
            assert_eq!(status["event"]["inference_status"]["restart_count"], 0);
            let (beat, at) = rig.next().await;
            assert_eq!((beat["event"]["type"].as_str(), at), (Some("heartbeat"), due));
            assert_eq!(beat["queue_event_type"], "stream_heartbeat");
            assert_eq!(beat["event"]["urls"]["subscribe"], "http://s/in");
            assert_eq!(beat["event"]["urls"]["data"], "");
            assert_eq!(beat["event"]["dimensions"], json!({ "width": 0, "height": 0 }));
            assert_eq!(beat["event"]["fps"].as_object().unwrap().len(), 4);
            assert!(beat["event"]["timestamp"].as_u64() > Some(1_600_000_000_000), "milliseconds");
        }
    }

    /// Catches params that are told twice or never, and those that are too large for an event.
    #[tokio::test(start_paused = true)]
    async fn params_are_in_their_event_and_in_the_next_status() {
        let mut rig = Rig::new();
        rig.next().await;
        rig.next().await;
        rig.meters.life.emit(StreamEvent::ParamsUpdated(Map::from_iter([("gain".to_owned(), 2.into())])));
        assert_eq!(rig.next().await.0["event"]["params"], json!({ "gain": 2 }));
        let (first, _) = (rig.next().await.0, rig.next().await);
        assert_eq!(first["event"]["inference_status"]["last_params"], json!({ "gain": 2 }));
        rig.meters
            .life
            .emit(StreamEvent::ParamsUpdated(Map::from_iter([("text".to_owned(), "x".repeat(1 << 20).into())])));
        assert_eq!(rig.next().await.0["event"]["params"], Value::Null);
        let second = rig.next().await.0;
        assert_eq!(second["event"]["inference_status"]["last_params"], Value::Null);
        let hash =
            |status: &Value| status["event"]["inference_status"]["last_params_hash"].as_str().unwrap().to_owned();
        assert_ne!(hash(&first), hash(&second));
    }

    /// Catches a processor that passes its events off as another stream's.
    #[tokio::test(start_paused = true)]
    async fn a_processors_event_keeps_the_hosts_fields() {
        let mut rig = Rig::new();
        rig.next().await;
        rig.next().await;
        let fields = json!({ "stream_id": "another", "type": "status", "level": 3 });
        let Value::Object(fields) = fields else { unreachable!() };
        rig.meters.life.emit(StreamEvent::Emitted("mood".to_owned(), fields));
        let event = rig.next().await.0["event"].clone();
        assert_eq!((&event["type"], &event["stream_id"], &event["level"]), (&json!("mood"), &json!("one"), &json!(3)));
    }

    /// Catches memory that grows while the server takes nothing, an end that is lost in a flood, losses that are not
    /// counted, and events that change their order.
    #[tokio::test(start_paused = true)]
    async fn a_server_that_takes_nothing_costs_what_matters_least() {
        let rig = Rig::new();
        rig.meters.life.emit(StreamEvent::FirstSegmentReceived);
        for _ in 0..100 {
            rig.meters.life.emit(emitted(100_000));
            tokio::task::yield_now().await;
        }
        rig.meters.life.error(crate::session::event::Origin::Input, "lost".to_owned());
        rig.stop();
        let meters = rig.meters.clone();
        let kinds = rig.rest().await;
        assert!((4..=8).contains(&kinds.iter().filter(|kind| *kind == "mood").count()), "{kinds:?}");
        let essential: Vec<_> = kinds.iter().filter(|kind| *kind != "mood" && *kind != "heartbeat").collect();
        assert!(essential.ends_with(&[
            &"receive_first_ingest_segment".to_owned(),
            &"error".to_owned(),
            &"stream_stopped".to_owned()
        ]));
        assert_eq!(meters.channels.events.dropped.get() + kinds.len() as u64, 100 + 3 + 2);
    }
}
