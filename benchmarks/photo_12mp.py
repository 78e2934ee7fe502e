"""A photograph of 12 megapixels through ``taichi-bokeh render``: seconds, and the most memory that the process ever held.

The photograph is the one of the demo, enlarged, with its disparity. Each line is a run of the command in a process of its own,
reading, layers, rendering and writing included; all but the first find the layers in a cache.

    python benchmarks/photo_12mp.py [--size 4000x3000] [--radius 60] [--cells 16] [--device cpu]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measuring import machine
from skimage.data import stereo_motorcycle
from skimage.transform import resize

from taichi_bokeh.io import srgb_decode, write_image


def write_photo(folder: Path, width: int, height: int) -> None:
    """photo.png and disparity.npy, the disparity from 0 to 1, without holes but for those of the measurement."""
    left, _, measured = stereo_motorcycle()
    known = np.isfinite(measured)
    disparity = np.where(known, measured, np.nan) / measured[known].max()
    write_image(folder / "photo.png", srgb_decode(resize(left, (height, width), order=3)).clip(0))
    np.save(folder / "disparity.npy", resize(disparity, (height, width), order=0).astype(np.float32))


def run(folder: Path, options: list[str]) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak memory in GiB of one run of the command."""
    words = [str(folder / "photo.png"), "--disparity", str(folder / "disparity.npy"), "-o", str(folder / "out.png")]
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "taichi_bokeh", "render", *words, "--overwrite", "--quiet", *options])
    _, status, usage = os.wait4(process.pid, 0)  # the resources of this child alone
    if status != 0:
        raise SystemExit(f"the command failed ({status})")
    seconds = time.perf_counter() - start
    kilobytes = usage.ru_maxrss if sys.platform != "darwin" else usage.ru_maxrss / 1024
    return seconds, usage.ru_utime + usage.ru_stime, kilobytes / 2**20


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="4000x3000")
    parser.add_argument("--radius", type=float, default=60.0, help="blur at a distance of 1 in disparity, px")
    parser.add_argument("--cells", default="16")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rows", type=int, default=4, help="how many of the four rows to do; the last takes longest")
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    print(machine(arguments.device))
    print(f"{width}×{height}, blur {arguments.radius:g}, focus 0.84\n")
    print(f"{'':44}{'wall s':>8}{'CPU s':>9}{'peak GiB':>10}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_photo(folder, width, height)
        common = ["--blur", str(arguments.radius), "--focus", "0.84", "--device", arguments.device]
        common += ["--cache", str(folder / "cache")]
        scatter, subaperture = ["--model", "scatter"], ["--model", "subaperture", "--cells", arguments.cells]
        rows = {
            "scatter, layers made": scatter,
            "scatter, layers from the cache": scatter,
            "scatter, draft": [*scatter, "--draft"],
            f"subaperture, {arguments.cells} cells": subaperture,
        }
        for title, options in list(rows.items())[: arguments.rows]:
            wall_s, cpu_s, peak_gib = run(folder, [*common, *options])
            print(f"{title:44}{wall_s:8.1f}{cpu_s:9.1f}{peak_gib:10.2f}", flush=True)


if __name__ == "__main__":
    main()
