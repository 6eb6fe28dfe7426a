"""What the GPU takes, from inside, with cargo; beside PyTorch where there is one."""

import json
import os
import sys

from . import processes
from .cargo import built
from .goals import against

_HERE = os.path.dirname(os.path.abspath(__file__))


def measure(root):
    """Both programs' figures, and ours to PyTorch's."""
    program = built(root, ["--package", "rillbox-gpu", "--bench", "frames", "--release"])
    ours = json.loads(processes.run([program, "auto"])["output"].splitlines()[-1])
    ours["rgba_1080p"]["staged"]["latency_ms"]["p50"] = against(
        ours["rgba_1080p"]["staged"]["latency_ms"]["p50"], "<= 1.0"
    )
    report = {"rillbox": ours}
    try:
        theirs = processes.run([sys.executable, os.path.join(_HERE, "torch_frames.py")])["output"].splitlines()[-1]
    except RuntimeError as error:
        return report | {"torch": f"not measured: {str(error).splitlines()[-1]}"}
    theirs = json.loads(theirs)
    rate = theirs["rgba_1080p"]["frames_per_s"]
    rgba, i420 = (ours[kind]["staged"]["frames_per_s"] / rate for kind in ("rgba_1080p", "i420_1080p"))
    return report | {
        "torch": theirs,
        "rgba_rate_ratio": against(round(rgba, 3), ">= 1.2"),
        "i420_to_rgba_rate_ratio": against(round(i420, 3), ">= 2.5"),
    }
