//! Keeps `mebibytes` more of written memory with each frame, and with `at_start` takes them without end in `start`.

use rillbox_sdk::{Processor, Result, VideoFrame, VideoOutcome};

#[derive(Clone, Copy, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(default)]
struct Params {
    /// How much a frame takes; 0 for nothing.
    #[schemars(range(min = 0, max = 4096))]
    mebibytes: usize,
    /// Whether `start` never has enough.
    at_start: bool,
}

#[derive(Default)]
struct Grow {
    params: Params,
    kept: Vec<Vec<u8>>,
}

impl Grow {
    fn grow(&mut self, mebibytes: usize) {
        // Not 0, which would be memory that nobody wrote.
        self.kept.push(vec![1; mebibytes << 20]);
    }
}

impl Processor for Grow {
    type Params = Params;

    fn start(&mut self, params: Params) -> Result<()> {
        self.params = params;
        if params.at_start {
            loop {
                self.grow(16);
            }
        }
        Ok(())
    }

    fn process_video(&mut self, _: &mut VideoFrame) -> Result<VideoOutcome> {
        self.grow(self.params.mebibytes);
        Ok(VideoOutcome::Unchanged)
    }
}

rillbox_sdk::export!(Grow as "grow");
