//! Encoders: frames become packets.

mod audio;
mod video;

pub use audio::AudioConfig;
pub(crate) use audio::AudioEncoder;
pub use video::{RateControl, VideoConfig};
pub(crate) use video::VideoEncoder;
