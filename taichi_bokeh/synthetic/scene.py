"""One scene of the benchmark: billboards, each at one disparity, and the lens that looks at them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from taichi_bokeh.layers import Layers
from taichi_bokeh.optics.thin_lens import ThinLens


@dataclass(frozen=True, eq=False)
class Scene:
    """A stack of flat layers with a lens.

    Attributes:
        name: unique among the scenes of a run, and the name of its folder.
        layers: B = 1, float32, on the CPU; the last layer is opaque.
        blur: the true blur, px per unit of disparity.
        focus: the disparity in focus.
        focal_plane: "near", "middle" or "far": where among the layers the focus lies.
    """

    name: str
    layers: Layers
    blur: float
    focus: float
    focal_plane: str

    def lens(self, scale: float = 1.0) -> ThinLens:
        """Make the lens, with `scale` times the true blur."""
        return ThinLens(self.blur * scale, self.focus)

    @property
    def disparities(self) -> list[float]:
        """Disparity of each layer, nearest first."""
        return [float(plane[0, 0]) for plane in self.layers.disparity[0, :, 0]]

    @property
    def radii_px(self) -> list[float]:
        """Signed radius of each layer's circle of confusion at the true blur, nearest first."""
        return [self.blur * (disparity - self.focus) for disparity in self.disparities]

    @property
    def largest_radius_px(self) -> float:
        """The largest of them, without its sign."""
        return max(abs(radius) for radius in self.radii_px)

    @property
    def all_in_focus(self) -> Tensor:
        """The image of a pinhole camera, [3, H, W]."""
        return self.layers.all_in_focus()[0]

    @property
    def disparity_map(self) -> Tensor:
        """Disparity of the nearest layer that covers at least half of the pixel, [H, W]."""
        result = self.layers.disparity[0, -1, 0].clone()
        for layer in range(self.layers.count - 2, -1, -1):
            covered = self.layers.alpha[0, layer, 0] >= 0.5
            result = torch.where(covered, self.layers.disparity[0, layer, 0], result)
        return result
