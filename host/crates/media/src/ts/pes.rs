//! Packetised elementary streams: bytes of one PID become access units.
//!
//! Most video PES packets state no length, so the usual demuxer hands one out when the next one starts: a whole frame
//! late. But the last transport packet of a PES is nearly always padded with stuffing, and no other one is. Where a stream
//! has kept to that for [`TRUST`] PES packets, the stuffing ends the packet at once; one that breaks the rule has to keep
//! to it for longer each time.

/// PES packets in a row that must end, and only end, with stuffing before stuffing is believed.
const TRUST: u16 = 3;

/// How much longer a stream that broke the rule has to keep to it.
const DOUBT: u16 = 8;

/// Largest access unit. A key frame of 8K video stays well below it.
const MAX_UNIT: usize = 16 << 20;

/// One PES packet's payload with its raw 33-bit times.
pub(crate) struct AccessUnit {
    pub pts: Option<u64>,
    pub dts: Option<u64>,
    pub data: Vec<u8>,
    /// Packets of it were lost, or it is shorter than it says.
    pub damaged: bool,
}

enum Ending {
    /// The stream's habit is not known yet: PES packets seen that kept to the rule.
    Watching(u16),
    Stuffing,
}

/// Puts the access units of one PID together.
pub(super) struct Assembler {
    open: bool,
    data: Vec<u8>,
    /// Bytes that the PES packet says it has, counting its header.
    length: Option<usize>,
    damaged: bool,
    /// Stuffing was seen in the open PES packet.
    stuffed: bool,
    /// Packets were lost since the last start: what follows says nothing about the stream's habit.
    gap: bool,
    /// The open unit became too large, and was given up.
    too_large: bool,
    ending: Ending,
    /// PES packets that must keep to the rule.
    trust: u16,
}

impl Assembler {
    pub fn new() -> Self {
        Self {
            open: false,
            data: Vec::new(),
            length: None,
            damaged: false,
            stuffed: false,
            gap: false,
            too_large: false,
            ending: Ending::Watching(0),
            trust: TRUST,
        }
    }

    /// Takes a packet's payload and gives what it completes: at most the unit before it and its own.
    pub fn push(&mut self, payload: &[u8], starts: bool, stuffed: bool) -> [Option<AccessUnit>; 2] {
        let mut before = None;
        if starts {
            self.learn();
            before = self.take();
            self.open = payload.starts_with(&[0, 0, 1]);
            self.length = declared_length(payload);
            (self.stuffed, self.gap) = (false, false);
        } else if !self.gap && (self.stuffed || (!self.open && matches!(self.ending, Ending::Stuffing))) {
            // Bytes after stuffing: this stream does not mean by it what others do, or a bit of it was wrong.
            self.ending = Ending::Watching(0);
            self.trust = self.trust.saturating_mul(DOUBT);
            self.stuffed = false;
        }
        if !self.open {
            return [before, None];
        }
        self.data.extend_from_slice(payload);
        self.stuffed = stuffed;
        if self.data.len() > MAX_UNIT {
            self.abandon();
            return [before, None];
        }
        let complete = match self.length {
            Some(length) => self.data.len() >= length,
            None => stuffed && matches!(self.ending, Ending::Stuffing),
        };
        [before, if complete { self.take() } else { None }]
    }

    /// Notes that packets were lost; what is open is damaged.
    pub fn lost(&mut self) {
        self.damaged = self.open;
        self.gap = true;
    }

    /// Gives what is open: nothing more is coming for it.
    pub fn end(&mut self) -> Option<AccessUnit> {
        self.gap = true;
        self.take()
    }

    fn learn(&mut self) {
        if let Ending::Watching(kept) = self.ending
            && self.open
            && self.length.is_none()
        {
            self.ending = match (self.stuffed, kept + 1) {
                // Without stuffing a PES packet filled its last transport packet by chance: no evidence either way.
                (false, _) => Ending::Watching(kept),
                (true, kept) if kept >= self.trust => Ending::Stuffing,
                (true, kept) => Ending::Watching(kept),
            };
        }
    }

    /// Whether a unit was given up since this was last asked, because it was too large.
    pub fn gave_up(&mut self) -> bool {
        std::mem::take(&mut self.too_large)
    }

    fn abandon(&mut self) {
        self.open = false;
        self.data = Vec::new();
        self.damaged = false;
        // The rest of it says nothing about the stream's habit.
        (self.gap, self.too_large) = (true, true);
    }

