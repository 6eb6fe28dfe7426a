//! The control channel: JSON objects that are params, from a gateway that sends the same again when it is not sure.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use rillbox_trickle::{Backoff, ChannelUrl, Client, Segment, Start, SubscribeError, Subscriber};
use serde_json::{Map, Value};
use thiserror::Error;
use tokio::time::timeout;

use super::meter::ControlMeter;
use crate::registry::{TooManyValues, ValueBudget};
use crate::session::causes::causes;
use crate::session::event::{Origin, clipped};
use crate::session::live_params::{LiveParams, UpdateRejected};
use crate::session::meters::Meters;

/// Largest segment that is read, in bytes.
const MAX_SEGMENT: usize = 1 << 20;

/// Messages of one segment that are taken.
const MAX_MESSAGES: usize = 64;

/// A segment that is silent for this long is left when the next one is there.
const STALL: Duration = Duration::from_secs(2);

/// Segments in a row that may be empty before the next is asked for with a pause.
const MAX_EMPTY: u32 = 5;

/// Names the stream in bodies that a gateway passes on; no param.
const STREAM_KEY: &str = "gateway_request_id";

/// The task that reads a stream's control channel, for as long as the stream runs.
pub struct Control {
    subscriber: Subscriber,
    url: ChannelUrl,
    params: Arc<LiveParams>,
    meters: Arc<Meters>,
    backoff: Backoff,
    /// The last request failed.
    failing: bool,
    /// Segments in a row that held nothing.
    empty: u32,
}

/// Why a segment was not read to its end.
enum Unread {
    Large,
    Stalled,
    BrokeOff(SubscribeError),
}

/// Why something in a segment is no update of params.
#[derive(Debug, Error)]
enum NoUpdate {
    #[error(transparent)]
    Large(#[from] TooManyValues),
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("not a JSON object")]
    NotAnObject,
    #[error("more than {MAX_MESSAGES} lines in a segment")]
    TooManyLines,
}

impl Control {
    pub fn new(client: Client, url: ChannelUrl, params: Arc<LiveParams>, meters: Arc<Meters>) -> Self {
        let subscriber = Subscriber::new(client, url.clone(), Start::Current);
        Self { subscriber, url, params, meters, backoff: Backoff::default(), failing: false, empty: 0 }
    }

    /// Runs until it is cancelled, or the host goes down.
    pub async fn run(mut self) {
        loop {
            match self.subscriber.next().await {
                Ok(segment) => self.take(segment).await,
                Err(SubscribeError::Interrupted) => return,
                Err(error) => {
                    // A channel that is made again starts over.
                    if error.is_terminal() {
                        self.subscriber.seek(Start::Current);
                    }
                    self.failed(&error).await;
                }
            }
        }
    }

    async fn take(&mut self, mut segment: Segment) {
        let seq = segment.seq();
        self.meter().skipped.add(segment.skipped());
        match self.read(&mut segment).await {
            Ok(bytes) => {
                self.failing = false;
                self.meter().segments.add(1);
                self.empty = if bytes.is_empty() { self.empty + 1 } else { 0 };
                if self.empty > MAX_EMPTY {
                    self.backoff.pause().await;
                } else {
                    self.backoff.reset();
                }
                for message in messages(&bytes) {
                    self.apply(message).await;
                }
            }
            Err(Unread::Large) => self.reject(format_args!("a segment of more than {MAX_SEGMENT} bytes")),
            Err(Unread::Stalled) => self.reject("a segment that stood still"),
            Err(Unread::BrokeOff(error)) => {
                self.subscriber.seek(Start::Seq(seq));
                self.failed(&error).await;
            }
        }
    }

    async fn read(&mut self, segment: &mut Segment) -> Result<Vec<u8>, Unread> {
        let mut bytes = Vec::new();
        loop {
            match timeout(STALL, segment.chunk()).await {
                Ok(Ok(Some(chunk))) if bytes.len() + chunk.len() > MAX_SEGMENT => return Err(Unread::Large),
                Ok(Ok(Some(chunk))) => bytes.extend_from_slice(&chunk),
                Ok(Ok(None)) => return Ok(bytes),
                Ok(Err(error)) => return Err(Unread::BrokeOff(error)),
                Err(_elapsed) if self.subscriber.is_ahead() => return Err(Unread::Stalled),
                Err(_elapsed) => {}
            }
        }
    }

