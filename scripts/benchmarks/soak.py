"""Hours of one stream in minutes: a host is fed as fast as it reads, and its memory watched."""

import asyncio
import statistics
import time
from collections import Counter
from contextlib import closing

from . import figures, mpegts, processes
from .gateway import Gateway, over
from .goals import against

# Segments that are published beyond the one that the host reads. A trickle server keeps five, so that none is lost;
# more would only wait, and a live picture that waits too long is dropped.
_AHEAD = 1

# Seconds from one look at how far the host has read to the next.
_POLL = 0.02

# Seconds in which the host must come to a segment, and the stream end.
_PATIENCE = 30

# Minutes of the stream that the report tells of, besides the last.
_MOMENTS = (1, 2, 3, 5, 10, 15, 20, 30, 40, 50)


class Soak:
    """`feed`, of three minutes at least, through a stream that is started with `start`; `run` does it once."""

    def __init__(self, host, start, feed):
        self.host, self.feed, self._gateway = host, feed, Gateway(host, "soak", start)
        # Of each minute of the stream, the host's resident memory in MiB at each of its segments.
        self._memory = {}
        self._segment, self._received, self._status = bytearray(), Counter(), None

    def run(self):
        """Plays the feed and gives the report."""
        cpu, began = processes.cpu_seconds(self.host.pid), time.monotonic()
        asyncio.run(self._play())
        cpu, wall = processes.cpu_seconds(self.host.pid) - cpu, time.monotonic() - began
        sent = {pes.pts for pes, _ in self.feed.packets() if pes.kind == "video"}
        return {
            "video_s": round(self.feed.seconds, 1),
            "wall_s": round(wall, 1),
            "times_real_time": round(self.feed.seconds / wall, 1),
            "cpu_s_per_video_s": round(cpu / self.feed.seconds, 4),
            "memory": self._report_memory(),
            "frames": figures.frames(sent, self._received),
            "host_says": figures.host_says(self._status),
        }

    async def _play(self):
        await self._gateway.create_channels()
        keep = self._segment.extend
        await asyncio.gather(self._gateway.read(lambda _, piece: keep(piece), self._count), self._publish())

    async def _publish(self):
        await self._gateway.start()
        with closing(await self._gateway.publisher()) as connection:
            for seq in range(self.feed.count):
                async with asyncio.timeout(_PATIENCE):
                    await self._until_read(seq - _AHEAD)
                    due = await self._segment_of(connection, seq)
                self._look(due)
        async with asyncio.timeout(_PATIENCE):
            await self._until_read(self.feed.count - 1)
            await self._gateway.close_input()
            self._status = await self._gateway.status_when(over)

    async def _segment_of(self, connection, seq):
        """Publishes a segment, and gives its place in the feed in seconds."""
        answer = self._gateway.publish(connection, seq)
        for due, piece in self.feed.pieces(seq):
            connection.chunk(piece)
        connection.chunk(b"")
        if (reply := await answer).status != 200:
            raise RuntimeError(f"segment {seq} was answered with {reply.status}")
        return due

    async def _until_read(self, seq):
        """Waits until the host reads a segment or one after it."""
        status = await self._gateway.status_when(lambda status: status["input"]["segments"] > seq, _POLL)
        if status["input"]["segments"] <= seq:
            raise RuntimeError(f"the stream is {status['state']}: {status.get('reason')}")

    def _look(self, second):
        minute, resident = int(second // 60) + 1, processes.memory_mb(self.host.pid)[0]
        if minute not in self._memory and minute % 10 == 1:
            processes.say(f"soak: minute {minute}, {resident:.1f} MiB")
        self._memory.setdefault(minute, []).append(resident)

    def _count(self):
        self._received.update(mpegts.video_pts(self._segment))
        self._segment.clear()

    def _report_memory(self):
        """A minute's figure is the median of its segments, and the growth that of a line through those after the first minute:
        frames under way come and go, and a minute more or less of them is 2 MiB."""
        minutes = {minute: statistics.median(values) for minute, values in self._memory.items()}
        later = {minute: value for minute, value in minutes.items() if minute > 1}
        growth = statistics.linear_regression(list(later), list(later.values())).slope * (len(later) - 1)
        told = {*_MOMENTS, max(minutes)}
        return {
            "growth_mib": against(round(growth, 2), "< 1"),
            "last_minute_over_second_mib": round(later[max(later)] - later[min(later)], 2),
            "highest_minute_over_second_mib": round(max(later.values()) - later[min(later)], 2),
            "rss_mib_in_minute": {minute: round(value, 2) for minute, value in minutes.items() if minute in told},
            "peak_rss_mib": round(processes.memory_mb(self.host.pid)[1], 2),
        }
