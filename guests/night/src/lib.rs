//! Grades dark pictures: a histogram of the whole picture says how dark it is, and a lookup of each sample makes it brighter,
//! the shadows most.

use rillbox_sdk::tensor::{ElementType, Picture, Resize, Tensor};
use rillbox_sdk::{Processor, Result, VideoFrame, VideoOutcome};
use schemars::JsonSchema;
use serde::Deserialize;

/// What a user of the stream can set.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(default)]
struct Params {
    /// The brightness that the darker half of the picture is brought up to: 0 to 1.
    #[schemars(range(min = 0.05, max = 0.95))]
    target: f32,
    /// How quickly it follows a change: 1 is at once.
    #[schemars(range(min = 0.01, max = 1.0))]
    pace: f32,
    /// How cold the picture is made: 0 leaves its colours, 1 takes a third of the red.
    #[schemars(range(min = 0.0, max = 1.0))]
    cold: f32,
}

impl Default for Params {
    fn default() -> Self {
        Self { target: 0.35, pace: 0.1, cold: 0.2 }
    }
}

/// Bins of the histogram.
const BINS: u16 = 32;

/// Rows and columns of the picture that is counted: enough to know a median by.
const COUNTED: (u32, u32) = (36, 64);

#[derive(Default)]
struct Night {
    params: Params,
    /// The exponent by which the picture is graded: below 1 it becomes brighter. None before the first.
    gamma: Option<f32>,
}

impl Processor for Night {
    type Params = Params;

    fn start(&mut self, params: Params) -> Result<()> {
        self.params = params;
        Ok(())
    }

    fn process_video(&mut self, frame: &mut VideoFrame) -> Result<VideoOutcome> {
        let wanted = self.exponent(median(frame)?);
        let gamma = self.gamma.map_or(wanted, |gamma| gamma + (wanted - gamma) * self.params.pace);
        self.gamma = Some(gamma);
        let layout = Picture::rgb().of(ElementType::U8);
        // One table a channel, one after another: a sample's place is its value and its channel's begin.
        let begins = Tensor::of_whole(&[3], &[0, 256, 512]);
        let places = frame.tensor(&layout).cast(ElementType::I32) + &begins;
        let table = Tensor::from_bytes(ElementType::U8, &[768], &self.table(gamma));
        frame.replace_tensor(&table.gather(0, &places), &layout)?;
        Ok(VideoOutcome::Replaced)
    }
}

/// Brightness that half of the picture is below: 0 to 1.
fn median(frame: &VideoFrame) -> Result<f32> {
    let small = frame.tensor(&Picture::gray().planes()).resize(COUNTED.0, COUNTED.1, Resize::Nearest);
    let bins = (small * f64::from(BINS)).cast(ElementType::I32).min(f64::from(BINS - 1)).reshape(&[-1, 1]);
    // (samples, 1) against (bins): where a sample is in a bin there is a 1, and their sums are the histogram.
    let counts = bins.equal(Tensor::arange(ElementType::I32, 0.0, 1.0, BINS.into())).cast(ElementType::F32);
    let counts = counts.sum(&[0], false).values()?;
    let half = counts.iter().sum::<f32>() / 2.0;
    let mut below = 0.0;
    for (bin, count) in (0_u16..).zip(counts) {
        if below + count >= half {
            // Between the bin's sides, as far as the count goes.
            return Ok((f32::from(bin) + (half - below) / count.max(1.0)) / f32::from(BINS));
        }
        below += count;
    }
    Ok(1.0)
}

impl Night {
    /// What brings a brightness to the target, and leaves what is brighter already.
    fn exponent(&self, median: f32) -> f32 {
        let median = median.clamp(0.01, 0.99);
        (self.params.target.ln() / median.ln()).clamp(0.25, 1.0)
    }

    /// What becomes of each sample of red, green and blue.
    fn table(&self, gamma: f32) -> Vec<u8> {
        let gains = [1.0 - self.params.cold / 3.0, 1.0, 1.0];
        let graded = |sample: u8, gain: f32| (255.0 * (f32::from(sample) / 255.0).powf(gamma) * gain + 0.5) as u8;
        gains.into_iter().flat_map(|gain| (0..=255).map(move |sample| graded(sample, gain))).collect()
    }
}

rillbox_sdk::export!(Night);

#[cfg(test)]
mod tests {
    use rillbox_sdk::PixelFormat;
    use rillbox_sdk::serde_json::json;
    use rillbox_sdk::testing::{Harness, Picture};

    use super::*;

    fn dark() -> Picture {
        Picture::from_rgb(PixelFormat::Rgb8, 64, 48, |x, y| [(x / 4) as u8, (y / 2) as u8, 20])
    }

    fn mean(picture: &Picture) -> f32 {
        let data = picture.to(PixelFormat::Rgb8);
        data.data().iter().map(|sample| f32::from(*sample)).sum::<f32>() / data.data().len() as f32
    }

    #[test]
    fn dark_pictures_become_brighter_and_bright_ones_stay() {
        let mut night = Harness::<Night>::new(json!({ "cold": 0.0 })).unwrap();
        let shown = night.video(dark());
        assert_eq!(shown.result.unwrap(), VideoOutcome::Replaced);
        assert!(mean(&shown.picture.unwrap()) > 2.0 * mean(&dark()));

        let bright = Picture::solid(PixelFormat::Rgb8, 64, 48, [210, 190, 220]);
        let shown = Harness::<Night>::new(json!({ "cold": 0.0 })).unwrap().video(bright.clone());
        assert_eq!(shown.picture.unwrap(), bright);
    }

    #[test]
    fn it_follows_a_change_at_its_pace() {
        let mut night = Harness::<Night>::new(json!({ "pace": 0.5, "cold": 0.0 })).unwrap();
        night.video(Picture::solid(PixelFormat::Rgb8, 64, 48, [210, 190, 220]));
        let shown: Vec<f32> = (0..3).map(|_| mean(&night.video(dark()).picture.unwrap())).collect();
        assert!(mean(&dark()) < shown[0] && shown[0] < shown[1] && shown[1] < shown[2], "{shown:?}");
    }

    #[test]
    fn cold_takes_red_alone() {
        let gray = Picture::solid(PixelFormat::Rgb8, 64, 48, [200, 200, 200]);
        let shown = Harness::<Night>::new(json!({ "cold": 1.0 })).unwrap().video(gray).picture.unwrap();
        assert_eq!(shown.pixel(5, 5), [133, 200, 200]);
        assert!(Harness::<Night>::new(json!({ "target": 0.0 })).is_err());
    }

    #[test]
    fn the_median_is_that_of_the_picture() {
        let mut night = Harness::<Night>::new(json!({ "target": 0.5, "cold": 0.0, "pace": 1.0 })).unwrap();
        let gray = Picture::solid(PixelFormat::Rgb8, 64, 48, [64, 64, 64]);
        let shown = night.video(gray).picture.unwrap().pixel(9, 9)[0];
        // Luma 16 to 235 puts it a little lower than 64 of 255, and a bin is 8 wide.
        assert!(shown.abs_diff(128) <= 16, "{shown}");
    }
}
