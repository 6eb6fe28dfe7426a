//! A file's first video and first audio track, packet by packet in the order of decoding times.

use std::collections::VecDeque;
use std::path::Path;

use ffmpeg_next::codec::Parameters;
use ffmpeg_next::format::stream::Disposition;
use ffmpeg_next::packet::Ref as _;
use ffmpeg_next::{Error, Packet, Rational, ffi, format, media};

use super::no_tracks;
use crate::error::OpenError;
use crate::{TICKS_PER_SECOND, Ticks, TrackKind};

/// A packet waits at most this long, in media time, for an earlier one of the other track.
const HOLD: i64 = TICKS_PER_SECOND;

/// Packets at a track's start that may lack a decoding time: the depth to which H.264 and HEVC reorder.
const MAX_REORDER: usize = 16;

/// Packets in a row that make no sense before the file as a whole makes none.
const MAX_BROKEN: u32 = 1000;

/// An open file.
pub(super) struct Reader {
    input: format::context::Input,
    tracks: Vec<Track>,
    ended: bool,
}

/// One of at most two tracks.
pub(super) struct Track {
    pub kind: TrackKind,
    pub parameters: Parameters,
    stream: usize,
    time_base: Rational,
    waiting: VecDeque<Unit>,
    /// Time of the last packet that came.
    last: Ticks,
    /// A decoding time has come, or is no longer waited for.
    dated: bool,
}

/// One packet, with the file's own times.
pub(super) struct Unit {
    /// Index of its track.
    pub track: usize,
    pub pts: Option<Ticks>,
    pub dts: Option<Ticks>,
    /// Ticks; 0 where the file does not say.
    pub duration: i64,
    pub key: bool,
    /// An edit list cuts it off: it is decoded for those after it alone.
    pub cut_off: bool,
    pub packet: Packet,
    /// Its decoding time, or the best guess at one.
    pub time: Ticks,
}

impl Reader {
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let refused = |source| OpenError::Open { path: path.display().to_string(), source };
        // Said by the system, since FFmpeg calls a directory invalid data and waits for a pipe.
        let metadata = std::fs::metadata(path).map_err(|error| refused(system(&error)))?;
        if !metadata.is_file() {
            return Err(refused(Error::Other { errno: ffmpeg_next::error::EINVAL }));
        }
        // The protocol is stated: a name may look like a URL. FFmpeg's wrapper takes UTF-8 alone.
        let name = path.to_str().ok_or_else(|| refused(Error::Other { errno: ffmpeg_next::error::EINVAL }))?;
        let input = format::input(&format!("file:{name}")).map_err(refused)?;
        let mut reader = Self { tracks: tracks(&input), input, ended: false };
        if reader.tracks.is_empty() {
            return Err(no_tracks(path));
        }
        reader.discard_others();
        Ok(reader)
    }

    /// Video first, if there is any.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// The next packet with anything in it; `None` at the end of the file.
    pub fn next(&mut self) -> Result<Option<Unit>, OpenError> {
        loop {
            let settled = self.ended || self.tracks.iter().all(Track::is_ready);
            if (settled || self.held() > HOLD)
                && let Some(unit) = self.pop()
            {
                return Ok(Some(unit));
            }
            if self.ended {
                return Ok(None);
            }
            self.fill()?;
        }
    }

    /// Media time that the longest queue spans.
    fn held(&self) -> i64 {
        let span = |track: &Track| track.waiting.front().map_or(0, |first| track.last - first.time);
        self.tracks.iter().map(span).max().unwrap_or(0)
    }

    fn pop(&mut self) -> Option<Unit> {
        let first = |track: &&mut Track| track.waiting.front().map_or(Ticks(i64::MAX), |unit| unit.time);
        self.tracks.iter_mut().min_by_key(first)?.waiting.pop_front()
    }

    /// Reads one packet into its track's queue.
    fn fill(&mut self) -> Result<(), OpenError> {
        let mut broken = 0;
        let mut packet = Packet::empty();
        while let Err(error) = packet.read(&mut self.input) {
            broken += 1;
            match error {
                Error::Eof => {
                    self.ended = true;
                    return Ok(());
                }
                Error::InvalidData if broken < MAX_BROKEN => {}
                source => return Err(OpenError::Read { doing: "reading the file", source }),
            }
        }
        let found = self.tracks.iter_mut().enumerate().find(|(_, track)| track.stream == packet.stream());
        if let Some((index, track)) = found
            && packet.size() > 0
        {
            track.push(index, packet);
        }
        Ok(())
    }

    fn discard_others(&mut self) {
        let chosen: Vec<usize> = self.tracks.iter().map(|track| track.stream).collect();
        for mut stream in self.input.streams_mut() {
            if !chosen.contains(&stream.index()) {
                // SAFETY: the stream belongs to the open input, and the field is there for the caller to set.
                unsafe { (*stream.as_mut_ptr()).discard = ffi::AVDiscard::AVDISCARD_ALL };
            }
        }
    }
}

impl Track {
    fn is_ready(&self) -> bool {
        self.waiting.len() > if self.dated { 0 } else { MAX_REORDER }
    }

    fn push(&mut self, index: usize, packet: Packet) {
        let (pts, dts) = (packet.pts().map(|t| self.ticks(t)), packet.dts().map(|t| self.ticks(t)));
        let time = dts.or(pts).unwrap_or(self.last);
        self.last = time;
        let duration = self.ticks(packet.duration()).0;
        if let Some(dts) = dts
            && !std::mem::replace(&mut self.dated, true)
        {
            self.date(dts, duration);
        }
        // SAFETY: the packet lives.
        let cut_off = unsafe { (*packet.as_ptr()).flags } & ffi::AV_PKT_FLAG_DISCARD != 0;
        self.waiting.push_back(Unit { track: index, pts, dts, duration, key: packet.is_key(), cut_off, packet, time });
    }

    /// Counts back from the first decoding time to the start. Matroska stores none, and libavformat can work them out only
    /// from the first picture on that is shown after its decoding.
    fn date(&mut self, first: Ticks, duration: i64) {
        let step = duration.max(1);
        for (unit, back) in self.waiting.iter_mut().rev().zip(1..) {
            unit.time = first + -step * back;
            unit.dts = Some(unit.time);
        }
    }

    fn ticks(&self, time: i64) -> Ticks {
        Ticks::from_units(time, self.time_base.numerator(), self.time_base.denominator())
    }
}

/// The first track of each kind. A cover picture is no video.
fn tracks(input: &format::context::Input) -> Vec<Track> {
    let first = |kind, medium| {
        let stream = input.streams().find(|stream| {
            stream.parameters().medium() == medium && !stream.disposition().contains(Disposition::ATTACHED_PIC)
        })?;
        Some(Track {
            kind,
            parameters: stream.parameters(),
            stream: stream.index(),
            time_base: stream.time_base(),
            waiting: VecDeque::new(),
            last: Ticks(0),
            dated: false,
        })
    };
    let video = first(TrackKind::Video, media::Type::Video);
    video.into_iter().chain(first(TrackKind::Audio, media::Type::Audio)).collect()
}

fn system(error: &std::io::Error) -> Error {
    error.raw_os_error().map_or(Error::Unknown, |errno| Error::Other { errno })
}
