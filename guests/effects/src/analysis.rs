//! How bright pictures are, now and then.

use rillbox_sdk::ColorRange;
use serde::Serialize;

/// What is said of one picture.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Report {
    /// How many pictures the processor has seen, this one included.
    pub frame_count: u64,
    /// The mean of its luma, 0 for black to 1 for white, to four decimals.
    pub mean_brightness: f64,
    /// Whether that is at least the threshold.
    pub bright: bool,
    /// When the picture is presented: seconds on the source's clock.
    pub stream_time: f64,
}

/// Counts pictures and measures some of them.
#[derive(Default)]
pub struct Analysis {
    interval: u32,
    threshold: f64,
    frames: u64,
}

impl Analysis {
    /// Every `interval`-th picture is measured, ≥ 1, and held against `threshold`, 0 to 1. The count goes on.
    pub fn set(&mut self, interval: u32, threshold: f64) {
        self.interval = interval;
        self.threshold = threshold;
    }

    /// Counts one more picture; whether it is one to measure.
    pub fn is_due(&mut self) -> bool {
        self.frames += 1;
        self.frames.is_multiple_of(self.interval.into())
    }

    /// Measures the picture that was counted last.
    pub fn report(&self, luma: &[u8], range: ColorRange, stream_time: f64) -> Report {
        let brightness = brightness(luma, range);
        Report {
            frame_count: self.frames,
            mean_brightness: (brightness * 1e4).round() / 1e4,
            bright: brightness >= self.threshold,
            stream_time,
        }
    }
}

/// The mean of luma, with black as 0 and white as 1.
fn brightness(luma: &[u8], range: ColorRange) -> f64 {
    // Short sums of 32 bits are what the compiler turns into vector instructions.
    let sum: u64 =
        luma.chunks(1 << 16).map(|run| u64::from(run.iter().map(|&luma| u32::from(luma)).sum::<u32>())).sum();
    let mean = sum as f64 / luma.len().max(1) as f64;
    let (black, white) = match range {
        ColorRange::Limited => (16.0, 235.0),
        ColorRange::Full => (0.0, 255.0),
    };
    ((mean - black) / (white - black)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn black_is_0_and_white_1_in_either_range() {
        for (range, black, white) in [(ColorRange::Limited, 16, 235), (ColorRange::Full, 0, 255)] {
            assert_eq!(brightness(&[black; 100], range), 0.0);
            assert_eq!(brightness(&[white; 100], range), 1.0);
            assert!((brightness(&[black, white], range) - 0.5).abs() < 1e-9);
        }
        assert_eq!(brightness(&[3], ColorRange::Limited), 0.0, "blacker than black");
    }

    #[test]
    fn the_sum_holds_the_largest_pictures() {
        assert_eq!(brightness(&vec![255; 8192 * 4320], ColorRange::Full), 1.0);
    }

    #[test]
    fn the_count_goes_on_when_the_interval_changes() {
        let mut analysis = Analysis::default();
        analysis.set(3, 0.5);
        assert_eq!([(); 4].map(|()| analysis.is_due()), [false, false, true, false]);
        analysis.set(2, 0.5);
        assert_eq!([(); 4].map(|()| analysis.is_due()), [false, true, false, true]);
        assert_eq!(analysis.report(&[128], ColorRange::Full, 0.0).frame_count, 8);
    }
}
