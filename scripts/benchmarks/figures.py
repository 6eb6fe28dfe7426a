"""What PES packets and their times, as sent and as received, say of a stream."""

from bisect import bisect_left
from collections import Counter

from . import mpegts
from .goals import against

# Ticks from one Opus packet to the next.
_OPUS_STEP = 1800


class Stream:
    """What a player's stream came to: pictures are told apart by their PTS."""

    def __init__(self, player):
        sent, received = player.sent(), player.received()
        self._audio_in, self._audio_out = _of("audio", sent), _of("audio", received)
        self._counted = Counter(pes.pts for pes, _ in _of("video", received))
        self._in, self._out = _times(_of("video", sent)), _times(_of("video", received))
        self._player = player

    def frames(self):
        """See `frames`."""
        return frames(self._in.keys(), self._counted)

    def latency_ms(self, goals):
        """From the last byte of a frame sent to the last byte of it received, for every frame that came."""
        return {name: against(value, goals.get(name)) for name, value in distribution(self.latencies_ms()).items()}

    def latencies_ms(self):
        """The latency of each frame that came."""
        return [(self._out[pts] - self._in[pts]) * 1e3 for pts in self._out.keys() & self._in.keys()]

    def audio(self):
        """Seconds from the first to the last PES packet of sound, and steps of the output that are not Opus' 20 ms."""
        after = [pes.pts for pes, _ in self._audio_out]
        steps = ((second - first) % mpegts.WRAP for first, second in zip(after, after[1:]))
        return {
            "in_s": _span(self._audio_in),
            "out_s": _span(self._audio_out),
            "uneven_steps": sum(abs(step - _OPUS_STEP) > 1 for step in steps),
        }

    def audio_latency_ms(self):
        """From the last byte sent of the sound that a packet needs to the last byte of the packet received; what the codec
        keeps back counts too."""
        starts, values = [pes.pts for pes, _ in self._audio_in], []
        for pes, at in self._audio_out:
            # It needs all that begins before its end.
            needed = bisect_left(starts, pes.pts + _OPUS_STEP) - 1
            if 0 <= needed < len(starts) - 1:
                values.append((at - self._audio_in[needed][1]) * 1e3)
        return distribution(values)

    def start(self, goal=None):
        """The start call, and how soon output follows it and the first frame, whichever is later."""
        called, first_out = self._player.called, self._player.first_byte()
        first_in = max(called, min(self._in.values(), default=called))
        after = None if first_out is None else round(first_out - first_in, 3)
        return {
            "answered_s": round(self._player.answered - called, 4),
            "first_frame_in_s": round(first_in - called, 3),
            "first_sound_in_s": round(max(0, min((at for _, at in self._audio_in), default=called) - called), 3),
            "first_bytes_after_frame_s": against(after, goal),
        }


def frames(sent, received):
    """How many went in and came out, and what should not be; `sent` are PTS, `received` is a count of each."""
    return {
        "in": len(sent),
        "out": sum(received.values()),
        "lost": against(len(sent - received.keys()), "== 0"),
        "doubled": against(sum(times - 1 for times in received.values()), "== 0"),
        "with_a_pts_of_their_own": against(len(received.keys() - sent), "== 0"),
    }


def distribution(values):
    """Lowest, median, 95th percentile and highest, each None of nothing."""
    values = sorted(values)
    shares = {"min": 0.0, "p50": 0.5, "p95": 0.95, "max": 1.0}
    return {name: at(values, share) for name, share in shares.items()}


def at(values, share):
    """The value below which this share of sorted ones are; None of nothing."""
    return round(values[int(share * (len(values) - 1))], 1) if values else None


def host_says(status):
    """What the host counted itself; its latency is from bytes received to bytes encoded."""
    return {
        "state": status["state"],
        "reason": status.get("reason"),
        "latency_ms": status["latency_ms"],
        "guest_ms": status["guest"]["time_ms"],
        "guest_memory_mb": round(status["guest"]["memory_bytes"] / 2**20, 1),
        "frames_dropped": status["frames_dropped"],
        "frames_eased": status["frames_eased"],
        "frames_unfiltered": status["frames_unfiltered"],
        "frames_out_of_order": status["output"]["frames_out_of_order"],
        "bad_packets": status["input"]["bad_packets"],
        "bad_units": status["input"]["bad_units"],
        "errors": sum(status["errors"].values()),
        "segments_missed": status["input"]["segments_missed"],
        "segments_skipped": status["output"]["segments_skipped"],
        "retries": status["output"]["retries"],
    }


def _of(kind, timed):
    return [(pes, at) for pes, at in timed if pes.kind == kind]


def _times(timed):
    """When each PTS came, for the first time where it came more than once."""
    return {pes.pts: at for pes, at in reversed(timed)}


def _span(timed):
    if not timed:
        return 0
    return round((timed[-1][0].pts - timed[0][0].pts) % mpegts.WRAP / mpegts.TICKS_PER_SECOND, 3)
