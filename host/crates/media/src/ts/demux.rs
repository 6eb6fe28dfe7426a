//! The demuxer: bytes in any pieces become tracks and access units.

use super::packet::{LEN, Packet, SYNC};
use super::pes::{AccessUnit, Assembler};
use super::psi::{self, Sections};
use super::{Codec, TrackKind, Tracks, VideoCodec};

/// What the bytes turned out to be.
pub(crate) enum Event {
    /// The program map came, or changed. Units of earlier tracks have all been given.
    Tracks(Tracks),
    /// A whole access unit.
    Unit(TrackKind, AccessUnit),
}

/// What was wrong with the bytes, counted since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DemuxStats {
    /// Bytes skipped in search of a packet's start.
    pub skipped_bytes: u64,
    /// Packets that were broken, scrambled or marked as erroneous.
    pub bad_packets: u64,
    /// Gaps in continuity counters.
    pub gaps: u64,
    /// Access units given up because they were too large.
    pub large_units: u64,
}

/// The one codec that is known by its look.
const VP9: Codec = Codec::Video(VideoCodec::Vp9);

struct Track {
    pid: u16,
    codec: Codec,
    assembler: Assembler,
    counter: Option<u8>,
    /// Payload of the last packet.
    last: Vec<u8>,
}

impl Track {
    fn new((pid, codec): (u16, Codec)) -> Self {
        Self { pid, codec, assembler: Assembler::new(), counter: None, last: Vec::new() }
    }

    /// Whether the packet is a repetition to be ignored; notes a gap.
    fn repeats(&mut self, packet: &Packet, stats: &mut DemuxStats) -> bool {
        let before = self.counter.replace(packet.counter);
        if before == Some(packet.counter) && self.last == packet.payload {
            return true;
        }
        self.last.clear();
        self.last.extend_from_slice(packet.payload);
        if before.is_some_and(|before| (before + 1) & 0x0f != packet.counter) && !packet.discontinuity {
            stats.gaps += 1;
            self.assembler.lost();
        }
        false
    }
}

/// Takes transport packets of one program.
#[derive(Default)]
pub(crate) struct Demuxer {
    /// The start of a packet that has not arrived whole.
    partial: Vec<u8>,
    in_sync: bool,
    association: Sections,
    map_pid: Option<u16>,
    map: Sections,
    tracks: Vec<Track>,
    /// What the map says, with `None` for private streams that do not say what they are.
    announced: Vec<(u16, Option<Codec>)>,
    pub stats: DemuxStats,
}

impl Demuxer {
    /// Takes bytes as they arrive and hands on what they complete.
    pub fn push(&mut self, bytes: &[u8], emit: &mut dyn FnMut(Event)) {
        let mut bytes = bytes;
        let joined;
        if !self.partial.is_empty() {
            self.partial.extend_from_slice(bytes);
            joined = std::mem::take(&mut self.partial);
            bytes = &joined;
        }
        while let Some(start) = self.find_packet(bytes) {
            bytes = &bytes[start..];
            let Some((packet, rest)) = bytes.split_first_chunk::<LEN>() else { break };
            self.packet(packet, emit);
            bytes = rest;
        }
        self.partial = bytes.to_vec();
    }

    /// Ends a segment: what is open will not be continued, and the next segment counts its packets anew.
    pub fn end_segment(&mut self, emit: &mut dyn FnMut(Event)) {
        self.stats.skipped_bytes += self.partial.len() as u64;
        self.partial.clear();
        self.in_sync = false;
        for track in &mut self.tracks {
            track.counter = None;
            if let Some(unit) = track.assembler.end() {
                emit(Event::Unit(track.codec.kind(), unit));
            }
        }
    }

