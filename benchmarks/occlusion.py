"""The step of the on-focal occlusion: where τ falls and how steeply, against ray tracing, PSNR in dB, linear light.

A column is a step τ(Δ) = 1/(1 + exp(steepness·(Δ − gap))) of Δ = r_y − r_x, the difference of signed radii in px. The paper's,
1/(1 + exp(20·(Δ − 0.1))) of disparities, depends on the blur K in px per unit of disparity: in px its gap is 0.1·K and its
steepness 20/K. A row is a kind of scene:

    two layers R:        a textured object of radius R px before a background of −8 px
    slanted R:           one plane, whose radius goes from −R to R px across the image
    image and map R:     one opaque layer, as an image with its disparity gives it: an object in focus R px before a background;
                         the truth knows what the object hides
    slanted, curved:     the scenes of benchmarks/slanted.py, five layers
    benchmark:           scenes of `taichi-bokeh benchmark`, mean and worst

The last row is how many nodes the fast path takes in float32 (docs/mathematics.md).

    python benchmarks/occlusion.py [--size 96] [--rays 1024] [--scenes 6] [--steps=-1,3/-2,1]
"""

import argparse
import math
from collections.abc import Iterator

import torch
from slanted import psnr, radii_px
from torch import Tensor

import taichi_bokeh as tb
from taichi_bokeh.kernels.scatter.occlusion import OcclusionStep
from taichi_bokeh.models.scatter import Settings, scatter
from taichi_bokeh.ops.scatter.occlusion_nodes import occlusion_nodes
from taichi_bokeh.synthetic.pictures import Pictures
from taichi_bokeh.synthetic.scenes import SceneSettings, make_scene

PAPER_BLURS = (1, 10, 35)
STEPS = [(-1.75, 1.1), (-1.0, 2.5), (-0.2, 20.0)]
LENS = tb.ThinLens(blur=1.0, focus=0.0)  # so that disparity is the radius in px
NONE = OcclusionStep(-1e3, 1.0)  # τ = 0 for all that is there


