//! Lets every sound be heard once more, a moment later, in each channel.

use effects::{Echo as Effect, MAX_DELAY};
use rillbox_sdk::{AudioFrame, Media, Processor, Result};
use schemars::JsonSchema;
use serde::Deserialize;

/// What a user of the stream can set.
#[derive(Deserialize, JsonSchema)]
#[serde(default)]
struct Params {
    /// How much later the echo is heard, in seconds.
    #[schemars(range(min = 0.0, max = MAX_DELAY))]
    echo_delay: f64,
    /// How loud the echo is: 0 for none, 1 as loud as the sound.
    #[schemars(range(min = 0.0, max = 1.0))]
    echo_strength: f32,
}

impl Default for Params {
    fn default() -> Self {
        Self { echo_delay: 0.3, echo_strength: 0.5 }
    }
}

#[derive(Default)]
struct Echo(Effect);

impl Processor for Echo {
    type Params = Params;
    const MEDIA: Media = Media::Audio;

    fn start(&mut self, params: Params) -> Result<()> {
        self.0.set(params.echo_delay, params.echo_strength);
        Ok(())
    }

    fn process_audio(&mut self, mut frame: AudioFrame) -> Result<Vec<AudioFrame>> {
        self.0.apply(&mut frame)?;
        Ok(vec![frame])
    }
}

rillbox_sdk::export!(Echo);

#[cfg(test)]
mod tests {
    use rillbox_sdk::Timestamp;
    use rillbox_sdk::serde_json::json;
    use rillbox_sdk::testing::{Harness, Sound};

    use super::*;

    /// Half the full scale in one sample of each channel: the third sample of the first, the fourth of the second.
    fn impulses(rate: u32, channels: u32, length: usize) -> Sound {
        let mut sound = Sound::silence(rate, channels, length);
        for channel in 0..channels as usize {
            sound.samples[channel * length + 2 + channel] = 0.5;
        }
        sound
    }

    fn played(echo: &mut Harness<Echo>, sound: &Sound, run: usize) -> Vec<Sound> {
        sound.runs(run).into_iter().flat_map(|run| echo.audio(run).sounds).collect()
    }

    #[test]
    fn an_impulse_comes_back_in_its_channel_at_any_rate() {
        for (rate, channels, run) in [(48_000, 2, 960), (44_100, 1, 1_024), (48_000, 6, 1_536), (8_000, 8, 77)] {
            let mut echo = Harness::<Echo>::new(json!({ "echo_delay": 0.25, "echo_strength": 0.6 })).unwrap();
            let heard = played(&mut echo, &impulses(rate, channels, rate as usize), run);
            for channel in 0..channels {
                let samples: Vec<f32> = heard.iter().flat_map(|run| run.channel(channel).to_vec()).collect();
                let loud: Vec<_> = samples.iter().enumerate().filter(|(_, sample)| **sample != 0.0).collect();
                let at = 2 + channel as usize;
                assert_eq!(loud, [(at, &0.5), (at + rate as usize / 4, &0.3)], "channel {channel} of {channels}");
            }
        }
    }

    #[test]
    fn frames_keep_their_times_and_lengths() {
        let sound = Sound::sine(48_000, 2, 5_000, 440.0).at(Timestamp::from_90khz(1 << 33));
        let mut echo = Harness::<Echo>::new(json!({})).unwrap();
        let heard = played(&mut echo, &sound, 1_024);
        for (heard, sent) in heard.iter().zip(sound.runs(1_024)) {
            assert_eq!((heard.timestamp, heard.samples.len()), (sent.timestamp, sent.samples.len()));
        }
        assert_eq!(heard.len(), 5);
    }

    #[test]
    fn an_update_keeps_the_past() {
        let sound = impulses(48_000, 1, 48_000);
        let mut echo = Harness::<Echo>::new(json!({ "echo_delay": 0.5, "echo_strength": 0.0 })).unwrap();
        let runs = sound.runs(4_800);
        let (before, after) = runs.split_at(4);
        assert!(
            before.iter().all(|run| echo.audio(run.clone()).sounds == [run.clone()]),
            "no strength changes nothing"
        );
        echo.update_params(json!({ "echo_strength": 1.0 })).unwrap();
        let heard: Vec<Sound> = after.iter().flat_map(|run| echo.audio(run.clone()).sounds).collect();
        assert_eq!(heard[1].channel(0)[2], 0.5, "0.5 s after the impulse, which came before the update");
    }

    #[test]
    fn params_are_checked_and_have_defaults() {
        for bad in [json!({ "echo_delay": 2.1 }), json!({ "echo_delay": -1 }), json!({ "echo_strength": 1.5 })] {
            assert!(Harness::<Echo>::new(bad).is_err());
        }
        let mut echo = Harness::<Echo>::new(json!({})).unwrap();
        let heard: Vec<f32> =
            played(&mut echo, &impulses(1_000, 1, 400), 400).into_iter().flat_map(|run| run.samples).collect();
        assert_eq!(heard[302], 0.25);
    }
}
