//! Stages a black picture for every frame and then fails on frames 3, 6, 9, …

use rillbox_sdk::{Error, NoParams, PixelFormat, Processor, Result, VideoFrame, VideoOutcome};

#[derive(Default)]
struct Failing {
    frames: u64,
}

impl Processor for Failing {
    type Params = NoParams;

    fn start(&mut self, _: NoParams) -> Result<()> {
        Ok(())
    }

    fn process_video(&mut self, frame: &mut VideoFrame) -> Result<VideoOutcome> {
        self.frames += 1;
        let (width, height) = (frame.width(), frame.height());
        let black = vec![16; PixelFormat::Gray8.bytes(width, height)];
        frame.replace_pixels(PixelFormat::Gray8, width, height, &black)?;
        if self.frames.is_multiple_of(3) {
            return Err(Error::msg(format!("frame {} failed", self.frames)));
        }
        Ok(VideoOutcome::Replaced)
    }
}

rillbox_sdk::export!(Failing as "failing");
