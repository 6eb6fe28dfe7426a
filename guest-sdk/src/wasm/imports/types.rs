//! What the other interfaces share, to and from the generated types.

use crate::wasm::bindings::rillbox::processor::types as wire;
use crate::{Rational, Refusal, Timestamp};

pub(super) fn refusal(error: wire::Error) -> Refusal {
    match error {
        wire::Error::Invalid(why) => Refusal::Invalid(why),
        wire::Error::Limit(why) => Refusal::Limit(why),
        wire::Error::Unsupported(why) => Refusal::Unsupported(why),
    }
}

pub(super) fn timestamp(timestamp: wire::Timestamp) -> Timestamp {
    let wire::Rational { numerator, denominator } = timestamp.time_base;
    Timestamp { ticks: timestamp.ticks, time_base: Rational { numerator, denominator } }
}

pub(super) fn wire_timestamp(timestamp: Timestamp) -> wire::Timestamp {
    let Rational { numerator, denominator } = timestamp.time_base;
    wire::Timestamp { ticks: timestamp.ticks, time_base: wire::Rational { numerator, denominator } }
}
