//! Waits in the host for an hour on every second frame: on a timer of `wasi:clocks`, by `wasi:io`.

use std::time::Duration;

use rillbox_sdk::{NoParams, Processor, Result, VideoFrame, VideoOutcome};

#[derive(Default)]
struct Park {
    frames: u64,
}

impl Processor for Park {
    type Params = NoParams;

    fn start(&mut self, _: NoParams) -> Result<()> {
        Ok(())
    }

    fn process_video(&mut self, _: &mut VideoFrame) -> Result<VideoOutcome> {
        self.frames += 1;
        if self.frames.is_multiple_of(2) {
            std::thread::sleep(Duration::from_secs(3_600));
        }
        Ok(VideoOutcome::Unchanged)
    }
}

rillbox_sdk::export!(Park as "park");
