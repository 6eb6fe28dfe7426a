//! Program-specific information: the tables that say which packets belong to which track.

use super::{AudioCodec, Codec, VideoCodec};

/// Longest section: a 12-bit length after 3 bytes.
const MAX_SECTION: usize = 3 + 0xfff;

/// Stream type of private data in PES packets.
const PRIVATE: u8 = 0x06;

/// Puts sections together from packets.
#[derive(Default)]
pub(super) struct Sections {
    buffer: Vec<u8>,
}

impl Sections {
    /// Takes a packet's payload; gives a section when it is whole and its checksum right.
    ///
    /// Tables of one section are all that live streams have; a second section in the same packet is ignored.
    pub fn push(&mut self, payload: &[u8], starts: bool) -> Option<Vec<u8>> {
        if starts {
            self.buffer.clear();
            let (&pointer, rest) = payload.split_first()?;
            self.buffer.extend_from_slice(rest.get(usize::from(pointer)..)?);
        } else if self.buffer.is_empty() {
            return None;
        } else {
            self.buffer.extend_from_slice(payload);
        }
        if self.buffer.len() < 3 {
            return None;
        }
        let length = 3 + usize::from(u16::from_be_bytes([self.buffer[1] & 0x0f, self.buffer[2]]));
        if self.buffer.len() < length.min(MAX_SECTION) {
            return None;
        }
        let mut section = std::mem::take(&mut self.buffer);
        section.truncate(length);
        (section.len() >= 12 && crc32(&section) == 0).then_some(section)
    }
}

/// The PID of the first program's map, from a program association section.
pub(super) fn first_program(section: &[u8]) -> Option<u16> {
    if section[0] != 0 {
        return None;
    }
    let programs = section.get(8..section.len() - 4)?;
    programs
        .chunks_exact(4)
        .find(|entry| entry[..2] != [0, 0])
        .map(|entry| u16::from_be_bytes([entry[2] & 0x1f, entry[3]]))
}

/// The tracks of a program map section: those that we can decode, as (PID, codec), and private ones that do not say what
/// they are.
pub(super) fn tracks(section: &[u8]) -> Option<Vec<(u16, Option<Codec>)>> {
    // One that does not apply yet is announced ahead.
    if section[0] != 2 || section[5] & 1 == 0 {
        return None;
    }
    let end = section.len() - 4;
    let info = usize::from(u16::from_be_bytes([section[10] & 0x0f, section[11]]));
    let mut rest = section.get(12 + info..end)?;
    let mut found = Vec::new();
    while rest.len() >= 5 {
        let length = usize::from(u16::from_be_bytes([rest[3] & 0x0f, rest[4]]));
        let descriptors = rest.get(5..5 + length)?;
        let codec = codec(rest[0], descriptors);
        if codec.is_some() || rest[0] == PRIVATE {
            found.push((u16::from_be_bytes([rest[1] & 0x1f, rest[2]]), codec));
        }
        rest = &rest[5 + length..];
    }
    Some(found)
}

/// Stream types of ISO/IEC 13818-1 table 2-34 and of ATSC A/53; private streams by their descriptors.
fn codec(stream_type: u8, descriptors: &[u8]) -> Option<Codec> {
    Some(match stream_type {
        0x01 | 0x02 => Codec::Video(VideoCodec::Mpeg2),
        0x10 => Codec::Video(VideoCodec::Mpeg4),
        0x1b => Codec::Video(VideoCodec::H264),
        0x24 => Codec::Video(VideoCodec::Hevc),
        0x03 | 0x04 => Codec::Audio(AudioCodec::Mp3),
        0x0f => Codec::Audio(AudioCodec::Aac),
        0x11 => Codec::Audio(AudioCodec::AacLatm),
        0x81 => Codec::Audio(AudioCodec::Ac3),
        0x87 => Codec::Audio(AudioCodec::Eac3),
        PRIVATE => return private_codec(descriptors),
        _ => return None,
    })
}

