//! Shows where the picture changes: its gradient by Sobel's two kernels, made black and white at a threshold, over the
//! gray picture.

use rillbox_sdk::tensor::{Convolution, ElementType, Picture, Tensor};
use rillbox_sdk::{Processor, Result, VideoFrame, VideoOutcome};
use schemars::JsonSchema;
use serde::Deserialize;

/// What a user of the stream can set.
#[derive(Deserialize, JsonSchema)]
#[serde(default)]
struct Params {
    /// How steep an edge is at least: 1 is a step from black to white.
    #[schemars(range(min = 0.0, max = 1.0))]
    threshold: f64,
    /// How much of the edges is seen over the gray picture: 1 shows them alone.
    #[schemars(range(min = 0.0, max = 1.0))]
    strength: f32,
}

impl Default for Params {
    fn default() -> Self {
        Self { threshold: 0.25, strength: 0.8 }
    }
}

/// Differences of columns and of rows, weighted 1, 2, 1 across: 4 is what a step of 1 gives. (2, 1, 3, 3).
const SOBEL: [f32; 18] = [
    -1.0, 0.0, 1.0, -2.0, 0.0, 2.0, -1.0, 0.0, 1.0, //
    -1.0, -2.0, -1.0, 0.0, 0.0, 0.0, 1.0, 2.0, 1.0,
];

#[derive(Default)]
struct Edges {
    params: Params,
    kernels: Option<Tensor>,
}

impl Processor for Edges {
    type Params = Params;

    fn start(&mut self, params: Params) -> Result<()> {
        self.params = params;
        Ok(())
    }

    fn process_video(&mut self, frame: &mut VideoFrame) -> Result<VideoOutcome> {
        let kernels = self.kernels.get_or_insert_with(|| Tensor::of(&[2, 1, 3, 3], &SOBEL));
        let layout = Picture::gray().planes();
        let gray = frame.tensor(&layout);
        let gradient = gray.conv2d(kernels, None, Convolution { padding: (1, 1), ..Convolution::default() });
        let steepness = gradient.abs().sum(&[1], true);
        let edges = steepness.greater(4.0 * self.params.threshold).cast(ElementType::F32);
        frame.replace_tensor(&gray.blend(&edges, self.params.strength), &layout)?;
        Ok(VideoOutcome::Replaced)
    }
}

rillbox_sdk::export!(Edges);

#[cfg(test)]
mod tests {
    use rillbox_sdk::PixelFormat;
    use rillbox_sdk::serde_json::json;
    use rillbox_sdk::testing::{Harness, Picture};

    use super::*;

    /// Dark on the left and bright on the right.
    fn step(bright: u8) -> Picture {
        let color = |x, _| if x < 32 { [20; 3] } else { [bright; 3] };
        Picture::from_rgb(PixelFormat::Gray8, 64, 48, color).to(PixelFormat::I420)
    }

    fn shown(params: rillbox_sdk::serde_json::Value, picture: Picture) -> Picture {
        let output = Harness::<Edges>::new(params).unwrap().video(picture);
        assert_eq!(output.result.unwrap(), VideoOutcome::Replaced);
        output.picture.unwrap()
    }

    /// Catches edges in the wrong place, and none where there is one.
    #[test]
    fn edges_are_where_the_picture_changes() {
        let shown = shown(json!({ "strength": 1.0 }), step(220));
        let bright = |x| shown.pixel(x, 20)[0] > 200;
        assert_eq!([10, 30, 31, 32, 33, 50].map(bright), [false, false, true, true, false, false]);
    }

    /// Catches a threshold that decides nothing.
    #[test]
    fn edges_below_the_threshold_are_none() {
        let of = |threshold| shown(json!({ "threshold": threshold, "strength": 1.0 }), step(80)).pixel(32, 20)[0];
        assert!(of(0.1) > 200 && of(0.5) < 50, "{} {}", of(0.1), of(0.5));
    }

    #[test]
    fn without_strength_the_picture_is_gray_as_it_was() {
        let picture = Picture::solid(PixelFormat::I420, 64, 48, [200, 30, 60]);
        let [r, g, b] = shown(json!({ "strength": 0.0 }), picture.clone()).pixel(20, 20);
        assert!(r == g && g == b);
        let luma = |picture: &Picture| picture.to(PixelFormat::Gray8).data()[500];
        assert!(luma(&picture).abs_diff(r) <= 20, "{r}");
        assert!(Harness::<Edges>::new(json!({ "threshold": 1.5 })).is_err());
    }
}
