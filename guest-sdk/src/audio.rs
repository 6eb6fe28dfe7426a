//! Audio frames, owned by the host: 32-bit float samples, nominally −1 to 1.

use std::fmt;

use crate::imports::audio as host;
use crate::{Refusal, Timestamp};

/// The order of samples in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SampleOrder {
    /// All samples of the first channel, then all of the second, and so on.
    Planar,
    /// One sample of each channel, then the next of each.
    Interleaved,
}

/// A run of decoded samples with the time of the first.
pub struct AudioFrame(host::Handle);

impl AudioFrame {
    pub(crate) fn owned(handle: host::Handle) -> Self {
        Self(handle)
    }

    pub(crate) fn into_handle(self) -> host::Handle {
        self.0
    }

    /// Hertz.
    pub fn sample_rate(&self) -> u32 {
        host::sample_rate(&self.0)
    }

    /// Number of channels, ≥ 1.
    pub fn channels(&self) -> u32 {
        host::channels(&self.0)
    }

    /// The channels' positions by FFmpeg's name of the layout: `mono`, `stereo`, `5.1`.
    pub fn layout(&self) -> String {
        host::layout(&self.0)
    }

    /// Samples of one channel.
    pub fn samples_per_channel(&self) -> u32 {
        host::samples_per_channel(&self.0)
    }

    /// When the first sample is heard.
    pub fn timestamp(&self) -> Timestamp {
        host::timestamp(&self.0)
    }

    /// The samples, `channels` × `samples_per_channel` of them: one copy.
    pub fn samples(&self, order: SampleOrder) -> Vec<f32> {
        host::samples(&self.0, order)
    }

    /// Puts new samples in the place of this frame's. Values that are not finite count as 0.
    ///
    /// The count may change; [`Refusal::Invalid`] when it is no multiple of `channels`, and for a retained frame.
    pub fn replace_samples(&mut self, order: SampleOrder, samples: &[f32]) -> Result<(), Refusal> {
        host::replace_samples(&self.0, order, samples)
    }

    /// A new frame with this one's rate and layout. [`Refusal::Invalid`] when the number of samples is no multiple of
    /// `channels`.
    pub fn derive(&self, timestamp: Timestamp, order: SampleOrder, samples: &[f32]) -> Result<Self, Refusal> {
        host::derive(&self.0, timestamp, order, samples).map(Self)
    }

    /// A handle that outlives the call. Its bytes count against the processor's memory until it is dropped:
    /// [`Refusal::Limit`] when there is no room.
    pub fn retain(&self) -> Result<Self, Refusal> {
        host::retain(&self.0).map(Self)
    }
}

impl fmt::Debug for AudioFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AudioFrame")
            .field("sample_rate", &self.sample_rate())
            .field("channels", &self.channels())
            .field("samples_per_channel", &self.samples_per_channel())
            .field("timestamp", &self.timestamp())
            .finish_non_exhaustive()
    }
}
