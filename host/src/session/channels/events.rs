//! The events channel: what happens, and every ten seconds how the stream is, one JSON object a segment.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio::time::{MissedTickBehavior, interval};

use super::report::Report;
use crate::session::happenings::{Happening, Told};
use crate::session::meters::Meters;

/// Time between two reports: a gateway takes a stream without an event for 30 s to be lost.
const BEAT: Duration = Duration::from_secs(10);

/// Events that wait while the server takes none, and their bytes.
const MAX_WAITING: usize = 128;
const MAX_WAITING_BYTES: usize = 1 << 20;

/// The task that makes events. Ends when it has handed on that the stream stopped.
pub struct Events {
    told: broadcast::Receiver<Told>,
    report: Report,
    outbox: mpsc::Sender<Bytes>,
    waiting: Waiting,
}

impl Events {
    pub fn new(told: broadcast::Receiver<Told>, report: Report, outbox: mpsc::Sender<Bytes>) -> Self {
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
                        if matches!(told.what, Happening::Stopped { .. }) {
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
        while let Some(event) = self.waiting.pop() {
            if self.outbox.send(event).await.is_err() {
                return;
            }
        }
    }
}

/// Whether nothing later makes up for its loss.
fn is_essential(what: &Happening) -> bool {
    !matches!(what, Happening::Emitted(..))
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
        while self.events.len() > MAX_WAITING || self.bytes > MAX_WAITING_BYTES {
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
