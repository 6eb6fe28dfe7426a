//! Live media for rillbox: MPEG-TS bytes in, frames in the middle, MPEG-TS bytes out.
//!
//! [`Input`] turns bytes, as they arrive, into [`Media`]: frames of video and audio with their times. [`Output`] turns frames
//! back into bytes of MPEG-TS, cut into segments. Between them a frame is planes and nothing else. Everything here is
//! synchronous and belongs to one thread at a time; it knows nothing of networks, guests or tasks.
//!
//! All `unsafe` of the project that speaks to FFmpeg lives in this crate.

pub mod convert;
mod cuts;
mod decode;
mod effort;
mod encode;
mod error;
mod file;
mod frame;
mod input;
mod mux;
mod output;
mod pictures;
mod scale;
mod time;
mod timeline;
mod ts;

pub use effort::Effort;
pub use encode::{AudioConfig, AudioEncoding, RateControl, VideoConfig};
pub use error::{EncodeError, OpenError};
pub use file::{FileChunk, FileSegments, SegmentMode};
pub use frame::{
    AudioFrame, Color, ColorMatrix, ColorRange, Picture, PictureError, PixelFormat, Presentation, VideoFrame,
};
pub use input::{Input, InputConfig, InputStats, Media};
pub use output::{Emit, Output, OutputConfig};
pub use scale::Geometry;
pub use time::{TICKS_PER_SECOND, Ticks, WRAP};
pub use ts::{AudioCodec, Codec, NULL_PACKET, TrackKind, Tracks, VideoCodec};

/// Prepares FFmpeg; cheap, and safe to call more than once. Its own log is turned off: broken input would flood it, and what
/// matters is counted in [`InputStats`].
pub fn init() {
    // The only failure there is: registering twice, which FFmpeg ≥ 4 cannot do.
    let _ = ffmpeg_next::init();
    ffmpeg_next::log::set_level(ffmpeg_next::log::Level::Quiet);
}
