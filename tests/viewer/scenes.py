"""A scene that previews are tested on."""

import numpy as np
import torch

from taichi_bokeh.layers import Layers
from taichi_bokeh.viewer.scene import Scene
from taichi_bokeh.viewer.state import Camera

WIDTH, HEIGHT = 60, 40


def square_scene(camera: Camera | None = None, width: int = WIDTH, height: int = HEIGHT) -> Scene:
    """A textured square (disparity 0.8) in the middle of a textured ground whose disparity rises from 0.2 to 0.4 downwards."""
    generator = np.random.default_rng(3)
    y, x = np.mgrid[:height, :width]
    square = (abs(x - width / 2 + 0.5) < width / 6) & (abs(y - height / 2 + 0.5) < height / 5)
    rgb = np.stack([generator.uniform(0.1, 0.9, (3, height, width)) for _ in range(2)]).astype(np.float32)
    alpha = np.stack([square, np.ones_like(square)])[:, None].astype(np.float32)
    ground = (0.2 + 0.2 * y / (height - 1)).astype(np.float32)
    disparity = np.stack([np.full_like(ground, 0.8), ground])[:, None]
    tensors = (torch.from_numpy(np.ascontiguousarray(value))[None] for value in (rgb, alpha, disparity))
    return Scene.of_layers(Layers(*tensors), camera)