    async fn apply(&self, message: Result<Map<String, Value>, NoUpdate>) {
        let mut update = match message {
            Ok(update) => update,
            Err(error) => return self.reject(error),
        };
        if is_keep_alive(&update) {
            return;
        }
        update.remove(STREAM_KEY);
        match self.params.update(&Value::Object(update)).await {
            Ok(()) => self.meter().updates.add(1),
            // What the input still holds needs no params.
            Err(UpdateRejected::Ended) => {}
            Err(error) => self.reject(error),
        }
    }

    fn reject(&self, reason: impl Display) {
        let message = clipped(format!("control: {reason}"));
        self.meter().rejected.add(1);
        self.meter().last_error.set(message.clone());
        self.meters.life.error(Origin::Control, message);
    }

    /// Counts a failure, tells of the first in a row, and pauses.
    async fn failed(&mut self, error: &SubscribeError) {
        let message = format!("cannot read {}: {}", self.url, causes(error));
        self.meter().failures.add(1);
        self.meter().last_error.set(message.clone());
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!("{message}");
            self.meters.life.error(Origin::Control, message);
        }
        self.backoff.pause().await;
    }

    fn meter(&self) -> &ControlMeter {
        &self.meters.channels.control
    }
}

/// A gateway's sign of life.
fn is_keep_alive(message: &Map<String, Value>) -> bool {
    message.len() == 1 && message.get("keep").is_some_and(|keep| keep == "alive")
}

/// The objects of a segment: one in all, or one a line.
fn messages(bytes: &[u8]) -> Vec<Result<Map<String, Value>, NoUpdate>> {
    if let Err(error) = ValueBudget::default().read(bytes) {
        return vec![Err(error.into())];
    }
    if let Ok(whole) = serde_json::from_slice(bytes) {
        return vec![object(whole)];
    }
    let mut lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    // What is quoted in the whole need not be in a line.
    let mut budget = ValueBudget::default();
    let mut line = |line| {
        budget.read(line)?;
        object(serde_json::from_slice(line)?)
    };
    let mut messages: Vec<_> = lines.by_ref().take(MAX_MESSAGES).map(&mut line).collect();
    if lines.next().is_some() {
        messages.push(Err(NoUpdate::TooManyLines));
    }
    messages
}

fn object(value: Value) -> Result<Map<String, Value>, NoUpdate> {
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(NoUpdate::NotAnObject),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> String {
        messages(text.as_bytes()).iter().map(|message| if message.is_ok() { '+' } else { '-' }).collect()
    }

    /// Catches a quote that hides what the lines after it would be in memory, and lines that each take all that there is.
    #[test]
    fn what_lines_would_be_in_memory_is_counted() {
        let objects = |count: usize| format!(r#"{{"a":[{}]}}"#, vec!["{}"; count].join(","));
        let (few, many) = (objects(2_000), objects(50_000));
        assert_eq!(kinds(&few), "+");
        assert_eq!(kinds(&many), "-");
        assert_eq!(kinds(&format!("\"\n{few}\n{many}\n{few}")), "-+-+");
        assert_eq!(kinds(&format!("\"\n{few}\n{few}\n{few}")), "-++-");
    }

    /// Catches a message that is lost for its form, and garbage that is taken for one or takes its neighbours along.
    #[test]
    fn a_segment_is_an_object_or_has_one_a_line() {
        assert_eq!(kinds(""), "");
        assert_eq!(kinds(" \r\n\n"), "");
        assert_eq!(kinds(r#"{"a": 1}"#), "+");
        assert_eq!(kinds("{\n  \"a\": 1\n}\n"), "+");
        assert_eq!(kinds("{\"a\":1}\r\n{\"a\":2}\n"), "++");
        assert_eq!(kinds("{\"a\":1}\n{\"a\":\n[1]\nnull\n{}"), "+---+");
        assert_eq!(kinds("\u{0}\u{1}\u{2}"), "-");
        assert_eq!(messages(b"\xff\xfe").len(), 1);
        assert_eq!(kinds(&"{}\n".repeat(100_000)), "-", "too much to be read");
        assert_eq!(kinds(&"[".repeat(100_000)), "-");
        assert_eq!(kinds(&"{}\n".repeat(1_000)).len(), MAX_MESSAGES + 1);
    }

    /// Catches params that are taken for a sign of life, and the other way round.
    #[test]
    fn only_the_exact_sign_of_life_is_one() {
        let keep = |text: &str| is_keep_alive(messages(text.as_bytes())[0].as_ref().unwrap());
        assert!(keep(r#"{"keep":"alive"}"#));
        assert!(!keep(r#"{"keep":"alive","intensity":1}"#));
        assert!(!keep(r#"{"keep":true}"#));
    }
}
