//! Takes memory until there is none, with each frame, and says how much it got: a refusal is an answer, not a trap.

use rillbox_sdk::{Error, NoParams, Processor, Result, VideoFrame, VideoOutcome};

/// Bytes taken at a time.
const STEP: usize = 1 << 20;

#[derive(Default)]
struct Reserve(Vec<Vec<u8>>);

impl Processor for Reserve {
    type Params = NoParams;

    fn start(&mut self, _: NoParams) -> Result<()> {
        Ok(())
    }

    fn process_video(&mut self, _: &mut VideoFrame) -> Result<VideoOutcome> {
        let mut more = Vec::new();
        while more.try_reserve_exact(STEP).is_ok() {
            self.0.push(std::mem::take(&mut more));
        }
        Err(Error::msg(format!("got {} MiB", self.0.len())))
    }
}

rillbox_sdk::export!(Reserve as "reserve");
