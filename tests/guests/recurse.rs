//! Calls itself with each frame, without end.

use rillbox_sdk::{NoParams, Processor, Result, VideoFrame, VideoOutcome};

#[derive(Default)]
struct Recurse;

#[allow(unconditional_recursion, reason = "that is what it is for")]
fn deeper(depth: u64) -> u64 {
    std::hint::black_box(deeper(std::hint::black_box(depth + 1))) + depth
}

impl Processor for Recurse {
    type Params = NoParams;

    fn start(&mut self, _: NoParams) -> Result<()> {
        Ok(())
    }

    fn process_video(&mut self, _: &mut VideoFrame) -> Result<VideoOutcome> {
        deeper(0);
        Ok(VideoOutcome::Unchanged)
    }
}

rillbox_sdk::export!(Recurse as "recurse");
