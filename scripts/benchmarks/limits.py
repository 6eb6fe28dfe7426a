"""What processors that run on cost their stream: how long each stopped call holds up its frame, and what sound hears of it."""

import asyncio

from . import figures, processes
from .gateway import over
from .goals import against
from .player import Player

# Seconds from one look at the status to the next.
_POLL = 0.02

# What a frame may run for, in milliseconds.
BUDGET_MS = 40


def stopped(host, name, start, feed, directory, loops, goal):
    """Plays `feed` through a processor that every so often does not return, until `loops` calls have been stopped. After
    five of them it is in quarantine, which a fresh start lifts. The host's own figure is of the last 512."""
    player = Player(host, name, start, feed, directory)
    lifted = asyncio.run(_play(host, player, loops))
    if not player.status:
        raise RuntimeError(f"{name}: {'; '.join(player.failures)}")
    status = player.status
    held_up = status["guest"]["overrun_ms"]
    return {
        "stopped": against(status["errors"]["overruns"], f">= {loops}"),
        "held_up_ms": held_up | {"p99": against(held_up["p99"], goal)},
        "other_errors": against(status["errors"]["traps"] + status["errors"]["reported"], "== 0"),
        "frames_skipped": status["frames_skipped"],
        "quarantines_lifted": lifted,
        "frames": figures.Stream(player).frames(),
        "failures": player.failures,
    }


async def _play(host, player, loops):
    playing = asyncio.create_task(player.play())
    lifted = 0
    while not playing.done():
        await asyncio.sleep(_POLL)
        if player.answered is None:
            continue
        status = await asyncio.to_thread(host.status, player.name)
        if status["errors"]["overruns"] >= loops:
            player.enough()
        elif status["state"] == "DEGRADED":
            await asyncio.to_thread(host.request, "POST", f"/api/streams/{player.name}/processor", "{}")
            lifted += 1
        elif over(status):
            break
    await playing
    return lifted


def audio_beside_video(host, starts, feed, directory):
    """Plays `feed` through the same processor, idle and burning all of its time over pictures; what that adds to sound."""
    latencies = {}
    for name, start in starts.items():
        processes.say(f"limits: sound beside pictures, {name}")
        player = Player(host, name, start, feed, directory)
        asyncio.run(player.play())
        if not player.status:
            raise RuntimeError(f"{name}: {'; '.join(player.failures)}")
        guest = player.status["guest"]["time_ms"]["p50"]
        latencies[name] = {"guest_ms_p50": guest} | figures.Stream(player).audio_latency_ms()
    idle, burning = latencies.values()
    added = {share: against(round(burning[share] - idle[share], 1), "<= 10") for share in ("p50", "p95")}
    return {"latency_ms": latencies, "added_ms": added}