    fn take(&mut self) -> Option<AccessUnit> {
        if !std::mem::take(&mut self.open) {
            return None;
        }
        let damaged = std::mem::take(&mut self.damaged);
        let mut data = std::mem::take(&mut self.data);
        let header = Header::read(&data)?;
        let short = self.length.is_some_and(|length| data.len() < length);
        data.truncate(self.length.unwrap_or(usize::MAX));
        if data.len() <= header.length {
            return None;
        }
        data.drain(..header.length);
        Some(AccessUnit { pts: header.pts, dts: header.dts, data, damaged: damaged || short })
    }
}

fn declared_length(payload: &[u8]) -> Option<usize> {
    let length = usize::from(u16::from_be_bytes([*payload.get(4)?, *payload.get(5)?]));
    (length > 0).then_some(6 + length)
}

struct Header {
    length: usize,
    pts: Option<u64>,
    dts: Option<u64>,
}

impl Header {
    fn read(data: &[u8]) -> Option<Self> {
        let length = 9 + usize::from(*data.get(8)?);
        let flags = data[7];
        let pts = (flags & 0x80 != 0).then(|| timestamp(data.get(9..14)?)).flatten();
        let dts = (flags & 0xc0 == 0xc0).then(|| timestamp(data.get(14..19)?)).flatten();
        Some(Self { length, pts, dts })
    }
}

/// 33 bits spread over 5 bytes between marker bits.
fn timestamp(bytes: &[u8]) -> Option<u64> {
    let [a, b, c, d, e] = *bytes else { return None };
    if a & c & e & 1 == 0 {
        return None;
    }
    Some(
        u64::from(a >> 1 & 7) << 30
            | u64::from(b) << 22
            | u64::from(c >> 1) << 15
            | u64::from(d) << 7
            | u64::from(e >> 1),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: &[u8] = &[0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 5, 0x21, 0x00, 0x05, 0xbf, 0x21, 1, 2, 3];

    fn learned() -> Assembler {
        let mut assembler = Assembler::new();
        for _ in 0..=TRUST {
            assembler.push(UNIT, true, true);
        }
        assembler
    }

    #[test]
    fn a_unit_waits_for_the_next_start_until_the_habit_is_known() {
        let mut assembler = Assembler::new();
        assert!(assembler.push(UNIT, true, true)[1].is_none());
        let [before, own] = assembler.push(UNIT, true, true);
        assert_eq!(before.unwrap().data, [1, 2, 3]);
        assert!(own.is_none());
    }

    #[test]
    fn stuffing_ends_a_unit_at_once_when_it_always_did() {
        let mut assembler = learned();
        assembler.end();
        assert!(assembler.push(UNIT, true, false)[1].is_none());
        let unit = assembler.push(&[4], false, true)[1].take().unwrap();
        assert_eq!(unit.data, [1, 2, 3, 4]);
        assert_eq!(unit.pts, Some(90_000));
    }

    #[test]
    fn bytes_after_stuffing_end_the_trust_for_long() {
        let mut assembler = learned();
        assembler.push(&[9], false, false);
        for _ in 0..TRUST * DOUBT {
            assert!(assembler.push(UNIT, true, true)[1].is_none());
        }
        assembler.push(UNIT, true, true);
        assert!(assembler.push(UNIT, true, true)[1].is_some());
    }

    #[test]
    fn a_lost_start_says_nothing_about_stuffing() {
        let mut assembler = learned();
        assembler.end();
        assembler.lost();
        assert!(assembler.push(&[9], false, false)[1].is_none());
        assert!(assembler.push(UNIT, true, true)[1].is_some());
    }

    #[test]
    fn a_unit_without_end_is_given_up_once_and_costs_no_trust() {
        let mut assembler = learned();
        assembler.push(UNIT, true, false);
        for _ in 0..3 * MAX_UNIT / 184 {
            assert!(assembler.push(&[7; 184], false, false)[1].is_none());
            assert!(assembler.data.len() <= MAX_UNIT);
        }
        assert_eq!((assembler.gave_up(), assembler.gave_up()), (true, false));
        assert!(assembler.push(UNIT, true, true)[1].is_some());
    }

    #[test]
    fn a_declared_length_ends_a_unit_and_cuts_what_follows() {
        let mut unit = UNIT.to_vec();
        unit[5] = (UNIT.len() - 6) as u8;
        let mut assembler = Assembler::new();
        let whole = assembler.push(&[&unit[..], &[0xff; 4]].concat(), true, false)[1].take().unwrap();
        assert_eq!(whole.data, [1, 2, 3]);
        assert!(!whole.damaged);

        assembler.push(&unit[..unit.len() - 1], true, false);
        assert!(assembler.end().unwrap().damaged);
    }
}
