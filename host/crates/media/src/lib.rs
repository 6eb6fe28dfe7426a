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
pub use frame::{AudioFrame, Color, ColorMatrix, ColorRange, Picture, PictureError, PixelFormat, VideoFrame};
pub use input::{Input, InputConfig, InputStats, Media};
pub use output::{Emit, Output, OutputConfig};
pub use scale::Geometry;
pub use time::{TICKS_PER_SECOND, Ticks, WRAP};
pub use ts::{AudioCodec, Codec, TrackKind, Tracks, VideoCodec};

/// Free bytes that the allocator keeps, and of a piece of memory that it takes from what it keeps. Without a number of its own, glibc
/// settles at twice the largest piece that was freed, which is less than a frame's work needs.
#[cfg(target_env = "gnu")]
const KEPT: libc::c_int = 32 << 20;

/// Prepares FFmpeg and the allocator that its frames come from; cheap, and safe to call more than once.
///
/// A stream's frames pass from thread to thread, and glibc keeps what each thread freed in an arena of its own: with two for
/// all threads, a second stream takes the memory that the first gave back. Pictures and tensors come and go with each frame: up to
/// 32 MiB of free memory stay, since the system's pages cost more than most of what is done with them. FFmpeg's own log is
/// turned off: broken input would flood it, and what matters is counted in [`InputStats`].
pub fn init() {
    // The only failure there is: registering twice, which FFmpeg ≥ 4 cannot do.
    let _ = ffmpeg_next::init();
    #[cfg(target_env = "gnu")]
    // SAFETY: takes two numbers, and is allowed at any time.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
        libc::mallopt(libc::M_MMAP_THRESHOLD, KEPT);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
    }
    ffmpeg_next::log::set_level(ffmpeg_next::log::Level::Quiet);
}

/// Gives memory that is free back to the system, which takes milliseconds in which whoever allocates waits. What comes next has to
/// ask for it again.
pub fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: looks at the allocator's own lists, and is allowed at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}
