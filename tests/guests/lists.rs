//! Makes the host copy strings of any size, on the way that its params name, with each frame.

use rillbox_sdk::log::{self, Level};
use rillbox_sdk::{Error, Processor, Result, VideoFrame, VideoOutcome, data};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Way {
    #[default]
    Log,
    Fields,
    Publish,
    Event,
    Error,
}

#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Params {
    way: Way,
    /// Bytes of the string.
    bytes: u32,
}

#[derive(Default)]
struct Lists(Params);

impl Processor for Lists {
    type Params = Params;

    fn start(&mut self, params: Params) -> Result<()> {
        self.0 = params;
        Ok(())
    }

    fn process_video(&mut self, _: &mut VideoFrame) -> Result<VideoOutcome> {
        let text = "x".repeat(self.0.bytes as usize);
        match self.0.way {
            Way::Log => log::write(Level::Info, &text, &[]),
            Way::Fields => log::write(Level::Info, "fields", &[("key", text)]),
            // What is merely too much for a flush is an answer.
            Way::Publish => assert!(data::publish(&text).is_err()),
            Way::Event => assert!(data::emit("much", &fields(&text)).is_err()),
            Way::Error => return Err(Error::msg(text)),
        }
        Ok(VideoOutcome::Unchanged)
    }
}

/// An object with one long field.
fn fields(text: &str) -> std::collections::BTreeMap<&str, &str> {
    [("text", text)].into()
}

rillbox_sdk::export!(Lists as "lists");
