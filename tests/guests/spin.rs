//! Never returns from every tenth frame, or as often as its params say, and leaves the others unchanged.

use rillbox_sdk::{Processor, Result, VideoFrame, VideoOutcome};

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(default)]
struct Params {
    /// Frames from one that it does not return from to the next.
    #[schemars(range(min = 1))]
    every: u64,
}

impl Default for Params {
    fn default() -> Self {
        Self { every: 10 }
    }
}

#[derive(Default)]
struct Spin {
    params: Params,
    frames: u64,
}

impl Processor for Spin {
    type Params = Params;

    fn start(&mut self, params: Params) -> Result<()> {
        self.params = params;
        Ok(())
    }

    fn process_video(&mut self, _: &mut VideoFrame) -> Result<VideoOutcome> {
        self.frames += 1;
        while self.frames.is_multiple_of(self.params.every) {
            std::hint::spin_loop();
        }
        Ok(VideoOutcome::Unchanged)
    }
}

rillbox_sdk::export!(Spin as "spin");