    /// Where the next packet starts in `bytes`, which may hold a part of it; `None` when nothing is left to look at.
    fn find_packet(&mut self, bytes: &[u8]) -> Option<usize> {
        if bytes.is_empty() {
            return None;
        }
        if self.in_sync && bytes[0] == SYNC {
            return (bytes.len() >= LEN).then_some(0);
        }
        self.in_sync = false;
        // Out of sync: a packet starts where the one after it starts too, or where nothing follows.
        let start = bytes
            .iter()
            .enumerate()
            .position(|(at, byte)| *byte == SYNC && bytes.get(at + LEN).is_none_or(|next| *next == SYNC));
        let start = start.unwrap_or(bytes.len());
        self.stats.skipped_bytes += start as u64;
        self.in_sync = bytes.len() - start >= LEN;
        Some(start)
    }

    fn packet(&mut self, bytes: &[u8; LEN], emit: &mut dyn FnMut(Event)) {
        let Some(packet) = Packet::read(bytes).filter(|packet| !packet.error) else {
            self.stats.bad_packets += 1;
            return;
        };
        if packet.payload.is_empty() {
            return;
        }
        if packet.pid == 0 {
            if let Some(pid) =
                self.association.push(packet.payload, packet.starts).as_deref().and_then(psi::first_program)
            {
                self.map_pid = Some(pid);
            }
            return;
        }
        if Some(packet.pid) == self.map_pid {
            if let Some(tracks) = self.map.push(packet.payload, packet.starts).as_deref().and_then(psi::tracks) {
                self.remember(tracks);
                self.announce(emit);
            }
            return;
        }
        if packet.starts {
            self.recognise(&packet, emit);
        }
        if let Some(track) = self.tracks.iter_mut().find(|track| track.pid == packet.pid) {
            if track.repeats(&packet, &mut self.stats) {
                return;
            }
            let kind = track.codec.kind();
            for unit in track.assembler.push(packet.payload, packet.starts, packet.stuffed).into_iter().flatten() {
                emit(Event::Unit(kind, unit));
            }
            self.stats.large_units += u64::from(track.assembler.gave_up());
        }
    }

    /// Takes a map over; what a private stream turned out to be, it still is.
    fn remember(&mut self, map: Vec<(u16, Option<Codec>)>) {
        let known = std::mem::replace(&mut self.announced, map);
        for (pid, codec) in self.announced.iter_mut().filter(|(_, codec)| codec.is_none()) {
            *codec = known
                .iter()
                .find(|(before, _)| before == pid)
                .and_then(|(_, codec)| *codec)
                .filter(|codec| *codec == VP9);
        }
    }

    /// Looks into a private stream that does not say what it is.
    fn recognise(&mut self, packet: &Packet, emit: &mut dyn FnMut(Event)) {
        let unknown = self.announced.iter_mut().find(|(pid, codec)| *pid == packet.pid && codec.is_none());
        if let Some((_, codec)) = unknown
            && psi::is_vp9(packet.payload)
        {
            *codec = Some(VP9);
            self.announce(emit);
        }
    }

    /// Takes the first track of each kind; a track whose PID and codec stay the same goes on.
    fn announce(&mut self, emit: &mut dyn FnMut(Event)) {
        let known = self.announced.iter().filter_map(|(pid, codec)| Some((*pid, (*codec)?)));
        let first = |kind| known.clone().find(|(_, codec)| codec.kind() == kind);
        let chosen: Vec<_> = [first(TrackKind::Video), first(TrackKind::Audio)].into_iter().flatten().collect();
        if self.tracks.iter().map(|track| (track.pid, track.codec)).eq(chosen.iter().copied()) {
            return;
        }
        let mut before = std::mem::take(&mut self.tracks);
        for track in chosen {
            let kept = before.iter().position(|old| (old.pid, old.codec) == track);
            self.tracks.push(kept.map_or_else(|| Track::new(track), |at| before.swap_remove(at)));
        }
        for mut gone in before {
            if let Some(unit) = gone.assembler.end() {
                emit(Event::Unit(gone.codec.kind(), unit));
            }
        }
        let mut tracks = Tracks::default();
        for track in &self.tracks {
            match track.codec {
                Codec::Video(codec) => tracks.video = Some(codec),
                Codec::Audio(codec) => tracks.audio = Some(codec),
            }
        }
        emit(Event::Tracks(tracks));
    }
}
