//! Never returns from frames 10, 20, 30, … and leaves the others unchanged.

use rillbox_sdk::{NoParams, Processor, Result, VideoFrame, VideoOutcome};

#[derive(Default)]
struct Spin {
    frames: u64,
}

impl Processor for Spin {
    type Params = NoParams;

    fn start(&mut self, _: NoParams) -> Result<()> {
        Ok(())
    }

    fn process_video(&mut self, _: &mut VideoFrame) -> Result<VideoOutcome> {
        self.frames += 1;
        while self.frames.is_multiple_of(10) {
            std::hint::spin_loop();
        }
        Ok(VideoOutcome::Unchanged)
    }
}

rillbox_sdk::export!(Spin as "spin");
