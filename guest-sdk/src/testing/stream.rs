//! What a stream holds besides its frames: the log, the data channel, events, and the clock.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::Refusal;
use crate::log::Level;

/// One line that the processor logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    pub level: Level,
    /// Its text.
    pub message: String,
    /// Its fields, in the order given.
    pub fields: Vec<(String, String)>,
}

/// One monitoring event that the processor emitted.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its type.
    pub name: String,
    /// What it says.
    pub fields: Map<String, Value>,
}

/// How long data and events are gathered before they leave, how much may leave then, and how many may come from one call.
const FLUSH_INTERVAL: Duration = Duration::from_millis(333);
const FLUSH_BYTES: usize = 60 * 1024 - BRACKETS;
const BRACKETS: usize = 2;
const OUTPUTS: usize = 256;

/// Longest name of an event, in bytes.
const MAX_EVENT_NAME: usize = 64;

/// Types of the host's own events.
const RESERVED: [&str; 8] = [
    "error",
    "heartbeat",
    "params_updated",
    "processor_changed",
    "receive_first_ingest_segment",
    "send_first_processed_segment",
    "status",
    "stream_stopped",
];

/// Fields of an event that the host writes itself.
const OWN_FIELDS: [&str; 4] = ["type", "timestamp", "stream_id", "request_id"];

/// The state of one stream, which imports reach while one of the processor's calls runs.
#[derive(Default)]
pub(super) struct Stream {
    pub(super) log: Vec<LogLine>,
    pub(super) published: Vec<Value>,
    pub(super) events: Vec<Event>,
    pub(super) now: Duration,
    /// Whether the processor asks for HTTP in its description.
    #[cfg(feature = "http")]
    pub(super) asks_for_http: bool,
    /// What answers its requests.
    #[cfg(feature = "http")]
    pub(super) responder: Option<Responder>,
    /// Since when data is gathered, and its bytes.
    gathered: (Duration, usize),
    /// Values and events of the call that runs.
    pub(super) outputs: usize,
}

#[cfg(feature = "http")]
type Answer = dyn FnMut(&crate::http::Request) -> crate::Result<crate::http::Response>;

/// What answers a processor's requests.
#[cfg(feature = "http")]
pub(super) struct Responder {
    /// How often a request is asked after in vain.
    pub(super) delay: u32,
    pub(super) answer: Box<Answer>,
}

impl Stream {
    pub(super) fn publish(&mut self, json: &str) -> Result<(), Refusal> {
        let value = serde_json::from_str(json).map_err(|error| Refusal::Invalid(error.to_string()))?;
        self.room(json.len())?;
        self.published.push(value);
        Ok(())
    }

    /// Takes room in this flush for this many bytes and a comma.
    fn room(&mut self, bytes: usize) -> Result<(), Refusal> {
        let (since, before) = self.gathered;
        let (since, before) = if self.now - since < FLUSH_INTERVAL { (since, before) } else { (self.now, 0) };
        let gathered = before + bytes + 1;
        if gathered > FLUSH_BYTES || self.outputs == OUTPUTS {
            return Err(Refusal::Limit("60 KiB a flush, and 256 values and events a call".into()));
        }
        self.gathered = (since, gathered);
        self.outputs += 1;
        Ok(())
    }

    pub(super) fn emit(&mut self, name: &str, json: &str) -> Result<(), Refusal> {
        if name.is_empty() || name.len() > MAX_EVENT_NAME {
            return Err(Refusal::Invalid(format!("an event's name has 1 to {MAX_EVENT_NAME} bytes")));
        }
        if RESERVED.contains(&name) {
            return Err(Refusal::Invalid(format!("`{name}` is an event of the host")));
        }
        let mut fields: Map<_, _> =
            serde_json::from_str(json).map_err(|_| Refusal::Invalid("an event's fields are a JSON object".into()))?;
        self.room(name.len() + json.len())?;
        fields.retain(|key, _| !OWN_FIELDS.contains(&key.as_str()));
        self.events.push(Event { name: name.into(), fields });
        Ok(())
    }
}

thread_local! {
    /// The stream whose processor runs on this thread. Outside of a harness there is one too, so that functions which
    /// log can be tested by themselves.
    static CURRENT: RefCell<Rc<RefCell<Stream>>> = RefCell::default();
}

/// What `read` makes of the current stream.
pub(super) fn current<R>(read: impl FnOnce(&mut Stream) -> R) -> R {
    CURRENT.with_borrow(|stream| read(&mut stream.borrow_mut()))
}

/// Runs `call` with `stream` as the current one.
pub(super) fn during<R>(stream: &Rc<RefCell<Stream>>, call: impl FnOnce() -> R) -> R {
    struct Restore(Rc<RefCell<Stream>>);

    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(Rc::clone(&self.0));
        }
    }

    // Dropped after `call`, even when it panics.
    let _outer = Restore(CURRENT.replace(Rc::clone(stream)));
    call()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_limited_by_flush() {
        let mut stream = Stream { now: Duration::from_secs(1), ..Stream::default() };
        let half = format!("\"{}\"", "x".repeat(31 * 1024));
        assert_eq!(stream.publish(&half), Ok(()));
        assert!(matches!(stream.publish(&half), Err(Refusal::Limit(_))));
        stream.now += FLUSH_INTERVAL;
        assert_eq!(stream.publish(&half), Ok(()));
        assert_eq!(stream.published.len(), 2);
    }

    #[test]
    fn malformed_data_is_invalid() {
        let mut stream = Stream::default();
        assert!(matches!(stream.publish("{"), Err(Refusal::Invalid(_))));
        assert!(matches!(stream.emit("name", "1"), Err(Refusal::Invalid(_))));
    }

    #[test]
    fn the_outer_stream_is_current_again_after_a_call() {
        let inner = Rc::new(RefCell::new(Stream::default()));
        during(&inner, || current(|stream| stream.now = Duration::from_secs(9)));
        assert_eq!(current(|stream| stream.now), Duration::ZERO);
        assert_eq!(inner.borrow().now, Duration::from_secs(9));
    }
}
