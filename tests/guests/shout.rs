//! Logs and prints without end: short lines, long ones, empty ones, and such as grow when they are escaped.

use rillbox_sdk::log::{self, Level};
use rillbox_sdk::{NoParams, Processor, Result, VideoFrame, VideoOutcome};

/// Rounds a frame.
const ROUNDS: usize = 10;

#[derive(Default)]
struct Shout;

impl Processor for Shout {
    type Params = NoParams;

    fn start(&mut self, _: NoParams) -> Result<()> {
        Ok(())
    }

    fn process_video(&mut self, _: &mut VideoFrame) -> Result<VideoOutcome> {
        let (long, wild) = ("long ".repeat(4_000), "\u{1}\"\\".repeat(1_000));
        for _ in 0..ROUNDS {
            log::write(Level::Info, "", &[]);
            log::write(Level::Error, "short", &[("key", "value".to_owned())]);
            log::write(Level::Warn, &long, &[(long.as_str(), long.clone())]);
            log::write(Level::Info, &wild, &[(wild.as_str(), wild.clone())]);
            println!("printed");
            eprintln!("{wild}");
        }
        Ok(VideoOutcome::Unchanged)
    }
}

rillbox_sdk::export!(Shout as "shout");
