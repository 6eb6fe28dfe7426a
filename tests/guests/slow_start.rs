//! Computes for 100 ms in `load` and for `milliseconds` in `start`, then withholds every frame, which shows that it began.

use std::time::Duration;

use rillbox_sdk::{Processor, Result, VideoFrame, VideoOutcome, clock};

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(default)]
struct Params {
    /// How long `start` takes.
    #[schemars(range(min = 0, max = 60_000))]
    milliseconds: u64,
}

impl Default for Params {
    fn default() -> Self {
        Self { milliseconds: 500 }
    }
}

#[derive(Default)]
struct SlowStart;

fn compute_for(milliseconds: u64) {
    let begun = clock::now();
    while clock::now() < begun + Duration::from_millis(milliseconds) {}
}

impl Processor for SlowStart {
    type Params = Params;

    fn load(&mut self) -> Result<()> {
        compute_for(100);
        Ok(())
    }

    fn start(&mut self, params: Params) -> Result<()> {
        compute_for(params.milliseconds);
        Ok(())
    }

    fn process_video(&mut self, _: &mut VideoFrame) -> Result<VideoOutcome> {
        Ok(VideoOutcome::Withheld)
    }
}

rillbox_sdk::export!(SlowStart as "slow-start");
