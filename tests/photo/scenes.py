"""Pictures whose layers are known."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from taichi_bokeh import Layers


class Scene(NamedTuple):
    """A picture in linear light [H, W, 3], its disparity [H, W], and the foreground's matte [H, W]."""

    rgb: np.ndarray
    disparity: np.ndarray
    matte: np.ndarray


def texture(height: int, width: int, colour: tuple[float, float, float], seed: int) -> np.ndarray:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((height, width)), 3)
    return (np.array(colour) * (1 + 2 * noise[..., None])).clip(0, 1).astype(np.float32)


def disc_before_wall(height: int = 120, width: int = 160) -> Scene:
    """A red disc at disparity 0.9 before a green wall at 0.2, its edge antialiased."""
    y, x = np.mgrid[:height, :width]
    matte = np.clip(35.5 - np.hypot(y - height / 2, x - width / 2), 0, 1).astype(np.float32)
    front, back = texture(height, width, (0.8, 0.1, 0.05), 0), texture(height, width, (0.1, 0.5, 0.2), 1)
    rgb = matte[..., None] * front + (1 - matte[..., None]) * back
    return Scene(rgb, np.where(matte >= 0.5, 0.9, 0.2).astype(np.float32), matte)


def post_on_floor(height: int = 150, width: int = 120) -> Scene:
    """A floor that comes nearer towards the lower edge, a far wall above it, and a post that stands on the floor."""
    y, x = np.mgrid[:height, :width]
    floor = 0.1 + 0.9 * np.clip((y - 40) / (height - 41), 0, 1)
    post = (np.abs(x - 60) <= 8) & (y >= 20) & (y <= 120)
    disparity = np.where(post, floor[120, 0], floor).astype(np.float32)
    rgb = np.where(post[..., None], (0.7, 0.1, 0.1), texture(height, width, (0.3, 0.3, 0.35), 2)).astype(np.float32)
    return Scene(rgb, disparity, post.astype(np.float32))


def composite(layers: Layers) -> tuple[np.ndarray, np.ndarray]:
    """Colour [H, W, 3] and disparity [H, W] of the layers without any blur."""
    colour, disparity, through = 0.0, 0.0, 1.0
    for rgb, alpha, depth in zip(layers.rgb[0], layers.alpha[0], layers.disparity[0], strict=True):
        colour = colour + through * alpha * rgb
        disparity = disparity + through * alpha * depth
        through = through * (1 - alpha)
    return colour.permute(1, 2, 0).numpy(), disparity[0].numpy()


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((a - b) ** 2) + 1e-20))
