//! A file's packets as they are, in segments of MPEG-TS.

use ffmpeg_next::Error;

use super::chunks::Chunks;
use super::reader::{Reader, Unit};
use crate::cuts::Cuts;
use crate::error::{EncodeError, OpenError};
use crate::mux::Muxer;
use crate::{Emit, Ticks, TrackKind};

/// Copies one pass.
pub(super) struct Copier {
    reader: Reader,
    muxer: Muxer,
    /// Ticks from the file's times to those that are written.
    shift: i64,
    has_video: bool,
    cuts: Cuts,
    /// Time of the last packet, as it is written.
    last: Ticks,
}

impl Copier {
    pub fn new(reader: Reader, shift: i64) -> Result<Self, OpenError> {
        let parameters: Vec<_> = reader.tracks().iter().map(|track| track.parameters.clone()).collect();
        let has_video = reader.tracks().iter().any(|track| track.kind == TrackKind::Video);
        Ok(Self { muxer: Muxer::copy(&parameters)?, reader, shift, has_video, cuts: Cuts::default(), last: Ticks(0) })
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

    fn is_cut(&mut self, unit: &Unit) -> bool {
        let kind = self.reader.tracks()[unit.track].kind;
        self.cuts.cut(kind, unit.key, self.has_video, unit.time + self.shift)
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