def texture(size: int, seed: int) -> Tensor:
    """[3, size, size] in [0, 1]: waves of 6 to 20 px and noise."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(float(size)), torch.arange(float(size)), indexing="ij")
    angle, period, phase = (torch.rand(3, 4, generator=generator) for _ in range(3))
    angle, period = 2 * math.pi * angle, 6 + 14 * period
    waves = (angle.cos()[..., None, None] * x + angle.sin()[..., None, None] * y) * 2 * math.pi / period[..., None, None]
    noise = torch.rand(3, size, size, generator=generator) - 0.5
    return (0.5 + 0.1 * (waves + 6 * phase[..., None, None]).sin().sum(1) + 0.2 * noise).clamp(0, 1)


def matte(size: int) -> Tensor:
    """[size, size]: a disc with a hole, whose edges are a pixel wide."""
    y, x = torch.meshgrid(*[torch.arange(float(size)) - size / 2 + 0.5] * 2, indexing="ij")
    distance = (x * x + y * y).sqrt()
    return ((size / 3 - distance).clamp(0, 1) - (size / 8 - distance).clamp(0, 1)).contiguous()


def stack(*layers: tuple[Tensor, Tensor, Tensor | float]) -> tb.Layers:
    """Layers of (rgb [3, H, W], alpha [H, W], radius in px)."""
    planes = [torch.as_tensor(radius).expand(alpha.shape) for _, alpha, radius in layers]
    rgb, alpha = torch.stack([one[0] for one in layers]), torch.stack([one[1] for one in layers])
    return tb.Layers(rgb[None], alpha[None, :, None], torch.stack(planes)[None, :, None].contiguous())


def scenes(size: int) -> Iterator[tuple[str, tb.Layers, tb.Layers]]:
    """A name, what is rendered, and what is traced."""
    near, far, cut, ones = texture(size, 0), texture(size, 1), matte(size), torch.ones(size, size)
    for radius in (0.24, 0.48, 1.0):
        layers = stack((near, cut, radius), (far, ones, -8.0))
        yield f"two layers {radius}", layers, layers
    line = torch.linspace(-1, 1, size).expand(size, size)
    for radius in (1.0, 3.0, 8.0, 16.0):
        layers = stack((near, ones, radius * line))
        yield f"slanted {radius:g}", layers, layers
    for radius in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0):
        truth = stack((near, cut, 0.0), (far, ones, -radius))
        visible = cut * near + (1 - cut) * far
        yield f"image and map {radius:g}", stack((visible, ones, torch.where(cut >= 0.5, 0.0, -radius))), truth


def multi_layer(size: int) -> Iterator[tuple[str, tb.Layers, tb.Layers]]:
    """The scenes of slanted.py."""
    scene = make_scene(2, SceneSettings(), Pictures(None, None))
    middle = (..., slice(120, 120 + size), slice(120, 120 + size))
    rgb, alpha = scene.layers.rgb[middle].contiguous(), scene.layers.alpha[middle].contiguous()
    for name, radii in radii_px(size).items():
        layers = tb.Layers(rgb, alpha, torch.stack(radii)[None, :, None].contiguous())
        yield f"five layers, {name}", layers, layers


def render(layers: tb.Layers, step: OcclusionStep) -> Tensor:
    """With this step of the occlusion; disparity is the radius in px."""
    settings = Settings("disc", tb.Aperture(), 0.0, "exact", occlusion_gap=step.gap, occlusion_steepness=step.steepness)
    return scatter(layers, *LENS.per_image(layers), settings)


def row(name: str, values: list[float], digits: int = 1) -> None:
    """Print one."""
    print(f"{name:26s}", *(f"{value:9.{digits}f}" for value in values), flush=True)


def benchmark(count: int, size: int, rays: int, steps: list[OcclusionStep]) -> None:
    """Print the rows of the benchmark's scenes."""
    found = []
    for index in range(count):
        scene = make_scene(index, SceneSettings(size=size), Pictures(None, None))
        layers = tb.Layers(scene.layers.rgb, scene.layers.alpha, scene.blur * (scene.layers.disparity - scene.focus))
        truth = tb.trace(layers, LENS, rays=rays)
        found.append([psnr(render(layers, step), truth) for step in steps])
    columns = list(zip(*found, strict=True))
    row("benchmark, mean", [sum(column) / count for column in columns], 2)
    row("benchmark, worst", [min(column) for column in columns], 2)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=96, help="px")
    parser.add_argument("--rays", type=int, default=1024)
    parser.add_argument("--scenes", type=int, default=6, help="of the benchmark, at twice the size")
    parser.add_argument("--steps", help="gaps and steepnesses in px, after =, as -1,3/-2,1")
    arguments = parser.parse_args()
    given = [tuple(map(float, step.split(","))) for step in arguments.steps.split("/")] if arguments.steps else STEPS
    paper = [OcclusionStep(0.1 * blur, 20 / blur) for blur in PAPER_BLURS]
    steps = [NONE, *paper, *(OcclusionStep(*step) for step in given)]
    print(f"{'':26s}", f"{'none':>9s}", *(f"{f'K = {blur}':>9s}" for blur in PAPER_BLURS), *(["       px"] * len(given)))
    row("gap", [math.nan, *(step.gap for step in steps[1:])], 2)
    row("steepness", [math.nan, *(step.steepness for step in steps[1:])], 2)
    for name, layers, true_layers in [*scenes(arguments.size), *multi_layer(arguments.size)]:
        truth = tb.trace(true_layers, LENS, rays=arguments.rays)
        row(name, [psnr(render(layers, step), truth) for step in steps])
    if arguments.scenes:
        benchmark(arguments.scenes, 2 * arguments.size, arguments.rays, steps)
    row("nodes, float32", [0, *(len(occlusion_nodes(1.0, step, "float32") or ()) or math.nan for step in steps[1:])], 0)


if __name__ == "__main__":
    main()
