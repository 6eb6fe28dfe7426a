//! Publishes now and then how bright the picture is, and shows every picture as it came.

use effects::Analysis;
use rillbox_sdk::{PixelFormat, Processor, Result, VideoFrame, VideoOutcome, data};
use schemars::JsonSchema;
use serde::Deserialize;

/// What a user of the stream can set.
#[derive(Deserialize, JsonSchema)]
#[serde(default)]
struct Params {
    /// Every so many frames one is measured.
    #[schemars(range(min = 1))]
    analysis_interval: u32,
    /// From which mean brightness on a picture is bright: 0 is black, 1 white.
    #[schemars(range(min = 0.0, max = 1.0))]
    brightness_threshold: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self { analysis_interval: 30, brightness_threshold: 0.5 }
    }
}

#[derive(Default)]
struct Analyze(Analysis);

impl Processor for Analyze {
    type Params = Params;
    const PIXEL_FORMAT: PixelFormat = PixelFormat::Gray8;

    fn start(&mut self, params: Params) -> Result<()> {
        self.0.set(params.analysis_interval, params.brightness_threshold);
        Ok(())
    }

    fn process_video(&mut self, frame: &mut VideoFrame) -> Result<VideoOutcome> {
        if self.0.is_due() {
            let luma = frame.pixels(PixelFormat::Gray8)?;
            data::publish(&self.0.report(&luma, frame.color().range, frame.timestamp().seconds()))?;
        }
        Ok(VideoOutcome::Unchanged)
    }
}

rillbox_sdk::export!(Analyze);

#[cfg(test)]
mod tests {
    use rillbox_sdk::serde_json::json;
    use rillbox_sdk::testing::{Harness, Picture};

    use super::*;

    fn gray(level: u8) -> Picture {
        Picture::solid(PixelFormat::I420, 64, 48, [level; 3])
    }

    #[test]
    fn every_so_many_frames_are_measured_and_none_is_changed() {
        let mut analyze = Harness::<Analyze>::new(json!({ "analysis_interval": 3 })).unwrap();
        for level in [0, 0, 255, 255, 255, 51, 255] {
            let shown = analyze.video(gray(level));
            assert_eq!(shown.result.unwrap(), VideoOutcome::Unchanged);
            assert_eq!(shown.picture, Some(gray(level)));
        }
        let published = analyze.published();
        assert_eq!(published.len(), 2);
        assert_eq!(
            published[0],
            json!({ "frame_count": 3, "mean_brightness": 1.0, "bright": true, "stream_time": 2.0 / 30.0 })
        );
        let brightness = published[1]["mean_brightness"].as_f64().unwrap();
        assert!((brightness - 0.2).abs() < 0.005, "{brightness}");
        assert_eq!(published[1]["bright"], false);
        assert_eq!(published[1]["frame_count"], 6);
    }

    #[test]
    fn the_threshold_can_be_moved() {
        let params = json!({ "analysis_interval": 1, "brightness_threshold": 0.4 });
        let mut analyze = Harness::<Analyze>::new(params).unwrap();
        analyze.video(gray(128));
        analyze.update_params(json!({ "brightness_threshold": 0.6 })).unwrap();
        analyze.video(gray(128));
        let bright: Vec<_> = analyze.published().iter().map(|report| report["bright"].clone()).collect();
        assert_eq!(bright, [true, false]);
    }

    #[test]
    fn params_are_checked_and_have_defaults() {
        for bad in [json!({ "analysis_interval": 0 }), json!({ "analysis_interval": 1.5 })] {
            assert!(Harness::<Analyze>::new(bad).is_err());
        }
        let mut analyze = Harness::<Analyze>::new(json!({})).unwrap();
        (0..60).for_each(|_| drop(analyze.video(gray(100))));
        assert_eq!(analyze.published().len(), 2);
    }
}
