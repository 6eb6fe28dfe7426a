//! Where segments are cut.

use crate::ts::TrackKind;
use crate::{TICKS_PER_SECOND, Ticks};

/// A segment is cut at the first key frame this long after the last cut: a second, less what rounding may take.
const SEGMENT: i64 = TICKS_PER_SECOND - TICKS_PER_SECOND / 1000;

/// Audio cuts a segment itself when video has not for this long: it has ended, or is withheld.
const SILENT_VIDEO: i64 = 3 * TICKS_PER_SECOND;

/// Decides for one stream, packet by packet.
#[derive(Debug, Default)]
pub(crate) struct Cuts {
    last: Option<Ticks>,
}

impl Cuts {
    /// Whether a segment begins with this packet. In a stream with video a key frame begins it, and the first packet of all.
    pub fn cut(&mut self, kind: TrackKind, key: bool, has_video: bool, now: Ticks) -> bool {
        let cut = self.last.is_none_or(|last| match kind {
            TrackKind::Video => key && now - last >= SEGMENT,
            TrackKind::Audio if has_video => now - last >= SILENT_VIDEO,
            TrackKind::Audio => now - last >= SEGMENT,
        });
        if cut {
            self.last = Some(now);
        }
        cut
    }
}
