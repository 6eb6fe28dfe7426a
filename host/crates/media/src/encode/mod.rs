//! Encoders: frames become packets.

mod audio;
mod video;

pub use audio::AudioConfig;
pub(crate) use audio::AudioEncoder;
pub(crate) use video::VideoEncoder;
pub use video::{RateControl, VideoConfig};
