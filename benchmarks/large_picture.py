"""A large picture in two layers by model "scatter": seconds, and the most memory that the process ever held.

A wall that slants away and is blurred by up to R px, and before it a disc in focus with a soft edge. The process makes the
layers and renders them once.

    python benchmarks/large_picture.py [--size 8192x5464] [--radius 40] [--device cpu]
"""

import argparse
import resource
import sys
import time

import torch
from measuring import machine

import taichi_bokeh as tb


def scene(height: int, width: int) -> tb.Layers:
    """Two layers, nearest first; disparity from 0 to 1, and 1 is the disc's."""
    generator = torch.Generator().manual_seed(0)
    rgb = torch.rand(1, 1, 3, height, width, generator=generator).expand(1, 2, 3, height, width)
    y = torch.linspace(-1, 1, height)[:, None] * height / width
    x = torch.linspace(-1, 1, width)
    disc = ((0.4 - (x**2 + y**2).sqrt()) * width / 8).clamp(0, 1)
    alpha = torch.stack([disc, torch.ones_like(disc)])[None, :, None]
    disparity = torch.stack([torch.ones_like(disc), 0.25 * (1 + x).expand_as(disc)])[None, :, None]
    return tb.Layers(rgb.contiguous(), alpha.contiguous(), disparity.contiguous())


def peak_gib() -> float:
    """The largest resident set so far."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (2**30 if sys.platform == "darwin" else 2**20)


def main() -> None:
    """Print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="8192x5464", help="width x height (default: %(default)s)")
    parser.add_argument("--radius", type=float, default=40.0, help="of the largest disc, px (default: %(default)s)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    layers = scene(height, width).to(torch.device(arguments.device))
    held = sum(value.numel() * value.element_size() for value in (layers.rgb, layers.alpha, layers.disparity)) / 2**30
    start, cpu = time.perf_counter(), time.process_time()
    tb.render(layers, tb.ThinLens(arguments.radius, 1.0), "scatter")
    print(machine(arguments.device))
    print(
        f"{width}×{height}, {layers.count} layers, radii up to {arguments.radius:g} px: {time.perf_counter() - start:.1f} s,",
        end=" ",
    )
    print(f"{time.process_time() - cpu:.1f} CPU s; the process held {peak_gib():.1f} GiB at most, its layers {held:.1f}")


if __name__ == "__main__":
    main()
