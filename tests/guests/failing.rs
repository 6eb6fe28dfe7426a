//! Stages a black picture for every frame and then fails on every third, or as often as its params say.

use rillbox_sdk::{Error, PixelFormat, Processor, Result, VideoFrame, VideoOutcome};

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(default)]
struct Params {
    /// Frames from one that it fails on to the next.
    #[schemars(range(min = 1))]
    every: u64,
}

impl Default for Params {
    fn default() -> Self {
        Self { every: 3 }
    }
}

#[derive(Default)]
struct Failing {
    params: Params,
    frames: u64,
}

impl Processor for Failing {
    type Params = Params;

    fn start(&mut self, params: Params) -> Result<()> {
        self.params = params;
        Ok(())
    }

    fn process_video(&mut self, frame: &mut VideoFrame) -> Result<VideoOutcome> {
        self.frames += 1;
        let (width, height) = (frame.width(), frame.height());
        let black = vec![16; PixelFormat::Gray8.bytes(width, height)];
        frame.replace_pixels(PixelFormat::Gray8, width, height, &black)?;
        if self.frames.is_multiple_of(self.params.every) {
            return Err(Error::msg(format!("frame {} failed", self.frames)));
        }
        Ok(VideoOutcome::Replaced)
    }
}

rillbox_sdk::export!(Failing as "failing");
