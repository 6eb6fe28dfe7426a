"""Just enough of MPEG-TS to tell when each PES packet was complete, and to play a segment again at a later time."""

from collections import namedtuple

PACKET = 188
TICKS_PER_SECOND = 90_000
WRAP = 1 << 33

# `end` is the offset just behind the last transport packet of the PES packet, in the bytes that were read.
Pes = namedtuple("Pes", "kind pts dts end")

_VIDEO_TYPES = {0x01, 0x02, 0x10, 0x1B, 0x24}


def video_pts(data):
    """The PTS of every picture."""
    return [pes.pts for pes in pes_packets(data) if pes.kind == "video" and pes.pts is not None]


def pes_packets(data):
    """The PES packets of the first program, in the order of their last bytes."""
    found, open_pes, ends, kinds, map_pid = [], {}, {}, {}, None
    for at in range(0, len(data) - PACKET + 1, PACKET):
        if data[at] != 0x47:
            raise ValueError(f"no transport packet at byte {at}")
        pid = (data[at + 1] & 0x1F) << 8 | data[at + 2]
        starts, end = data[at + 1] & 0x40, at + PACKET
        payload = _payload(data, at)
        if payload >= end:
            continue
        if pid == 0 and starts:
            section = payload + 1 + data[payload]
            map_pid = (data[section + 10] & 0x1F) << 8 | data[section + 11]
        elif pid == map_pid and starts:
            kinds.update(_tracks(data, payload, end))
        elif pid in kinds:
            if starts:
                if pid in open_pes:
                    found.append(open_pes[pid]._replace(end=ends[pid]))
                open_pes[pid], ends[pid] = _header(kinds[pid], data, payload, end), end
            elif pid in open_pes:
                ends[pid] = end
    found += [pes._replace(end=ends[pid]) for pid, pes in open_pes.items()]
    return sorted(found, key=lambda pes: pes.end)


class Restamped:
    """A segment whose times can be moved."""

    def __init__(self, segment):
        self._segment = segment
        # Where each PTS, DTS and PCR is.
        self._times, self._clocks = [], []
        for at in range(0, len(segment) - PACKET + 1, PACKET):
            payload = _payload(segment, at)
            if segment[at + 3] & 0x20 and segment[at + 4] and segment[at + 5] & 0x10:
                self._clocks.append(at + 6)
            if segment[at + 1] & 0x40 and segment[payload : payload + 3] == b"\0\0\1" and payload < at + PACKET:
                flags = segment[payload + 7] >> 6
                self._times += [payload + 9][: flags >> 1] + [payload + 14][: flags // 3]

    def later_by(self, ticks):
        """The segment with all its times moved."""
        if not ticks:
            return self._segment
        moved = bytearray(self._segment)
        for at in self._times:
            time = (_timestamp(moved, at) + ticks) % WRAP
            marked = time >> 30 << 33 | (time >> 15 & 0x7FFF) << 17 | (time & 0x7FFF) << 1 | 0x1_0001_0001
            moved[at : at + 5] = (marked | (moved[at] & 0xF0) << 32).to_bytes(5, "big")
        for at in self._clocks:
            # 33 bits of 90 kHz, then 6 reserved and 9 of 27 MHz, which stay.
            clock = int.from_bytes(moved[at : at + 6], "big")
            base = ((clock >> 15) + ticks) % WRAP
            moved[at : at + 6] = (base << 15 | clock & 0x7FFF).to_bytes(6, "big")
        return bytes(moved)


def _payload(data, at):
    control = data[at + 3] >> 4 & 3
    if not control & 1:
        return at + PACKET
    return at + 4 + (1 + data[at + 4] if control & 2 else 0)


def _tracks(data, payload, end):
    section = payload + 1 + data[payload]
    length = (data[section + 1] & 0x0F) << 8 | data[section + 2]
    entry = section + 12 + ((data[section + 10] & 0x0F) << 8 | data[section + 11])
    # A map that one packet cannot hold does not occur in what is measured here; four bytes of checksum end it.
    stop = min(end, section + 3 + length - 4)
    while entry + 5 <= stop:
        pid = (data[entry + 1] & 0x1F) << 8 | data[entry + 2]
        yield pid, "video" if data[entry] in _VIDEO_TYPES else "audio"
        entry += 5 + ((data[entry + 3] & 0x0F) << 8 | data[entry + 4])


def _header(kind, data, payload, end):
    flags = data[payload + 7] >> 6
    pts = _timestamp(data, payload + 9) if flags & 2 else None
    dts = _timestamp(data, payload + 14) if flags == 3 else pts
    return Pes(kind, pts, dts, end)


def _timestamp(data, at):
    return (
        (data[at] >> 1 & 7) << 30 | data[at + 1] << 22 | data[at + 2] >> 1 << 15 | data[at + 3] << 7 | data[at + 4] >> 1
    )
