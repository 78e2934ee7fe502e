"""What depth from defocus of a 1920 × 1080 pair costs: minutes in all, a step beside the renderer, and memory over many steps.

The picture is scikit-image's motorcycle and its disparity, resized; it is blurred by the scatter model, as only the cost is
measured. The memory is the process's resident set after 10, 100, 1000 … steps: it must not grow.

    python benchmarks/dfd_1080p.py [--device cuda]
    python benchmarks/dfd_1080p.py --size 96x64 --steps 10000    (memory over many steps)
"""

import argparse
import resource
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from measuring import machine
from skimage.data import stereo_motorcycle
from torch.nn.functional import interpolate

import taichi_bokeh as tb
from taichi_bokeh.dfd.estimate.optimize import Optimization, OptimizeSettings
from taichi_bokeh.dfd.layers.base import single_layer
from taichi_bokeh.dfd.layers.registry import layer_named
from taichi_bokeh.dfd.observation import Observation
from taichi_bokeh.io import srgb_decode
from taichi_bokeh.photo import fill_holes

FAR, NEAR = 0.1, 1.0


class Times(NamedTuple):
    """Seconds by the clock, and of all cores together: on a busy machine, only the latter mean something."""

    wall_s: float
    cpu_s: float


def pair(width: int, height: int, radius_px: float, device: str) -> Observation:
    """The motorcycle, in that size, focused at the far end."""
    left, _, measured = stereo_motorcycle()
    rgb = srgb_decode(left / np.float32(255))
    disparity = np.where(np.isfinite(measured), measured / measured[np.isfinite(measured)].max(), np.nan).astype(np.float32)
    filled = fill_holes(disparity, rgb)
    sharp, maps = (
        interpolate(torch.from_numpy(np.atleast_3d(array)).permute(2, 0, 1)[None], (height, width), mode="bilinear").to(device)
        for array in (rgb, filled)
    )
    blur = radius_px / (NEAR - FAR)
    blurred = tb.render(single_layer(sharp, maps), tb.ThinLens(blur, FAR), "scatter")
    lens = torch.tensor([[blur]], device=device), torch.tensor([[FAR]], device=device)
    return Observation(sharp, blurred[:, None], *lens, near=NEAR, far=FAR)


def resident_mb(device: str) -> float:
    """Of the process; of a GPU, what torch holds there."""
    if device == "cuda":
        return torch.cuda.memory_reserved() / 1e6
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def one_pass_of_renderer(work: Optimization) -> Times:
    """One forward and backward pass of the layer alone, the better of two."""
    seen = work.observation
    times = []
    for _ in range(2):
        disparity = work.initial.disparity.clone().requires_grad_()
        start = now(seen)
        work.layer(seen.all_in_focus, disparity, seen.lens(0)).sum().backward()
        times.append(since(start, seen))
    return min(times)


def now(seen: Observation) -> Times:
    """When all that was started is done."""
    if seen.all_in_focus.is_cuda:
        torch.cuda.synchronize()
    return Times(time.perf_counter(), time.process_time())


def since(start: Times, seen: Observation) -> Times:
    """What has gone by."""
    end = now(seen)
    return Times(end.wall_s - start.wall_s, end.cpu_s - start.cpu_s)


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--radius", type=float, default=12.0, help="the largest, px")
    parser.add_argument("--layer", default="scatter")
    parser.add_argument("--layers", type=int, choices=(1, 2), default=1)
    parser.add_argument("--steps", type=int, default=OptimizeSettings().steps)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    seen = pair(width, height, arguments.radius, arguments.device)
    print(f"{width} × {height}, radii up to {arguments.radius:g} px, {arguments.layers} layer(s) by {arguments.layer}")
    print(machine(arguments.device), flush=True)
    start = now(seen)
    work = Optimization(seen, layer_named(arguments.layer), OptimizeSettings(steps=arguments.steps, layers=arguments.layers))
    first = since(start, seen)
    print(f"plane sweep and what else comes first: {first.wall_s:.1f} s, {first.cpu_s:.1f} s of CPU", flush=True)
    work.step()  # compiles
    one_pass = one_pass_of_renderer(work)
    begun, done, mark = now(seen), work.done, 10
    while work.done < arguments.steps:
        work.step()
        if work.done == mark:
            print(f"memory after {mark} steps: {resident_mb(arguments.device):.0f} MB", flush=True)
            mark *= 10
    steps, count = since(begun, seen), max(1, work.done - done)
    print(f"forward and backward of the renderer: {one_pass.wall_s:.3f} s, {one_pass.cpu_s:.3f} s of CPU")
    print(f"a step: {steps.wall_s / count:.3f} s, {steps.cpu_s / count:.3f} s of CPU", end="; ")
    print(f"over the renderer's: {steps.wall_s / count / one_pass.wall_s:.2f}, {steps.cpu_s / count / one_pass.cpu_s:.2f}")
    whole = since(start, seen)
    print(f"all of it: {whole.wall_s / 60:.1f} min, {whole.cpu_s / 60:.1f} min of CPU, for {arguments.steps} steps")


if __name__ == "__main__":
    main()
