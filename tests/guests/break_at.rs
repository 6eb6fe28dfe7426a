//! Aborts in the call that its params name.

use rillbox_sdk::{AudioFrame, Media, Processor, Result, VideoFrame, VideoOutcome};

#[derive(Clone, Copy, Default, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Call {
    #[default]
    Start,
    Update,
    Video,
    Audio,
    Stop,
}

#[derive(Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(default)]
struct Params {
    at: Call,
}

#[derive(Default)]
struct BreakAt {
    at: Call,
}

impl BreakAt {
    fn call(&self, call: Call) {
        if self.at == call {
            std::process::abort();
        }
    }
}

impl Processor for BreakAt {
    type Params = Params;
    const MEDIA: Media = Media::VideoAndAudio;

    fn start(&mut self, params: Params) -> Result<()> {
        self.at = params.at;
        self.call(Call::Start);
        Ok(())
    }

    fn update_params(&mut self, params: Params) -> Result<()> {
        self.at = params.at;
        self.call(Call::Update);
        Ok(())
    }

    fn stop(&mut self) {
        self.call(Call::Stop);
    }

    fn process_video(&mut self, _: &mut VideoFrame) -> Result<VideoOutcome> {
        self.call(Call::Video);
        Ok(VideoOutcome::Unchanged)
    }

    fn process_audio(&mut self, frame: AudioFrame) -> Result<Vec<AudioFrame>> {
        self.call(Call::Audio);
        Ok(vec![frame])
    }
}

rillbox_sdk::export!(BreakAt as "break-at");
