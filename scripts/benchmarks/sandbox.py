"""The sandbox from inside: programs of the repository that time it, and the same work without it."""

import json
import os
import statistics

from . import processes
from .cargo import built
from .goals import against

_GOALS = {
    "instantiate": {"p50_us": "< 100", "p99_us": "< 1000"},
    "call": {"p99_us": "< 5"},
    "rgba": {"p99_us": "< 3000"},
    # 60 pictures a second.
    "edges": {"p50_us": "<= 16667"},
}

# Whether something is slower is asked so often, in turns with what it is slower than: a machine has its moments.
_TURNS = 3


def measure(root, binary, guests, native_target, rounds):
    """Builds the two programs, and takes their figures in turns."""
    release = os.path.basename(os.path.dirname(binary)) == "release"
    ours = built(root, ["--package", "rillbox", "--bench", "sandbox", *(["--release"] if release else [])])
    environment = {"RUSTFLAGS": "-C target-cpu=x86-64-v3", "CARGO_TARGET_DIR": native_target}
    native = built(os.path.join(root, "guests"), ["--package", "effects", "--bench", "native", "--release"], environment)
    turns = []
    for _ in range(_TURNS):
        inside = json.loads(processes.run([ours, binary, guests, str(rounds)])["output"].splitlines()[-1])
        outside = json.loads(processes.run([native, str(rounds)])["output"].splitlines()[-1])
        turns.append(inside | {"native": outside})
    # Of each figure the middle one.
    middle = {
        name: {figure: round(statistics.median(turn[name][figure] for turn in turns), 1) for figure in figures}
        for name, figures in turns[0].items()
    }
    for name, goals in _GOALS.items():
        middle[name] |= {figure: against(middle[name][figure], goal) for figure, goal in goals.items()}
    ratio = statistics.median(turn["green"]["p50_us"] / turn["native"]["p50_us"] for turn in turns)
    return middle | {"green_to_native": against(round(ratio, 3), "<= 1.15")}


def tensors(root):
    """Builds the program that times operations on tensors beside other libraries, and takes its figures in turns."""
    program = built(root, ["--package", "rillbox-compute", "--bench", "operations", "--release"])
    # What is given back is kept for the next result, as the host's allocator does: to get memory from the system takes longer than
    # most operations do, and how much of it each library gets is chance.
    kept = ["env", "MALLOC_MMAP_MAX_=0", f"MALLOC_TRIM_THRESHOLD_={1 << 33}", f"MALLOC_TOP_PAD_={1 << 28}", program]
    turns = [json.loads(processes.run(kept)["output"].splitlines()[-1]) for _ in range(_TURNS)]
    report = {"call_us": against(statistics.median(turn.pop("call")["us"] for turn in turns), "<= 2")}
    for size in turns[0]:
        report[size] = {}
        for name, figures in turns[0][size].items():
            middle = {figure: statistics.median(turn[size][name][figure] for turn in turns) for figure in figures}
            report[size][name] = middle | {"ratio": against(middle["ratio"], "<= 1.5")}
    return report
