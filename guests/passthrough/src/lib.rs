//! Shows and plays what it is given: the least that a processor can be, and what a host costs without one.

use rillbox_sdk::{Media, NoParams, Processor, Result};

#[derive(Default)]
struct Passthrough;

impl Processor for Passthrough {
    type Params = NoParams;
    const MEDIA: Media = Media::VideoAndAudio;

    fn start(&mut self, _: NoParams) -> Result<()> {
        Ok(())
    }
}

rillbox_sdk::export!(Passthrough);

#[cfg(test)]
mod tests {
    use rillbox_sdk::testing::{Harness, Picture, Sound};
    use rillbox_sdk::{PixelFormat, VideoOutcome, serde_json::json};

    use super::*;

    #[test]
    fn nothing_changes() {
        let mut passthrough = Harness::<Passthrough>::new(json!({})).unwrap();
        let picture = Picture::gradient(PixelFormat::I420, 64, 48);
        let shown = passthrough.video(picture.clone());
        assert_eq!(shown.result.unwrap(), VideoOutcome::Unchanged);
        assert_eq!(shown.picture, Some(picture));
        let sound = Sound::sine(48_000, 2, 960, 440.0);
        assert_eq!(passthrough.audio(sound.clone()).sounds, [sound]);
    }
}
