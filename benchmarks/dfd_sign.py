"""Which side of the focus a pixel lies on, from one picture: an opening that is not its own mirror image tells.

Scenes focused in their middle are ray-traced through half a disc, and noise is added; the plane sweep, and the sweep with its
jumps moved to edges of the picture, say on which side each pixel lies. A disc is the control: it cannot tell. Who knows nothing
and always says "farther" is right at as many pixels as lie there, more than half; that is the last row.
"""

import argparse
from statistics import fmean

import torch

import taichi_bokeh as tb
from taichi_bokeh.dfd.data.scenes import DefocusScene, DefocusSceneSettings, make_scene
from taichi_bokeh.dfd.estimate.plane_sweep import plane_sweep
from taichi_bokeh.dfd.estimate.snap_to_edges import snap_to_edges
from taichi_bokeh.dfd.evaluation.metrics import SIGNED_PX, DepthMetrics, measure_depth
from taichi_bokeh.dfd.observation import Observation
from taichi_bokeh.synthetic.pictures import Pictures

NAMES = ("rmse_px", "mae_px", "sign_accuracy")


def half_disc(size: int = 64) -> tb.Aperture:
    """The right half of a disc."""
    place = (torch.arange(size) + 0.5) * 2 / size - 1
    across, down = place[None, :], place[:, None]
    return tb.Aperture(image=((across**2 + down**2 <= 1) & (across >= 0)).float())


def observe(scene: DefocusScene, aperture: tb.Aperture, rays: int, noise: float, seed: int) -> tuple[Observation, tb.ThinLens]:
    """Trace a scene, and add noise of this deviation, as a part of white."""
    lens = tb.ThinLens(scene.blur, scene.focus, aperture)
    blurred = tb.trace(scene.layers, lens, rays=rays)
    blurred = (blurred + noise * torch.randn(blurred.shape, generator=torch.Generator().manual_seed(seed))).clamp(min=0)
    lenses = torch.tensor([[scene.blur]]), torch.tensor([[scene.focus]])
    return Observation(scene.all_in_focus[None], blurred[:, None], *lenses, 1.0, 0.0, aperture), lens


def farther_share(scene: DefocusScene) -> float:
    """The part of the visibly blurred pixels that lies farther than the focus."""
    radius_px = scene.blur * (scene.disparity_map - scene.focus)
    return float((radius_px[radius_px.abs() > SIGNED_PX] < 0).double().mean())


def row(title: str, found: list[DepthMetrics]) -> str:
    """Means over the scenes."""
    rmse, mae, sign = (fmean(getattr(each, name) or 0.0 for each in found) for name in NAMES)
    return f"| {title} | {rmse:.2f} | {mae:.2f} | {100 * sign:.1f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=6)
    parser.add_argument("--seed", type=int, default=3026)
    parser.add_argument("--rays", type=int, default=2048)
    parser.add_argument("--noise", type=float, default=0.01)
    arguments = parser.parse_args()
    settings = DefocusSceneSettings(seed=arguments.seed, focal_plane="middle")
    pictures = Pictures()
    scenes = [make_scene(index, settings, pictures) for index in range(arguments.scenes)]
    print("| opening, method | RMSE px | MAE px | sign right % |\n|---|---:|---:|---:|")
    for name, aperture in (("half disc", half_disc()), ("disc", tb.Aperture())):
        swept, snapped = [], []
        for index, scene in enumerate(scenes):
            seen, lens = observe(scene, aperture, arguments.rays, arguments.noise, index)
            estimate = plane_sweep(seen).disparity
            truth = scene.disparity_map[None], lens, scene.all_in_focus
            swept.append(measure_depth(estimate[0], *truth))
            snapped.append(measure_depth(snap_to_edges(seen, estimate).disparity[0], *truth))
        print(row(f"{name}, sweep + SGM", swept), row(f"{name}, moved to edges", snapped), sep="\n", flush=True)
    print(f"| always farther | | | {100 * fmean(map(farther_share, scenes)):.1f} |")


if __name__ == "__main__":
    main()
