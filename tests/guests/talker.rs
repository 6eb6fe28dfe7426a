//! Publishes and emits as its params ask it to, with every frame and when it stops; says `misuse` of what the host refused.

use rillbox_sdk::{Processor, Result, VideoFrame, VideoOutcome, data};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Params {
    /// Values published with each frame.
    values: u32,
    /// Bytes of text in each of them.
    bytes: u32,
    /// Type of an event that is emitted with each frame.
    event: String,
    /// Never used: something to update.
    level: u32,
}

#[derive(Serialize)]
struct Said {
    count: u64,
    level: u32,
    updates: u32,
    text: String,
}

#[derive(Default)]
struct Talker {
    params: Params,
    count: u64,
    /// Calls that brought params, the first included.
    updates: u32,
}

impl Talker {
    fn said(&mut self) -> Said {
        self.count += 1;
        let text = "x".repeat(self.params.bytes as usize);
        Said { count: self.count, level: self.params.level, updates: self.updates, text }
    }
}

impl Processor for Talker {
    type Params = Params;

    fn start(&mut self, params: Params) -> Result<()> {
        self.params = params;
        self.updates += 1;
        Ok(())
    }

    fn process_video(&mut self, _: &mut VideoFrame) -> Result<VideoOutcome> {
        for _ in 0..self.params.values {
            let said = self.said();
            if data::publish(&said).is_err() {
                self.count -= 1;
            }
        }
        if !self.params.event.is_empty() {
            let event = self.params.event.clone();
            let said = self.said();
            if data::emit(&event, &said).is_err() {
                data::emit("misuse", &said)?;
            }
        }
        Ok(VideoOutcome::Unchanged)
    }

    fn stop(&mut self) {
        // There may be no room for it any more.
        let _ = data::publish("stopped");
    }
}

rillbox_sdk::export!(Talker as "talker");
