#!/usr/bin/env python3
"""What PyTorch takes for what `frames` of rillbox-gpu does, on the same GPU: prints one JSON object.

Pictures go up from pinned memory and come down into it, without waiting in between, and several are on their way at once: on
streams of their own, as PyTorch's users do it. Its pictures are RGBA of 8 bits; it has no planes.
"""

import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F

IN_FLIGHT = 3
SIZE = (1080, 1920)


def tint():
    # Once: to make it for each picture would be to wait for all that is on its way.
    green = torch.tensor([0.0, 255.0, 0.0], device="cuda")

    def run(pixels):
        shown = pixels.clone()
        shown[..., :3] = torch.lerp(pixels[..., :3].float(), green, 0.5).round().to(torch.uint8)
        return shown

    return run


def blur(side):
    def run(pixels):
        planes = pixels.permute(2, 0, 1)[None].float()
        padded = F.pad(planes, (side // 2,) * 4, mode="replicate")
        return F.avg_pool2d(padded, side, 1)[0].permute(1, 2, 0).round().to(torch.uint8)

    return run


def halve(pixels):
    planes = pixels.permute(2, 0, 1)[None].float()
    return F.interpolate(planes, scale_factor=0.5, mode="bilinear", align_corners=False)


def through(effect, seconds):
    """One at a time, and several at once."""
    sources = [torch.full((*SIZE, 4), 77, dtype=torch.uint8).pin_memory() for _ in range(IN_FLIGHT)]
    results = [torch.empty((*SIZE, 4), dtype=torch.uint8).pin_memory() for _ in range(IN_FLIGHT)]
    streams = [torch.cuda.Stream() for _ in range(IN_FLIGHT)]

    def frame(slot):
        with torch.cuda.stream(streams[slot]):
            pixels = sources[slot].to("cuda", non_blocking=True)
            results[slot].copy_(effect(pixels), non_blocking=True)

    for _ in range(10):
        frame(0)
        streams[0].synchronize()
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        frame(0)
        streams[0].synchronize()
        times.append((time.perf_counter() - began) * 1e3)
    began, frames = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        slot = frames % IN_FLIGHT
        streams[slot].synchronize()
        frame(slot)
        frames += 1
    torch.cuda.synchronize()
    rate = frames / (time.perf_counter() - began)
    times.sort()
    return {
        "latency_ms": {"p50": round(statistics.median(times), 3), "p99": round(times[len(times) * 99 // 100], 3)},
        "frames_per_s": round(rate),
    }


def on_device(work):
    times = []
    for _ in range(40):
        began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        began.record()
        work()
        ended.record()
        ended.synchronize()
        times.append(began.elapsed_time(ended))
    return round(statistics.median(times[10:]), 4)


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    pixels = torch.full((*SIZE, 4), 77, dtype=torch.uint8, device="cuda")
    a, b = (torch.rand(1024, 1024, device="cuda") for _ in range(2))
    planes, other = (torch.rand(3, 1080, 1920, device="cuda") for _ in range(2))
    x, k = torch.rand(1, 64, 256, 256, device="cuda"), torch.rand(64, 64, 3, 3, device="cuda")
    tinted = tint()
    print(
        json.dumps(
            {
                "device": torch.cuda.get_device_name(),
                "torch": torch.__version__,
                "rgba_1080p": through(tint(), seconds),
                "rgba_1080p_blur_3x3": through(blur(3), seconds),
                "rgba_1080p_blur_5x5": through(blur(5), seconds),
                "on_device_1080p_ms": {
                    "tint": on_device(lambda: tinted(pixels)),
                    "blur_3x3": on_device(lambda: blur(3)(pixels)),
                    "blur_5x5": on_device(lambda: blur(5)(pixels)),
                    "halve_bilinear": on_device(lambda: halve(pixels)),
                    "add": on_device(lambda: planes + other),
                    "sum": on_device(lambda: planes.sum()),
                    "halve_bilinear_tensor": on_device(
                        lambda: F.interpolate(planes[None], scale_factor=0.5, mode="bilinear", align_corners=False)
                    ),
                    "matmul_1024": on_device(lambda: a @ b),
                    "conv2d_64x64x3x3_256": on_device(lambda: F.conv2d(x, k, padding=1)),
                },
            }
        )
    )


if __name__ == "__main__":
    main()
