"""Small scenes of flat layers, made by hand."""

import torch
from torch import Tensor

from taichi_bokeh import Layers
from taichi_bokeh.synthetic.scene import Scene

BLUR, FOCUS = 20.0, 0.5


def texture(height: int, width: int, seed: int) -> Tensor:
    """Blobs of some px in three colours, [3, H, W] in [0, 1]."""
    noise = torch.rand(1, 3, height // 4 + 1, width // 4 + 1, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(noise, (height, width), mode="bilinear", align_corners=True)[0]


def right_of(column: int, height: int = 48, width: int = 56) -> Tensor:
    """Alpha of a half plane that begins at a column, [H, W]."""
    return (torch.arange(width) >= column).float().expand(height, width).clone()


def make_scene(radii_px: list[float], alphas: list[Tensor] | None = None, rgbs: list[Tensor] | None = None) -> Scene:
    """Layers with these signed radii, nearest first; by default half planes before each other, with textures."""
    count = len(radii_px)
    if alphas is None:
        alphas = [right_of(40 - 12 * k) for k in range(count - 1)] + [torch.ones(48, 56)]
    height, width = alphas[0].shape
    rgb = torch.stack(rgbs or [texture(height, width, k) for k in range(count)])[None]
    disparity = torch.tensor([FOCUS + radius / BLUR for radius in radii_px])
    planes = disparity[None, :, None, None, None].expand(1, count, 1, height, width).clone()
    return Scene("007", Layers(rgb, torch.stack(alphas)[None, :, None], planes), BLUR, FOCUS, "middle")


def grey(value: float, height: int = 48, width: int = 56) -> Tensor:
    return torch.full((3, height, width), float(value))
