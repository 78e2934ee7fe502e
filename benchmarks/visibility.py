"""What it saves to leave out what nobody sees: layers of a photograph, forward and backward, beside an older commit.

The photograph is a part of the demo's, enlarged to 12 megapixels and cut into layers once. Each tree renders it in processes of
its own, on one thread, in turn; CPU seconds, the least of all rounds, and their ratio.

    python benchmarks/visibility.py --baseline DIR [--size 800x600] [--layers 5] [--radius 60] [--rounds 2] [--model NAME]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from measuring import machine
from skimage.data import stereo_motorcycle
from skimage.transform import resize

import taichi_bokeh as tb

FOCUS = 0.84
CASES = ("forward", "rgb, disparity, blur and focus", "alpha as well")


def make_layers(width: int, height: int, count: int) -> tb.Layers:
    """Cut a part out of the middle of the photograph at 4000 × 3000, and that into layers."""
    left, _, measured = stereo_motorcycle()
    known = np.isfinite(measured)
    disparity = np.where(known, measured, np.nan) / measured[known].max()
    part = (slice(1100, 1100 + height), slice(1200, 1200 + width))
    photo = resize(left, (3000, 4000), order=3)[part].clip(0, 1).astype(np.float32)
    return tb.Layers.from_rgbd(photo, resize(disparity, (3000, 4000), order=0)[part].astype(np.float32), layers=count)


def measure_here(path: str, case: str, model: str, radius_px: float) -> float:
    """Render with the package of this process: CPU seconds of the second time."""
    saved = torch.load(path)
    for _ in range(2):
        of_rest, of_alpha = case != CASES[0], case == CASES[2]
        wanted = {"rgb": of_rest, "alpha": of_alpha, "disparity": of_rest}
        leaves = [saved[name].clone().requires_grad_(grad) for name, grad in wanted.items()]
        blur, focus = (torch.tensor([value], requires_grad=of_rest) for value in (radius_px, FOCUS))
        start = time.process_time()
        image = tb.render(tb.Layers(*leaves), tb.ThinLens(blur, focus), model=model)
        if of_rest:
            image.square().sum().backward()
    return time.process_time() - start


def measure(tree: Path, *words: str) -> float:
    """Do the same in a process with the package of a tree, on one thread: threads that wait take CPU time as well."""
    command = [sys.executable, __file__, "--here", *words]
    variables = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "TI_CPU_MAX_NUM_THREADS": "1"}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--here", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--baseline", type=Path, help="a checkout of an older commit")
    parser.add_argument("--size", default="800x600")
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--radius", default="60", help="blur at a distance of 1 in disparity, px")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--model", default="subaperture")
    arguments = parser.parse_args()
    if arguments.here:
        path, case, model, radius_px = arguments.here
        print(measure_here(path, case, model, float(radius_px)))
        return
    trees = [Path(tb.__file__).parents[1], *([arguments.baseline.resolve()] if arguments.baseline else [])]
    layers = make_layers(*map(int, arguments.size.split("x")), arguments.layers)
    lens = tb.ThinLens(float(arguments.radius), FOCUS)
    print(machine("cpu"))
    print(tb.explain(layers, lens, arguments.model))
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/layers.pt"
        torch.save({"rgb": layers.rgb, "alpha": layers.alpha, "disparity": layers.disparity}, path)
        for case in CASES:
            words = path, case, arguments.model, arguments.radius
            taken = [[measure(tree, *words) for tree in trees] for _ in range(arguments.rounds)]
            least = [min(column) for column in zip(*taken, strict=True)]
            ratio = f"; before {least[1]:.2f}, {least[1] / least[0]:.2f} times as much" if len(least) > 1 else ""
            print(f"{case}: {least[0]:.2f} CPU s{ratio}", flush=True)


if __name__ == "__main__":
    main()
