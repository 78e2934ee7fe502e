"""A photograph of 12 megapixels through ``taichi-bokeh render``: seconds, and the most memory that the process ever held.

The photograph is the one of the demo, enlarged, with its disparity. Each line is a run of the command in a process of its own,
reading, layers, rendering and writing included; but for the first two rows the layers come from a cache.

    python benchmarks/photo_12mp.py [--size 4000x3000] [--radius 60] [--cells 16] [--device cpu] [--baseline DIR]

With a checkout of an older commit as DIR each row runs there as well, first there and then here, and is followed by how many
times the wall and CPU time of here the older one took.
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

HERE = Path(__file__).resolve().parents[1]


def write_photo(folder: Path, width: int, height: int) -> None:
    """photo.png and disparity.npy, the disparity from 0 to 1, without holes but for those of the measurement."""
    left, _, measured = stereo_motorcycle()
    known = np.isfinite(measured)
    disparity = np.where(known, measured, np.nan) / measured[known].max()
    write_image(folder / "photo.png", srgb_decode(resize(left, (height, width), order=3)).clip(0))
    np.save(folder / "disparity.npy", resize(disparity, (height, width), order=0).astype(np.float32))


#: One process that splits the photograph of a folder into five layers, and prints the wall and CPU seconds of that alone.
LAYERS_ALONE = """
import sys, time
from pathlib import Path
import numpy as np
from taichi_bokeh import io, photo
folder = Path(sys.argv[1])
rgb, disparity = io.read_image(folder / "photo.png").rgb, np.load(folder / "disparity.npy")
start = time.perf_counter(), time.process_time()
photo.to_layers(rgb, disparity, layers=5)
print(time.perf_counter() - start[0], time.process_time() - start[1])
"""


def run(words: list[str], tree: Path) -> tuple[float, float, float, str]:
    """Wall seconds, CPU seconds and peak memory in GiB of one run of Python with the package of a tree, and what it printed."""
    environment = os.environ | {"PYTHONPATH": str(tree)}
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *words], env=environment, stdout=subprocess.PIPE, text=True, cwd=tree)
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)  # the resources of this child alone
    if status != 0:
        raise SystemExit(f"the command failed ({status})")
    seconds = time.perf_counter() - start
    kilobytes = usage.ru_maxrss if sys.platform != "darwin" else usage.ru_maxrss / 1024
    return seconds, usage.ru_utime + usage.ru_stime, kilobytes / 2**20, printed


def measured(folder: Path, options: list[str] | None, tree: Path) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak GiB of a tree's command with these options; without, of its layers alone."""
    if options is None:
        _, _, peak_gib, printed = run(["-c", LAYERS_ALONE, str(folder)], tree)
        wall_s, cpu_s = map(float, printed.split())
        return wall_s, cpu_s, peak_gib
    words = ["-m", "taichi_bokeh", "render", str(folder / "photo.png"), "--disparity", str(folder / "disparity.npy")]
    words += ["-o", str(folder / "out.png"), "--overwrite", "--quiet", *options]
    return run(words, tree)[:3]


def compare(title: str, folder: Path, options: list[str] | None, trees: list[Path]) -> None:
    """Print a row of each tree, the last one's being this; and with two their ratios."""
    rows = []
    for i, tree in enumerate(trees):
        cache = ["--cache", str(folder / f"cache{i}")]  # an older commit's layers are kept otherwise
        rows.append(measured(folder, None if options is None else [*options, *cache], tree))
        wall_s, cpu_s, peak_gib = rows[-1]
        print(f"{title if tree == HERE else title + ', baseline':44}{wall_s:8.1f}{cpu_s:9.1f}{peak_gib:10.2f}", flush=True)
    if len(rows) > 1:
        (wall_before, cpu_before, _), (wall_s, cpu_s, _) = rows
        print(f"{'  times as fast':44}{wall_before / wall_s:8.2f}{cpu_before / cpu_s:9.2f}", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="4000x3000")
    parser.add_argument("--radius", type=float, default=60.0, help="blur at a distance of 1 in disparity, px")
    parser.add_argument("--cells", default="16")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rows", type=int, default=5, help="how many of the five rows to do; the last takes longest")
    parser.add_argument("--baseline", type=Path, help="a checkout of an older commit, to measure beside this")
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    print(machine(arguments.device))
    print(f"{width}×{height}, blur {arguments.radius:g}, focus 0.84\n")
    print(f"{'':44}{'wall s':>8}{'CPU s':>9}{'peak GiB':>10}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_photo(folder, width, height)
        common = ["--blur", str(arguments.radius), "--focus", "0.84", "--device", arguments.device]
        scatter, subaperture = ["--model", "scatter"], ["--model", "subaperture", "--cells", arguments.cells]
        rows: dict[str, list[str] | None] = {
            "five layers alone": None,
            "scatter, layers made": scatter,
            "scatter, layers from the cache": scatter,
            "scatter, draft": [*scatter, "--draft"],
            f"subaperture, {arguments.cells} cells": subaperture,
        }
        trees = [HERE] if arguments.baseline is None else [arguments.baseline.resolve(), HERE]
        for title, options in list(rows.items())[: arguments.rows]:
            compare(title, folder, None if options is None else [*common, *options], trees)


if __name__ == "__main__":
    main()
