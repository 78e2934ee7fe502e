"""Light fields of a Lytro Illum as views, as a focal stack, and as samples without a known depth.

A file ``…_eslf.png`` interleaves 14 × 14 views: the pixels of one lenslet, one from each view, lie together. The middle 12 × 12
are used, of 372 × 540 lenslets, as by "Aperture supervision for monocular depth estimation" (CVPR 2018), whose set of 3343
photographs of flowers is that of "Learning to synthesize a 4D RGBD light field from a single image" (ICCV 2017).

A view's place (u, v) is counted from the middle view, u to the right and v down. Disparity here is the *slope*, in px a view:
what has slope d lies in view (u, v) at x − d·(u, v), if it lies at x in the middle one. So view (u, v) is the picture through
the lens point (u, v), in the terms of docs/conventions.md, and the mean of the views, each read at x − slope·(u, v), is that
of a lens with the focus `slope` whose opening is made of squares, one for each view.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from taichi_bokeh._checks import require_choice, require_float_tensor, require_integer, require_number, require_shape
from taichi_bokeh.dfd.data.dataset import place_of
from taichi_bokeh.dfd.observation import Sample
from taichi_bokeh.io.arrays import read_array, to_unit
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.thin_lens import ThinLens

ViewShape = Literal["square", "disc"]
LightFieldSplit = Literal["all", "train", "test"]

SUFFIX = "_eslf.png"
TRAIN_FILES, TEST_FILES = 3006, 337
FOCUSES = (0.0, -1.0)  # of the two pictures that aperture supervision learns from
#: Slopes whose circle of confusion in the mean of 12 views has a radius of 7.5 px, the largest that it provides for.
NEAR, FAR = 1.25, -1.25
_DISC_REACH = 0.56  # of the number of views: with 12 it leaves out three in each corner, as aperture supervision does


@dataclass(frozen=True)
class LightFieldFormat:
    """How views lie in a file.

    Attributes:
        views: of a lenslet, each way.
        used: how many of them, round the middle, are read.
        height_px: lenslets that are read, from the top.
        width_px: from the left.
        exponent: of the file's values in [0, 1]. They are taken for linear light (1), as published code brightens them for
            the eye with the exponent 0.4; figures that were published are those of such brightened pictures.
        reverse: the views run from right to left and from bottom to top, so that a larger slope is farther.

    Raises:
        TypeError, ValueError: a value is not what it must be; more views are used than there are.
    """

    views: int = 14
    used: int = 12
    height_px: int = 372
    width_px: int = 540
    exponent: float = 1.0
    reverse: bool = False

    def __post_init__(self) -> None:
        for name in ("views", "used", "height_px", "width_px"):
            require_integer(name, getattr(self, name), at_least=1)
        require_number("exponent", self.exponent, above=0.0)
        if self.used > self.views:
            raise ValueError(f"used is {self.used}; expected at most views, {self.views}")


def read_light_field(path: str | Path, layout: LightFieldFormat = LightFieldFormat()) -> Tensor:
    """The views of a file, float32 [V, V, 3, H, W]: v from top to bottom, u from left to right; see `middle`.

    Args:
        path: PNG of 8 or 16 bits, in colour.
        layout: how the views lie in it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read, is not in colour, or has fewer pixels than that takes.
    """
    array = read_array(path)
    if array.ndim != 3 or array.shape[2] not in (3, 4) or array.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"{path} has shape {array.shape} and type {array.dtype}; expected 8 or 16 bits of red, green and blue")
    rows, columns = layout.height_px * layout.views, layout.width_px * layout.views
    if array.shape[0] < rows or array.shape[1] < columns:
        raise ValueError(
            f"{path} has {array.shape[0]} × {array.shape[1]} px; expected at least {rows} × {columns}, {layout.views} × "
            f"{layout.views} for each of {layout.height_px} × {layout.width_px} lenslets"
        )
    lenslets = array[:rows, :columns, :3].reshape(layout.height_px, layout.views, layout.width_px, layout.views, 3)
    first = layout.views // 2 - layout.used // 2
    kept = slice(first, first + layout.used)
    views = lenslets[:, kept, :, kept].transpose(1, 3, 4, 0, 2)
    if layout.reverse:
        views = views[::-1, ::-1]
    light = torch.from_numpy(np.ascontiguousarray(to_unit(views)))
    return light if layout.exponent == 1 else light**layout.exponent


def middle(views: Tensor) -> Tensor:
    """The all-in-focus picture [3, H, W]: the view V // 2 each way, counted from 0."""
    _require_views(views)
    return views[views.shape[0] // 2, views.shape[1] // 2]


def refocus(views: Tensor, slope: float, shape: ViewShape = "square") -> Tensor:
    """The picture [3, H, W] that a lens would have taken which is as wide as the views.

    Args:
        views: [V, V, 3, H, W].
        slope: what is to be sharp, px a view.
        shape: of the opening: all views, or those in a "disc", without the corners.

    Raises:
        TypeError, ValueError: an argument is not what it must be.
    """
    _require_views(views)
    require_number("slope", slope)
    weights = view_weights(views.shape[0], shape)
    total = torch.zeros_like(views[0, 0])
    for row, v in enumerate(_places(views.shape[0])):
        for column, u in enumerate(_places(views.shape[1])):
            if weights[row, column] > 0:
                total += _shifted(_shifted(views[row, column], -slope * v, -2), -slope * u, -1)
    return total / float(weights.sum())


def view_weights(count: int, shape: ViewShape = "square") -> Tensor:
    """Which of `count` × `count` views make up the opening, [V, V], float64: 1, or 0."""
    require_integer("count", count, at_least=1)
    require_choice("shape", shape, ViewShape)
    if shape == "square":
        return torch.ones(count, count, dtype=torch.float64, device="cpu")
    from_centre = torch.arange(count, dtype=torch.float64, device="cpu") - (count - 1) / 2
    return (from_centre[:, None].square() + from_centre.square() <= (_DISC_REACH * count) ** 2).double()


def light_field_lens(count: int, slope: float, shape: ViewShape = "square") -> ThinLens:
    """The lens with which `refocus` takes its picture, seen from the middle view.

    Its opening is a picture of the views, one pixel for each, with the middle view in the centre; so where their number is
    even, the opening reaches half a view further to the left and to the top. Its blur, px per unit of slope, is half the
    width of that picture, in views.

    Args:
        count: of the views, each way.
        slope: what is sharp, px a view.
        shape: as of `refocus`.
    """
    weights = view_weights(count, shape)
    reach = count // 2
    image = torch.zeros(2 * reach + 1, 2 * reach + 1, dtype=torch.float64, device="cpu")
    image[:count, :count] = weights
    return ThinLens(reach + 0.5, slope, Aperture(image=image))


def light_field_sample(
    views: Tensor,
    name: str,
    focuses: Sequence[float] = FOCUSES,
    shape: ViewShape = "disc",
    near: float = NEAR,
    far: float = FAR,
) -> Sample:
    """A sample of unknown disparity: the middle view, and a picture for each focus; its aperture is `light_field_lens`'s.

    Args:
        views: [V, V, 3, H, W].
        name: of the sample.
        focuses: slope in focus of each picture.
        shape: of the opening.
        near: the largest slope in question.
        far: the smallest.

    Raises:
        TypeError, ValueError: an argument is not what it must be.
    """
    if not focuses:
        raise ValueError("focuses is empty; expected at least one")
    if not far < near:
        raise ValueError(f"far is {far!r}; expected less than near, {near!r}")
    all_in_focus = middle(views)
    lenses = [light_field_lens(views.shape[0], focus, shape) for focus in focuses]
    return Sample(
        name=name,
        all_in_focus=all_in_focus.clone(),
        blurred=torch.stack([refocus(views, focus, shape) for focus in focuses]),
        blur=all_in_focus.new_tensor([lens.blur for lens in lenses]),
        focus=all_in_focus.new_tensor([lens.focus for lens in lenses]),
        near=float(near),
        far=float(far),
    )


def split_of(name: str) -> Literal["train", "test"]:
    """On which side a file of the flowers' set is.

    Which 337 of the 3343 were tested in published work is not known: those were drawn without a list. Here it follows from
    the file's name alone, so that the sides have these proportions on the average.
    """
    return "test" if place_of(Path(name).name) < TEST_FILES / (TRAIN_FILES + TEST_FILES) else "train"


class LightFieldDataset(Dataset[Sample]):
    """The light fields of a folder as samples, by number; sorted by name.

    Args:
        folder: with files ``…_eslf.png``.
        split: "all", or one of the sides of `split_of`.
        layout: how the views lie in a file.
        focuses: as of `light_field_sample`.
        shape: of the opening.
        transform: is given each sample, and returns what comes out.

    Raises:
        FileNotFoundError: the folder does not exist or holds no such file.
        ValueError: the split is unknown.
    """

    def __init__(
        self,
        folder: str | Path,
        split: LightFieldSplit = "all",
        layout: LightFieldFormat = LightFieldFormat(),
        focuses: Sequence[float] = FOCUSES,
        shape: ViewShape = "disc",
        transform: Callable[[Sample], Sample] | None = None,
    ) -> None:
        require_choice("split", split, LightFieldSplit)
        files = sorted(Path(folder).glob(f"*{SUFFIX}"))
        if not files:
            raise FileNotFoundError(f"{folder} holds no light fields; expected files *{SUFFIX}")
        self.files = [file for file in files if split in ("all", split_of(file.name))]
        self._layout, self._focuses, self._shape = layout, tuple(focuses), shape
        self._transform = transform

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> Sample:
        """A sample; ValueError where its file is damaged."""
        if not -len(self) <= number < len(self):
            raise IndexError(f"light field {number} of {len(self)}")
        file = self.files[number]
        views = read_light_field(file, self._layout)
        sample = light_field_sample(views, file.name.removesuffix(SUFFIX), self._focuses, self._shape)
        return sample if self._transform is None else self._transform(sample)


def _require_views(views: Tensor) -> None:
    require_float_tensor("views", views)
    require_shape("views", views, "V", "V", 3, "H", "W")
    if views.shape[0] != views.shape[1]:
        raise ValueError(f"views has shape {list(views.shape)}; expected [V, V, 3, H, W], as many down as across")


def _places(count: int) -> range:
    """Places of views, counted from the middle one."""
    return range(-(count // 2), count - count // 2)


def _shifted(picture: Tensor, by_px: float, axis: int) -> Tensor:
    """The picture read so far to the right of, or below, each pixel: bilinear, the border repeated."""
    length = picture.shape[axis]
    where = torch.arange(length, dtype=torch.float64, device="cpu") + by_px
    first = where.floor()
    share = (where - first).to(picture)
    share = share[:, None] if axis == -2 else share
    before, after = (index.long().clamp(0, length - 1).to(picture.device) for index in (first, first + 1))
    return picture.index_select(axis, before) * (1 - share) + picture.index_select(axis, after) * share
