//! Files in, segments of MPEG-TS out: what a publisher sends when its source is a file.
//!
//! A file is read twice. The survey finds its times and whether its packets can be copied: the codecs are ones that a
//! transport stream carries, every packet has its times, and key frames come often enough to cut at. Then the file is
//! played, copied or encoded, and once more for every rewind.

mod chunks;
mod copy;
mod reader;
mod survey;
mod transcode;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use chunks::FileChunk;

use self::{chunks::Chunks, copy::Copier, reader::Reader, survey::Survey, transcode::Transcoder};
use crate::error::OpenError;
use crate::{TICKS_PER_SECOND, Ticks, time};

/// The smallest decoding time that is written. Clocks that precede it by up to a second are then still positive.
const START: Ticks = Ticks(TICKS_PER_SECOND);

/// How a file becomes segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SegmentMode {
    /// Copies packets where that is possible, else encodes.
    #[default]
    Auto,
    /// Decodes and encodes in any case.
    Encode,
}

/// Plays a file's first video and first audio track as segments of about one second.
///
/// A segment begins with the first key frame a second after the last cut; one of audio alone lasts a second. All times are
/// the file's own, in ticks of 90 kHz, moved by one constant such that the smallest decoding time is one second.
pub struct FileSegments {
    path: PathBuf,
    survey: Survey,
    pass: Option<Pass>,
    chunks: Chunks,
    /// Ticks that earlier passes took.
    played: i64,
}

enum Pass {
    Copy(Box<Copier>),
    Encode(Box<Transcoder>),
}

impl FileSegments {
    /// Opens and surveys a regular file, which reads all of it.
    ///
    /// # Errors
    /// [`OpenError::Open`] for what is no file, or none that FFmpeg knows; [`OpenError::NoTracks`] for one without a packet
    /// of video or audio; [`OpenError::Read`] when reading fails or no decoder fits.
    pub fn open(path: impl AsRef<Path>, mode: SegmentMode) -> Result<Self, OpenError> {
        let path = path.as_ref().to_owned();
        let survey = Survey::of(Reader::open(&path)?, mode)?.ok_or_else(|| no_tracks(&path))?;
        let mut segments = Self { path, survey, pass: None, chunks: Chunks::default(), played: 0 };
        segments.pass = Some(segments.start()?);
        Ok(segments)
    }

    /// The next bytes; `None` at the end, where [`rewind`](Self::rewind) starts over.
    ///
    /// # Errors
    /// [`OpenError::Read`] when reading fails or nothing in the file decodes, [`OpenError::Encode`] when what was read
    /// cannot be encoded or muxed. Packets that do not decode are no error: they are left out.
    #[expect(clippy::should_implement_trait, reason = "an iterator would go on after an error")]
    pub fn next(&mut self) -> Result<Option<FileChunk>, OpenError> {
        loop {
            if let Some(chunk) = self.chunks.pop() {
                return Ok(Some(chunk));
            }
            let Some(pass) = &mut self.pass else { return Ok(None) };
            let more = match pass {
                Pass::Copy(copier) => copier.step(&mut self.chunks),
                Pass::Encode(transcoder) => transcoder.step(&mut self.chunks),
            };
            // What failed once is not tried again.
            if !matches!(more, Ok(true)) {
                self.pass = None;
            }
            more?;
        }
    }

    /// Plays the file once more, from its start; times go on where the last pass ends.
    ///
    /// # Errors
    /// As [`open`](Self::open)'s: the file may have changed.
    pub fn rewind(&mut self) -> Result<(), OpenError> {
        self.played += self.survey.length;
        self.chunks = Chunks::default();
        self.pass = Some(self.start()?);
        Ok(())
    }

    /// Media time of one pass: that of the track that lasts longest, by its packets.
    pub fn duration(&self) -> Duration {
        time::duration(self.survey.length)
    }

    /// Pictures of one pass, or packets of audio where there is no video; those that do not decode count too.
    pub fn frames(&self) -> u64 {
        self.survey.frames
    }

    /// Whether packets are copied.
    pub fn copies(&self) -> bool {
        self.survey.obstacle.is_none()
    }

    /// Why packets are not copied.
    pub fn why_encoded(&self) -> Option<&str> {
        self.survey.obstacle.as_deref()
    }

    fn start(&self) -> Result<Pass, OpenError> {
        let reader = Reader::open(&self.path)?;
        let shift = START - self.survey.start + self.played;
        if self.copies() {
            Ok(Pass::Copy(Box::new(Copier::new(reader, shift)?)))
        } else {
            Ok(Pass::Encode(Box::new(Transcoder::new(reader, shift)?)))
        }
    }
}

fn no_tracks(path: &Path) -> OpenError {
    OpenError::NoTracks(path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A publisher reads its file on another thread.
    #[test]
    fn segments_move_between_threads() {
        fn moves<T: Send>() {}
        moves::<FileSegments>();
    }
}
