"""Photographs for depth from defocus: files to tensors, and the pictures refused of which no depth can be told."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from taichi_bokeh.dfd.data.scenes import weak_texture
from taichi_bokeh.io import read_image

#: The largest share of pixels at a picture's maximum. A lamp or a patch of sky stays below it, an overexposed picture does not.
MOST_SATURATED = 0.05
#: The smallest share of pixels round which the all-in-focus picture has texture (`scenes.weak_texture`).
LEAST_TEXTURED = 0.01
#: A picture that is nowhere brighter, in linear light, is black: 6 of 255 in an 8-bit file.
BLACK = 2e-3

_WHITE = 1.0  # of an integer file, whose maximum is that of its type


@dataclass(frozen=True, eq=False)
class Photographs:
    """One view, sharp everywhere and blurred by S lenses.

    Attributes:
        all_in_focus: [3, H, W], linear light, float32.
        blurred: [S, 3, H, W].
        saturated: the largest share of saturated pixels that one of these pictures has.
    """

    all_in_focus: Tensor
    blurred: Tensor
    saturated: float

    def to(self, device: torch.device) -> "Photographs":
        """The same on a device."""
        return replace(self, all_in_focus=self.all_in_focus.to(device), blurred=self.blurred.to(device))


def read_photographs(all_in_focus: str | Path, blurred: Sequence[str | Path], *, allow_saturated: bool = False) -> Photographs:
    """Read an all-in-focus picture and S blurred ones of the same view; formats as of `io.read_image`.

    Where a picture is saturated, it is darker than the light that was there, and blurring the one does not give the other: the
    difference would be taken for depth. So more than `MOST_SATURATED` of the pixels are refused unless they are allowed.

    Args:
        all_in_focus: the file of the picture that is sharp everywhere.
        blurred: the files of the others, at least one.
        allow_saturated: go on with saturated pictures.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file cannot be read, a picture holds NaN or is of another size, is black or saturated, or the
            all-in-focus picture has texture nearly nowhere. The message names the file.
    """
    if not blurred:
        raise ValueError("blurred is empty; expected at least one picture")
    paths = [Path(all_in_focus), *map(Path, blurred)]
    pictures: list[Tensor] = []
    shares: list[float] = []
    for path in paths:
        picture = torch.from_numpy(read_image(path).rgb).permute(2, 0, 1).contiguous()
        if pictures and picture.shape != pictures[0].shape:
            raise ValueError(f"{path} is {_size(picture)} pixels; expected {_size(pictures[0])} like {paths[0]}")
        if float(picture.max()) <= BLACK:
            raise ValueError(f"{path} is black: its largest value is {float(picture.max()):.2g}; expected a picture with light")
        shares.append(saturated_share(picture))
        if shares[-1] > MOST_SATURATED and not allow_saturated:
            raise ValueError(
                f"{path} is saturated at {shares[-1]:.0%} of its pixels; expected at most {MOST_SATURATED:.0%}, as the true "
                "brightness is not known there (allow saturated pictures to go on nevertheless)"
            )
        pictures.append(picture)
    textured = float((~weak_texture(pictures[0])).double().mean())
    if textured < LEAST_TEXTURED:
        raise ValueError(
            f"{paths[0]} has texture at {textured:.1%} of its pixels; expected at least {LEAST_TEXTURED:.0%}, as blur shows "
            "only on texture"
        )
    return Photographs(pictures[0], torch.stack(pictures[1:]), max(shares))


def saturated_share(picture: Tensor) -> float:
    """The share of pixels of a picture [3, H, W], linear light, of which a channel is at the picture's largest value.

    0 where that is below 1, the maximum of an integer file. Of floats this finds what was cut off at a value from 1 up; light
    that was not cut off repeats its largest value nowhere.
    """
    largest = picture.max()
    return float((picture == largest).any(0).double().mean()) if float(largest) >= _WHITE else 0.0


def _size(picture: Tensor) -> str:
    return f"{picture.shape[2]}×{picture.shape[1]}"
