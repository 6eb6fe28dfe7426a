//! Encoders: frames become packets.

mod audio;
mod layout;
mod video;

pub(crate) use audio::AudioEncoder;
pub use audio::{AudioConfig, AudioEncoding};
pub(crate) use video::VideoEncoder;
pub use video::{RateControl, VideoConfig};
