//! Asks WASI for more than it may have, in the way that its params name, in its first frame.

use rillbox_sdk::{Error, Processor, Result, VideoFrame, VideoOutcome};
use schemars::JsonSchema;
use serde::Deserialize;
use wasip2::cli::stdout::get_stdout;
use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::random::random::get_random_bytes;

#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Way {
    /// Timers without end, each a handle.
    #[default]
    Timers,
    /// Handles of the same stream without end.
    Streams,
    /// More bytes than the stream says it takes.
    Write,
    /// More zeros than that.
    Zeros,
    /// More random bytes than anybody needs.
    Random,
}

#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Params {
    way: Way,
}

#[derive(Default)]
struct Wasi {
    params: Params,
    asked: bool,
}

impl Processor for Wasi {
    type Params = Params;

    fn start(&mut self, params: Params) -> Result<()> {
        self.params = params;
        Ok(())
    }

    fn process_video(&mut self, _: &mut VideoFrame) -> Result<VideoOutcome> {
        if std::mem::replace(&mut self.asked, true) {
            return Ok(VideoOutcome::Unchanged);
        }
        let mut timers = Vec::new();
        let mut streams = Vec::new();
        match self.params.way {
            Way::Timers => (0..10_000).for_each(|n| timers.push(subscribe_duration(n))),
            Way::Streams => (0..10_000).for_each(|_| streams.push(get_stdout())),
            Way::Write => drop(get_stdout().write(&vec![b'x'; 1 << 20])),
            Way::Zeros => drop(get_stdout().write_zeroes(1 << 40)),
            Way::Random => drop(get_random_bytes(1 << 40)),
        }
        Err(Error::msg("the host let it pass"))
    }
}

rillbox_sdk::export!(Wasi as "wasi");
