//! Panics on frames 5, 10, 15, … and leaves the others unchanged.

use rillbox_sdk::{NoParams, Processor, Result, VideoFrame, VideoOutcome};

#[derive(Default)]
struct Trap {
    frames: u64,
}

impl Processor for Trap {
    type Params = NoParams;

    fn start(&mut self, _: NoParams) -> Result<()> {
        Ok(())
    }

    fn process_video(&mut self, _: &mut VideoFrame) -> Result<VideoOutcome> {
        self.frames += 1;
        assert!(!self.frames.is_multiple_of(5), "frame {} is one too many", self.frames);
        Ok(VideoOutcome::Unchanged)
    }
}

rillbox_sdk::export!(Trap as "trap");