/// Private streams: DVB's descriptors for AC-3, registered names for the rest. Opus' channel configuration follows in an
/// extension descriptor of its own (ETSI TS 101 154 and the Opus-in-TS draft).
fn private_codec(descriptors: &[u8]) -> Option<Codec> {
    let mut rest = descriptors;
    let mut codec = None;
    while let [tag, length, ..] = *rest {
        let body = rest.get(2..2 + usize::from(length))?;
        match (tag, body) {
            (0x6a, _) => codec = Some(Codec::Audio(AudioCodec::Ac3)),
            (0x7a, _) => codec = Some(Codec::Audio(AudioCodec::Eac3)),
            (0x05, b"AC-3") => codec = Some(Codec::Audio(AudioCodec::Ac3)),
            (0x05, b"HEVC") => codec = Some(Codec::Video(VideoCodec::Hevc)),
            (0x05, b"VP09") => codec = Some(Codec::Video(VideoCodec::Vp9)),
            (0x05, b"AV01") => codec = Some(Codec::Video(VideoCodec::Av1)),
            (0x05, b"Opus") if codec.is_none() => codec = Some(Codec::Audio(AudioCodec::Opus(2))),
            (0x7f, [0x80, channels, ..]) => codec = Some(Codec::Audio(AudioCodec::Opus(*channels))),
            _ => {}
        }
        rest = &rest[2 + usize::from(length)..];
    }
    codec
}

/// Whether a PES packet of video begins with a key frame of VP9. It has no stream type, and FFmpeg registers no name for it.
pub(super) fn is_vp9(pes: &[u8]) -> bool {
    let video = matches!(pes, [0, 0, 1, 0xe0..=0xef, ..]);
    let start = pes.get(8).map(|length| 9 + usize::from(*length));
    // A marker, a profile, no repetition and a key frame, before the sync code.
    let key = |frame: &[u8]| matches!(frame, [first, 0x49, 0x83, 0x42, ..] if first & 0xcc == 0x80);
    video && start.and_then(|start| pes.get(start..)).is_some_and(key)
}

/// CRC-32/MPEG-2; 0 over a section that ends with its own checksum.
fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ (u32::from(*byte) << 24), |crc, _| {
            let carry = crc & 0x8000_0000 != 0;
            (crc << 1) ^ if carry { 0x04c1_1db7 } else { 0 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(mut body: Vec<u8>) -> Vec<u8> {
        let length = body.len() + 4 - 3;
        body[1] = 0xb0 | (length >> 8) as u8;
        body[2] = length as u8;
        let crc = crc32(&body);
        body.extend(crc.to_be_bytes());
        body
    }

    fn map() -> Vec<u8> {
        let mut body = vec![2, 0, 0, 0, 1, 0xc1, 0, 0, 0xe1, 0x00, 0xf0, 0];
        body.extend([0x1b, 0xe1, 0x00, 0xf0, 0]);
        body.extend([0x06, 0xe1, 0x01, 0xf0, 10, 5, 4, b'O', b'p', b'u', b's', 0x7f, 2, 0x80, 6]);
        section(body)
    }

    #[test]
    fn a_map_gives_codecs_with_opus_channels() {
        let found = tracks(&map()).unwrap();
        assert_eq!(
            found,
            [(0x100, Some(Codec::Video(VideoCodec::H264))), (0x101, Some(Codec::Audio(AudioCodec::Opus(6))))]
        );
    }

    #[test]
    fn a_section_split_over_packets_is_put_together_and_a_damaged_one_dropped() {
        let map = map();
        let mut sections = Sections::default();
        let first: Vec<u8> = [&[0][..], &map[..10]].concat();
        assert!(sections.push(&first, true).is_none());
        assert_eq!(sections.push(&map[10..], false).as_deref(), Some(&map[..]));

        let mut damaged = map.clone();
        damaged[14] ^= 1;
        assert!(sections.push(&[&[0][..], &damaged].concat(), true).is_none());
    }

    #[test]
    fn the_network_entry_is_no_program() {
        let table = section(vec![0, 0, 0, 0, 1, 0xc1, 0, 0, 0, 0, 0xe0, 0x10, 0, 1, 0xf0, 0x00]);
        assert_eq!(first_program(&table), Some(0x1000));
    }
}
