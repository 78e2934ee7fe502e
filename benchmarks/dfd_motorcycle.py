"""Depth from defocus of a real photograph with measured disparity: plane sweep, and gradients through three models of blur.

Optimisations begin with the sweep's jumps moved to edges of the picture, which has a row of its own. The photograph is
scikit-image's motorcycle (Middlebury 2014). Its measured disparity, holes filled, splits it into layers, and these are ray
traced, so that the blurred picture is none of a model that is measured. Errors are taken at measured pixels only, in px of the
radius of the circle of confusion.

    python benchmarks/dfd_motorcycle.py [--out DIR] [--rays 512] [--radius 8]
"""

import argparse
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from skimage.data import stereo_motorcycle

import taichi_bokeh as tb
from taichi_bokeh.dfd.estimate.optimize import OptimizeSettings, optimize
from taichi_bokeh.dfd.estimate.plane_sweep import plane_sweep
from taichi_bokeh.dfd.estimate.snap_to_edges import snap_to_edges
from taichi_bokeh.dfd.evaluation.files import ERROR_RANGE_PX
from taichi_bokeh.dfd.evaluation.metrics import regions
from taichi_bokeh.dfd.layers.registry import layer_named
from taichi_bokeh.dfd.observation import Observation
from taichi_bokeh.io import srgb_decode, write_image
from taichi_bokeh.photo import fill_holes, to_layers
from taichi_bokeh.report.pictures import heat

WIDTH, HEIGHT = 370, 250
FAR, NEAR = 0.1, 1.0  # disparity over its maximum
ROWS = {"scatter": ("scatter", 1), "splat": ("splat", 1), "splat, 2 layers": ("splat", 2)}


def motorcycle() -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    """Half the size: rgb [H, W, 3] in linear light, disparity [H, W] with holes filled, and where it was measured."""
    left, _, measured = stereo_motorcycle()
    rgb = srgb_decode(left / np.float32(255))[: 2 * HEIGHT, : 2 * WIDTH].reshape(HEIGHT, 2, WIDTH, 2, 3).mean((1, 3))
    disparity = np.where(np.isfinite(measured), measured / np.nanmax(measured[np.isfinite(measured)]), np.nan)
    disparity = disparity[: 2 * HEIGHT : 2, : 2 * WIDTH : 2].astype(np.float32)
    return rgb, fill_holes(disparity, rgb), np.isfinite(disparity)


def errors(found: torch.Tensor, truth: np.ndarray, measured: np.ndarray, seen: Observation) -> tuple[float, ...]:
    """RMSE, MAE, % within 1 px, % within ½ px, MAE near edges of depth, MAE away from them; px, of measured pixels."""
    blur = float(seen.blur)
    true = torch.from_numpy(truth).double()
    error = blur * (found[0, 0].double() - true).abs()
    known = torch.from_numpy(measured)
    edge = regions(blur * (true - float(seen.focus)), seen.all_in_focus[0].double()).edge
    e = error[known]
    return (
        float(e.square().mean().sqrt()),
        float(e.mean()),
        100 * float((e <= 1).double().mean()),
        100 * float((e <= 0.5).double().mean()),
        float(error[known & edge].mean()),
        float(error[known & ~edge].mean()),
    )


def main() -> None:
    """Print the table; write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder for pictures: sharp and blurred, then disparity and error of each row")
    parser.add_argument("--rays", type=int, default=512, help="a pixel of the blurred picture")
    parser.add_argument("--radius", type=float, default=8.0, help="the largest, px")
    parser.add_argument("--steps", type=int, default=120)
    arguments = parser.parse_args()
    rgb, truth, measured = motorcycle()
    blur = arguments.radius / (NEAR - FAR)
    blurred = tb.trace(to_layers(rgb, truth), tb.ThinLens(blur, FAR), rays=arguments.rays)
    sharp = torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None].contiguous()
    seen = Observation(sharp, blurred[:, None], torch.tensor([[blur]]), torch.tensor([[FAR]]), NEAR, FAR)
    print(f"{WIDTH} × {HEIGHT}, {measured.mean():.0%} measured; radii up to {arguments.radius:g} px, {arguments.steps} steps")
    print(f"{'':18}{'RMSE':>7}{'MAE':>7}{'≤1 px %':>9}{'≤½ px %':>9}{'edge MAE':>10}{'off-edge':>10}{'s':>7}", flush=True)
    found = {}
    methods = {"plane sweep": lambda: plane_sweep(seen).disparity, "moved to edges": lambda: moved(seen)}
    methods |= {title: partial(optimized, seen, *row, arguments.steps) for title, row in ROWS.items()}
    for title, method in methods.items():
        start = time.perf_counter()
        found[title] = method()
        seconds = time.perf_counter() - start
        rmse, mae, within_1, within_half, edge, off_edge = errors(found[title], truth, measured, seen)
        print(
            f"{title:18}{rmse:7.2f}{mae:7.2f}{within_1:9.0f}{within_half:9.0f}{edge:10.2f}{off_edge:10.2f}{seconds:7.0f}",
            flush=True,
        )
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
        write_pictures(arguments.out, seen, truth, measured, found)


def moved(seen: Observation) -> torch.Tensor:
    """The sweep's disparity with its jumps at edges of the picture, where optimisations begin, [1, 1, H, W]."""
    return snap_to_edges(seen, plane_sweep(seen).disparity).disparity


def optimized(seen: Observation, layer: str, layers: int, steps: int) -> torch.Tensor:
    """Disparity [1, 1, H, W]."""
    return optimize(seen, layer_named(layer), OptimizeSettings(steps=steps, layers=layers)).disparity


def write_pictures(
    folder: Path, seen: Observation, truth: np.ndarray, measured: np.ndarray, found: dict[str, torch.Tensor]
) -> None:
    """sharp.png, blurred.png, truth.png; NAME.png has the disparity and its error from 0 to 3 px, black where not measured."""
    write_image(folder / "sharp.png", seen.all_in_focus[0].permute(1, 2, 0).numpy(), overwrite=True)
    write_image(folder / "blurred.png", seen.blurred[0, 0].permute(1, 2, 0).numpy(), overwrite=True)
    pictures = {"truth": heat((truth - FAR) / (NEAR - FAR))}
    for title, disparity in found.items():
        values = disparity[0, 0].numpy()
        error = heat(float(seen.blur) * np.abs(values - truth) / ERROR_RANGE_PX) * measured[..., None]
        pictures[title.replace(", ", "-").replace(" ", "-")] = np.concatenate([heat((values - FAR) / (NEAR - FAR)), error], 1)
    for name, colours in pictures.items():
        write_image(folder / f"{name}.png", srgb_decode(colours / np.float32(255)), overwrite=True)


if __name__ == "__main__":
    main()
