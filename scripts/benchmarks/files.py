"""`rillbox run` on files: speed, and how much of the picture survives."""

import os
import re

from . import processes
from .goals import against

_SUMMARY = re.compile(r"(\d+) frames in, (\d+) out, .*?([\d.]+) frames/s; guest p50 ([\d.]+) ms, p99 ([\d.]+) ms")


def run(binary, component, clip, output, goal=None):
    """Puts a clip through a component; frames/s is what the command itself says, which leaves out compiling."""
    command = [binary, "run", component, "--input", clip, "--output", output]
    used = processes.run(command)
    found = _SUMMARY.search(used["output"])
    if not found:
        raise RuntimeError(f"{' '.join(command)} printed no summary:\n{used['output']}")
    frames_in, frames_out, speed, p50, p99 = (float(text) for text in found.groups())
    return {
        "frames_per_s": against(speed, goal) if goal else speed,
        "frames": {"in": int(frames_in), "out": int(frames_out), "lost": against(int(frames_in - frames_out), "== 0")},
        "guest_ms": {"p50": p50, "p99": p99},
        "cpu_s": round(used["cpu_s"], 2),
        "cpu_ms_per_frame": round(used["cpu_s"] * 1e3 / max(1, frames_in), 2),
        "wall_s": round(used["wall_s"], 2),
        "peak_rss_mb": round(used["peak_rss_mb"], 1),
    }


def quality(binary, passthrough, clip, directory):
    """PSNR of a clip that went through unchanged, decoder and encoder alone: all planes, the whole clip."""
    output = os.path.join(directory, "quality.ts")
    report = run(binary, passthrough, clip, output)
    # Frames are compared by their number: the times of the files start, and tick, differently.
    count = "settb=1/25,setpts=N"
    graph = f"[0:v]{count}[a];[1:v]{count}[b];[a][b]psnr"
    compared = processes.run(
        ["ffmpeg", "-hide_banner", "-nostdin", "-i", output, "-i", clip, "-lavfi", graph, "-an", "-f", "null", "-"]
    )
    found = re.search(r"PSNR y:([\d.inf]+) .*average:([\d.inf]+) min:([\d.inf]+)", compared["output"])
    luma, average, lowest = (round(float(text), 2) for text in found.groups())
    return {
        "psnr_db": against(average, ">= 36"),
        "psnr_luma_db": luma,
        "psnr_worst_frame_db": lowest,
        "frames": report["frames"],
        "output_kbit_per_frame": round(os.path.getsize(output) * 8e-3 / max(1, report["frames"]["out"]), 1),
    }
