//! `data`: values for the data channel, and monitoring events.

use serde_json::Value;

use crate::sandbox::bindings::rillbox::processor::data as wit;
use crate::sandbox::context::{Guest, GuestOutput};
use crate::sandbox::imports::CallError;

/// Longest name of an event, in bytes.
const MAX_EVENT_NAME: usize = 64;

/// Types of the host's own events, which gateways act on.
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

impl wit::Host for Guest {
    fn publish(&mut self, json: String) -> Result<(), CallError> {
        let text = self.parse(&json)?.to_string();
        self.room(text.len())?;
        self.output.push_back(GuestOutput::Data(text));
        Ok(())
    }

    fn emit(&mut self, name: String, json: String) -> Result<(), CallError> {
        if name.is_empty() || name.len() > MAX_EVENT_NAME {
            return Err(CallError::invalid(format!("an event's name has 1 to {MAX_EVENT_NAME} bytes")));
        }
        if RESERVED.contains(&name.as_str()) {
            return Err(CallError::invalid(format!("`{name}` is an event of the host")));
        }
        let Value::Object(fields) = self.parse(&json)? else {
            return Err(CallError::invalid("an event's fields are a JSON object"));
        };
        self.room(name.len() + json.len())?;
        self.output.push_back(GuestOutput::Event(name, fields));
        Ok(())
    }
}

impl Guest {
    /// Takes room in this flush for this many bytes and a comma.
    fn room(&mut self, bytes: usize) -> Result<(), CallError> {
        if self.has_room_for_output() && self.output_rate.pass(bytes + 1) {
            return Ok(());
        }
        Err(self.no_room(bytes))
    }

    fn no_room(&mut self, bytes: usize) -> CallError {
        self.refusals.outputs += 1;
        let limit = self.limits.data_flush;
        CallError::limit(format!("{bytes} bytes more than fill a flush of {limit}; try again after it"))
    }

    /// Reads a value, unless it could not be sent anyway.
    fn parse(&mut self, json: &str) -> Result<Value, CallError> {
        if json.len() > self.limits.data_flush {
            return Err(self.no_room(json.len()));
        }
        serde_json::from_str(json).map_err(|error| CallError::invalid(format!("not JSON: {error}")))
    }
}
