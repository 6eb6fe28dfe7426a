"""Many live streams on one host at once, one beginning alone."""

import asyncio
import time

from . import figures, processes
from .goals import against
from .player import Player

# Seconds for which the first stream is alone, to tell what it needs.
_ALONE = 5

# Seconds from one look at the host's memory to the next.
_LOOK = 0.5

# Moments at which the report tells the host's memory.
_MOMENTS = 10


class Streams:
    """`count` streams of the same feed; `run` plays them once."""

    def __init__(self, host, count, start, feed, directory):
        self.host, self.feed = host, feed
        self.players = [Player(host, f"stream-{number}", start, feed, directory) for number in range(count)]
        # Seconds since the start, and the host's resident memory in MB.
        self.memory = []

    def run(self):
        """Plays the streams and gives their report."""
        own_cpu, cpu, began = time.process_time(), processes.cpu_seconds(self.host.pid), time.monotonic()
        asyncio.run(self._play(began))
        cpu, own_cpu = processes.cpu_seconds(self.host.pid) - cpu, time.process_time() - own_cpu
        wall, (_, peak) = time.monotonic() - began, processes.memory_mb(self.host.pid)
        processes.say("streams: looking into what came back")
        by_stream = {player.name: self._stream(player) for player in self.players}
        played = len(self.players) * self.feed.seconds
        return {
            "count": len(self.players),
            "video_s_each": round(self.feed.seconds, 2),
            "worst_latency_p95_ms": against(_worst(by_stream, "p95"), "<= 250"),
            "worst_latency_ms": _worst(by_stream, "max"),
            "memory": self._memory(peak),
            "host_cpu_s_per_video_s": round(cpu / played, 4),
            "host_cores": round(cpu / wall, 2),
            "measuring": {
                "about": "this process: cores that it took, and how late it sent pieces: how busy the machine was",
                "cores": against(round(own_cpu / wall, 3), "<= 0.15"),
                "late_ms": figures.distribution(late * 1e3 for player in self.players for late in player.late()),
            },
            "streams": by_stream,
        }

    async def _play(self, began):
        look = asyncio.create_task(self._look(began))
        await asyncio.gather(*map(self._one, range(len(self.players))))
        look.cancel()

    async def _one(self, number):
        # All but the first begin within a second, no two in step: cameras are not either.
        if number:
            await asyncio.sleep(_ALONE + number / len(self.players))
        await self.players[number].play()

    async def _look(self, began):
        while True:
            self.memory.append((time.monotonic() - began, processes.memory_mb(self.host.pid)[0]))
            await asyncio.sleep(_LOOK)

    def _memory(self, peak):
        alone = max(resident for at, resident in self.memory if at < _ALONE)
        further = len(self.players) - 1
        step = max(1, len(self.memory) // _MOMENTS)
        return {
            "peak_rss_mb": round(peak, 1),
            "one_stream_rss_mb": round(alone, 1),
            "each_further_mb": against(round((peak - alone) / further, 1), "<= 25") if further else None,
            "rss_mb_at_s": {round(at): round(resident, 1) for at, resident in self.memory[::step]},
        }

    def _stream(self, player):
        if not player.status:
            return {"failures": player.failures, "completed": against(0, "== 1")}
        measured = figures.Stream(player)
        return {
            "latency_ms": measured.latency_ms({"p95": "<= 250"}),
            "frames": measured.frames(),
            "start": measured.start(),
            "host_says": figures.host_says(player.status),
            "failures": player.failures,
        }


def _worst(by_stream, figure):
    """The highest of all streams; None, which misses its goal, where one of them did not play to its end."""
    values = [report.get("latency_ms", {}).get(figure) for report in by_stream.values()]
    values = [value["value"] if isinstance(value, dict) else value for value in values]
    return None if None in values else max(values)
