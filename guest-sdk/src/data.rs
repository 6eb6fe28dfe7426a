//! What a stream tells besides pictures and sound.

use serde::Serialize;

use crate::Refusal;
use crate::imports::data as host;

/// Puts one JSON value into the stream's data channel. What is published within 333 ms leaves together.
///
/// [`Refusal::Limit`] beyond 60 KiB in that time, or 256 values and events between two frames, [`Refusal::Invalid`] when `value` has no JSON form.
pub fn publish<T: Serialize + ?Sized>(value: &T) -> Result<(), Refusal> {
    host::publish(&json(value)?)
}

/// Sends a monitoring event: `name` is its type, `fields` serialises to a JSON object. `type`, `timestamp`, `stream_id` and
/// `request_id` among them are left out: the host writes its own.
///
/// [`Refusal::Invalid`] when `fields` is no object, when `name` is empty or longer than 64 bytes, or a type of the host's own, as `status` is;
/// [`Refusal::Limit`] beyond what [`publish`] may send: events count in it.
pub fn emit<T: Serialize + ?Sized>(name: &str, fields: &T) -> Result<(), Refusal> {
    host::emit(name, &json(fields)?)
}

fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, Refusal> {
    serde_json::to_string(value).map_err(|error| Refusal::Invalid(error.to_string()))
}
