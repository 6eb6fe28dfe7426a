"""What the machine makes of a loop that ends by itself, without any host in between: stopped calls are measured against it."""

import asyncio
import json
import sys

from . import figures
from .player import Player

# Runs for a budget by the wall clock, again and again, with a pause as long as that of a call that pays for its overrun.
_LOOPS = """
import json, sys, time
loops, budget = int(sys.argv[1]), float(sys.argv[2]) / 1e3
took = []
for _ in range(loops):
    began = time.perf_counter()
    while time.perf_counter() - began < budget:
        pass
    took.append((time.perf_counter() - began) * 1e3)
    time.sleep(2 * budget)
json.dump(took, sys.stdout)
"""


def native_loops(host, start, feed, directory, loops, budget_ms):
    """How long native loops of a budget take beside `feed`, whose pictures pass through. None can take less than the budget."""
    player = Player(host, "beside-native-loops", start, feed, directory)
    took = sorted(asyncio.run(_beside(player, loops, budget_ms)))
    if not player.status:
        raise RuntimeError(f"{player.name}: {'; '.join(player.failures)}")
    return {"loops": len(took), "ms": figures.distribution(took) | {"p99": figures.at(took, 0.99)}}


async def _beside(player, loops, budget_ms):
    playing = asyncio.create_task(player.play())
    command = [sys.executable, "-c", _LOOPS, str(loops), str(budget_ms)]
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await child.communicate()
    player.enough()
    await playing
    if child.returncode:
        raise RuntimeError(f"the native loops ended with {child.returncode}")
    return json.loads(output)
