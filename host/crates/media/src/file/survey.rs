//! The first pass over a file: how long it is, and whether its packets can be copied.

use ffmpeg_next::codec::{Id, Parameters};

use super::SegmentMode;
use super::reader::{Reader, Track, Unit};
use crate::error::OpenError;
use crate::{TICKS_PER_SECOND, Ticks, TrackKind};

/// Key frames may be this far apart in what is copied: two seconds, and some for frame rates that do not divide them.
const KEY_GAP: i64 = 2 * TICKS_PER_SECOND + TICKS_PER_SECOND / 10;

/// Ticks of a picture where nothing says so, as the decoder counts them.
const UNTIMED: i64 = TICKS_PER_SECOND / 25;

/// Encoded audio ends up to a packet of Opus after its source.
const OPUS_TAIL: i64 = TICKS_PER_SECOND / 50;

/// What a file turned out to be.
pub(super) struct Survey {
    /// The smallest decoding time.
    pub start: Ticks,
    /// Ticks of one pass: after it, the next one's times are larger than all before, track by track.
    pub length: i64,
    /// Packets of video, or of audio where there is no video.
    pub frames: u64,
    /// Why packets cannot be copied.
    pub obstacle: Option<String>,
}

impl Survey {
    /// Reads to the end; `None` when no packet came.
    pub fn of(mut reader: Reader, mode: SegmentMode) -> Result<Option<Self>, OpenError> {
        let mut obstacle = match mode {
            SegmentMode::Encode => Some("encoding was asked for".to_owned()),
            SegmentMode::Auto => reader.tracks().iter().find_map(not_carried),
        };
        let mut extents: Vec<Extent> = reader.tracks().iter().map(|track| Extent::new(track.kind)).collect();
        while let Some(unit) = reader.next()? {
            let found = extents[unit.track].add(&unit);
            obstacle = obstacle.or(found.map(str::to_owned));
        }
        extents.retain(|extent| extent.packets > 0);
        let Some(start) = extents.iter().map(|extent| extent.first_dts).min() else { return Ok(None) };
        let obstacle = obstacle.or(extents.iter().find_map(Extent::sparse));
        let tail = |extent: &Extent| match extent.kind {
            TrackKind::Audio if obstacle.is_some() => OPUS_TAIL,
            _ => 0,
        };
        let length = extents.iter().map(|extent| extent.length() + tail(extent)).max().unwrap_or(0);
        let frames = extents.first().map_or(0, |extent| extent.packets);
        Ok(Some(Self { start, length, frames, obstacle }))
    }
}

/// Where the packets of one track lie.
struct Extent {
    kind: TrackKind,
    packets: u64,
    /// Packets without any time.
    untimed: u64,
    first_dts: Ticks,
    last_dts: Ticks,
    first_pts: Ticks,
    last_pts: Ticks,
    /// Ticks that the packet at `last_pts` lasts, if the file says so.
    last_duration: i64,
    last_key: Ticks,
    /// The longest time from a key frame, or the start, to the next.
    key_gap: i64,
}

impl Extent {
    fn new(kind: TrackKind) -> Self {
        let zero = Ticks(0);
        Self {
            kind,
            packets: 0,
            untimed: 0,
            first_dts: zero,
            last_dts: zero,
            first_pts: zero,
            last_pts: zero,
            last_duration: 0,
            last_key: zero,
            key_gap: 0,
        }
    }

