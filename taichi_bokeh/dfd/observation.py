"""What depth is found from: an all-in-focus picture, the same view blurred by known lenses, and the disparities in question."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from taichi_bokeh._checks import (
    Bounded,
    require_float_tensor,
    require_number,
    require_same_kind,
    require_shape,
    require_type,
    require_values,
)
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.thin_lens import ThinLens


@dataclass(frozen=True, eq=False)
class Observation:
    """B views of one size, each with S blurred pictures (S = 1: a pair; S > 1: a focal stack).

    Attributes:
        all_in_focus: [B, 3, H, W], linear light, ≥ 0; float32 or float64.
        blurred: [B, S, 3, H, W], of the same dtype and device.
        blur: [B, S], px per unit of disparity, > 0.
        focus: [B, S], the disparity in focus.
        near: the largest disparity that may occur.
        far: the smallest.
        aperture: the opening, the same for all.

    Raises:
        TypeError: a value is of the wrong type or dtype.
        ValueError: shapes, dtypes or devices disagree, a value is not finite or out of range, or far ≥ near.
    """

    all_in_focus: Tensor
    blurred: Tensor
    blur: Tensor
    focus: Tensor
    near: float
    far: float
    aperture: Aperture = Aperture()

    def __post_init__(self) -> None:
        for name in ("all_in_focus", "blurred", "blur", "focus"):
            require_float_tensor(name, getattr(self, name))
        require_shape("all_in_focus", self.all_in_focus, "B", 3, "H", "W")
        batch, _, height, width = self.all_in_focus.shape
        require_shape("blurred", self.blurred, batch, "S", 3, height, width)
        for name in ("blur", "focus"):
            require_shape(name, getattr(self, name), batch, self.blurred.shape[1])
        for name in ("blurred", "blur", "focus"):
            require_same_kind(name, getattr(self, name), "all_in_focus", self.all_in_focus)
        require_values(
            {
                "all_in_focus": Bounded(self.all_in_focus, at_least=0.0),
                "blurred": Bounded(self.blurred, at_least=0.0),
                "blur": Bounded(self.blur, at_least=0.0),
                "focus": Bounded(self.focus),
            }
        )
        if not bool((self.blur > 0).all()):
            raise ValueError("blur is 0; expected more than 0, as without blur nothing tells of depth")
        for name in ("near", "far"):
            require_number(name, getattr(self, name))
        if not self.far < self.near:
            raise ValueError(f"far is {self.far!r}; expected less than near, {self.near!r}: both are disparities")
        require_type("aperture", self.aperture, Aperture, "an Aperture")

    @property
    def batch(self) -> int:
        """Number of views, B."""
        return self.all_in_focus.shape[0]

    @property
    def count(self) -> int:
        """Number of blurred pictures of a view, S."""
        return self.blurred.shape[1]

    def lens(self, picture: int) -> ThinLens:
        """The lens of blurred picture `picture` of every view."""
        return ThinLens(self.blur[:, picture], self.focus[:, picture], self.aperture)

    @property
    def largest_radius_px(self) -> float:
        """The largest circle of confusion that a disparity in question has, px."""
        ends = self.focus.new_tensor([self.near, self.far])
        return float((self.blur[..., None] * (ends - self.focus[..., None])).abs().max())


@dataclass(frozen=True, eq=False)
class Sample:
    """One view of a data set: an observation without the batch, and the truth where it is known.

    Attributes:
        name: unique in its set.
        all_in_focus: [3, H, W], linear light.
        blurred: [S, 3, H, W].
        blur: [S], px per unit of disparity.
        focus: [S].
        near: the largest disparity that may occur.
        far: the smallest.
        disparity: [1, H, W], or None where it is not known.
    """

    name: str
    all_in_focus: Tensor
    blurred: Tensor
    blur: Tensor
    focus: Tensor
    near: float
    far: float
    disparity: Tensor | None = None


def require_sample(sample: Sample) -> None:
    """Refuse a sample that no observation can be made of.

    Raises:
        TypeError, ValueError: a value is not what `Sample` says.
    """
    observation, _ = collate([sample])
    if sample.disparity is not None:
        require_float_tensor("disparity", sample.disparity)
        require_shape("disparity", sample.disparity, 1, *observation.all_in_focus.shape[-2:])
        require_values({"disparity": Bounded(sample.disparity)})


def collate(samples: Sequence[Sample], aperture: Aperture = Aperture()) -> tuple[Observation, Tensor | None]:
    """Stack samples of one size and one range of disparity into an observation, with their disparity [B, 1, H, W].

    Returns:
        The observation, and the disparity, or None unless every sample has one.

    Raises:
        ValueError: there is none, or their sizes or ranges differ; the message names the sample.
    """
    if not samples:
        raise ValueError("samples is empty; expected at least one")
    first = samples[0]
    for sample in samples:
        if sample.all_in_focus.shape != first.all_in_focus.shape or sample.blurred.shape != first.blurred.shape:
            raise ValueError(
                f"sample {sample.name} has pictures {list(sample.blurred.shape)}; expected {list(first.blurred.shape)} like "
                f"{first.name}"
            )
        if (sample.near, sample.far) != (first.near, first.far):
            raise ValueError(
                f"sample {sample.name} has disparities {sample.far} to {sample.near}; expected {first.far} to {first.near} "
                f"like {first.name}"
            )
    pictures, blurred, blur, focus = (
        torch.stack([getattr(sample, name) for sample in samples]) for name in ("all_in_focus", "blurred", "blur", "focus")
    )
    truths = [sample.disparity for sample in samples if sample.disparity is not None]
    disparity = torch.stack(truths) if len(truths) == len(samples) else None
    return Observation(pictures, blurred, blur, focus, first.near, first.far, aperture), disparity
