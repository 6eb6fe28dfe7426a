//! Where a stream is in its life, and what is told of it.

use std::collections::VecDeque;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{broadcast, watch};

use super::event::{ErrorLimits, Origin, StreamEvent, TimedEvent, clipped};

/// Events that a condition remembers.
const EVENTS: usize = 32;

/// Events that wait for whoever listens; beyond it the oldest are lost to it.
const EVENT_QUEUE: usize = 256;

/// Where a stream is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Started; no byte of input yet.
    #[default]
    Connecting,
    /// Frames flow.
    Online,
    /// Frames flow, but the processor is in quarantine: they pass through.
    Degraded,
    /// No more input; what is under way goes out.
    Draining,
    /// Over as it should be.
    Ended,
    /// Over for a reason that somebody should look at.
    Failed,
}

impl Phase {
    /// Whether everything has been released.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Ended | Self::Failed)
    }
}

/// Something that happened, for people and monitoring.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When.
    pub time: SystemTime,
    /// Kind, such as `error` or `stream_stopped`.
    pub kind: String,
    /// What.
    pub message: String,
}

/// A stream's phase with why, and what happened lately.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Condition {
    /// Phase.
    pub phase: Phase,
    /// Places of instances that are in quarantine: frames pass by.
    pub quarantined: usize,
    /// Why it is over, once it is.
    pub reason: Option<String>,
    /// The processor's last error.
    pub last_error: Option<String>,
    /// The last events, oldest first.
    pub events: VecDeque<Event>,
}

impl Condition {
    fn remember(&mut self, event: Event) {
        if self.events.len() >= EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}

/// A stream's life: its condition, and those who are told what happens.
#[derive(Debug)]
pub struct Life {
    started: Instant,
    ended: OnceLock<Instant>,
    condition: watch::Sender<Condition>,
    told: broadcast::Sender<TimedEvent>,
    error_limits: Mutex<ErrorLimits>,
}

impl Life {
    /// Of a stream that starts now.
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            ended: OnceLock::new(),
            condition: watch::Sender::default(),
            told: broadcast::Sender::new(EVENT_QUEUE),
            error_limits: Mutex::default(),
        }
    }

    /// The condition, and every change of it.
    pub fn condition(&self) -> watch::Receiver<Condition> {
        self.condition.subscribe()
    }

    /// Moves to a phase, unless the stream is over.
    pub fn enter(&self, phase: Phase) {
        self.condition.send_if_modified(|condition| {
            let moves = !condition.phase.is_over() && condition.phase != phase;
            if moves {
                condition.phase = phase;
            }
            moves
        });
    }

    /// Notes that frames come: the stream is no longer connecting.
    pub fn frames_came(&self) {
        self.condition.send_if_modified(|condition| {
            let moves = condition.phase == Phase::Connecting;
            if moves {
                condition.phase = if condition.quarantined > 0 { Phase::Degraded } else { Phase::Online };
            }
            moves
        });
    }

    /// One more instance's place is in quarantine; the phase follows.
    pub fn begin_quarantine(&self) {
        self.count_quarantined(|places| places + 1);
    }

    /// One is out of it again; the phase follows.
    pub fn end_quarantine(&self) {
        self.count_quarantined(|places| places - 1);
    }

    fn count_quarantined(&self, change: impl FnOnce(usize) -> usize) {
        self.condition.send_modify(|condition| {
            condition.quarantined = change(condition.quarantined);
            condition.phase = match condition.phase {
                Phase::Online | Phase::Degraded if condition.quarantined > 0 => Phase::Degraded,
                Phase::Degraded => Phase::Online,
                other => other,
            };
        });
    }

    /// Ends it, with the reason, which [`StreamEvent::Stopped`] has told before.
    pub fn end(&self, phase: Phase, reason: String) {
        // A second end would change nothing.
        let _ = self.ended.set(Instant::now());
        self.condition.send_modify(|condition| {
            condition.phase = phase;
            condition.reason = Some(reason);
        });
    }

    /// When it ended, if it has.
    pub fn ended(&self) -> Option<Instant> {
        self.ended.get().copied()
    }

    /// From the start to now, or to the end.
    pub fn uptime(&self) -> Duration {
        self.ended().map_or_else(|| self.age(), |ended| ended.duration_since(self.started))
    }

    /// From the start to now.
    pub(super) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Everything that is told from now on.
    pub fn listen(&self) -> broadcast::Receiver<TimedEvent> {
        self.told.subscribe()
    }

    /// Tells what happens; the host's own events are also remembered.
    pub fn emit(&self, what: StreamEvent) {
        let time = SystemTime::now();
        if !matches!(what, StreamEvent::Emitted(..)) {
            let event = Event { time, kind: what.kind().to_owned(), message: what.message() };
            self.condition.send_modify(|condition| condition.remember(event));
        }
        // Nobody may listen.
        let _ = self.told.send(TimedEvent { time, what });
    }

    /// Tells of an error, unless one of the same origin was told a moment ago.
    pub fn error(&self, origin: Origin, message: String) {
        let passed = self.error_limits.lock().unwrap_or_else(PoisonError::into_inner).pass(origin);
        if let Some(suppressed) = passed {
            self.emit(StreamEvent::Error { message: clipped(message), suppressed });
        }
    }

    /// Notes the processor's last error.
    pub fn guest_error(&self, message: String) {
        self.condition.send_modify(|condition| condition.last_error = Some(message));
    }
}

impl Default for Life {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_is_over_stays_over() {
        let life = Life::new();
        life.end(Phase::Ended, "stopped".to_owned());
        life.enter(Phase::Online);
        life.frames_came();
        assert_eq!(life.condition().borrow().phase, Phase::Ended);
    }
}
