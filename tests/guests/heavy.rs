//! Computes for a second in `load`, then paints pictures in one shade of gray, and panics on its frame 10.

use std::time::Duration;

use rillbox_sdk::{PixelFormat, Processor, Result, VideoFrame, VideoOutcome, clock};

#[derive(Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(default)]
struct Params {
    /// Luma of the picture.
    luma: u8,
}

#[derive(Default)]
struct Heavy {
    params: Params,
    frames: u64,
}

impl Processor for Heavy {
    type Params = Params;

    fn load(&mut self) -> Result<()> {
        let begun = clock::now();
        while clock::now() < begun + Duration::from_secs(1) {}
        Ok(())
    }

    fn start(&mut self, params: Params) -> Result<()> {
        self.params = params;
        Ok(())
    }

    fn process_video(&mut self, frame: &mut VideoFrame) -> Result<VideoOutcome> {
        self.frames += 1;
        assert!(self.frames != 10, "frame 10 is one too many");
        let (width, height) = (frame.width(), frame.height());
        let mut data = vec![128; PixelFormat::I420.bytes(width, height)];
        data[..PixelFormat::Gray8.bytes(width, height)].fill(self.params.luma);
        frame.replace_pixels(PixelFormat::I420, width, height, &data)?;
        Ok(VideoOutcome::Replaced)
    }
}

rillbox_sdk::export!(Heavy as "heavy");
