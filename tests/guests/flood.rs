//! Says with each frame as much as it can of one kind, until it is stopped.

use rillbox_sdk::serde_json::json;
use rillbox_sdk::{Processor, Result, VideoFrame, VideoOutcome, data, log};

#[derive(Clone, Copy, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
enum What {
    /// Lines of the log.
    #[default]
    Log,
    /// Standard output.
    Print,
    /// Values.
    Data,
    /// Events.
    Events,
}

#[derive(Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(default)]
struct Params {
    what: What,
}

#[derive(Default)]
struct Flood {
    what: What,
}

impl Processor for Flood {
    type Params = Params;

    fn start(&mut self, params: Params) -> Result<()> {
        self.what = params.what;
        Ok(())
    }

    fn process_video(&mut self, _: &mut VideoFrame) -> Result<VideoOutcome> {
        let line = "flood ".repeat(200);
        loop {
            match self.what {
                What::Log => log::info!("{line}"),
                What::Print => println!("{line}"),
                // That there is no room is what is waited for in vain.
                What::Data => drop(data::publish(&line)),
                What::Events => drop(data::emit("flood", &json!({ "line": line }))),
            }
        }
    }
}

rillbox_sdk::export!(Flood as "flood");
