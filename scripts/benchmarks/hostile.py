"""Hostile processors of every kind, some at once, until the input ends: prints a line for each that is done.

A program of its own, so that nothing which is measured waits for it: `hostile API TRICKLE SECOND LANES [PROCESSOR]`, where SECOND is
a file of pictures for each, and API and TRICKLE are a host's addresses. With PROCESSOR that one takes the place of all, to see what
coming and going costs by itself.
"""

import asyncio
import os
import sys
from contextlib import closing
from types import SimpleNamespace

from . import wire
from .gateway import Gateway, over

# Seconds that a hostile processor is given for a second of pictures.
_WORST = 3

# What hostile processors must be granted: whatever is on this machine.
GRANT = "127.0.0.0/8:*"

# Each kind: the component in `tests/guests`, and its params. What is called `None` never answers.
KINDS = [
    ("caller", {"urls": None, "at_once": True}),
    ("handles", {"kind": "fields"}),
    ("handles", {"kind": "pollables"}),
    ("handles", {"kind": "bodies"}),
    ("heavy", {"luma": 40}),
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
    ("park_start", {}),
    ("slow_start", {}),
    ("burn", {}),
    ("keeper", {}),
    ("reserve", {}),
    ("hoard", {}),
    ("shout", {}),
    ("swell", {"copies": 100}),
    ("swell", {"kept_seconds": 10}),
    ("lists", {"way": "log", "bytes": 4000000}),
    ("wasi", {"way": "timers"}),
    ("wasi", {"way": "random"}),
]


async def _main(api, trickle, second, lanes, processor=None):
    kinds = [(processor, {})] if processor else KINDS
    host = SimpleNamespace(api=api, trickle=trickle)
    with open(second, "rb") as file:
        pictures = file.read()
    number, ended = 0, asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    silent = await asyncio.start_server(_say_nothing, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]

    async def lane():
        nonlocal number
        while not ended.done():
            number += 1
            await _one(host, number, kinds[number % len(kinds)], pictures, f"http://127.0.0.1:{port}/")
            print(flush=True)

    await asyncio.gather(*(lane() for _ in range(int(lanes))))


async def _say_nothing(reader, writer):
    try:
        while await reader.read(4096):
            pass
    except ConnectionError:
        # It was left in the middle of something.
        pass
    finally:
        writer.close()


async def _one(host, number, kind, pictures, silent):
    name, params = kind
    if "urls" in params:
        params = params | {"urls": [silent] * 4}
    gateway = Gateway(host, f"hostile-{os.getpid()}-{number}", {"processor": name, "params": params})
    await gateway.create_channels()
    try:
        async with asyncio.timeout(_WORST):
            await gateway.start()
            with closing(await gateway.publisher()) as connection:
                gateway.publish(connection, 0)
                connection.chunk(pictures)
                await gateway.status_when(_through)
    except (RuntimeError, TimeoutError):
        # It did not start, or is not through: both are among what hostile processors do.
        pass
    try:
        await wire.call(host.api, "DELETE", f"/api/streams/{gateway.name}")
        await gateway.status_when(over)
    except RuntimeError:
        # It never was there.
        pass
    for end in ("in", "out"):
        try:
            await wire.call(host.trickle, "DELETE", f"/{gateway.name}-{end}")
        except RuntimeError:
            # The host has deleted it.
            pass


def _through(status):
    passed = ("frames_dropped", "frames_withheld", "frames_loading")
    return status["output"]["frames"] + sum(status[name] for name in passed) >= 24


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
