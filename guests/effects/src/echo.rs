//! Every sound is heard once more, a moment later.
//!
//! In each channel, with the delay d in samples and the strength s, a sample becomes
//!
//! ```text
//! y[n] = limit(x[n] + s · x[n − d])
//! ```
//!
//! What is heard again is the source, never an echo, so that nothing can build up. `limit` leaves −0.8 to 0.8 as it is and
//! bends what is louder, so that it stays within −1 to 1.

use rillbox_sdk::{AudioFrame, Refusal, SampleOrder};

/// Longest delay, in seconds.
pub const MAX_DELAY: f64 = 2.0;

/// A new delay or strength takes the old one's place over this time, in seconds: a step would be heard as a click.
const FADE: f64 = 0.02;

/// A step in time so far from where the last samples ended, in seconds, begins anew, without a past. Less is the
/// unevenness of a source's clock, or a lost packet.
const JUMP: f64 = 0.1;

/// Seconds of sound that are kept beyond the longest delay before the oldest is thrown away.
const SLACK: f64 = 0.5;

/// Up to this `limit` changes nothing.
const KNEE: f32 = 0.8;

/// An echo in one track of sound.
#[derive(Default)]
pub struct Echo {
    delay: f64,
    strength: f32,
    line: Option<Line>,
}

/// What an echo repeats.
#[derive(Clone, Copy, PartialEq)]
struct Tap {
    /// How long ago it was, in samples.
    delay: usize,
    strength: f32,
}

/// The past of sound that has come without a break, and what is heard of it.
struct Line {
    rate: u32,
    /// When its last sample has ended, in seconds.
    end: f64,
    /// For each channel its last samples, at least as many as the longest delay has; the newest come last.
    past: Vec<Vec<f32>>,
    tap: Tap,
    /// What takes the place of `tap`, and how many samples of the fade have gone by.
    fade: Option<(Tap, usize)>,
}

impl Echo {
    /// Sets the delay, 0 to [`MAX_DELAY`] seconds, and the strength, 0 to 1: how loud the echo is against the sound.
    pub fn set(&mut self, delay: f64, strength: f32) {
        self.delay = delay.clamp(0.0, MAX_DELAY);
        self.strength = strength;
    }

    /// Adds the echo to the next frame, which is not touched where there is nothing to add.
    pub fn apply(&mut self, frame: &mut AudioFrame) -> Result<(), Refusal> {
        let mut samples = frame.samples(SampleOrder::Planar);
        let (channels, rate) = (frame.channels() as usize, frame.sample_rate());
        if self.add_to(&mut samples, channels, rate, frame.timestamp().seconds()) {
            frame.replace_samples(SampleOrder::Planar, &samples)?;
        }
        Ok(())
    }

    /// Adds the echo to a run of samples, planar, that begins at `time` (seconds). Whether anything has changed.
    fn add_to(&mut self, samples: &mut [f32], channels: usize, rate: u32, time: f64) -> bool {
        if channels == 0 {
            return false;
        }
        let tap = Tap { delay: (self.delay * f64::from(rate)).round() as usize, strength: self.strength };
        let line = match self.line.take() {
            Some(line) if line.goes_on(channels, rate, time) => line,
            _ => Line::new(channels, rate, tap),
        };
        self.line.insert(line).apply(samples, tap, time)
    }
}

impl Line {
    fn new(channels: usize, rate: u32, tap: Tap) -> Self {
        let past = vec![vec![0.0; samples(MAX_DELAY, rate)]; channels];
        Self { rate, end: 0.0, past, tap, fade: None }
    }

    fn goes_on(&self, channels: usize, rate: u32, time: f64) -> bool {
        self.past.len() == channels && self.rate == rate && (time - self.end).abs() <= JUMP
    }

    fn apply(&mut self, samples: &mut [f32], wanted: Tap, time: f64) -> bool {
        let length = samples.len() / self.past.len();
        self.end = time + length as f64 / f64::from(self.rate);
        self.remember(samples, length);
        let (mut changed, mut done) = (false, 0);
        while done < length {
            if self.fade.is_none() && self.tap != wanted {
                self.fade = Some((wanted, 0));
            }
            let piece = self.piece(length - done);
            if self.fade.is_some() || self.tap.strength > 0.0 {
                self.mix(samples, length, done..done + piece);
                changed = true;
            }
            self.pass(piece);
            done += piece;
        }
        changed
    }

