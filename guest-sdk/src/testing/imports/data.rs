//! `data`: values and events are kept.

use crate::Refusal;
use crate::testing::stream;

pub(crate) fn publish(json: &str) -> Result<(), Refusal> {
    stream::current(|stream| stream.publish(json))
}

pub(crate) fn emit(name: &str, json: &str) -> Result<(), Refusal> {
    stream::current(|stream| stream.emit(name, json))
}
