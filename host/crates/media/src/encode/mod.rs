//! Encoders: frames become packets.

mod audio;
mod layout;
mod video;

pub use audio::{AudioConfig, AudioEncoding};
pub(crate) use audio::{AudioEncoder, Shape};
pub(crate) use video::VideoEncoder;
pub use video::{RateControl, VideoConfig};
