//! Does at once what `green`, `echo` and `analyze` do, with the params of all three.
//!
//! Pictures and sound have nothing in common here, so each has an instance of its own: sound never waits for a picture, and
//! what happens to one leaves the past of the other whole.

use effects::{Analysis, Echo, Green, MAX_DELAY};
use rillbox_sdk::{
    AudioFrame, Error, I420Mut, Isolation, Media, PixelFormat, Processor, Result, VideoFrame, VideoOutcome, data,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// What a user of the stream can set.
#[derive(Deserialize, JsonSchema)]
#[serde(default)]
struct Params {
    /// How far colours turn: 0 leaves them, 1 makes all of them green.
    #[schemars(range(min = 0.0, max = 1.0))]
    intensity: f32,
    /// How much later the echo is heard, in seconds.
    #[schemars(range(min = 0.0, max = MAX_DELAY))]
    echo_delay: f64,
    /// How loud the echo is: 0 for none, 1 as loud as the sound.
    #[schemars(range(min = 0.0, max = 1.0))]
    echo_strength: f32,
    /// Every so many frames one is measured, as it came.
    #[schemars(range(min = 1))]
    analysis_interval: u32,
    /// From which mean brightness on a picture is bright: 0 is black, 1 white.
    #[schemars(range(min = 0.0, max = 1.0))]
    brightness_threshold: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self { intensity: 0.5, echo_delay: 0.3, echo_strength: 0.5, analysis_interval: 30, brightness_threshold: 0.5 }
    }
}

#[derive(Default)]
struct Showcase {
    green: Green,
    echo: Echo,
    analysis: Analysis,
}

impl Processor for Showcase {
    type Params = Params;
    const MEDIA: Media = Media::VideoAndAudio;
    const ISOLATION: Isolation = Isolation::Split;

    fn start(&mut self, params: Params) -> Result<()> {
        self.green.set_intensity(params.intensity);
        self.echo.set(params.echo_delay, params.echo_strength);
        self.analysis.set(params.analysis_interval, params.brightness_threshold);
        Ok(())
    }

    /// Reads and stages each picture once, whatever is done with it.
    fn process_video(&mut self, frame: &mut VideoFrame) -> Result<VideoOutcome> {
        let (width, height) = (frame.width(), frame.height());
        let mut data = frame.pixels(PixelFormat::I420)?;
        let mut planes = I420Mut::split(&mut data, width, height).ok_or_else(|| Error::msg("not an I420 picture"))?;
        if self.analysis.is_due() {
            data::publish(&self.analysis.report(planes.y, frame.color().range, frame.timestamp().seconds()))?;
        }
        self.green.paint(&mut planes, width);
        frame.replace_pixels(PixelFormat::I420, width, height, &data)?;
        Ok(VideoOutcome::Replaced)
    }

    fn process_audio(&mut self, mut frame: AudioFrame) -> Result<Vec<AudioFrame>> {
        self.echo.apply(&mut frame)?;
        Ok(vec![frame])
    }
}

rillbox_sdk::export!(Showcase);

#[cfg(test)]
mod tests {
    use rillbox_sdk::serde_json::json;
    use rillbox_sdk::testing::{Harness, Picture, Sound};

    use super::*;

    #[test]
    fn two_calls_do_all_that_they_name() {
        let start = json!({ "intensity": 0.8, "echo_delay": 0.3, "analysis_interval": 60 });
        let mut showcase = Harness::<Showcase>::new(start).unwrap();
        let red = || Picture::solid(PixelFormat::I420, 64, 48, [220, 40, 40]);
        let mut impulse = Sound::silence(1_000, 2, 1_000);
        impulse.samples[0] = 0.5;

        let [r, g, b] = showcase.video(red()).picture.unwrap().pixel(3, 3);
        assert!(g > r && g > b, "{:?} is not green", [r, g, b]);
        assert_eq!(showcase.audio(impulse.clone()).sounds[0].channel(0)[300], 0.25);
        (1..60).for_each(|_| drop(showcase.video(red())));

        let update = json!({ "intensity": 0.9, "echo_strength": 0.6, "brightness_threshold": 0.4 });
        showcase.update_params(update).unwrap();
        let [_, greener, _] = showcase.video(red()).picture.unwrap().pixel(3, 3);
        assert!(greener > g, "{greener} is no greener than {g}");
        (1..60).for_each(|_| drop(showcase.video(Picture::solid(PixelFormat::I420, 64, 48, [115; 3]))));
        showcase.audio(Sound::silence(1_000, 2, 1_000));
        assert!((showcase.audio(impulse).sounds[0].channel(0)[300] - 0.3).abs() < 1e-6);

        let told: Vec<_> =
            showcase.published().iter().map(|at| (at["frame_count"].clone(), at["bright"].clone())).collect();
        assert_eq!(told, [(json!(60), json!(false)), (json!(120), json!(true))]);
    }

    #[test]
    fn params_of_all_three_are_checked() {
        for bad in [
            json!({ "intensity": 2 }),
            json!({ "echo_delay": 3 }),
            json!({ "echo_strength": -0.1 }),
            json!({ "analysis_interval": 0 }),
            json!({ "brightness_threshold": 1.1 }),
            json!({ "brightness": 1 }),
        ] {
            assert!(Harness::<Showcase>::new(bad.clone()).is_err(), "{bad}");
        }
    }
}
