"""What an optimisation varies: one disparity map, or a foreground over a background. Disparities are over their range."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from taichi_bokeh.dfd.layers.base import DefocusLayer
from taichi_bokeh.dfd.layers.splat import SplatDefocus
from taichi_bokeh.dfd.observation import Observation
from taichi_bokeh.optics.thin_lens import ThinLens
from taichi_bokeh.photo import push_pull

_JUMP_PX = 1.0  # a pixel so much nearer than the farthest round it stands before it
_SURE = 2.5  # logit of the coverage at the start: 0.92, which gradients still move

ToDisparity = Callable[[Tensor], Tensor]


@dataclass(eq=False)
class OneLayer:
    """One disparity map.

    Attributes:
        disparity: [B, 1, H, W].
        low: the least that each may be, [B, 1, H, W].
        high: the largest.
    """

    disparity: Tensor
    low: Tensor
    high: Tensor

    @property
    def maps(self) -> Mapping[str, Tensor]:
        """Disparities, [B, 1, H, W] each, by name."""
        return {"disparity": self.disparity}

    @property
    def others(self) -> Mapping[str, tuple[Tensor, float]]:
        """The other variables by name, each with its learning rate."""
        return {}

    @property
    def visible(self) -> Tensor:
        """Disparity of what a pinhole camera sees, [B, 1, H, W]."""
        return self.disparity

    def stack(self, all_in_focus: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Layers: rgb [B, L, 3, H, W], alpha and disparity [B, L, 1, H, W]."""
        return all_in_focus[:, None], torch.ones_like(self.disparity)[:, None], self.disparity[:, None]

    def blurred(self, layer: DefocusLayer, all_in_focus: Tensor, to_disparity: ToDisparity, lens: ThinLens) -> Tensor:
        """The picture [B, 3, H, W] that they stand for."""
        picture: Tensor = layer(all_in_focus, to_disparity(self.disparity), lens)
        return picture

    def mean(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """A function of the disparity, where several are there weighted by what is seen of each, [B, 1, H, W]."""
        return function(self.disparity)

    def clamp(self) -> None:
        """Bring all variables back into their bounds."""
        self.disparity.clamp_(self.low, self.high)


@dataclass(eq=False)
class TwoLayers:
    """A foreground over a background; its methods are those of `OneLayer`.

    Attributes:
        front: disparity of the foreground, defined everywhere, [B, 1, H, W].
        back: disparity of the background, behind the foreground, too, [B, 1, H, W].
        logit: of the foreground's coverage, [B, 1, H, W].
        hidden: [B, 3, H, W], colour of the background behind the foreground, linear light.
    """

    front: Tensor
    back: Tensor
    logit: Tensor
    hidden: Tensor

    @property
    def maps(self) -> Mapping[str, Tensor]:
        """See `OneLayer`."""
        return {"front": self.front, "back": self.back}

    @property
    def others(self) -> Mapping[str, tuple[Tensor, float]]:
        """See `OneLayer`."""
        return {"coverage": (self.logit, 0.3), "hidden": (self.hidden, 0.03)}

    @property
    def visible(self) -> Tensor:
        """See `OneLayer`."""
        return torch.where(self.logit > 0, self.front, self.back)

    def stack(self, all_in_focus: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `OneLayer`."""
        alpha = self.logit.sigmoid()
        share = alpha.detach()  # whether a pixel is hidden is decided by depth, not by which colour suits
        behind = (1 - share) * all_in_focus + share * self.hidden
        rgb = torch.stack([all_in_focus, behind], 1)
        return rgb, torch.stack([alpha, torch.ones_like(alpha)], 1), torch.stack([self.front, self.back], 1)

    def blurred(self, layer: DefocusLayer, all_in_focus: Tensor, to_disparity: ToDisparity, lens: ThinLens) -> Tensor:
        """See `OneLayer`; of the layers, only splats take two.

        Raises:
            ValueError: the layer is another one.
        """
        splats = require_two(layer)
        rgb, alpha, over_range = self.stack(all_in_focus)
        return splats.surfaces(rgb, alpha, to_disparity(over_range), lens)

    def mean(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """See `OneLayer`."""
        alpha = self.logit.sigmoid()
        return alpha * function(self.front) + (1 - alpha) * function(self.back)

    def clamp(self) -> None:
        """See `OneLayer`."""
        for value in self.maps.values():
            value.clamp_(0.0, 1.0)
        self.hidden.clamp_(min=0.0)


Variables = OneLayer | TwoLayers  # what an optimisation varies


def require_two(layer: DefocusLayer) -> SplatDefocus:
    """The layer; ValueError unless it blurs several surfaces."""
    if not isinstance(layer, SplatDefocus):
        raise ValueError(f"layer is {layer.title}; expected a SplatDefocus, which blurs two layers")
    return layer


@torch.no_grad()
def split_estimate(observation: Observation, over_range: Tensor) -> TwoLayers:
    """Split a disparity map over its range, [B, 1, H, W], where something stands before something else.

    A pixel is foreground where it is nearer than the farthest pixel within twice the blur that can hide it. The foreground's
    disparity is pushed outwards from there, the background's disparity and colour inwards, by push–pull.
    """
    reach = max(8, 2 * int(observation.largest_radius_px + 1))
    jump = _JUMP_PX / (float(observation.blur.max()) * (observation.near - observation.far))
    farthest = -torch.nn.functional.max_pool2d(-over_range, 2 * reach + 1, stride=1, padding=reach)
    is_front = over_range - farthest > jump
    front, back = _filled(over_range, is_front), _filled(over_range, ~is_front)
    hidden = _filled(observation.all_in_focus, ~is_front)
    back = torch.where(is_front, torch.minimum(back, over_range), back)
    logit = torch.where(is_front, _SURE, -_SURE).to(over_range)
    return TwoLayers(torch.where(is_front, front, torch.maximum(front, over_range)), back, logit, hidden)


def _filled(values: Tensor, known: Tensor) -> Tensor:
    """[B, C, H, W], with what is not known [B, 1, H, W] filled from what is; as it is where nothing is known."""
    result = values.clone()
    for picture, mask, out in zip(values, known, result, strict=True):
        if bool(mask.any()):
            weight = mask[0].float().cpu().numpy()
            filled = torch.from_numpy(push_pull(picture.permute(1, 2, 0).float().cpu().numpy(), weight)).permute(2, 0, 1)
            out.copy_(torch.where(mask, picture, filled.to(picture)))
    return result