    fn remember(&mut self, run: &[f32], length: usize) {
        let (kept, most) = (samples(MAX_DELAY, self.rate), samples(MAX_DELAY + SLACK, self.rate));
        for (past, run) in self.past.iter_mut().zip(run.chunks_exact(length.max(1))) {
            if past.len() > most {
                past.drain(..past.len() - kept);
            }
            past.extend_from_slice(run);
        }
    }

    /// How many of `left` samples are treated alike: those of a fade, or all.
    fn piece(&self, left: usize) -> usize {
        self.fade.map_or(left, |(_, at)| left.min(self.fade_length() - at))
    }

    fn mix(&self, run: &mut [f32], length: usize, piece: std::ops::Range<usize>) {
        for (channel, past) in run.chunks_exact_mut(length).zip(&self.past) {
            let now = past.len() - length + piece.start;
            let heard = |tap: Tap| &past[now - tap.delay..][..piece.len()];
            let channel = &mut channel[piece.clone()];
            match self.fade {
                None => add(channel, heard(self.tap), self.tap.strength),
                Some((next, at)) => {
                    let (old, new) = (heard(self.tap), heard(next));
                    let step = 1.0 / self.fade_length() as f32;
                    for (index, sample) in channel.iter_mut().enumerate() {
                        let share = (at + index + 1) as f32 * step;
                        let old = (1.0 - share) * self.tap.strength * old[index];
                        *sample = limit(*sample + old + share * next.strength * new[index]);
                    }
                }
            }
        }
    }

    fn pass(&mut self, piece: usize) {
        let length = self.fade_length();
        match &mut self.fade {
            Some((next, at)) if *at + piece >= length => {
                self.tap = *next;
                self.fade = None;
            }
            Some((_, at)) => *at += piece,
            None => {}
        }
    }

    fn fade_length(&self) -> usize {
        samples(FADE, self.rate).max(1)
    }
}

fn samples(seconds: f64, rate: u32) -> usize {
    (seconds * f64::from(rate)).ceil() as usize
}

fn add(channel: &mut [f32], heard: &[f32], strength: f32) {
    for (sample, again) in channel.iter_mut().zip(heard) {
        *sample = limit(*sample + strength * again);
    }
}

