//! Mirrors the picture from left to right and turns its colours towards green.

use effects::Green as Effect;
use rillbox_sdk::{Error, I420Mut, PixelFormat, Processor, Result, VideoFrame, VideoOutcome};
use schemars::JsonSchema;
use serde::Deserialize;

/// What a user of the stream can set.
#[derive(Deserialize, JsonSchema)]
#[serde(default)]
struct Params {
    /// How far colours turn: 0 leaves them, 1 makes all of them green.
    #[schemars(range(min = 0.0, max = 1.0))]
    intensity: f32,
}

impl Default for Params {
    fn default() -> Self {
        Self { intensity: 0.5 }
    }
}

#[derive(Default)]
struct Green(Effect);

impl Processor for Green {
    type Params = Params;

    fn start(&mut self, params: Params) -> Result<()> {
        self.0.set_intensity(params.intensity);
        Ok(())
    }

    fn process_video(&mut self, frame: &mut VideoFrame) -> Result<VideoOutcome> {
        let (width, height) = (frame.width(), frame.height());
        let mut data = frame.pixels(PixelFormat::I420)?;
        let mut planes = I420Mut::split(&mut data, width, height).ok_or_else(|| Error::msg("not an I420 picture"))?;
        self.0.paint(&mut planes, width);
        frame.replace_pixels(PixelFormat::I420, width, height, &data)?;
        Ok(VideoOutcome::Replaced)
    }
}

rillbox_sdk::export!(Green);

#[cfg(test)]
mod tests {
    use rillbox_sdk::serde_json::json;
    use rillbox_sdk::testing::{Harness, Picture};

    use super::*;

    fn shown(intensity: f32, picture: Picture) -> Picture {
        let mut green = Harness::<Green>::new(json!({ "intensity": intensity })).unwrap();
        let output = green.video(picture);
        assert_eq!(output.result.unwrap(), VideoOutcome::Replaced);
        output.picture.unwrap()
    }

    #[test]
    fn without_intensity_it_only_mirrors() {
        let picture = Picture::gradient(PixelFormat::I420, 64, 48);
        let mirrored = shown(0.0, picture.clone());
        for (x, y) in [(0, 0), (63, 0), (10, 47), (37, 11)] {
            assert_eq!(mirrored.pixel(x, y), picture.pixel(63 - x, y));
        }
    }

    #[test]
    fn full_intensity_makes_every_colour_green() {
        for color in [[230, 20, 20], [20, 20, 230], [200, 30, 200]] {
            let [r, g, b] = shown(1.0, Picture::solid(PixelFormat::I420, 16, 16, color)).pixel(3, 3);
            assert!(g > r + 60 && g > b + 60, "{color:?} became {:?}", [r, g, b]);
        }
    }

    #[test]
    fn gray_stays_gray() {
        let picture = Picture::solid(PixelFormat::I420, 16, 16, [90, 90, 90]);
        assert_eq!(shown(0.7, picture.clone()), picture);
    }

    #[test]
    fn intensity_is_checked_and_half_by_default() {
        assert!(Harness::<Green>::new(json!({ "intensity": 1.1 })).is_err());
        assert!(Harness::<Green>::new(json!({ "intensity": "most" })).is_err());
        let picture = Picture::gradient(PixelFormat::I420, 64, 48);
        let mut green = Harness::<Green>::new(json!({})).unwrap();
        assert_eq!(green.video(picture.clone()).picture, Some(shown(0.5, picture.clone())));
        green.update_params(json!({ "intensity": 1.0 })).unwrap();
        assert_eq!(green.video(picture.clone()).picture, Some(shown(1.0, picture)));
    }
}
