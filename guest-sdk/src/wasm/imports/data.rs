//! `data`.

use super::types;
use crate::Refusal;
use crate::wasm::bindings::rillbox::processor::data as wire;

pub(crate) fn publish(json: &str) -> Result<(), Refusal> {
    wire::publish(json).map_err(types::refusal)
}

pub(crate) fn emit(name: &str, json: &str) -> Result<(), Refusal> {
    wire::emit(name, json).map_err(types::refusal)
}
