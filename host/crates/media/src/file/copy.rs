//! A file's packets as they are, in segments of MPEG-TS.

use ffmpeg_next::Error;

use super::chunks::Chunks;
use super::reader::{Reader, Unit};
use crate::error::{EncodeError, OpenError};
use crate::mux::Muxer;
use crate::{Emit, TICKS_PER_SECOND, Ticks, TrackKind};

/// A segment is cut at the first key frame this long after the last cut: a second, less what rounding may take.
const SEGMENT: i64 = TICKS_PER_SECOND - TICKS_PER_SECOND / 1000;

/// Audio cuts a segment itself when video has not for this long: it has ended.
const SILENT_VIDEO: i64 = 3 * TICKS_PER_SECOND;

/// Copies one pass.
pub(super) struct Copier {
    reader: Reader,
    muxer: Muxer,
    /// Ticks from the file's times to those that are written.
    shift: i64,
    has_video: bool,
    last_cut: Option<Ticks>,
    /// Time of the last packet, as it is written.
    last: Ticks,
}

impl Copier {
    pub fn new(reader: Reader, shift: i64) -> Result<Self, OpenError> {
        let parameters: Vec<_> = reader.tracks().iter().map(|track| track.parameters.clone()).collect();
        let has_video = reader.tracks().iter().any(|track| track.kind == TrackKind::Video);
        Ok(Self { muxer: Muxer::copy(&parameters)?, reader, shift, has_video, last_cut: None, last: Ticks(0) })
    }

    /// Copies the next packet; `false` when there was none and the stream is ended.
    pub fn step(&mut self, chunks: &mut Chunks) -> Result<bool, OpenError> {
        let Some(unit) = self.reader.next()? else {
            self.muxer.finish()?;
            self.drain(self.last, chunks);
            return Ok(false);
        };
        let now = unit.time + self.shift;
        self.last = now;
        if self.is_cut(&unit) {
            self.muxer.start_segment()?;
            self.last_cut = Some(now);
            chunks.add(now, [Emit::Cut]);
        }
        match self.write(unit) {
            // A broken packet is left out, as a decoder would.
            Err(EncodeError::Run { source: Error::InvalidData, .. }) => {}
            written => written?,
        }
        self.drain(now, chunks);
        Ok(true)
    }

    fn is_cut(&self, unit: &Unit) -> bool {
        let Some(last) = self.last_cut else { return true };
        let since = unit.time + self.shift - last;
        match self.reader.tracks()[unit.track].kind {
            TrackKind::Video => unit.key && since >= SEGMENT,
            TrackKind::Audio if self.has_video => since >= SILENT_VIDEO,
            TrackKind::Audio => since >= SEGMENT,
        }
    }

    fn write(&mut self, unit: Unit) -> Result<(), EncodeError> {
        let Unit { track, pts, dts, duration, mut packet, .. } = unit;
        packet.set_pts(pts.map(|pts| (pts + self.shift).0));
        packet.set_dts(dts.map(|dts| (dts + self.shift).0));
        packet.set_duration(duration);
        self.muxer.write(packet, track)
    }

    fn drain(&mut self, now: Ticks, chunks: &mut Chunks) {
        let mut emitted = Vec::new();
        self.muxer.drain(&mut |bytes| emitted.push(Emit::Bytes(bytes)));
        chunks.add(now, emitted);
    }
}
