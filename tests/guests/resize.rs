//! Replaces every frame by an orange RGBA picture of the size in its params, odd, empty and huge ones included.

use rillbox_sdk::{PixelFormat, Processor, Result, VideoFrame, VideoOutcome};

#[derive(Clone, Copy, serde::Deserialize, schemars::JsonSchema)]
#[serde(default)]
struct Params {
    /// Pixels a row.
    #[schemars(range(min = 0, max = 16384))]
    columns: u32,
    /// Rows.
    #[schemars(range(min = 0, max = 16384))]
    rows: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self { columns: 320, rows: 240 }
    }
}

#[derive(Default)]
struct Resize(Params);

impl Processor for Resize {
    type Params = Params;
    const PIXEL_FORMAT: PixelFormat = PixelFormat::Rgba8;

    fn start(&mut self, params: Params) -> Result<()> {
        self.0 = params;
        Ok(())
    }

    fn process_video(&mut self, frame: &mut VideoFrame) -> Result<VideoOutcome> {
        let Params { columns, rows } = self.0;
        let orange = [255, 128, 0, 255].repeat(columns as usize * rows as usize);
        frame.replace_pixels(PixelFormat::Rgba8, columns, rows, &orange)?;
        Ok(VideoOutcome::Replaced)
    }
}

rillbox_sdk::export!(Resize as "resize");
