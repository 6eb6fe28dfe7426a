//! Sound with something to hear at known times, and what is heard at a time.

use super::media;

/// Samples a second of what is heard.
const RATE: usize = 48_000;

/// How long a burst is heard, in seconds.
const BURST: f64 = 0.06;

/// How much later than a channel's the next channel's bursts come, in seconds.
const STAGGER: f64 = 0.1;

/// FFmpeg's source of bursts of a tone, one a second in each channel of a layout (`mono`, `5.1`): in the first channel at 0.1,
/// 1.1, … s, in each further one [`STAGGER`] later. Loud enough for an echo, and not too loud for its sum.
pub fn bursts(layout: &str, channels: usize, seconds: u32) -> String {
    let channel = |index: usize| {
        // A channel for low frequencies carries no others.
        let tone = if layout == "5.1" && index == 3 { 60 } else { 440 };
        let start = 0.1 + STAGGER * index as f64;
        format!("if(between(mod(t,1),{start},{}),0.3*sin(2*PI*{tone}*t),0)", start + BURST)
    };
    let channels: Vec<String> = (0..channels).map(channel).collect();
    format!("aevalsrc='{}':c={layout}:s={RATE}:d={seconds}", channels.join("|"))
}

/// When the bursts of a channel begin in a stream whose first channel has them at `first`.
pub fn burst(first: f64, channel: usize, second: usize) -> f64 {
    first + second as f64 + STAGGER * channel as f64
}

/// What is heard in a stream, as FFmpeg decodes it. Times are the stream's own, in seconds.
pub struct Heard {
    start: f64,
    channels: Vec<Vec<f32>>,
}

impl Heard {
    pub fn of(stream: &[u8]) -> Self {
        let channels: usize = media::property(stream, "a", "channels").parse().expect("there is sound");
        let file = media::file(stream);
        let rate = RATE.to_string();
        let bytes =
            media::ffmpeg(&["-i", file.path().to_str().unwrap(), "-map", "0:a", "-ar", &rate, "-f", "f32le", "-"]);
        let samples: Vec<f32> =
            bytes.chunks_exact(4).map(|each| f32::from_le_bytes(each.try_into().unwrap())).collect();
        let channel = |index| samples.iter().skip(index).step_by(channels).copied().collect();
        let start = media::pts(stream, "a")[0] as f64 / 90_000.0;
        Self { start, channels: (0..channels).map(channel).collect() }
    }

    pub fn channels(&self) -> usize {
        self.channels.len()
    }

    /// How long it is.
    pub fn seconds(&self) -> f64 {
        self.channels[0].len() as f64 / RATE as f64
    }

    /// Root mean square of a channel between two times; 1 is the full scale.
    pub fn loudness(&self, channel: usize, from: f64, to: f64) -> f64 {
        let at = |time: f64| ((time - self.start) * RATE as f64).max(0.0) as usize;
        let samples = self.channels[channel].get(at(from)..at(to)).unwrap_or_default();
        let squares: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        (squares / samples.len().max(1) as f64).sqrt()
    }

    /// [`Heard::loudness`] in the middle of a burst that begins at a time.
    pub fn burst(&self, channel: usize, at: f64) -> f64 {
        self.loudness(channel, at + 0.012, at + BURST - 0.012)
    }

    /// When a channel is first as loud as half the loudest that it has.
    pub fn onset(&self, channel: usize) -> f64 {
        let loudness = |run: &[f32]| run.iter().map(|sample| sample.powi(2)).sum::<f32>();
        // Short enough to tell when, and a whole wave of the lowest tone.
        let runs: Vec<f32> = self.channels[channel].chunks(RATE / 200).map(loudness).collect();
        let loudest = runs.iter().fold(0.0, |a: f32, b| a.max(*b));
        let first = runs.iter().position(|run| *run > loudest / 4.0).expect("there is something to hear");
        self.start + first as f64 / 200.0
    }

    /// How much later the source is heard again in this sound, in seconds from 0.05 to 1, and how loud against the sound
    /// itself: the best fit in the first channel over a range of seconds from 1.1 on, counted from where either sound begins.
    pub fn echo_of(&self, source: &Self, range: std::ops::Range<f64>) -> (f64, f64) {
        let at = |seconds: f64| (seconds * RATE as f64) as usize;
        let heard = &self.channels[0][at(range.start)..at(range.end)];
        let earlier = |lag: usize| &source.channels[0][at(range.start) - lag..at(range.end) - lag];
        let fit = |lag: usize| dot(heard, earlier(lag));
        // Encoders and decoders take a moment, within which the sound itself is found.
        let direct = (0..at(0.05)).max_by(|a, b| fit(*a).total_cmp(&fit(*b))).unwrap();
        let gain = fit(direct) / dot(earlier(direct), earlier(direct));
        let rest: Vec<f32> = heard.iter().zip(earlier(direct)).map(|(y, x)| y - gain as f32 * x).collect();
        // Every fourth lag: what is heard has no waves that are so short.
        let lags = (direct + at(0.05)..direct + at(1.0)).step_by(4);
        let echo = lags.max_by(|a, b| dot(&rest, earlier(*a)).total_cmp(&dot(&rest, earlier(*b)))).unwrap();
        let strength = dot(&rest, earlier(echo)) / dot(earlier(echo), earlier(echo)) / gain;
        ((echo - direct) as f64 / RATE as f64, strength)
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}
