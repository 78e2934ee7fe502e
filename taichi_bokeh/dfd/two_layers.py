"""A foreground over a background: the variables of an optimisation with two layers, and where they start."""

from dataclasses import dataclass

import torch
from torch import Tensor

from taichi_bokeh.dfd.observation import Observation
from taichi_bokeh.photo import push_pull

_JUMP_PX = 1.0  # a pixel so much nearer than the farthest round it stands before it
_SURE = 2.5  # logit of the coverage at the start: 0.92, which gradients still move


@dataclass(eq=False)
class TwoLayers:
    """Variables, all [B, 1, H, W] but the last; disparities over their range.

    Attributes:
        front: disparity of the foreground, defined everywhere.
        back: disparity of the background, behind the foreground, too.
        logit: of the foreground's coverage.
        hidden: [B, 3, H, W], colour of the background behind the foreground, linear light.
    """

    front: Tensor
    back: Tensor
    logit: Tensor
    hidden: Tensor

    @property
    def alpha(self) -> Tensor:
        """Coverage of the foreground."""
        return self.logit.sigmoid()

    @property
    def visible(self) -> Tensor:
        """Disparity of what a pinhole camera sees."""
        return torch.where(self.logit > 0, self.front, self.back)

    def surfaces(self, all_in_focus: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """rgb [B, 2, 3, H, W], alpha and disparity over its range [B, 2, 1, H, W]."""
        alpha = self.alpha
        share = alpha.detach()  # whether a pixel is hidden is decided by depth, not by which colour suits
        behind = (1 - share) * all_in_focus + share * self.hidden
        rgb = torch.stack([all_in_focus, behind], 1)
        return rgb, torch.stack([alpha, torch.ones_like(alpha)], 1), torch.stack([self.front, self.back], 1)


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
