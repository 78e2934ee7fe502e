"""Accuracy where disparity varies within the layers: slanted and curved layers against ray-traced height fields.

The textures and mattes are those of a scene of `taichi-bokeh benchmark`; PSNR in linear light, values clipped to [0, 1].

    python benchmarks/slanted.py [--size 200] [--rays 1024] [--scene 2] [--scale 1]
"""

import argparse
import math

import torch

import taichi_bokeh as tb
from taichi_bokeh.synthetic.pictures import Pictures
from taichi_bokeh.synthetic.scenes import SceneSettings, make_scene


def radii_px(size: int) -> dict[str, list[torch.Tensor]]:
    """Signed radius of each of five layers, [size, size]: planes through and beside the focus; bumps and saddles."""
    line = torch.linspace(-1, 1, size)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return {
        "slanted": [8 + 3 * x, 4 * x + 3 * y, -4 + 2 * x, -8 - 3 * y, -10 + 10 * y],
        "curved": [13 + 3 * (3 * x).cos() * (3 * y).cos(), 7 + 3 * x * y, 4 * x, 1 + 2 * (3 * y).sin(), 3 * (3 * x + y).sin()],
    }


def psnr(picture: torch.Tensor, truth: torch.Tensor) -> float:
    """In dB."""
    return -10 * math.log10((picture.clamp(0, 1) - truth.clamp(0, 1)).square().mean().item())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=200, help="px; up to 384")
    parser.add_argument("--rays", type=int, default=1024)
    parser.add_argument("--scene", type=int, default=2)
    parser.add_argument("--scale", type=float, default=1.0, help="of the radii, which go up to 20 px")
    arguments = parser.parse_args()
    scene = make_scene(arguments.scene, SceneSettings(), Pictures(None, None))
    first = (384 - arguments.size) // 2
    middle = (..., slice(first, first + arguments.size), slice(first, first + arguments.size))
    rgb, alpha = scene.layers.rgb[middle].contiguous(), scene.layers.alpha[middle].contiguous()
    lens = tb.ThinLens(blur=arguments.scale, focus=0.0)  # so that disparity is the radius in px, for a scale of 1
    for name, radii in radii_px(arguments.size).items():
        layers = tb.Layers(rgb, alpha, torch.stack(radii)[None, :, None].contiguous())
        truth = tb.trace(layers, lens, rays=arguments.rays)
        print(f"{name}: scatter {psnr(tb.render(layers, lens, 'scatter'), truth):.1f} dB", flush=True)
        for cells in (4, 16, 64):
            picture = tb.render(layers, lens, model="subaperture", cells=cells)
            print(f"{name}: {cells} cells {psnr(picture, truth):.1f} dB", flush=True)


if __name__ == "__main__":
    main()