fn limit(sample: f32) -> f32 {
    let (room, over) = (1.0 - KNEE, sample.abs() - KNEE);
    if over > 0.0 { (KNEE + room * over / (over + room)).copysign(sample) } else { sample }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 1_000;

    fn echo(delay: f64, strength: f32) -> Echo {
        let mut echo = Echo::default();
        echo.set(delay, strength);
        echo
    }

    /// Mono sound in runs of `length` samples.
    fn heard(echo: &mut Echo, sound: &[f32], length: usize) -> Vec<f32> {
        let mut heard = sound.to_vec();
        for (index, run) in heard.chunks_mut(length).enumerate() {
            echo.add_to(run, 1, RATE, (index * length) as f64 / f64::from(RATE));
        }
        heard
    }

    fn impulse(length: usize) -> Vec<f32> {
        let mut impulse = vec![0.0; length];
        impulse[0] = 0.5;
        impulse
    }

    #[test]
    fn an_impulse_comes_back_once_after_the_delay_whatever_the_runs() {
        for length in [1, 7, 100, 5_000] {
            let heard = heard(&mut echo(1.5, 0.4), &impulse(5_000), length);
            let mut wanted = impulse(5_000);
            wanted[1_500] = 0.2;
            assert_eq!(heard, wanted, "in runs of {length}");
        }
    }

    #[test]
    fn the_longest_delay_reaches_as_far_back_when_old_samples_have_gone() {
        let mut sound = vec![0.0; 20_000];
        sound[15_003] = 0.5;
        let heard = heard(&mut echo(MAX_DELAY, 1.0), &sound, 64);
        assert_eq!(
            heard.iter().enumerate().filter(|(_, x)| **x != 0.0).map(|(at, _)| at).collect::<Vec<_>>(),
            [15_003, 17_003]
        );
    }

    #[test]
    fn no_strength_changes_nothing_and_no_delay_is_louder() {
        let loud: Vec<f32> = (0..3_000).map(|at| (at as f32 * 0.1).sin() * 1.5).collect();
        let mut silent = echo(0.3, 0.0);
        assert_eq!(heard(&mut silent, &loud, 50), loud);
        assert!(!silent.add_to(&mut [0.5], 1, RATE, 3.0));
        assert_eq!(heard(&mut echo(0.0, 0.5), &[0.2, -0.4], 2), [0.3, -0.6]);
    }

    #[test]
    fn it_stays_within_bounds_and_is_straight_where_it_is_quiet() {
        let loud: Vec<f32> = (0..3_000).map(|at| if at % 40 < 20 { 1.5 } else { -1.5 }).collect();
        assert!(heard(&mut echo(0.02, 1.0), &loud, 50).iter().all(|sample| sample.abs() <= 1.0));
        assert_eq!([limit(0.8), limit(-0.3)], [0.8, -0.3]);
        assert!(limit(0.81) > 0.8 && limit(0.81) < 0.81 && limit(f32::MAX) <= 1.0 && limit(-9.0) < limit(-5.0));
    }

    #[test]
    fn a_change_fades_in_and_what_was_heard_before_it_comes_back() {
        let mut echo = echo(0.3, 0.0);
        // A slow wave, of which any two neighbours are less than 0.02 apart.
        let wave: Vec<f32> = (0..2_000).map(|at| (at as f32 * 0.03).sin() * 0.5).collect();
        let mut heard = wave.clone();
        for (index, run) in heard.chunks_mut(25).enumerate() {
            match index {
                20 => echo.set(0.3, 0.6),
                // The second of these comes while the first one fades in.
                40 => echo.set(1.1, 0.6),
                41 => echo.set(0.1, 1.0),
                60 => echo.set(0.1, 0.0),
                _ => {}
            }
            echo.add_to(run, 1, RATE, index as f64 * 0.025);
        }
        let steepest = heard.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
        assert!(steepest < 0.1, "a click of {steepest}");
        assert_eq!(heard[..500], wave[..500]);
        let again = |at: usize, delay: usize, strength: f32| limit(wave[at] + strength * wave[at - delay]);
        assert_eq!(heard[600], again(600, 300, 0.6));
        assert_eq!(heard[1_200], again(1_200, 100, 1.0));
        assert_eq!(heard[1_520..], wave[1_520..]);
    }

    #[test]
    fn each_channel_has_its_own_past() {
        let mut echo = echo(0.1, 0.5);
        let (mut first, mut second) = ([0.0; 600], [0.0; 600]);
        for channel in 0..6 {
            first[channel * 100 + channel] = 0.1 * (channel + 1) as f32;
        }
        echo.add_to(&mut first, 6, RATE, 0.0);
        echo.add_to(&mut second, 6, RATE, 0.1);
        for (channel, samples) in second.chunks(100).enumerate() {
            let mut wanted = [0.0; 100];
            wanted[channel] = 0.05 * (channel + 1) as f32;
            assert_eq!(samples, wanted);
        }
    }

    #[test]
    fn a_jump_and_a_new_format_forget_the_past_and_a_lost_packet_does_not() {
        let after = |channels, rate, time| {
            let mut echo = echo(0.1, 1.0);
            echo.add_to(&mut [0.5; 100], 1, RATE, 7.0);
            let mut run = vec![0.0; 100 * channels];
            echo.add_to(&mut run, channels, rate, time);
            run.iter().any(|sample| *sample != 0.0)
        };
        assert!(after(1, RATE, 7.1));
        assert!(after(1, RATE, 7.15), "20 to 60 ms are lost now and then");
        for (channels, rate, time) in [(1, RATE, 9.0), (1, RATE, 0.0), (2, RATE, 7.1), (1, 2 * RATE, 7.1)] {
            assert!(!after(channels, rate, time), "{channels} × {rate} Hz at {time} s");
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut echo = echo(0.3, 0.5);
        for index in 0..2_000 {
            echo.add_to(&mut [0.1; 2 * 20], 2, RATE, f64::from(index) * 0.02);
        }
        let kept = echo.line.unwrap().past;
        assert!(kept.iter().all(|past| past.capacity() <= 6_000), "{} samples", kept[0].capacity());
        assert!(!Echo::default().add_to(&mut [], 0, RATE, 0.0) && !Echo::default().add_to(&mut [], 2, RATE, 0.0));
    }
}
