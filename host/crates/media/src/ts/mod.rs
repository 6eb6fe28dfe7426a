//! MPEG transport streams: packets, tables and packetised elementary streams (ISO/IEC 13818-1).
//!
//! Our own demuxer rather than libavformat's, because a frame must not wait for the next: see [`pes`].

mod demux;
mod packet;
mod pes;
mod psi;

pub(crate) use demux::{Demuxer, Event};
pub use packet::NULL_PACKET;
pub(crate) use pes::AccessUnit;

/// Which of the two tracks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrackKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

/// A video codec that transport streams carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VideoCodec {
    /// MPEG-1 or MPEG-2.
    Mpeg2,
    /// MPEG-4 part 2.
    Mpeg4,
    /// H.264.
    H264,
    /// H.265.
    Hevc,
    /// VP9, as a registered private stream.
    Vp9,
    /// AV1, as a registered private stream.
    Av1,
}

/// An audio codec that transport streams carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudioCodec {
    /// MPEG-1 or MPEG-2 audio, layers 1 to 3.
    Mp3,
    /// AAC in ADTS.
    Aac,
    /// AAC in LATM.
    AacLatm,
    /// AC-3.
    Ac3,
    /// Enhanced AC-3.
    Eac3,
    /// Opus with this channel configuration code.
    Opus(u8),
}

/// A codec with the kind of its track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Pictures.
    Video(VideoCodec),
    /// Sound.
    Audio(AudioCodec),
}

impl Codec {
    /// The kind of track it makes.
    pub fn kind(self) -> TrackKind {
        match self {
            Self::Video(_) => TrackKind::Video,
            Self::Audio(_) => TrackKind::Audio,
        }
    }
}

/// What a program map announces: the first video and the first audio track that we know how to decode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tracks {
    /// Codec of the video track, if there is one.
    pub video: Option<VideoCodec>,
    /// Codec of the audio track, if there is one.
    pub audio: Option<AudioCodec>,
}
