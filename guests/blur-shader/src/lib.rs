//! Blurs pictures: a Gaussian in two passes of one shader, on the host's GPU. The picture does not enter the processor.

use rillbox_sdk::shader::{Binding, Image, Shader, Uniform};
use rillbox_sdk::{Error, Processor, Refusal, Result, VideoFrame, VideoOutcome};
use schemars::JsonSchema;
use serde::Deserialize;

/// What a user of the stream can set.
#[derive(Deserialize, JsonSchema)]
#[serde(default)]
struct Params {
    /// How far the blur reaches, in pixels: 0 leaves pictures as they are.
    #[schemars(range(min = 0, max = 64))]
    radius: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self { radius: 8 }
    }
}

#[derive(Default)]
struct Blur {
    params: Params,
    shader: Option<Shader>,
    /// What the passes write to: kept, so that nothing is made for each picture.
    passes: Option<[Image; 2]>,
}

impl Processor for Blur {
    type Params = Params;

    fn load(&mut self) -> Result<()> {
        self.shader = Some(Shader::new(include_str!("blur.wgsl"))?);
        Ok(())
    }

    fn start(&mut self, params: Params) -> Result<()> {
        self.params = params;
        Ok(())
    }

    fn process_video(&mut self, frame: &mut VideoFrame) -> Result<VideoOutcome> {
        if self.params.radius == 0 {
            return Ok(VideoOutcome::Unchanged);
        }
        let shader = self.shader.as_ref().ok_or_else(|| Error::msg("`load` was not called"))?;
        let source = frame.image()?;
        let [across, down] = passes(&mut self.passes, source.width(), source.height())?;
        for (from, to, step) in [(&source, across, [1, 0]), (across, down, [0, 1])] {
            let radius = self.params.radius as f32;
            // What lies beyond two standard deviations is hardly seen.
            let params = Uniform::new().vec2i(step).i32(self.params.radius as i32).f32(radius / 2.0);
            let bindings = [(0, Binding::Image(from)), (1, Binding::Image(to)), (2, params.binding())];
            shader.dispatch(&bindings, to.workgroups(16, 16))?;
        }
        frame.replace_image(down)?;
        Ok(VideoOutcome::Replaced)
    }
}

/// Two images of this size: the last ones, if they have it.
fn passes(kept: &mut Option<[Image; 2]>, width: u32, height: u32) -> Result<&[Image; 2], Refusal> {
    let images = match kept.take() {
        Some(images) if (images[0].width(), images[0].height()) == (width, height) => images,
        _ => [Image::zeros(width, height)?, Image::zeros(width, height)?],
    };
    Ok(kept.insert(images))
}

rillbox_sdk::export!(Blur);

#[cfg(test)]
mod tests {
    use rillbox_sdk::PixelFormat;
    use rillbox_sdk::serde_json::json;
    use rillbox_sdk::testing::{Harness, Picture};

    use super::*;

    /// Black on the left and white on the right.
    fn step() -> Picture {
        let color = |x, _| if x < 32 { [0; 3] } else { [255; 3] };
        Picture::from_rgb(PixelFormat::Rgb8, 64, 48, color).to(PixelFormat::I420)
    }

    fn row(radius: u32, picture: &Picture) -> Vec<u8> {
        let mut blur = Harness::<Blur>::new(json!({ "radius": radius })).unwrap();
        let shown = blur.video(picture.clone());
        let expected = if radius == 0 { VideoOutcome::Unchanged } else { VideoOutcome::Replaced };
        assert_eq!(shown.result.unwrap(), expected);
        let shown = shown.picture.unwrap();
        (0..64).map(|x| shown.pixel(x, 24)[0]).collect()
    }

    /// The same, by the formula.
    fn expected(radius: i32, x: i32) -> f32 {
        let sigma = radius as f32 / 2.0;
        let weight = |i: i32| (-0.5 * (i as f32 / sigma).powi(2)).exp();
        let sum: f32 = (-radius..=radius).map(weight).sum();
        (-radius..=radius).filter(|i| x + i >= 32).map(weight).sum::<f32>() / sum * 255.0
    }

    /// Catches weights that are none of a Gaussian, and a blur that reaches too far or not far enough.
    #[test]
    fn a_step_becomes_a_gaussian_slope() {
        for radius in [2, 8, 20] {
            for (x, shown) in row(radius, &step()).into_iter().enumerate() {
                let expected = expected(radius as i32, x as i32);
                assert!((f32::from(shown) - expected).abs() < 4.0, "{radius}: {shown} is not {expected} at {x}");
            }
        }
    }

    /// Catches edges that get darker, and colors that change.
    #[test]
    fn what_is_even_stays_as_it_is() {
        let even = Picture::solid(PixelFormat::I420, 64, 48, [180, 90, 30]);
        let mut blur = Harness::<Blur>::new(json!({ "radius": 16 })).unwrap();
        let shown = blur.video(even.clone()).picture.unwrap();
        for (x, y) in [(0, 0), (63, 0), (0, 47), (63, 47), (30, 20)] {
            let (shown, source) = (shown.pixel(x, y), even.pixel(x, y));
            assert!((0..3).all(|channel| shown[channel].abs_diff(source[channel]) <= 2), "{shown:?} {source:?}");
        }
    }

    #[test]
    fn params_follow_the_stream() {
        assert_eq!(row(0, &step())[31..33], [0, 255]);
        assert!(Harness::<Blur>::new(json!({ "radius": 65 })).is_err());
        let mut blur = Harness::<Blur>::new(json!({})).unwrap();
        assert!(blur.video(step()).picture.unwrap().pixel(30, 24)[0] > 30);
        blur.update_params(json!({ "radius": 0 })).unwrap();
        assert_eq!(blur.video(step()).result.unwrap(), VideoOutcome::Unchanged);
        blur.update_params(json!({ "radius": 4 })).unwrap();
        let large = Picture::solid(PixelFormat::I420, 128, 96, [10, 20, 30]);
        assert_eq!(blur.video(large).picture.unwrap().width(), 128, "another size");
    }
}
