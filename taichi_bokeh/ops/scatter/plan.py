"""What the operators of the scatter sums pass about: the sources, and the plan by which they are summed."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from taichi_bokeh.kernels.scatter.occlusion import OcclusionStep
from taichi_bokeh.kernels.scatter.profile import profile as profile_of
from taichi_bokeh.ops._common import dtype_name, plain
from taichi_bokeh.optics.aperture import Aperture, aperture_of, shape_of
from taichi_bokeh.optics.psf import kernel_reach

_NO_LIMIT_PX = 1e9


class ScatterSources(NamedTuple):
    """N layers whose pixels are scattered, one of them without its first dimension, or gradients of either."""

    channels: Tensor  # [N, 5, H, W]: premultiplied red, green, blue, alpha and 1, each over the area of the pixel's disc
    radius_px: Tensor  # [N, H, W]: of the disc; of another aperture than the disc signed
    disparity: Tensor  # [N, H, W]: what the occlusion compares: disparity, or the signed radius in px
    in_focus: Tensor  # [N, H, W]: weight with which a pixel is in focus

    def plain(self) -> "ScatterSources":
        """Make the tensors contiguous, and take them out of the graph."""
        return ScatterSources(*map(plain, self))

    def zeros(self) -> "ScatterSources":
        """Make gradients to add to."""
        return ScatterSources(*map(torch.zeros_like, self))

    def of(self, which: int | slice) -> "ScatterSources":
        """Take one layer, or several."""
        return ScatterSources(*(value[which] for value in self))

    @property
    def pixels(self) -> int:
        """The pixels of a layer."""
        return self.radius_px.shape[-2] * self.radius_px.shape[-1]


class ScatterPlan(NamedTuple):
    """By what N layers are summed; `arguments` are those of the operator, `of` takes them.

    Attributes:
        blur, focus: [N], in the units of `ScatterSources.disparity` and of the dtype of the sources, not differentiated.
        profile: "disc", "soft", "official", or "shape" for the aperture.
        max_radius: px: only sources nearer than this contribute; 0 for no limit.
        border: "replicate" or "reflect".
        algorithm: "auto", "exact", "fast", or "rows": "auto" for small radii too.
        occlusion: the step of τ (kernels/scatter/occlusion.py), in the units of blur and focus.
        aperture: counts for the profile "shape".
        seen: tiles, as of `seen_tiles` (visibility.py): where those of a layer are 0 its sums are those of a layer without
            coverage, and are not taken. None: all are taken.
    """

    blur: Tensor
    focus: Tensor
    profile: str
    max_radius: float
    border: str
    algorithm: str
    occlusion: OcclusionStep
    aperture: Aperture = Aperture()
    seen: Tensor | None = None

    @classmethod
    def of(
        cls,
        blur: Tensor,
        focus: Tensor,
        profile: str,
        max_radius: float,
        border: str,
        algorithm: str,
        occlusion: list[float],
        *rest: Any,
    ) -> "ScatterPlan":
        """Make a plan of the operator's arguments; the last are the image and the shape of the aperture, and the tiles."""
        image, shape, seen = rest
        step, aperture = OcclusionStep(*occlusion), aperture_of(shape, image)
        return cls(blur, focus, profile, max_radius, border, algorithm, step, aperture, seen)

    def of_layer(self, which: int, count: int = 1) -> "ScatterPlan":
        """Make the plan of `count` layers that are alike one of these, of which all is seen."""
        blur, focus = (value[which : which + 1].expand(count) for value in (self.blur, self.focus))
        return self._replace(blur=blur, focus=focus, seen=None)

    def of_part(self, part: slice) -> "ScatterPlan":
        """Make the plan of some of the layers."""
        return self._replace(blur=self.blur[part], focus=self.focus[part], seen=None if self.seen is None else self.seen[part])

    @property
    def arguments(self) -> tuple[Any, ...]:
        """Itself as the operator takes it."""
        return *self[:7], self.aperture.image, shape_of(self.aperture), self.seen

    @property
    def dtype(self) -> str:
        """Name of the dtype of the sources."""
        return dtype_name(self.blur)

    @property
    def limit_px(self) -> float:
        """Only sources nearer than this contribute."""
        return self.max_radius if self.max_radius > 0 else _NO_LIMIT_PX

    def uncut_reach_px(self, largest_px: float) -> float:
        """How far a source of this radius counts, whatever `max_radius` is."""
        if self.profile == "shape":
            return kernel_reach(largest_px, self.aperture.extent)
        return min(largest_px + profile_of(self.profile, self.dtype).margin_px, _NO_LIMIT_PX)

    def reach_px(self, largest_px: float) -> float:
        """How far a source of this radius counts; `max_radius` does not cut off other apertures than the disc."""
        farthest = self.uncut_reach_px(largest_px)
        return farthest if self.profile == "shape" else min(farthest, self.limit_px)


def refuse_too_large(sources: ScatterSources, radius_px: float, pad: int) -> None:
    """Raise ValueError where padded sources would be too large for the kernels' indices."""
    height, width = sources.radius_px.shape[-2:]
    if width + height + 4 * pad > 1 << 15:
        raise ValueError(
            f"the largest blur radius is {radius_px:.0f} px, too much for images of {width}x{height} px: lower blur, or set "
            "max_radius"
        )
