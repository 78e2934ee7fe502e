"""What is lost by taking a picture apart from its colours and disparity alone, in the band round occlusion edges.

The scenes are those of `taichi-bokeh benchmark`, with three layers. Each is put together without blur, as RGB and disparity;
`photo.to_layers` takes it apart again, and both are rendered through the scene's lens. The truth is ray traced from the true
layers. PSNR in linear light, values clipped to [0, 1], over the band where part of the lens, but not all, is covered.

Three bounds stand beside the pipeline: one layer (no occlusion at all), the true layers, and the true mattes and disparities
with colours known only where the picture shows them, the rest filled by push-pull. The last is what this inpainter could reach
if matting were perfect: no pipeline is told what is hidden, so the loss against the true layers has a floor that is the
inpainter's.

    python benchmarks/photo_layers.py [--seeds 100 101] [--scenes 6] [--size 256] [--rays 512] [--model scatter]
        [--skip patchmatch refine]
"""

import argparse
import math
from dataclasses import replace
from typing import Literal

import numpy as np
import torch

import taichi_bokeh as tb
from taichi_bokeh.benchmark.metrics import occlusion_band
from taichi_bokeh.photo import Stages, inpainter, push_pull, refine_matte, to_layers
from taichi_bokeh.synthetic.pictures import Pictures
from taichi_bokeh.synthetic.scene import Scene
from taichi_bokeh.synthetic.scenes import SceneSettings, make_scene

SHOWN = 0.95  # of a pixel's light from a layer on, the picture shows the layer's colour there
TRUE, BOUND = "true layers", "true mattes, hidden colours push-pull"


def as_seen(scene: Scene) -> tb.Layers:
    """The true layers, less the colours that the picture does not show."""
    seen = (scene.transmittance * scene.layers.alpha[0, :, 0]).numpy()
    colours = []
    for rgb, share in zip(scene.layers.rgb[0], seen, strict=True):
        known = share >= min(SHOWN, 0.9 * float(share.max()))
        colours.append(push_pull(rgb.permute(1, 2, 0).numpy(), known))
    rgb = torch.from_numpy(np.stack(colours)).permute(0, 3, 1, 2).contiguous()
    return tb.Layers(rgb[None], scene.layers.alpha, scene.layers.disparity)


def taken_apart(scene: Scene, layers: int | Literal["auto"], stages: Stages) -> tb.Layers:
    """What the pipeline makes of the scene's picture and disparity map."""
    rgb = scene.all_in_focus.permute(1, 2, 0).numpy()
    return to_layers(rgb, scene.disparity_map.numpy(), layers=layers, stages=stages)


def pipelines(skip: list[str]) -> dict[str, Stages]:
    """Every inpainter, with the default matte and with the refined one."""
    inpainters = [name for name in ("push-pull", "patchmatch") if name not in skip]
    stages = {name: Stages(inpaint=inpainter(name)) for name in inpainters}
    if "refine" not in skip:
        stages |= {f"{name}, matte refined": replace(stages[name], matte=refine_matte) for name in inpainters}
    return stages


def psnr(picture: torch.Tensor, truth: torch.Tensor, band: torch.Tensor) -> float:
    """In dB, over the band."""
    return -10 * math.log10((picture.clamp(0, 1) - truth.clamp(0, 1)).square()[:, band].mean().item())


def measured(scene: Scene, stages: dict[str, Stages], rays: int, model: str) -> dict[str, float]:
    """PSNR in the band of everything that is rendered, dB."""
    truth, band = tb.trace(scene.layers, scene.lens(), rays=rays)[0], occlusion_band(scene)
    layers = {TRUE: scene.layers, BOUND: as_seen(scene), "one layer": taken_apart(scene, 1, Stages())}
    layers |= {name: taken_apart(scene, "auto", one) for name, one in stages.items()}
    return {name: psnr(tb.render(one, scene.lens(), model=model)[0], truth, band) for name, one in layers.items()}


def main() -> None:
    """Print a line for each scene, and the table of the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[100, 101], help="of the sets of scenes")
    parser.add_argument("--scenes", type=int, default=6, help="of each set")
    parser.add_argument("--size", type=int, default=256, help="px")
    parser.add_argument("--rays", type=int, default=512)
    parser.add_argument("--model", default="subaperture", choices=("subaperture", "scatter"))
    parser.add_argument("--skip", nargs="*", default=[], choices=("patchmatch", "refine"))
    arguments = parser.parse_args()
    stages, pictures = pipelines(arguments.skip), Pictures(None, None)
    rows = []
    for seed in arguments.seeds:
        for index in range(arguments.scenes):
            scene = make_scene(index, SceneSettings(size=arguments.size, layers=3, seed=seed), pictures)
            rows.append(measured(scene, stages, arguments.rays, arguments.model))
            kinds = ", ".join(content.kind for content in scene.contents[:-1])
            print(f"seed {seed}, scene {index} ({kinds}): {', '.join(f'{v:.1f}' for v in rows[-1].values())}", flush=True)
    mean = {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}
    print(f"\n{'mean of ' + str(len(rows)) + ' scenes':40} {'PSNR':>8} {'loss to true layers':>20} {'to true mattes':>15}   dB")
    for name, value in mean.items():
        print(f"{name:40} {value:8.2f} {mean[TRUE] - value:20.2f} {mean[BOUND] - value:15.2f}")


if __name__ == "__main__":
    main()
