"""What is sent into a channel, and when: segments of a clip, once or over and over, in pieces."""

from bisect import bisect_left

from . import mpegts

# Pieces a second, where a segment's bytes are spread evenly over its time.
_PIECES = 50


def evenly(segment, start, end):
    """Bytes at a constant rate, as over a line that is just fast enough: several small frames may share a piece."""
    size = len(segment)
    step = max(1, size // round(_PIECES * (end - start)) // mpegts.PACKET) * mpegts.PACKET
    return [(start + (end - start) * at / size, min(at + step, size)) for at in range(0, size, step)]


def frame_by_frame(segment, start, _end):
    """Each PES packet whole at its decoding time, as from an encoder beside the server."""
    first = _video_times(segment)[0]
    due, pieces = start, []
    for pes in mpegts.pes_packets(segment):
        due = max(due, start + pes.dts / mpegts.TICKS_PER_SECOND - first)
        pieces.append((due, pes.end))
    return pieces


def at_once(segment, start, _end):
    """A segment in one piece."""
    return [(start, len(segment))]


class Feed:
    """`count` segments, each in pieces as `pacing` cuts them. Beyond the last of `segments` the first follows, with
    times that go on; the segments must be such that sound and pictures do too."""

    def __init__(self, segments, pacing, count=None):
        self.count = len(segments) if count is None else count
        times = [_video_times(segment) for segment in segments]
        begin, last = times[0][0], times[-1]
        # The last frame lasts as long as the one before it.
        starts = [segment[0] - begin for segment in times] + [2 * last[-1] - last[-2] - begin]
        self._starts, self._segments = starts, [mpegts.Restamped(segment) for segment in segments]
        # Of each segment: when each piece is due, and the offset that it ends at.
        self._pieces = [pacing(segment, *span) for segment, span in zip(segments, zip(starts, starts[1:]))]
        # Of each segment: its PES packets, each with the number of the piece that holds its last byte.
        self._packets = [_packets(segment, pieces) for segment, pieces in zip(segments, self._pieces)]
        self.seconds = self._start(self.count)

    def pieces(self, seq):
        """When each piece of a segment is due, in seconds from the feed's start, and its bytes."""
        turn, index = divmod(seq, len(self._segments))
        data, begin = memoryview(self._segments[index].later_by(turn * self._turn_ticks())), 0
        for due, end in self._pieces[index]:
            yield turn * self._starts[-1] + due, data[begin:end]
            begin = end

    def packets(self):
        """Every PES packet of the feed, with the number of the piece that holds its last byte, counted through."""
        before = 0
        for seq in range(self.count):
            turn, index = divmod(seq, len(self._segments))
            later = turn * self._turn_ticks()
            for pes, piece in self._packets[index]:
                yield pes._replace(pts=(pes.pts + later) % mpegts.WRAP), before + piece
            before += len(self._pieces[index])

    def dues(self):
        """When each piece of the feed is due, in seconds from its start."""
        for seq in range(self.count):
            turn, index = divmod(seq, len(self._segments))
            yield from (turn * self._starts[-1] + due for due, _ in self._pieces[index])

    def _start(self, seq):
        turn, index = divmod(seq, len(self._segments))
        return turn * self._starts[-1] + self._starts[index]

    def _turn_ticks(self):
        return round(self._starts[-1] * mpegts.TICKS_PER_SECOND)


def _video_times(segment):
    """The decoding times of a segment's frames, in seconds."""
    return [pes.dts / mpegts.TICKS_PER_SECOND for pes in mpegts.pes_packets(segment) if pes.kind == "video"]


def _packets(segment, pieces):
    ends = [end for _, end in pieces]
    return [(pes, bisect_left(ends, pes.end)) for pes in mpegts.pes_packets(segment) if pes.pts is not None]
