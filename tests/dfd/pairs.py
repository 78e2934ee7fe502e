"""Small pairs of pictures of known depth, rendered and not traced, so that tests of training are quick."""

from dataclasses import replace

import torch
from torch import Tensor
from torch.utils.data import Dataset

import taichi_bokeh as tb
from taichi_bokeh.dfd.layers.base import RenderedDefocus
from taichi_bokeh.dfd.observation import Observation, Sample
from taichi_bokeh.models import SubAperture


def make_pair(number: int, size: int = 32, count: int = 1) -> Sample:
    """Noise, the left part of which is at one disparity and the right at another; radii from 0 to 4 px."""
    generator = torch.Generator().manual_seed(number)
    picture = torch.rand(1, 3, size, size, generator=generator)
    near, far = torch.rand(2, generator=generator).tolist()
    disparity = torch.where(torch.arange(size) < size // 2, near, far).expand(1, 1, size, size).contiguous()
    blurs = [4.0 + k for k in range(count)]
    blurred = [RenderedDefocus(SubAperture(1))(picture, disparity, tb.ThinLens(blur, 0.0)) for blur in blurs]
    return Sample(
        f"{number:03}", picture[0], torch.cat(blurred), torch.tensor(blurs), torch.zeros(count), 1.0, 0.0, disparity[0]
    )


class Pairs(Dataset[Sample]):
    """So many of them, with or without their disparity."""

    def __init__(self, length: int = 6, size: int = 32, count: int = 1, has_depth: bool = True) -> None:
        self._samples = [make_pair(number, size, count) for number in range(length)]
        if not has_depth:
            self._samples = [replace(sample, disparity=None) for sample in self._samples]

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, number: int) -> Sample:
        return self._samples[number]


class Tiny(torch.nn.Module):
    """A network that draws random numbers while it is trained."""

    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(6, channels, 3, padding=1)
        self.last = torch.nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, seen: Observation) -> Tensor:
        features = torch.relu(self.first(torch.cat([seen.all_in_focus, seen.blurred[:, 0]], 1)))
        return torch.sigmoid(self.last(torch.nn.functional.dropout(features, 0.2, self.training)))


def tiny(channels: int = 8) -> Tiny:
    """The same weights each time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Tiny(channels)
