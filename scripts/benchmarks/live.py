"""One live stream on a host. CPU time and memory are the whole host's, with the trickle server that is in it."""

import asyncio
import time

from . import figures, processes
from .goals import against
from .player import Player

# CPU seconds for a second of video; latency in milliseconds; seconds from the first frame to the first bytes.
GOALS = {"cpu": "<= 0.12", "p50": "<= 35", "p95": "<= 60", "max": "<= 250", "first_bytes": "<= 0.1"}


def stream(host, name, start, feed, directory, goals):
    """Plays `feed` through a stream that is started with `start`; gives its report beside `goals`, some of `GOALS`."""
    player = Player(host, name, start, feed, directory)
    own_cpu, cpu = time.process_time(), processes.cpu_seconds(host.pid)
    asyncio.run(player.play())
    cpu, own_cpu = processes.cpu_seconds(host.pid) - cpu, time.process_time() - own_cpu
    now, peak = processes.memory_mb(host.pid)
    if not player.status:
        raise RuntimeError(f"{name}: {'; '.join(player.failures)}")
    measured = figures.Stream(player)
    return {
        "cpu_s_per_video_s": against(round(cpu / feed.seconds, 4), goals.get("cpu")),
        "latency_ms": measured.latency_ms(goals),
        "frames": measured.frames(),
        "audio": measured.audio(),
        "peak_rss_mb": against(round(peak, 1), "<= 80"),
        "rss_after_mb": round(now, 1),
        "start": measured.start(goals.get("first_bytes")),
        "host_says": figures.host_says(player.status),
        "failures": player.failures,
        "video_s": round(feed.seconds, 2),
        "measuring_cpu_s_per_video_s": round(own_cpu / feed.seconds, 4),
    }


def no_worse(first, second):
    """A second stream on the same host beside the first; the margins are what the machine's noise does to equals.

    Growth of memory has no goal of its own: the allocator keeps what streams give back, up to a level that the goal for
    the peak bounds.
    """

    def ratio(figure):
        one, other = figure(first)["value"], figure(second)["value"]
        return round(other / one, 3) if one and other else None

    return {
        "cpu_ratio": against(ratio(lambda report: report["cpu_s_per_video_s"]), "<= 1.15"),
        "latency_p50_ratio": against(ratio(lambda report: report["latency_ms"]["p50"]), "<= 1.25"),
        "latency_p95_ratio": against(ratio(lambda report: report["latency_ms"]["p95"]), "<= 1.25"),
        "rss_growth_mb": round(second["rss_after_mb"] - first["rss_after_mb"], 1),
    }
