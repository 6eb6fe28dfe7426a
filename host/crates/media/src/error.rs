//! Errors that end an operation. Broken input is not among them: it is counted and skipped.

use thiserror::Error;

/// Why frames could not be encoded or muxed. The stream cannot go on with this output.
#[derive(Debug, Error)]
pub enum EncodeError {
    /// FFmpeg was built without the encoder.
    #[error("this FFmpeg has no encoder {0}; install one built with it")]
    NoEncoder(&'static str),
    /// The encoder refused its settings.
    #[error("the {encoder} encoder did not open for {what}: {source}")]
    Open {
        /// Its name.
        encoder: &'static str,
        /// What was asked of it.
        what: String,
        /// Its answer.
        source: ffmpeg_next::Error,
    },
    /// The encoder or muxer failed while running.
    #[error("{doing}: {source}")]
    Run {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        source: ffmpeg_next::Error,
    },
}

impl EncodeError {
    pub(crate) fn run(doing: &'static str) -> impl FnOnce(ffmpeg_next::Error) -> Self {
        move |source| Self::Run { doing, source }
    }
}

/// Why a file could not be read as media.
#[derive(Debug, Error)]
pub enum OpenError {
    /// FFmpeg does not open it.
    #[error("cannot open {path}: {source}")]
    Open {
        /// The file.
        path: String,
        /// Why not.
        source: ffmpeg_next::Error,
    },
    /// There is neither video nor audio in it.
    #[error("{0} has neither a video nor an audio track")]
    NoTracks(String),
    /// Reading or converting failed on the way.
    #[error("{doing}: {source}")]
    Read {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        source: ffmpeg_next::Error,
    },
    /// What was read could not be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}
