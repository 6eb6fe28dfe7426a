//! Takes the sound it is given for raw material: gives back more of it than there was, or keeps all of it and makes it grow.

use rillbox_sdk::{AudioFrame, Media, Processor, Result, SampleOrder};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Params {
    /// How many frames are given back for each.
    copies: u32,
    /// Whether each is kept instead, with this many seconds of sound put into it.
    kept_seconds: u32,
}

#[derive(Default)]
struct Swell {
    params: Params,
    kept: Vec<AudioFrame>,
}

impl Processor for Swell {
    type Params = Params;
    const MEDIA: Media = Media::Audio;

    fn start(&mut self, params: Params) -> Result<()> {
        self.params = params;
        Ok(())
    }

    fn process_audio(&mut self, mut frame: AudioFrame) -> Result<Vec<AudioFrame>> {
        if self.params.kept_seconds > 0 {
            let samples = vec![0.5; (self.params.kept_seconds * frame.sample_rate() * frame.channels()) as usize];
            let put = frame.replace_samples(SampleOrder::Interleaved, &samples);
            self.kept.push(frame);
            put?;
            return Ok(Vec::new());
        }
        let (time, samples) = (frame.timestamp(), frame.samples(SampleOrder::Planar));
        (0..self.params.copies).map(|_| Ok(frame.derive(time, SampleOrder::Planar, &samples)?)).collect()
    }
}

rillbox_sdk::export!(Swell as "swell");
