//! Doubles the size of pictures, by a shader on the host's GPU: the stream's output follows.

use rillbox_sdk::shader::{Binding, Filter, Image, Shader, Uniform};
use rillbox_sdk::{Error, Processor, Refusal, Result, VideoFrame, VideoOutcome};
use schemars::JsonSchema;
use serde::Deserialize;

/// What a user of the stream can set.
#[derive(Deserialize, JsonSchema)]
#[serde(default)]
struct Params {
    /// How much edges are lifted: 0 interpolates and does no more.
    #[schemars(range(min = 0.0, max = 2.0))]
    sharpness: f32,
}

impl Default for Params {
    fn default() -> Self {
        Self { sharpness: 0.5 }
    }
}

#[derive(Default)]
struct Upscale {
    params: Params,
    shader: Option<Shader>,
    /// Kept, so that nothing is made for each picture.
    shown: Option<Image>,
}

impl Processor for Upscale {
    type Params = Params;

    fn load(&mut self) -> Result<()> {
        self.shader = Some(Shader::new(include_str!("upscale.wgsl"))?);
        Ok(())
    }

    fn start(&mut self, params: Params) -> Result<()> {
        self.params = params;
        Ok(())
    }

    fn process_video(&mut self, frame: &mut VideoFrame) -> Result<VideoOutcome> {
        let shader = self.shader.as_ref().ok_or_else(|| Error::msg("`load` was not called"))?;
        let source = frame.image()?;
        let shown = image(&mut self.shown, 2 * source.width(), 2 * source.height())?;
        let sharpness = Uniform::new().f32(self.params.sharpness);
        let bindings = [
            (0, Binding::Image(&source)),
            (1, Binding::Sampler(Filter::Linear)),
            (2, Binding::Image(shown)),
            (3, sharpness.binding()),
        ];
        shader.dispatch(&bindings, shown.workgroups(16, 16))?;
        frame.replace_image(shown)?;
        Ok(VideoOutcome::Replaced)
    }
}

/// An image of this size: the last one, if it has it.
fn image(kept: &mut Option<Image>, width: u32, height: u32) -> Result<&Image, Refusal> {
    let image = match kept.take() {
        Some(image) if (image.width(), image.height()) == (width, height) => image,
        _ => Image::zeros(width, height)?,
    };
    Ok(kept.insert(image))
}

rillbox_sdk::export!(Upscale);

#[cfg(test)]
mod tests {
    use rillbox_sdk::PixelFormat;
    use rillbox_sdk::serde_json::json;
    use rillbox_sdk::testing::{Harness, Picture};

    use super::*;

    fn shown(sharpness: f32, picture: &Picture) -> Picture {
        let output = Harness::<Upscale>::new(json!({ "sharpness": sharpness })).unwrap().video(picture.clone());
        assert_eq!(output.result.unwrap(), VideoOutcome::Replaced);
        output.picture.unwrap()
    }

    /// Catches a picture of another size, one that is moved by half a pixel, and colors that change.
    #[test]
    fn a_slope_stays_a_slope_of_twice_the_size() {
        let slope = |x: u32, y: u32| [(x * 3) as u8, (y * 3) as u8, 128];
        let source = Picture::from_rgb(PixelFormat::Rgb8, 64, 48, slope).to(PixelFormat::I420);
        let shown = shown(0.0, &source);
        assert_eq!((shown.width(), shown.height()), (128, 96));
        for (x, y) in [(20, 20), (21, 40), (90, 61), (101, 70)] {
            // Chroma is repeated over two by two pixels.
            let expected = [(x as f32 + 0.5) / 2.0 - 0.5, (y as f32 + 0.5) / 2.0 - 0.5].map(|place| place * 3.0);
            let pixel = shown.pixel(x, y);
            for (channel, expected) in expected.into_iter().enumerate() {
                assert!((f32::from(pixel[channel]) - expected).abs() < 6.0, "{pixel:?} at {x}, {y}: {expected}");
            }
        }
    }

    /// Catches sharpness that does nothing, or changes what has no edges.
    #[test]
    fn sharpness_lifts_edges() {
        let step = |x, _| if x < 32 { [60; 3] } else { [200; 3] };
        let step = Picture::from_rgb(PixelFormat::Rgb8, 64, 48, step).to(PixelFormat::I420);
        let [soft, sharp] = [0.0, 2.0].map(|sharpness| shown(sharpness, &step));
        let at = |picture: &Picture, x| picture.pixel(x, 48)[0];
        assert!(at(&sharp, 62) + 4 < at(&soft, 62) && at(&sharp, 65) > at(&soft, 65) + 4);
        assert!(at(&sharp, 20).abs_diff(60) <= 2 && at(&sharp, 110).abs_diff(200) <= 2);
        assert!(Harness::<Upscale>::new(json!({ "sharpness": 3.0 })).is_err());
    }
}
