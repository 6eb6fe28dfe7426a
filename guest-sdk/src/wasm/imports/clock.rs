//! `clock`: numbers in the contract's units, nanoseconds and for `unix_time` milliseconds.

pub(crate) use crate::wasm::bindings::rillbox::processor::clock::{budget_left, now, unix_time};
