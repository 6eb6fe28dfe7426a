//! `clock`: time as the pipeline sees it.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::sandbox::bindings::rillbox::processor::clock as wit;
use crate::sandbox::context::Guest;

impl wit::Host for Guest {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.started.elapsed().as_nanos() as u64)
    }

    fn unix_time(&mut self) -> wasmtime::Result<u64> {
        // A clock before 1970 is not worth a trap.
        Ok(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64))
    }

    fn budget_left(&mut self) -> wasmtime::Result<u64> {
        Ok(self.timer.left().as_nanos() as u64)
    }
}
