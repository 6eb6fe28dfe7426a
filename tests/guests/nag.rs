//! Calls the host without end on every second frame.

use std::time::Duration;

use rillbox_sdk::{PixelFormat, Processor, Result, VideoFrame, VideoOutcome, clock, data, log};

#[derive(Clone, Copy, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
enum What {
    /// What costs the host next to nothing.
    #[default]
    Clock,
    /// What it refuses most of.
    Log,
    /// As well, each time with an error.
    Data,
    /// What it converts and copies.
    Pixels,
    /// Timers that are over at once, each waited for.
    Timer,
}

#[derive(Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(default)]
struct Params {
    what: What,
}

#[derive(Default)]
struct Nag {
    params: Params,
    frames: u64,
}

impl Nag {
    fn call(&self, frame: &VideoFrame) {
        match self.params.what {
            What::Clock => drop(std::hint::black_box(clock::now())),
            What::Log => log::info!("again"),
            What::Data => drop(std::hint::black_box(data::publish(&"again"))),
            What::Pixels => drop(std::hint::black_box(frame.pixels(PixelFormat::Rgba8))),
            What::Timer => std::thread::sleep(Duration::from_nanos(1)),
        }
    }
}

impl Processor for Nag {
    type Params = Params;

    fn start(&mut self, params: Params) -> Result<()> {
        self.params = params;
        Ok(())
    }

    fn process_video(&mut self, frame: &mut VideoFrame) -> Result<VideoOutcome> {
        self.frames += 1;
        while self.frames.is_multiple_of(2) {
            self.call(frame);
        }
        Ok(VideoOutcome::Unchanged)
    }
}

rillbox_sdk::export!(Nag as "nag");
