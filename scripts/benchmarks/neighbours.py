"""Good streams beside hostile processors of every kind, and what that costs them."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time

from . import figures, processes
from .goals import against
from .player import Player

GUESTS = 200

# Hostile processors before anything is measured: more than the host remembers streams that have ended.
_BEFORE = 80

# What harmless streams run that come and go as the hostile ones do.
HARMLESS = "passthrough"

# Hostile processors at once, and good streams.
_AT_ONCE = 8
_GOOD = 4

# Seconds for which memory and descriptors may come down, longer than idle connections are kept.
_SETTLE = 30

_SCRIPTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class _Hostile:
    """What `hostile` does: how many processors are done, and its own end."""

    def __init__(self, child):
        self._child, self.done, self._more = child, 0, asyncio.Event()
        self.ended = asyncio.create_task(self._read())

    async def _read(self):
        async for _ in self._child.stdout:
            self.done += 1
            self._more.set()
        self._more.set()
        if status := await self._child.wait():
            raise RuntimeError(f"the hostile processors' program ended with {status}")

    async def until(self, count):
        """Waits for so many."""
        while self.done < count and not self.ended.done():
            self._more.clear()
            await self._more.wait()


class Neighbours:
    """`good` is what starts a good stream, and plays `alone` and then, beside hostile ones of `second`, `beside`."""

    def __init__(self, host, good, alone, beside, second, directory):
        self.host, self._second = host, second
        self._alone = [Player(host, f"alone-{number}", good, alone, directory) for number in range(_GOOD)]
        self._harmless = [Player(host, f"harmless-{number}", good, beside, directory) for number in range(_GOOD)]
        self._beside = [Player(host, f"beside-{number}", good, beside, directory) for number in range(_GOOD)]
        self.failures = []

    def run(self):
        """Plays everything and gives the report."""
        return asyncio.run(self._run())

    async def _run(self):
        # More at once than later, so that what the busiest moment takes is taken.
        async with self._hostile(2 * _AT_ONCE) as hostile:
            await hostile.until(_BEFORE)
        await asyncio.gather(*(player.play() for player in self._alone))
        async with self._hostile(_AT_ONCE, HARMLESS) as harmless:
            await asyncio.gather(*(player.play() for player in self._harmless))
        self._passed = harmless.done
        before, began = self._used(), time.monotonic()
        async with self._hostile(_AT_ONCE) as hostile:
            # For as long as there is somebody to disturb.
            await asyncio.gather(hostile.until(GUESTS), *(player.play() for player in self._beside))
        took = time.monotonic() - began
        after = await self._settled(before)
        return self._report(hostile.done, before, after, took)

    @contextlib.asynccontextmanager
    async def _hostile(self, lanes, *processor):
        program = [sys.executable, "-m", "benchmarks.hostile"]
        command = [*program, self.host.api, self.host.trickle, self._second, str(lanes), *processor]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        child = await asyncio.create_subprocess_exec(*command, cwd=_SCRIPTS, **pipes)
        hostile = _Hostile(child)
        try:
            yield hostile
        finally:
            child.stdin.close()
            await hostile.ended

    def _used(self):
        return processes.memory_mb(self.host.pid)[0], processes.descriptors(self.host.pid)

    async def _settled(self, before):
        deadline = time.monotonic() + _SETTLE
        while True:
            after = self._used()
            if all(now <= 1.05 * then for now, then in zip(after, before)) or time.monotonic() > deadline:
                return after
            await asyncio.sleep(0.1)

    def _report(self, hostile, before, after, took):
        players = self._alone + self._harmless + self._beside
        if failed := [player for player in players if not player.status]:
            raise RuntimeError("; ".join(f"{player.name}: {player.failures}" for player in failed))
        alone, beside = self._latency(self._alone), self._latency(self._beside)
        harmless = self._latency(self._harmless)
        later, by_coming = (
            {name: round(other[name] - alone[name], 1) for name in alone} for other in (beside, harmless)
        )
        return {
            "hostile": hostile,
            "took_s": round(took, 1),
            "latency_alone_ms": alone,
            "latency_beside_ms": beside,
            "later_beside_harmless_ms": by_coming | {"streams": self._passed},
            "later_ms": later | {"p99": against(later["p99"], "<= 20")},
            "frames": {player.name: figures.Stream(player).frames() for player in self._beside},
            "memory_ratio": against(round(after[0] / before[0], 3), "<= 1.05"),
            "descriptors_ratio": against(round(after[1] / before[1], 3), "<= 1.05"),
            "memory_mb": [round(before[0], 1), round(after[0], 1)],
            "panics": against(len(self.host.panics()), "== 0"),
            "host_says": {player.name: figures.host_says(player.status) for player in self._beside},
            "failures": [failure for player in players for failure in player.failures],
        }

    @staticmethod
    def _latency(players):
        values = sorted(value for player in players for value in figures.Stream(player).latencies_ms())
        return figures.distribution(values) | {"p99": figures.at(values, 0.99)}

