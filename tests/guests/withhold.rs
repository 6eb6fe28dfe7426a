//! Withholds frames 2, 4, 6, … and leaves the others unchanged.

use rillbox_sdk::{NoParams, Processor, Result, VideoFrame, VideoOutcome};

#[derive(Default)]
struct Withhold {
    frames: u64,
}

impl Processor for Withhold {
    type Params = NoParams;

    fn start(&mut self, _: NoParams) -> Result<()> {
        Ok(())
    }

    fn process_video(&mut self, _: &mut VideoFrame) -> Result<VideoOutcome> {
        self.frames += 1;
        Ok(if self.frames.is_multiple_of(2) { VideoOutcome::Withheld } else { VideoOutcome::Unchanged })
    }
}

rillbox_sdk::export!(Withhold as "withhold");
