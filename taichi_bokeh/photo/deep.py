"""Deep images to layers: samples are binned by disparity, each bin a layer with the coverage that its samples have."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from taichi_bokeh.io.exr import Deep
from taichi_bokeh.layers import Layers
from taichi_bokeh.photo.cut_out import CutOut
from taichi_bokeh.photo.fill.push_pull import push_pull

Array = NDArray[np.float32]

MOST_LAYERS = 8
_BINS = 256  # of the range of disparities, between which layers are cut
_FINE = 1e-3  # of the spread without cuts: what is left of it at which more layers gain nothing
_HIDDEN = 0.02  # of a pixel: what less is seen of does not tell what a layer is there
_OPAQUE = 0.999


class DeepScene(NamedTuple):
    """A deep image in layers.

    Attributes:
        cut_out: its layers and how much there is of each; the last one stands for nothing where the image has no more.
        disparity: of what is seen, [H, W]; NaN where nothing is.
    """

    cut_out: CutOut
    disparity: Array


def deep_layers(deep: Deep, count: int | None = None) -> DeepScene:
    """Bin the samples of a deep image into layers.

    What nearer layers hide and no sample tells is gone on with from round about, as `to_layers` does.

    Args:
        deep: its samples.
        count: how many layers; None: as many as pay, up to 8.
    """
    seen, disparity = deep.seen()[:, 0], 1 / deep.depth.astype(np.float64)
    edges = cuts_of(disparity, seen, count)
    number = len(edges) - np.searchsorted(edges, disparity)  # 0 is the nearest
    rgb, alpha, depth = [], [], []
    through = np.ones(deep.shape, np.float32)
    for layer in range(len(edges) + 1):
        some = deep.some(number == layer)
        if not len(some.pixels):
            continue
        colour, cover, there = _composited(some)
        sampled = cover > 0
        known = sampled | (through > _HIDDEN)
        rgb.append(push_pull(colour, sampled))
        depth.append(push_pull(there, sampled))
        alpha.append(np.clip(push_pull(cover, known), 0, 1))
        through = through * (1 - cover)
    whole, mean_depth = deep.composite()
    if float(whole[..., 3].min()) >= _OPAQUE:
        alpha[-1] = np.ones_like(alpha[-1])
    rgb.append(np.zeros_like(rgb[-1]))
    alpha.append(np.ones_like(alpha[-1]))
    depth.append(np.full_like(depth[-1], disparity.min()))
    stacks = [torch.from_numpy(np.stack(planes)[None].astype(np.float32)) for planes in (rgb, alpha, depth)]
    layers = Layers(stacks[0].permute(0, 1, 4, 2, 3).contiguous(), stacks[1][:, :, None], stacks[2][:, :, None])
    coverage = torch.ones_like(layers.alpha)
    coverage[:, -1] = 0
    return DeepScene(CutOut(layers, coverage), (1 / mean_depth).astype(np.float32))


def cuts_of(disparity: NDArray[np.float64], weights: NDArray[np.float64], count: int | None) -> NDArray[np.float64]:
    """Find the cuts, ascending, between which disparities [N] differ least in the mean square, by their weights [N]."""
    low, high = float(disparity.min()), float(disparity.max())
    if low == high or count == 1:
        return np.zeros(0)
    weight, edges = np.histogram(disparity, _BINS, (low, high), weights=weights + 1e-9)
    centre = (edges[:-1] + edges[1:]) / 2 - low
    sums = [np.r_[0, np.cumsum(weight * centre**power)] for power in range(3)]
    total, first, second = (column[None, :] - column[:, None] for column in sums)  # of bins [i, j)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.where(total > 0, np.maximum(second - first**2 / total, 0), 0)
    spread[np.tril_indices(_BINS + 1)] = np.inf
    best, starts = spread[0], []
    whole = best[-1]
    for made in range(2, (count or MOST_LAYERS) + 1):
        if count is None and (best[-1] <= _FINE * whole or made > MOST_LAYERS):
            break
        costs = best[:, None] + spread
        starts.append(costs.argmin(0))
        best = costs.min(0)
    cuts, end = [], _BINS
    for start in reversed(starts):
        end = int(start[end])
        cuts.append(edges[end])
    return np.unique(cuts)


def _composited(some: Deep) -> tuple[Array, Array, Array]:
    """Composite the samples of a layer: straight colours, coverage, mean disparity."""
    rgba, depth = some.composite()
    cover = np.minimum(rgba[..., 3], 1)
    straight = np.divide(rgba[..., :3], cover[..., None], where=cover[..., None] > 0, out=np.zeros_like(rgba[..., :3]))
    return np.maximum(straight, 0), cover, np.where(cover > 0, 1 / np.where(cover > 0, depth, 1), 0).astype(np.float32)
