//! Takes all of its time over every picture, but for a moment, and none over sound, in an instance for each.

use std::time::Duration;

use rillbox_sdk::{AudioFrame, Isolation, Media, Processor, Result, VideoFrame, VideoOutcome, clock};

#[derive(Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(default)]
struct Params {
    /// Time that is left of a picture's when it is done, in milliseconds; 0 for a processor that takes none at all.
    spare: u64,
}

#[derive(Default)]
struct Burn {
    params: Params,
}

impl Processor for Burn {
    type Params = Params;

    const MEDIA: Media = Media::VideoAndAudio;
    const ISOLATION: Isolation = Isolation::Split;

    fn start(&mut self, params: Params) -> Result<()> {
        self.params = params;
        Ok(())
    }

    fn process_video(&mut self, _: &mut VideoFrame) -> Result<VideoOutcome> {
        let spare = Duration::from_millis(self.params.spare);
        while !spare.is_zero() && clock::budget_left() > spare {}
        Ok(VideoOutcome::Unchanged)
    }

    fn process_audio(&mut self, frame: AudioFrame) -> Result<Vec<AudioFrame>> {
        Ok(vec![frame])
    }
}

rillbox_sdk::export!(Burn as "burn");
