//! Sound to feed a processor with and to listen to afterwards.

use std::f64::consts::TAU;

use crate::{SampleOrder, Timestamp};

/// A run of samples with its time.
#[derive(Clone, Debug, PartialEq)]
pub struct Sound {
    /// Hertz.
    pub sample_rate: u32,
    /// Number of channels, ≥ 1.
    pub channels: u32,
    /// When the first sample is heard.
    pub timestamp: Timestamp,
    /// Planar: all samples of the first channel, then all of the second, and so on.
    pub samples: Vec<f32>,
}

impl Sound {
    /// Planar samples at time 0.
    ///
    /// # Panics
    /// When the number of samples is no multiple of `channels`.
    pub fn from_samples(sample_rate: u32, channels: u32, samples: Vec<f32>) -> Self {
        assert!(channels > 0 && samples.len().is_multiple_of(channels as usize), "not whole samples");
        Self { sample_rate, channels, timestamp: Timestamp::from_90khz(0), samples }
    }

    /// Nothing to hear, `length` samples a channel of it.
    pub fn silence(sample_rate: u32, channels: u32, length: usize) -> Self {
        Self::from_samples(sample_rate, channels, vec![0.0; channels as usize * length])
    }

    /// A tone of half the full scale, the same on each channel, `length` samples of it.
    pub fn sine(sample_rate: u32, channels: u32, length: usize, hertz: f64) -> Self {
        let sample = |at: usize| (0.5 * (TAU * hertz * at as f64 / f64::from(sample_rate)).sin()) as f32;
        let samples = (0..channels).flat_map(|_| (0..length).map(sample)).collect();
        Self::from_samples(sample_rate, channels, samples)
    }

    /// The same samples at another time.
    pub fn at(self, timestamp: Timestamp) -> Self {
        Self { timestamp, ..self }
    }

    /// Samples of one channel.
    pub fn samples_per_channel(&self) -> usize {
        self.samples.len() / self.channels as usize
    }

    /// The samples of one channel, counted from 0.
    ///
    /// # Panics
    /// When there is no such channel.
    pub fn channel(&self, index: u32) -> &[f32] {
        let length = self.samples_per_channel();
        &self.samples[index as usize * length..][..length]
    }

    /// The same sound in runs of `length` samples a channel, the last one perhaps shorter, each with its time: as a stream
    /// brings it.
    ///
    /// # Panics
    /// When `length` is 0.
    pub fn runs(&self, length: usize) -> Vec<Self> {
        let total = self.samples_per_channel();
        let run = |start: usize| {
            let end = total.min(start + length);
            let samples =
                (0..self.channels).flat_map(|index| self.channel(index)[start..end].iter().copied()).collect();
            let base = self.timestamp.time_base;
            let passed = start as u128 * u128::from(base.denominator);
            let passed = passed / (u128::from(self.sample_rate) * u128::from(base.numerator)).max(1);
            let timestamp = Timestamp { ticks: self.timestamp.ticks + passed as i64, time_base: base };
            Self { timestamp, samples, ..*self }
        };
        (0..total).step_by(length).map(run).collect()
    }

    /// The samples in `order`.
    pub fn to(&self, order: SampleOrder) -> Vec<f32> {
        match order {
            SampleOrder::Planar => self.samples.clone(),
            SampleOrder::Interleaved => transpose(&self.samples, self.samples_per_channel()),
        }
    }

    /// This sound's rate and channels with other samples, `None` when they are no multiple of the channels. Values that
    /// are not finite count as 0.
    pub(super) fn with_samples(&self, order: SampleOrder, samples: &[f32]) -> Option<Self> {
        let channels = self.channels as usize;
        let planar = match order {
            _ if !samples.len().is_multiple_of(channels) => return None,
            SampleOrder::Planar => samples.to_vec(),
            SampleOrder::Interleaved => transpose(samples, channels),
        };
        let samples = planar.into_iter().map(|x| if x.is_finite() { x } else { 0.0 }).collect();
        Some(Self { samples, ..*self })
    }
}

/// Rows of `columns` samples become columns.
fn transpose(samples: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|at| samples.iter().skip(at).step_by(columns).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_the_sound_in_pieces_with_their_times() {
        let stereo = Sound::from_samples(48_000, 2, vec![1.0, 2.0, 3.0, -1.0, -2.0, -3.0]);
        let runs = stereo.at(Timestamp::from_90khz(900)).runs(2);
        assert_eq!(runs.iter().map(|run| run.timestamp.ticks).collect::<Vec<_>>(), [900, 903]);
        assert_eq!(runs.iter().map(|run| run.channel(1)).collect::<Vec<_>>(), [&[-1.0, -2.0][..], &[-3.0]]);
    }

    #[test]
    fn orders_are_each_other_s_inverse() {
        let stereo = Sound::from_samples(48_000, 2, vec![1.0, 2.0, 3.0, -1.0, -2.0, -3.0]);
        let interleaved = stereo.to(SampleOrder::Interleaved);
        assert_eq!(interleaved, [1.0, -1.0, 2.0, -2.0, 3.0, -3.0]);
        assert_eq!(stereo.with_samples(SampleOrder::Interleaved, &interleaved), Some(stereo.clone()));
        assert_eq!(stereo.with_samples(SampleOrder::Planar, &[0.0; 3]), None);
    }
}
