//! Withholds frames 2, 4, 6, … and leaves the others unchanged; or withholds all of them.

use rillbox_sdk::{Processor, Result, VideoFrame, VideoOutcome};

#[derive(Clone, Copy, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(default)]
struct Params {
    all: bool,
}

#[derive(Default)]
struct Withhold {
    params: Params,
    frames: u64,
}

impl Processor for Withhold {
    type Params = Params;

    fn start(&mut self, params: Params) -> Result<()> {
        self.params = params;
        Ok(())
    }

    fn process_video(&mut self, _: &mut VideoFrame) -> Result<VideoOutcome> {
        self.frames += 1;
        let withheld = self.params.all || self.frames.is_multiple_of(2);
        Ok(if withheld { VideoOutcome::Withheld } else { VideoOutcome::Unchanged })
    }
}

rillbox_sdk::export!(Withhold as "withhold");
