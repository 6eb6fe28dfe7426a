"""What the GPU takes, from inside, with cargo; beside PyTorch where there is one."""

import json
import os
import sys

from . import processes
from .cargo import built
from .goals import against

# Why ours differ from PyTorch's, by what is compared.
_REASONS = {
    "rgba_rate_ratio": "wgpu has one queue: a picture's way up and another's way down follow each other, which CUDA's two "
    "copy engines do at once. Both are bound by the bus",
    "i420_to_rgba_rate_ratio": "3/8 of the bytes, read and written by the shaders themselves, one way after the other",
    "tint": "one pass in 8 bits; there are four, in 32",
    "blur_3x3": "one pass that reads pixels as they are; there are conversions to 32 bits and back around the pool",
    "blur_5x5": "as blur_3x3",
    "halve_bilinear": "the sampler's own interpolation in 8 bits; there it is done in 32, after a conversion",
    "add": "bound by memory, here and there",
    "sum": "two passes; there one kernel with a last block",
    "halve_bilinear_tensor": "the kernel alone; there the time from event to event has the launch, too",
    "matmul_1024": "tiles in shared memory, not tuned to the device; there cuBLAS",
    "conv2d_64x64x3x3_256": "tiles in shared memory; there cuDNN chooses among algorithms such as Winograd's",
}

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
    own, other = ours["on_device_1080p_ms"], theirs["on_device_1080p_ms"]
    return report | {
        "torch": theirs,
        "on_device_time_ratios": {name: round(own[name] / other[name], 2) for name in own if name in other},
        "reasons": _REASONS,
        "rgba_rate_ratio": against(round(rgba, 3), ">= 1.2"),
        "i420_to_rgba_rate_ratio": against(round(i420, 3), ">= 2.5"),
    }
