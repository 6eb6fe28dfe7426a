//! Where segments are cut.

use crate::ts::TrackKind;
use crate::{TICKS_PER_SECOND, Ticks};

/// A segment is cut at the first key frame this long after the last cut: a second, less what rounding may take.
const SEGMENT: i64 = TICKS_PER_SECOND - TICKS_PER_SECOND / 1000;

/// Audio cuts a segment itself when video has not for this long: it has ended, or is withheld.
const SILENT_VIDEO: i64 = 3 * TICKS_PER_SECOND;

/// A longer step of sound's time is a gap, which does not count: it was not heard.
const GAP: i64 = TICKS_PER_SECOND;

/// Decides for one stream, packet by packet. Each track is measured by its own time: they may be far apart.
#[derive(Debug, Default)]
pub(crate) struct Cuts {
    begun: bool,
    video: Clock,
    audio: Clock,
}

/// A track's time, now and at the last cut.
#[derive(Debug, Default)]
struct Clock {
    now: Option<Ticks>,
    cut: Option<Ticks>,
}

impl Clock {
    /// Ticks since the last cut, or since the first packet after it.
    fn advance(&mut self, now: Ticks) -> i64 {
        self.now = Some(now);
        now - *self.cut.get_or_insert(now)
    }

    /// The same without gaps.
    fn advance_heard(&mut self, now: Ticks) -> i64 {
        let gap = self.now.map_or(0, |last| now - last);
        if gap > GAP {
            self.cut = self.cut.map(|cut| cut + gap);
        }
        self.advance(now)
    }
}

impl Cuts {
    /// Whether a segment begins with this packet. In a stream with video a key frame begins it, and the first packet of all.
    pub fn cut(&mut self, kind: TrackKind, key: bool, has_video: bool, now: Ticks) -> bool {
        let due = match kind {
            TrackKind::Video => self.video.advance(now) >= SEGMENT && key,
            TrackKind::Audio if has_video => self.audio.advance_heard(now) >= SILENT_VIDEO,
            TrackKind::Audio => self.audio.advance(now) >= SEGMENT,
        };
        if kind == TrackKind::Video {
            // Pictures are not silent.
            self.audio.cut = None;
        }
        let cut = due || !self.begun;
        if cut {
            self.begun = true;
            self.video.cut = self.video.now;
            // Sound that comes back is measured from there: it may have been gone for long, and the pictures were not.
            self.audio.cut = if kind == TrackKind::Audio { self.audio.now } else { None };
        }
        cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracks_that_are_far_apart_do_not_cut_for_each_other() {
        let mut cuts = Cuts::default();
        let mut made = Vec::new();
        for frame in 0..100 {
            let now = frame * TICKS_PER_SECOND / 25;
            made.push(cuts.cut(TrackKind::Video, frame % 25 == 0, true, Ticks(now)));
            assert!(!cuts.cut(TrackKind::Audio, true, true, Ticks(now + 15 * TICKS_PER_SECOND)));
        }
        let at: Vec<_> = made.iter().enumerate().filter(|(_, cut)| **cut).map(|(frame, _)| frame).collect();
        assert_eq!(at, [0, 25, 50, 75]);
    }

    /// Catches a segment that begins between two key frames, with the sound that comes back.
    #[test]
    fn sound_that_comes_back_does_not_cut() {
        let mut cuts = Cuts::default();
        for frame in 0..250 {
            let now = Ticks(frame * TICKS_PER_SECOND / 25);
            assert_eq!(cuts.cut(TrackKind::Video, frame % 25 == 0, true, now), frame % 25 == 0, "{frame}");
            if !(51..160).contains(&frame) {
                assert!(!cuts.cut(TrackKind::Audio, true, true, now), "{frame}");
            }
        }
    }

    /// Catches a segment that begins with sound, and holds pictures before a key frame, where a source's time has a gap: the last
    /// packets of sound from before it come after the first picture behind it.
    #[test]
    fn a_gap_in_time_cuts_at_key_frames_alone() {
        for gap in [2, 4, 5, 8, 9] {
            let mut cuts = Cuts::default();
            let at =
                |frame: i64| Ticks(frame * TICKS_PER_SECOND / 25 + if frame < 50 { 0 } else { gap * TICKS_PER_SECOND });
            for frame in 0..150 {
                let expected = frame % 25 == 0;
                assert_eq!(cuts.cut(TrackKind::Video, expected, true, at(frame)), expected, "{gap} s, picture {frame}");
                // Sound is two packets behind.
                assert!(!cuts.cut(TrackKind::Audio, true, true, at((frame - 2).max(0))), "{gap} s, sound {frame}");
            }
        }
    }

    /// Catches a segment without end where sound comes in bursts and pictures do not come at all.
    #[test]
    fn bursts_of_sound_cut_when_pictures_have_ended() {
        let mut cuts = Cuts::default();
        assert!(cuts.cut(TrackKind::Video, true, true, Ticks(0)));
        let bursts = (0..10).flat_map(|burst| (0..50).map(move |packet| (burst * 4 * 50 + packet) * 1_800));
        let made = bursts.filter(|now| cuts.cut(TrackKind::Audio, true, true, Ticks(*now))).count();
        assert!(made >= 2, "{made}");
    }

    #[test]
    fn sound_cuts_when_pictures_have_ended() {
        let mut cuts = Cuts::default();
        assert!(cuts.cut(TrackKind::Video, true, true, Ticks(0)));
        let made: Vec<_> =
            (0..400).map(|packet| cuts.cut(TrackKind::Audio, true, true, Ticks(packet * 1_800))).collect();
        assert_eq!(made.iter().filter(|cut| **cut).count(), 2);
    }
}
