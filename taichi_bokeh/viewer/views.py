"""Views of a scene as images for the screen: uint8 [H, W, 3], coded as sRGB."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from taichi_bokeh.io import to_srgb8
from taichi_bokeh.photo.near_far import scale_near_and_far
from taichi_bokeh.report.pictures import heat
from taichi_bokeh.viewer.scene import Scene
from taichi_bokeh.viewer.state import State

Array = NDArray[np.float32]
Bytes = NDArray[np.uint8]

_SHARP_PX = 1.0  # a blur radius in the whole image up to which a pixel counts as in focus
_SHARP_COLOUR = np.array([60, 230, 90], np.float32)
_CHECKS = (72, 96)  # the greys behind a layer


def screen(image: Tensor, exposure: float) -> Bytes:
    """An image [3, H, W], linear light, so many stops brighter; what is brighter than white is white."""
    linear = image.permute(1, 2, 0).cpu().numpy() * np.float32(2.0**exposure)
    return to_srgb8(linear)


def wiped(before: Bytes, after: Bytes, share: float, line_px: int) -> Bytes:
    """The left `share` of one image, the rest of the other, and a line between them."""
    width = before.shape[1]
    edge = round(share * width)
    result = after.copy()
    result[:, :edge] = before[:, :edge]
    first = min(max(0, edge - line_px // 2), width - line_px)
    result[:, first : first + line_px] = 255
    return result


def disparity_view(scene: Scene) -> Bytes:
    """Disparity in colours from dark (far) to bright (near)."""
    low, high = float(scene.disparity.min()), float(scene.disparity.max())
    return heat((scene.disparity - low) / max(high - low, float(np.finfo(np.float32).tiny)))


def focus_view(scene: Scene, state: State, blur: float) -> Bytes:
    """The sharp image in grey, and green where the lens has it in focus.

    Args:
        scene: in the size of the view.
        state: focus, near and far blur, exposure.
        blur: in px of the whole image per unit of disparity, so that the size of the view does not change what is sharp.
    """
    grey = screen(scene.sharp, state.exposure).astype(np.float32).mean(-1, keepdims=True)
    disparity = scale_near_and_far(torch.from_numpy(scene.disparity), state.focus, state.near_blur, state.far_blur).numpy()
    radius_px = np.abs(blur * (disparity - state.focus))[..., None]
    share = np.clip(1 + _SHARP_PX - radius_px, 0, 1)
    tinted = 0.4 * grey + 0.6 * _SHARP_COLOUR * (0.35 + 0.65 * grey / 255)
    return (share * tinted + (1 - share) * 0.6 * grey + 0.5).astype(np.uint8)


def layer_view(scene: Scene, state: State, check_px: int) -> Bytes:
    """One layer over a chequered ground."""
    index = min(state.layer, scene.layers.count - 1)
    alpha = scene.layers.alpha[0, index].permute(1, 2, 0).cpu().numpy()
    colour = screen(scene.layers.rgb[0, index], state.exposure)
    rows, columns = (np.arange(size) // check_px for size in alpha.shape[:2])
    ground = np.where((rows[:, None] + columns) % 2, *_CHECKS)[..., None]
    return (alpha * colour + (1 - alpha) * ground + 0.5).astype(np.uint8)
