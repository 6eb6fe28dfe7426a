//! Keeps 16 MiB of written memory in each of its two instances once it has been given something.

use rillbox_sdk::{AudioFrame, Isolation, Media, NoParams, Processor, Result, VideoFrame, VideoOutcome};

#[derive(Default)]
struct Hoard(Vec<u8>);

impl Hoard {
    fn keep(&mut self) {
        if self.0.is_empty() {
            // Not 0, which would be memory that nobody wrote.
            self.0 = vec![1; 16 << 20];
        }
    }
}

impl Processor for Hoard {
    type Params = NoParams;
    const MEDIA: Media = Media::VideoAndAudio;
    const ISOLATION: Isolation = Isolation::Split;

    fn start(&mut self, _: NoParams) -> Result<()> {
        Ok(())
    }

    fn process_video(&mut self, _: &mut VideoFrame) -> Result<VideoOutcome> {
        self.keep();
        Ok(VideoOutcome::Unchanged)
    }

    fn process_audio(&mut self, frame: AudioFrame) -> Result<Vec<AudioFrame>> {
        self.keep();
        Ok(vec![frame])
    }
}

rillbox_sdk::export!(Hoard as "hoard");
