//! Takes with each frame as much as it gets of one kind, and gives nothing back.

use rillbox_sdk::{PixelFormat, Processor, Result, RetainedVideoFrame, VideoFrame, VideoOutcome};

#[derive(Clone, Copy, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
enum What {
    /// Handles, until there is no room.
    #[default]
    Handles,
    /// Copies of the picture.
    Pixels,
    /// Memory, which it does give back, in pieces of all sizes.
    Churn,
}

#[derive(Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(default)]
struct Params {
    what: What,
}

#[derive(Default)]
struct Greedy {
    what: What,
    handles: Vec<RetainedVideoFrame>,
    pixels: Vec<Vec<u8>>,
}

impl Processor for Greedy {
    type Params = Params;

    fn start(&mut self, params: Params) -> Result<()> {
        self.what = params.what;
        Ok(())
    }

    fn process_video(&mut self, frame: &mut VideoFrame) -> Result<VideoOutcome> {
        match self.what {
            What::Handles => loop {
                self.handles.push(frame.retain()?);
            },
            What::Pixels => loop {
                self.pixels.push(frame.pixels(PixelFormat::Rgba8)?);
            },
            What::Churn => {
                for size in (0..200_u32).map(|step| step.wrapping_mul(2_654_435_761) >> 9) {
                    // Written, so that it is memory and not a promise of it.
                    std::hint::black_box(vec![1_u8; size as usize]);
                }
            }
        }
        Ok(VideoOutcome::Unchanged)
    }
}

rillbox_sdk::export!(Greedy as "greedy");
