"""Taken apart from colours and disparity alone, a scene is rendered nearly as from its true layers."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from taichi_bokeh import Layers, ThinLens, render
from taichi_bokeh.photo import to_layers
from tests.photo.scenes import disc_before_wall, texture


def _true_layers() -> Layers:
    scene = disc_before_wall()
    front, back = texture(120, 160, (0.8, 0.1, 0.05), 0), texture(120, 160, (0.1, 0.5, 0.2), 1)
    rgb = torch.from_numpy(np.stack([front, back])).permute(0, 3, 1, 2)[None]
    alpha = torch.from_numpy(np.stack([scene.matte, np.ones_like(scene.matte)]))[None, :, None]
    disparity = torch.tensor([0.9, 0.2])[None, :, None, None, None].expand_as(alpha)
    return Layers(rgb, alpha, disparity.contiguous())


@pytest.mark.parametrize("focus", [0.9, 0.2])
def test_layers_of_a_picture_render_better_than_the_picture_alone_round_its_edges(focus):
    scene, lens = disc_before_wall(), ThinLens(blur=12.0, focus=focus)
    edge = ndimage.binary_dilation((scene.matte > 0) & (scene.matte < 1), iterations=8)
    true = render(_true_layers(), lens, model="subaperture")[0].permute(1, 2, 0).numpy()

    def psnr_db(count: int) -> float:
        layers = to_layers(scene.rgb, scene.disparity, layers=count)
        picture = render(layers, lens, model="subaperture")[0].permute(1, 2, 0).numpy()
        return -10 * math.log10(((picture - true)[edge] ** 2).mean())

    assert psnr_db(2) > 35
    assert psnr_db(2) > psnr_db(1) + 6
