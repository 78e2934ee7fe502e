"""A small U-Net that reads depth out of an all-in-focus picture, a blurred one, and the evidence of a plane sweep.

    disparity(x) = Σ_k p_k(x)·d_k,        p = softmax_k(logits_k + e_k),        e_k = (min_j C_j − C_k)/temperature

C is the cost volume of the sweep (dfd/estimate/plane_sweep.py) at N planes d_k. The logits are the network's, and 0 at the
start: the network is then the sweep's own soft decision, at every pixel by itself. It learns what to add to it.
"""

from importlib import import_module
from itertools import pairwise
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn.functional import interpolate, max_pool2d, pad

from taichi_bokeh._checks import require_integer, require_number, require_shape
from taichi_bokeh.dfd.estimate.plane_sweep import cost_volume
from taichi_bokeh.dfd.losses import to_gamma
from taichi_bokeh.dfd.observation import Observation

_GROUPS = 4  # of GroupNorm, without which training fails at useful rates
_PICTURE_CHANNELS = 6


class DepthNetwork(Protocol):
    """What can be trained and evaluated: any torch module that turns an observation into a disparity."""

    def __call__(self, observation: Observation) -> Tensor:
        """The disparity [B, 1, H, W] of the views, in the observation's units."""
        ...


@runtime_checkable
class PlaneNetwork(DepthNetwork, Protocol):
    """A network that also says how likely each of some planes is, and can be trained by their composite (planes.py)."""

    def probabilities(self, observation: Observation) -> Tensor:
        """That a pixel lies in each plane, [B, N, H, W]: in [0, 1], with the sum 1 over the planes."""
        ...

    def disparities(self, observation: Observation) -> Tensor:
        """Of the planes, [N], from far to near."""
        ...


class DepthUNet(torch.nn.Module):
    """The network of this module. Sizes of pictures and numbers of blurred ones are free; of several, it sees the first.

    The sweep tells it of all of them, and of the aperture. The planes are spread evenly from far to near, so that the disparity
    never leaves this range.

    Args:
        planes: N, at least 2; a step of half a pixel of the circle of confusion is enough.
        channels: of each level from full resolution down, multiples of 4; each next level has half the resolution.
        temperature: by which a difference of costs, in gamma values, is divided.

    Raises:
        TypeError, ValueError: an argument is not what it must be.
    """

    def __init__(self, planes: int = 16, channels: tuple[int, ...] = (24, 32, 48, 64), temperature: float = 0.01) -> None:
        super().__init__()
        require_integer("planes", planes, at_least=2)
        require_number("temperature", temperature, above=0.0)
        if not channels:
            raise ValueError("channels is empty; expected those of at least one level")
        for width in channels:
            require_integer("channels", width, at_least=1)
            if width % _GROUPS:
                raise ValueError(f"channels has {width}; expected multiples of {_GROUPS}")
        self.planes, self.temperature = planes, temperature
        self.down = torch.nn.ModuleList(_block(a, b) for a, b in pairwise((_PICTURE_CHANNELS + planes, *channels)))
        self.up = torch.nn.ModuleList(_block(fine + coarse, fine) for fine, coarse in reversed(list(pairwise(channels))))
        self.head = torch.nn.Conv2d(channels[0], planes, 1, bias=False)
        torch.nn.init.zeros_(self.head.weight)

    def extra_repr(self) -> str:
        """What a checkpoint of another network differs in, beside the layers."""
        return f"planes={self.planes}, temperature={self.temperature}"

    def forward(self, observation: Observation, costs: Tensor | None = None) -> Tensor:
        """The disparity [B, 1, H, W].

        Args:
            observation: of B views, on the network's device.
            costs: what `costs` returns for it, where the caller has it already.
        """
        planes = self.disparities(observation)
        return (self.probabilities(observation, costs) * planes[:, None, None]).sum(1, keepdim=True)

    def probabilities(self, observation: Observation, costs: Tensor | None = None) -> Tensor:
        """What is thought of each plane at each pixel, [B, N, H, W], of the observation's dtype; see `forward`."""
        if costs is None:
            costs = self.costs(observation)
        require_shape("costs", costs, observation.batch, self.planes, *observation.all_in_focus.shape[-2:])
        evidence = (costs.amin(1, keepdim=True) - costs) / self.temperature
        pictures = (to_gamma(observation.all_in_focus), to_gamma(observation.blurred[:, 0]))
        seen = torch.cat([*pictures, evidence.exp()], 1).to(self.head.weight.dtype)
        return (self._logits(seen).to(evidence.dtype) + evidence).softmax(1)

    def costs(self, observation: Observation) -> Tensor:
        """Cost volume [B, N, H, W] at the planes; no gradients."""
        return cost_volume(observation, self.disparities(observation))

    def disparities(self, observation: Observation) -> Tensor:
        """Of the planes, [N], from far to near."""
        return torch.linspace(
            observation.far, observation.near, self.planes, dtype=observation.focus.dtype, device=observation.focus.device
        )

    def _logits(self, seen: Tensor) -> Tensor:
        height, width = seen.shape[-2:]
        multiple = 2 ** len(self.up)
        features = pad(seen, (0, -width % multiple, 0, -height % multiple), mode="replicate")
        features = features.contiguous(memory_format=torch.channels_last)  # a fifth faster on the CPU
        kept = []
        for level, block in enumerate(self.down):
            features = block(max_pool2d(features, 2) if level else features)
            kept.append(features)
        for block, fine in zip(self.up, reversed(kept[:-1]), strict=True):
            features = block(torch.cat([interpolate(features, scale_factor=2.0, mode="bilinear"), fine], 1))
        logits: Tensor = self.head(features)
        return logits[..., :height, :width]


def load_network(name: str) -> torch.nn.Module:
    """The network that a function makes, by its name "package.module:function"; "unet" is `DepthUNet`.

    Raises:
        ValueError: the name is of another form, there is no such module or function, or what it returns is no torch module.
    """
    if name == "unet":
        return DepthUNet()
    module, colon, function = name.partition(":")
    if not (module and colon and function):
        raise ValueError(f"network is {name!r}; expected 'unet', or 'package.module:function' for one of your own")
    try:
        factory = getattr(import_module(module), function)
    except ModuleNotFoundError as error:
        raise ValueError(f"network is {name!r}, but there is no module {error.name}") from None
    except AttributeError:
        raise ValueError(f"network is {name!r}, but the module {module} has no {function}") from None
    network = factory()
    if not isinstance(network, torch.nn.Module):
        raise ValueError(f"network is {name!r}, which returns a {type(network).__name__}; expected a torch.nn.Module")
    return network


def _block(before: int, after: int) -> torch.nn.Sequential:
    layers: list[torch.nn.Module] = []
    for channels in (before, after):
        layers += [
            torch.nn.Conv2d(channels, after, 3, padding=1, bias=False),
            torch.nn.GroupNorm(_GROUPS, after),
            torch.nn.LeakyReLU(0.1, inplace=True),
        ]
    return torch.nn.Sequential(*layers)
