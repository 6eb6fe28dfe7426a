//! Retains its first frame over and over, until it may not, and says how many it has; after that it gives no more trouble.

use rillbox_sdk::{Error, NoParams, Processor, Result, RetainedVideoFrame, VideoFrame, VideoOutcome};

#[derive(Default)]
struct Keeper(Vec<RetainedVideoFrame>);

impl Processor for Keeper {
    type Params = NoParams;

    fn start(&mut self, _: NoParams) -> Result<()> {
        Ok(())
    }

    fn process_video(&mut self, frame: &mut VideoFrame) -> Result<VideoOutcome> {
        if !self.0.is_empty() {
            return Ok(VideoOutcome::Unchanged);
        }
        loop {
            match frame.retain() {
                Ok(retained) => self.0.push(retained),
                Err(refusal) => return Err(Error::msg(format!("holds {}; {refusal}", self.0.len()))),
            }
        }
    }
}

rillbox_sdk::export!(Keeper as "keeper");
