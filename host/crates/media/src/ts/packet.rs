//! Transport packets: 188 bytes with a header of 4.

/// Length of a packet.
pub(super) const LEN: usize = 188;

/// First byte of every packet.
pub(super) const SYNC: u8 = 0x47;

/// A packet that holds nothing: receivers pass it by (ISO/IEC 13818-1, 2.4.1).
pub const NULL_PACKET: [u8; LEN] = {
    let mut packet = [0xff; LEN];
    (packet[0], packet[1], packet[3]) = (SYNC, 0x1f, 0x10);
    packet
};

/// A packet's header and payload.
pub(super) struct Packet<'a> {
    pub pid: u16,
    /// A section or PES packet starts in the payload.
    pub starts: bool,
    /// The receiver of the radio signal found errors it could not mend.
    pub error: bool,
    pub counter: u8,
    /// The adaptation field is longer than its flags need: the sender had no more bytes for this PES packet.
    pub stuffed: bool,
    /// The sender says that counters may jump here.
    pub discontinuity: bool,
    /// Empty where there is an adaptation field alone.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a packet; `None` where lengths contradict each other or the payload is scrambled.
    pub fn read(bytes: &'a [u8; LEN]) -> Option<Self> {
        let control = bytes[3];
        let scrambled = control & 0xc0 != 0;
        let has_adaptation = control & 0x20 != 0;
        let has_payload = control & 0x10 != 0;
        let (field, body) = if has_adaptation {
            bytes[5..].split_at_checked(usize::from(bytes[4]))?
        } else {
            (&bytes[4..4], &bytes[4..])
        };
        if scrambled && has_payload {
            return None;
        }
        Some(Self {
            pid: u16::from_be_bytes([bytes[1] & 0x1f, bytes[2]]),
            starts: bytes[1] & 0x40 != 0,
            error: bytes[1] & 0x80 != 0,
            counter: control & 0x0f,
            stuffed: has_adaptation && (field.is_empty() || field.len() > needed(field)),
            discontinuity: field.first().is_some_and(|flags| flags & 0x80 != 0),
            payload: if has_payload { body } else { &[] },
        })
    }
}

/// Bytes of an adaptation field that its flags account for. One of no bytes at all has no flags: its length stuffs a byte.
fn needed(field: &[u8]) -> usize {
    let Some(&flags) = field.first() else { return 0 };
    let mut length = 1;
    if flags & 0x10 != 0 {
        length += 6;
    }
    if flags & 0x08 != 0 {
        length += 6;
    }
    if flags & 0x04 != 0 {
        length += 1;
    }
    if flags & 0x02 != 0 {
        length += 1 + usize::from(field.get(length).copied().unwrap_or(0));
    }
    if flags & 0x01 != 0 {
        length += 1 + usize::from(field.get(length).copied().unwrap_or(0));
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(adaptation: &[u8]) -> [u8; LEN] {
        let mut bytes = [0xab; LEN];
        bytes[..4].copy_from_slice(&[SYNC, 0x41, 0x00, 0x30]);
        bytes[4] = adaptation.len() as u8;
        bytes[5..5 + adaptation.len()].copy_from_slice(adaptation);
        bytes
    }

    #[test]
    fn an_adaptation_field_that_its_flags_explain_is_not_stuffing() {
        let clock = [0x10, 0, 0, 0, 0, 0, 0];
        let bytes = packet(&clock);
        let packet = Packet::read(&bytes).unwrap();
        assert!(!packet.stuffed);
        assert_eq!(packet.pid, 0x100);
        assert_eq!(packet.payload.len(), LEN - 5 - clock.len());
    }

    #[test]
    fn one_byte_more_than_the_flags_need_is_stuffing() {
        assert!(Packet::read(&packet(&[0x10, 0, 0, 0, 0, 0, 0, 0xff])).unwrap().stuffed);
        assert!(Packet::read(&packet(&[0x00, 0xff])).unwrap().stuffed);
    }

    #[test]
    fn a_field_of_no_bytes_stuffs_one() {
        let bytes = packet(&[]);
        let packet = Packet::read(&bytes).unwrap();
        assert!(packet.stuffed && !packet.discontinuity);
        assert_eq!(packet.payload.len(), LEN - 5);
    }

    #[test]
    fn a_field_longer_than_the_packet_is_refused() {
        let mut bytes = packet(&[0]);
        bytes[4] = 184;
        assert!(Packet::read(&bytes).is_none());
    }
}
