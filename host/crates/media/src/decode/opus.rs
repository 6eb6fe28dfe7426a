//! Opus in MPEG-TS (the mapping of ETSI TS 103 491 annex B): control headers in front of packets, channels in a descriptor.

/// The identification header that a decoder needs, from the descriptor's channel configuration code.
///
/// Codes 1 to 8 are channels in Vorbis order; 0 is dual mono. Others are taken as stereo.
pub(super) fn identification(code: u8) -> Vec<u8> {
    let channels = match code {
        0 => 2,
        1..=8 => code,
        _ => 2,
    };
    let family = u8::from(channels > 2);
    let mut header = b"OpusHead\x01".to_vec();
    header.push(channels);
    header.extend(0u16.to_le_bytes());
    header.extend(48_000u32.to_le_bytes());
    header.extend([0, 0, family]);
    if family == 1 {
        let (streams, coupled, map) = mapping(channels);
        header.extend([streams, coupled]);
        header.extend_from_slice(map);
    }
    header
}

/// Streams, coupled streams and channel mapping of family 1 (RFC 7845 §5.1.1.2 with RFC 7845's Vorbis orders).
fn mapping(channels: u8) -> (u8, u8, &'static [u8]) {
    match channels {
        3 => (2, 1, &[0, 2, 1]),
        4 => (2, 2, &[0, 1, 2, 3]),
        5 => (3, 2, &[0, 4, 1, 2, 3]),
        6 => (4, 2, &[0, 4, 1, 2, 3, 5]),
        7 => (4, 3, &[0, 4, 1, 2, 3, 5, 6]),
        _ => (5, 3, &[0, 6, 1, 2, 3, 4, 5, 7]),
    }
}

/// Splits a PES payload into Opus packets, dropping the control headers. Stops at the first byte that fits nothing.
pub(super) fn packets(mut payload: &[u8]) -> Vec<&[u8]> {
    let mut packets = Vec::new();
    while let Some((size, header)) = control_header(payload) {
        let Some(packet) = payload.get(header..header + size) else { break };
        packets.push(packet);
        payload = &payload[header + size..];
    }
    packets
}

/// Size of the packet and length of its header: an 11-bit prefix, flags, the size in steps of 255, optional trims.
fn control_header(bytes: &[u8]) -> Option<(usize, usize)> {
    let [first, flags, ..] = *bytes else { return None };
    if first != 0x7f || flags & 0xe0 != 0xe0 {
        return None;
    }
    let mut at = 2;
    let mut size = 0;
    loop {
        let step = *bytes.get(at)?;
        at += 1;
        size += usize::from(step);
        if step != 0xff {
            break;
        }
    }
    at += 2 * usize::from(flags & 0x10 != 0) + 2 * usize::from(flags & 0x08 != 0);
    if flags & 0x04 != 0 {
        at += 1 + usize::from(*bytes.get(at)?);
    }
    Some((size, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_packets_with_trim_and_long_size_are_split() {
        let mut payload = vec![0x7f, 0xf0, 0xff, 0x01, 0x01, 0x38];
        payload.extend([7; 256]);
        payload.extend([0x7f, 0xe0, 2, 8, 9]);
        let packets = packets(&payload);
        assert_eq!(packets.len(), 2);
        assert_eq!(packets[0], [7; 256]);
        assert_eq!(packets[1], [8, 9]);
    }

    #[test]
    fn a_size_beyond_the_payload_gives_nothing() {
        assert!(packets(&[0x7f, 0xe0, 9, 1]).is_empty());
        assert!(packets(&[0x7f]).is_empty());
    }

    #[test]
    fn surround_has_a_mapping() {
        assert_eq!(identification(6).len(), 19 + 2 + 6);
        assert_eq!(identification(2).len(), 19);
    }
}
