//! Paints the picture in one shade of gray, which shows which instance it was, and panics as often as its params say.

use rillbox_sdk::{PixelFormat, Processor, Result, VideoFrame, VideoOutcome, data};

#[derive(Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(default)]
struct Params {
    /// Luma of the picture.
    luma: u8,
    /// Frames from one that it panics on to the next; 0 for never.
    trap_every: u64,
}

#[derive(Default)]
struct Stamp {
    params: Params,
    frames: u64,
}

impl Processor for Stamp {
    type Params = Params;

    fn start(&mut self, params: Params) -> Result<()> {
        self.params = params;
        Ok(())
    }

    fn process_video(&mut self, frame: &mut VideoFrame) -> Result<VideoOutcome> {
        self.frames += 1;
        let traps = self.params.trap_every > 0 && self.frames.is_multiple_of(self.params.trap_every);
        assert!(!traps, "frame {} is one too many", self.frames);
        let (width, height) = (frame.width(), frame.height());
        let mut data = vec![128; PixelFormat::I420.bytes(width, height)];
        data[..PixelFormat::Gray8.bytes(width, height)].fill(self.params.luma);
        frame.replace_pixels(PixelFormat::I420, width, height, &data)?;
        Ok(VideoOutcome::Replaced)
    }

    fn stop(&mut self) {
        // There may be no room for it any more.
        let _ = data::publish(&self.params.luma);
    }
}

rillbox_sdk::export!(Stamp as "stamp");
