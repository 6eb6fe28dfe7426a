//! Takes every picture as RGBA and gives it back as it is: it misbehaves in nothing, and shows what its copies cost.

use rillbox_sdk::{NoParams, PixelFormat, Processor, Result, VideoFrame, VideoOutcome};

#[derive(Default)]
struct Rgba;

impl Processor for Rgba {
    type Params = NoParams;
    const PIXEL_FORMAT: PixelFormat = PixelFormat::Rgba8;

    fn start(&mut self, _: NoParams) -> Result<()> {
        Ok(())
    }

    fn process_video(&mut self, frame: &mut VideoFrame) -> Result<VideoOutcome> {
        let pixels = frame.pixels(PixelFormat::Rgba8)?;
        frame.replace_pixels(PixelFormat::Rgba8, frame.width(), frame.height(), &pixels)?;
        Ok(VideoOutcome::Replaced)
    }
}

rillbox_sdk::export!(Rgba as "rgba");
