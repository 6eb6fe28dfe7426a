//! Imports `wasi:http`, and says nothing of it in its description.

use rillbox_sdk::http::Request;
use rillbox_sdk::{NoParams, Processor, Result, VideoFrame, VideoOutcome};

#[derive(Default)]
struct Unasked;

impl Processor for Unasked {
    type Params = NoParams;

    fn start(&mut self, _: NoParams) -> Result<()> {
        Ok(())
    }

    fn process_video(&mut self, _: &mut VideoFrame) -> Result<VideoOutcome> {
        drop(Request::get("http://localhost/").send()?);
        Ok(VideoOutcome::Unchanged)
    }
}

rillbox_sdk::export!(Unasked as "unasked");
