//! What the stages of a pipeline hand to each other.

use std::time::Instant;

use rillbox_media::{AudioFrame, Tracks, VideoFrame};

use crate::sandbox::Pending;

/// A frame, when the bytes that completed it arrived, and when its turn should come.
#[derive(Debug)]
pub(super) struct Timed<T> {
    pub frame: T,
    pub arrived: Instant,
    pub due: Instant,
}

/// What the encoder is given.
#[derive(Debug)]
pub(super) enum Item {
    Tracks(Tracks),
    Video(Timed<VideoFrame>),
    /// A picture, and what comes in its place from the GPU.
    Pending(Timed<VideoFrame>, Pending),
    /// A picture that the processor does not want shown.
    Withheld(Timed<VideoFrame>),
    Audio(Timed<AudioFrame>),
    /// Whether every picture gives way to the loading picture from here on.
    ShowLoading(bool),
}
