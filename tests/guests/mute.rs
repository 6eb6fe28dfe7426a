//! Silences every run of samples, and then does with run 3, 6, 9, … what its params say.

use rillbox_sdk::{AudioFrame, Error, Media, Processor, Result, SampleOrder};

#[derive(Clone, Copy, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Act {
    /// Gives the silence, as with every other run.
    #[default]
    Pass,
    /// Returns an error.
    Fail,
    /// Aborts.
    Abort,
    /// Never returns.
    Spin,
    /// Gives nothing.
    Swallow,
    /// Gives a run of no samples.
    Empty,
}

#[derive(Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(default)]
struct Params {
    act: Act,
}

#[derive(Default)]
struct Mute {
    act: Act,
    runs: u64,
}

impl Processor for Mute {
    type Params = Params;
    const MEDIA: Media = Media::Audio;

    fn start(&mut self, params: Params) -> Result<()> {
        self.act = params.act;
        Ok(())
    }

    fn process_audio(&mut self, mut frame: AudioFrame) -> Result<Vec<AudioFrame>> {
        let count = frame.channels() as usize * frame.samples_per_channel() as usize;
        frame.replace_samples(SampleOrder::Planar, &vec![0.0; count])?;
        self.runs += 1;
        if !self.runs.is_multiple_of(3) {
            return Ok(vec![frame]);
        }
        match self.act {
            Act::Pass => Ok(vec![frame]),
            Act::Fail => Err(Error::msg(format!("run {} failed", self.runs))),
            Act::Abort => std::process::abort(),
            Act::Spin => loop {
                std::hint::spin_loop();
            },
            Act::Swallow => Ok(vec![]),
            Act::Empty => {
                frame.replace_samples(SampleOrder::Planar, &[])?;
                Ok(vec![frame])
            }
        }
    }
}

rillbox_sdk::export!(Mute as "mute");
