//! What happens to a stream that its users hear of, and how often they hear of the same trouble.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};
use tokio::time::Instant;

/// Longest message, in bytes: one may hold what somebody sent.
const MAX_MESSAGE: usize = 1 << 10;

/// How often errors of one source are told.
const ERROR_INTERVAL: Duration = Duration::from_secs(10);

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum StreamEvent {
    /// The first bytes of input came.
    FirstSegmentReceived,
    /// The output's server has the first segment whole.
    FirstSegmentSent,
    /// All params as they stand after an update that changed them.
    ParamsUpdated(Map<String, Value>),
    /// Another processor has taken over, or a fresh instance of the same.
    ProcessorChanged {
        /// `NAME@VERSION`.
        from: String,
        /// `NAME@VERSION`.
        to: String,
    },
    /// Something went wrong, and the stream goes on.
    Error {
        /// What.
        message: String,
        /// Errors of the same origin that nobody was told of since the last one.
        suppressed: u64,
    },
    /// The stream is over.
    Stopped {
        /// For a reason that somebody should look at.
        failed: bool,
        /// Why.
        reason: String,
    },
    /// The processor's own event: its type and fields.
    Emitted(String, Map<String, Value>),
}

/// An event and its time.
#[derive(Clone, Debug, PartialEq)]
pub struct TimedEvent {
    /// When.
    pub time: SystemTime,
    /// What.
    pub what: StreamEvent,
}

impl StreamEvent {
    /// Its kind, in PyTrickle's words where it has one.
    pub fn kind(&self) -> &str {
        match self {
            Self::FirstSegmentReceived => "receive_first_ingest_segment",
            Self::FirstSegmentSent => "send_first_processed_segment",
            Self::ParamsUpdated(_) => "params_updated",
            Self::ProcessorChanged { .. } => "processor_changed",
            Self::Error { .. } => "error",
            Self::Stopped { .. } => "stream_stopped",
            Self::Emitted(name, _) => name,
        }
    }

    /// What there is to say besides its kind.
    pub fn message(&self) -> String {
        match self {
            Self::FirstSegmentReceived | Self::FirstSegmentSent => String::new(),
            Self::ParamsUpdated(params) | Self::Emitted(_, params) => {
                clipped(serde_json::to_string(params).unwrap_or_default())
            }
            Self::ProcessorChanged { from, to } => format!("{from} gave way to {to}"),
            Self::Error { message, suppressed: 0 } => message.clone(),
            Self::Error { message, suppressed } => format!("{message} (and {suppressed} more before it)"),
            Self::Stopped { reason, .. } => reason.clone(),
        }
    }
}

/// Cuts a message that is too long.
pub fn clipped(mut message: String) -> String {
    message.truncate(message.floor_char_boundary(MAX_MESSAGE));
    message
}

/// Where errors come from; each is told of by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Reading the input.
    Input,
    /// Publishing the output.
    Output,
    /// The processor.
    Processor,
    /// Reading the control channel, and what came over it.
    Control,
    /// Publishing events.
    Events,
    /// Publishing data.
    Data,
}

/// Lets through the first error of each origin, and one in 10 s after it.
#[derive(Debug, Default)]
pub struct ErrorLimits([ErrorLimit; 6]);

#[derive(Clone, Copy, Debug, Default)]
struct ErrorLimit {
    told: Option<Instant>,
    suppressed: u64,
}

impl ErrorLimits {
    /// How many were suppressed before one that may be told; `None` for one that is suppressed itself.
    pub fn pass(&mut self, origin: Origin) -> Option<u64> {
        let limit = &mut self.0[origin as usize];
        if limit.told.is_some_and(|told| told.elapsed() < ERROR_INTERVAL) {
            limit.suppressed += 1;
            return None;
        }
        limit.told = Some(Instant::now());
        Some(std::mem::take(&mut limit.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches errors that are told without limit or never again, and one origin that silences another.
    #[tokio::test(start_paused = true)]
    async fn errors_of_one_origin_are_told_once_in_ten_seconds() {
        let mut limits = ErrorLimits::default();
        assert_eq!(limits.pass(Origin::Control), Some(0));
        assert_eq!((0..7).filter_map(|_| limits.pass(Origin::Control)).count(), 0);
        assert_eq!(limits.pass(Origin::Data), Some(0));
        tokio::time::advance(ERROR_INTERVAL).await;
        assert_eq!(limits.pass(Origin::Control), Some(7));
        assert_eq!(limits.pass(Origin::Control), None);
    }

    /// Catches an event of megabytes because somebody sent megabytes, and a cut within a character.
    #[test]
    fn long_messages_are_cut() {
        assert_eq!(clipped("ä".repeat(10_000)).len(), MAX_MESSAGE);
        assert_eq!(clipped(format!("x{}", "ä".repeat(10_000))).len(), MAX_MESSAGE - 1);
    }
}
