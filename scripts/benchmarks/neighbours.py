"""Good streams beside hostile processors of every kind, and what that costs them."""

import asyncio
import time
from contextlib import closing

from . import figures, processes, wire
from .gateway import Gateway, over
from .goals import against
from .player import Player

GUESTS = 200

# Hostile processors before anything is measured: more than the host remembers streams that have ended.
_BEFORE = 80

# Hostile processors at once, and good streams.
_AT_ONCE = 8
_GOOD = 4

# Seconds that a hostile processor is given for a second of pictures.
_WORST = 3

# Seconds for which memory and descriptors may come down, longer than idle connections are kept.
_SETTLE = 30

# Each kind: the component in `tests/guests`, and its params.
KINDS = [
    ("trap", {}),
    ("spin", {}),
    ("failing", {}),
    ("withhold", {"all": True}),
    ("grow", {"mebibytes": 100}),
    ("grow", {"at_start": True}),
    ("resize", {"columns": 1280, "rows": 720}),
    ("resize", {"columns": 3000, "rows": 3000}),
    ("slow", {"milliseconds": 66}),
    ("load_error", {}),
    ("restless", {}),
    ("talker", {"values": 200, "bytes": 1000, "event": "loud"}),
    ("mute", {"act": "spin"}),
    ("mute", {"act": "abort"}),
    ("flood", {"what": "log"}),
    ("flood", {"what": "print"}),
    ("flood", {"what": "data"}),
    ("flood", {"what": "events"}),
    ("greedy", {"what": "handles"}),
    ("greedy", {"what": "pixels"}),
    ("greedy", {"what": "churn"}),
    ("recurse", {}),
    ("break_at", {"at": "start"}),
    ("break_at", {"at": "video"}),
    ("break_at", {"at": "audio"}),
    ("break_at", {"at": "stop"}),
    ("nag", {"what": "clock"}),
    ("nag", {"what": "pixels"}),
    ("nag", {"what": "timer"}),
    ("tensors", {"what": "misuse"}),
    ("tensors", {"what": "handles"}),
    ("tensors", {"what": "memory"}),
    ("tensors", {"what": "long"}),
    ("tensors", {"what": "endless"}),
    ("tensors", {"what": "churn"}),
    ("shaders", {"what": "misuse"}),
    ("shaders", {"what": "endless"}),
    ("park", {}),
    ("burn", {}),
]


class Neighbours:
    """`good` is what starts a good stream, and plays `alone` and then, beside hostile ones of `second`, `beside`."""

    def __init__(self, host, good, alone, beside, second, directory):
        self.host, self._second = host, second
        self._alone = [Player(host, f"alone-{number}", good, alone, directory) for number in range(_GOOD)]
        self._beside = [Player(host, f"beside-{number}", good, beside, directory) for number in range(_GOOD)]
        self._done, self.failures = 0, []

    def run(self):
        """Plays everything and gives the report."""
        return asyncio.run(self._run())

    async def _run(self):
        # More at once than later, so that what the busiest moment takes is taken.
        await self._hostile(lambda: self._done < _BEFORE, 2 * _AT_ONCE)
        await asyncio.gather(*(player.play() for player in self._alone))
        before, began = self._used(), time.monotonic()
        self._done = 0
        good = asyncio.gather(*(player.play() for player in self._beside))
        # For as long as there is somebody to disturb.
        await self._hostile(lambda: self._done < GUESTS or not good.done(), _AT_ONCE)
        await good
        took = time.monotonic() - began
        after = await self._settled(before)
        return self._report(before, after, took)

    async def _hostile(self, goes_on, at_once):
        number = 0

        async def lane():
            nonlocal number
            while goes_on():
                number += 1
                await self._one(number)
                self._done += 1

        await asyncio.gather(*(lane() for _ in range(at_once)))

    async def _one(self, number):
        name, params = KINDS[number % len(KINDS)]
        gateway = Gateway(self.host, f"hostile-{number}", {"processor": name, "params": params})
        await gateway.create_channels()
        try:
            async with asyncio.timeout(_WORST):
                await gateway.start()
                with closing(await gateway.publisher()) as connection:
                    gateway.publish(connection, 0)
                    connection.chunk(self._second)
                    await gateway.status_when(_through)
        except (RuntimeError, TimeoutError):
            # It did not start, or is not through: both are among what hostile processors do.
            pass
        with_id = f"/api/streams/{gateway.name}"
        try:
            await wire.call(self.host.api, "DELETE", with_id)
            await gateway.status_when(over)
        except RuntimeError:
            # It never was there.
            pass
        for end in ("in", "out"):
            try:
                await wire.call(self.host.trickle, "DELETE", f"/{gateway.name}-{end}")
            except RuntimeError:
                # The host has deleted it.
                pass

    def _used(self):
        return processes.memory_mb(self.host.pid)[0], processes.descriptors(self.host.pid)

    async def _settled(self, before):
        deadline = time.monotonic() + _SETTLE
        while True:
            after = self._used()
            if all(now <= 1.05 * then for now, then in zip(after, before)) or time.monotonic() > deadline:
                return after
            await asyncio.sleep(0.1)

    def _report(self, before, after, took):
        players = self._alone + self._beside
        if failed := [player for player in players if not player.status]:
            raise RuntimeError("; ".join(f"{player.name}: {player.failures}" for player in failed))
        alone, beside = self._latency(self._alone), self._latency(self._beside)
        later = {name: round(beside[name] - alone[name], 1) for name in alone}
        return {
            "hostile": self._done,
            "took_s": round(took, 1),
            "latency_alone_ms": alone,
            "latency_beside_ms": beside,
            "later_ms": later | {"p99": against(later["p99"], "<= 20")},
            "frames": {player.name: figures.Stream(player).frames() for player in self._beside},
            "memory_ratio": against(round(after[0] / before[0], 3), "<= 1.05"),
            "descriptors_ratio": against(round(after[1] / before[1], 3), "<= 1.05"),
            "memory_mb": [round(before[0], 1), round(after[0], 1)],
            "panics": against(sum("panicked" in line and "guest" not in line for line in self.host.complaints), "== 0"),
            "host_says": {player.name: figures.host_says(player.status) for player in self._beside},
            "failures": [failure for player in players for failure in player.failures],
        }

    @staticmethod
    def _latency(players):
        values = sorted(value for player in players for value in figures.Stream(player).latencies_ms())
        return figures.distribution(values) | {"p99": figures.at(values, 0.99)}


def _through(status):
    passed = ("frames_dropped", "frames_withheld", "frames_loading")
    return status["output"]["frames"] + sum(status[name] for name in passed) >= 24