    /// Takes the next packet; says what is wrong with its times.
    fn add(&mut self, unit: &Unit) -> Option<&'static str> {
        let (pts, dts) = (unit.pts.unwrap_or(unit.time), unit.time);
        let first = self.packets == 0;
        if first {
            (self.first_dts, self.first_pts, self.last_key) = (dts, pts, dts);
        }
        let forward = first || dts > self.last_dts;
        self.packets += 1;
        self.untimed += u64::from(unit.pts.is_none() && unit.dts.is_none());
        self.first_dts = self.first_dts.min(dts);
        self.last_dts = if first { dts } else { self.last_dts.max(dts) };
        self.first_pts = self.first_pts.min(pts);
        if first || pts >= self.last_pts {
            (self.last_pts, self.last_duration) = (pts, unit.duration);
        }
        if unit.key {
            self.key_gap = self.key_gap.max(dts - self.last_key);
            self.last_key = dts;
        }
        if unit.cut_off && self.kind == TrackKind::Video {
            return Some("an edit list cuts pictures off");
        }
        match (unit.pts, unit.dts) {
            (Some(pts), Some(dts)) if forward && pts >= dts => None,
            (Some(_), Some(_)) => Some("its times are out of order"),
            _ => Some("it has packets without a time"),
        }
    }

    fn length(&self) -> i64 {
        if self.untimed > self.packets / 2 {
            return self.packets as i64 * UNTIMED;
        }
        let decoding = self.last_dts - self.first_dts;
        let mean = decoding / (self.packets as i64 - 1).max(1);
        let last = if self.last_duration > 0 { self.last_duration } else { mean };
        (self.last_pts - self.first_pts + last).max(decoding + 1)
    }

    /// Says so if key frames are too rare to cut segments at.
    fn sparse(&self) -> Option<String> {
        let gap = self.key_gap.max(self.last_dts - self.last_key);
        (self.kind == TrackKind::Video && gap > KEY_GAP)
            .then(|| format!("its key frames are up to {:.1} s apart", Ticks(gap).millis() as f64 / 1000.0))
    }
}

/// Says so if our own demuxer would not find the track in a transport stream.
fn not_carried(track: &Track) -> Option<String> {
    let id = track.parameters.id();
    let carried = match id {
        Id::H264 | Id::HEVC | Id::MPEG2VIDEO | Id::MP3 | Id::AC3 | Id::EAC3 => true,
        Id::AAC => fits_adts(&track.parameters),
        // Beyond eight channels the stream cannot state their mapping.
        Id::OPUS => channels(&track.parameters) <= 8,
        _ => false,
    };
    let kind = match track.kind {
        TrackKind::Video => "video",
        TrackKind::Audio => "audio",
    };
    (!carried).then(|| format!("its {kind} is {}", id.name()))
}

/// Whether ADTS can state the object type: Main, LC, SSR, LTP, and SBR and PS upon LC. Unknown is most often LC.
fn fits_adts(parameters: &Parameters) -> bool {
    // SAFETY: the parameters are valid as long as they are borrowed.
    let profile = unsafe { (*parameters.as_ptr()).profile };
    profile <= 4 || profile == 28
}

fn channels(parameters: &Parameters) -> i32 {
    // SAFETY: the parameters are valid as long as they are borrowed.
    unsafe { (*parameters.as_ptr()).ch_layout.nb_channels }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ffmpeg_next::Packet;

    fn unit(pts: i64, dts: i64, key: bool) -> Unit {
        let (packet, time) = (Packet::empty(), Ticks(dts));
        Unit { track: 0, pts: Some(Ticks(pts)), dts: Some(time), duration: 0, key, cut_off: false, packet, time }
    }

    #[test]
    fn a_pass_ends_one_frame_after_its_last_picture() {
        let mut extent = Extent::new(TrackKind::Video);
        // I P B B in decoding order at 25 fps, decoded two frames early.
        for (pts, dts) in [(0, -7_200), (10_800, -3_600), (3_600, 0), (7_200, 3_600)] {
            assert_eq!(extent.add(&unit(pts, dts, pts == 0)), None);
        }
        assert_eq!(extent.length(), 4 * 3_600);
        assert_eq!(extent.sparse(), None);
    }

    #[test]
    fn a_long_tail_without_a_key_frame_is_sparse() {
        let mut extent = Extent::new(TrackKind::Video);
        for second in 0..5 {
            extent.add(&unit(second * 90_000, second * 90_000, second < 2));
        }
        assert_eq!(extent.sparse().unwrap(), "its key frames are up to 3.0 s apart");
    }

    #[test]
    fn what_a_muxer_would_refuse_is_an_obstacle() {
        let mut extent = Extent::new(TrackKind::Audio);
        assert!(extent.add(&unit(0, 0, true)).is_none());
        assert!(extent.add(&unit(0, 0, true)).is_some());
        assert!(extent.add(&unit(900, 1_800, true)).is_some());
        assert!(extent.add(&Unit { pts: None, ..unit(0, 3_600, true) }).is_some());
    }
}
