//! Takes a set time over every picture, and shows it as it came.

use std::time::{Duration, Instant};

use rillbox_sdk::{Processor, Result, VideoFrame, VideoOutcome};

/// What a user of the stream can set.
#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Params {
    /// Time over a picture.
    milliseconds: u32,
}

#[derive(Default)]
struct Slow(Duration);

impl Processor for Slow {
    type Params = Params;

    fn start(&mut self, params: Params) -> Result<()> {
        self.0 = Duration::from_millis(params.milliseconds.into());
        Ok(())
    }

    fn process_video(&mut self, _frame: &mut VideoFrame) -> Result<VideoOutcome> {
        let start = Instant::now();
        while start.elapsed() < self.0 {
            std::hint::spin_loop();
        }
        Ok(VideoOutcome::Unchanged)
    }
}

rillbox_sdk::export!(Slow as "slow");
