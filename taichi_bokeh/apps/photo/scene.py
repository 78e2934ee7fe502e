"""What the commands for a photograph share: its files become layers, and the image made of them a file."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from taichi_bokeh.apps.common import Say, check_folder, layer_files, to_image, write_layers
from taichi_bokeh.apps.options.output import OutputRequest
from taichi_bokeh.apps.options.photo import PhotoRequest
from taichi_bokeh.apps.photo.embedded import read_own_depth
from taichi_bokeh.apps.photo.turn import turned_as_photo
from taichi_bokeh.apps.photo.two_views import read_views
from taichi_bokeh.io import check_output, read_alpha, read_metadata, write_atomically
from taichi_bokeh.io.arrays import read_contents
from taichi_bokeh.io.depth import as_disparity
from taichi_bokeh.io.disparity import MapPlace, read_map
from taichi_bokeh.io.exr import Frame
from taichi_bokeh.io.formats.metadata import METADATA_SUFFIXES, Metadata, check_metadata
from taichi_bokeh.io.images import ALPHA_SUFFIXES, Image, Plate, check_format, encode_image, read_plate
from taichi_bokeh.io.video import is_video
from taichi_bokeh.layers import Layers
from taichi_bokeh.photo import (
    Stages,
    fill_holes,
    inpainter,
    load_model,
    outline_matte,
    refine_matte,
    to_layers,
)
from taichi_bokeh.photo.cut_out import split_cut_out
from taichi_bokeh.photo.models import Purpose
from taichi_bokeh.photo.resize import rounded_to, same_aspect, stretch_disparity
from taichi_bokeh.photo.split import MOST_CUTS

Array = NDArray[np.float32]

_DEEPEST = 16.0  # light below 0 that is kept: more of it would cost the rest its precision


class Photo(NamedTuple):
    """What was read, all of one size.

    Attributes:
        rgb: [H, W, 3], linear light.
        disparity: [H, W], its holes filled.
        alpha: matte of the foreground, [H, W]; None where none was given.
        coverage: the photograph's own alpha channel, [H, W]; None where it is opaque.
        frame: of an OpenEXR file, where these pixels lie, of which some may lie beyond what is shown; else None.
    """

    rgb: Array
    disparity: Array
    alpha: Array | None
    coverage: Array | None = None
    frame: Frame | None = None

    def shown(self) -> "Photo":
        """What is shown of it, in the primaries of sRGB."""
        frame = self.frame
        if frame is None:
            return self
        rgb = np.maximum(frame.shown_light(self.rgb), 0)
        alpha, coverage = (None if one is None else frame.shown(one) for one in (self.alpha, self.coverage))
        return Photo(rgb, frame.shown(self.disparity, float(self.disparity.min())), alpha, coverage)


class Result(NamedTuple):
    """An image that was made of a photograph.

    Attributes:
        image: [1, 3 or 4, H, W], linear light; with coverage, premultiplied.
        frame: of the photograph.
    """

    image: Tensor
    frame: Frame | None = None

    def for_file(self, path: Path) -> tuple[Image, Metadata | None]:
        """What a file of this name holds of it: OpenEXR all pixels, in their primaries; others what is shown, in sRGB's."""
        rgb, alpha = to_image(self.image)
        if self.frame is None:
            return Image(rgb, alpha), None
        if path.suffix.lower() != ".exr":
            return Plate(rgb, alpha, self.frame).shown(), None
        lift = np.float32(self.frame.lift)
        return Image(rgb - (lift if alpha is None else lift * (alpha > 0)[..., None]), alpha), Metadata(frame=self.frame)


def check_before_work(photo: PhotoRequest, output: OutputRequest) -> None:
    """Find what would fail at the end, at the start.

    Raises:
        ValueError, OSError: what is wrong with the output or with a network, in one line.
    """
    photo.check()
    check_format(output.output, output.bits)
    check_output(output.output, output.overwrite)
    if output.save_layers is not None:
        most = photo.layers or MOST_CUTS + 1 + photo.has_matte
        check_folder(output.save_layers, _files(output.save_layers, most), output.overwrite)
    stages_of(photo)


def read_photo(request: PhotoRequest, say: Say) -> Photo:
    """Read the photograph, its disparity and its matte, or have a network make these.

    Raises:
        ValueError, OSError: what is wrong with a file or a network, in one line.
    """
    request.check()
    rgb, coverage, frame = _plate(request, say)
    if coverage is not None:
        coverage = _transparency(coverage, request)
    alpha = None
    if request.is_own_exr:
        if not read_contents(request.photo, "depth", request.depth_layer or request.layer).is_depth:
            raise ValueError(
                f"how far things are is not given, and {request.photo} holds no layer of depth: give --disparity FILE"
            )
        say("depth from the image's own file")
        disparity = _read(request.photo, rgb, request, frame, say)
    elif request.is_own_depth:
        with_matte = not (request.has_matte or request.no_own_matte or request.layers == 1)
        rgb, disparity, alpha = read_own_depth(request.photo, rgb, with_matte, say)
    elif request.stereo is not None:
        rgb, disparity, columns = read_views(request.photo, rgb, request.stereo, say)
        frame = None  # one of the views is a part of it
        coverage = None if coverage is None else coverage[:, columns]
    else:
        given = request.disparity
        disparity = _estimated(rgb, request, say) if given is None else _read(given, rgb, request, frame, say)
    if request.alpha is not None:
        alpha = surrounded(read_alpha(request.alpha, object=request.alpha_object, frame=frame), frame)
        if alpha.shape != rgb.shape[:2]:
            raise ValueError(f"{request.alpha} is {_size(alpha)} pixels, and must be {_size(rgb)} as {request.photo}")
    elif request.matte_model is not None:
        alpha = _model(request.matte_model.spec, "matte", say, request.trust_model_code)(rgb)
    holes = float(np.isnan(disparity).mean())
    if holes > 0:
        say(f"filling the disparity's holes ({holes:.1%} of the pixels)")
    if np.nanmin(disparity) == np.nanmax(disparity):
        say("the disparity is the same everywhere: all is blurred alike")
    return Photo(rgb, fill_holes(disparity, rgb), alpha, coverage, frame)


def _plate(request: PhotoRequest, say: Say) -> Plate:
    """Read the photograph; light that is negative in places is lifted, and the frame says by how much."""
    plate = read_plate(request.photo, layer=request.layer)
    if plate.frame is None:
        return plate
    seen = plate.rgb if plate.alpha is None else plate.rgb[plate.alpha > 0]
    lowest = float(seen.min()) if seen.size else 0.0
    if lowest < -_DEEPEST:
        say(f"light below -{_DEEPEST:g}, down to {lowest:.4g}, becomes -{_DEEPEST:g}")
    lift = min(max(0.0, -lowest), _DEEPEST)
    frame = None if plate.frame.is_plain and lift == 0 else plate.frame._replace(lift=lift)
    rgb = np.maximum(plate.rgb + np.float32(lift), 0)
    return Plate(rgb, plate.alpha, frame)


def surrounded(values: Array, frame: Frame | None) -> Array:
    """Bring a map [H, W] of what is shown to all pixels of a photograph with this frame."""
    return values if frame is None else frame.surrounded(values)


def _transparency(alpha: Array, request: PhotoRequest) -> Array | None:
    """The alpha channel of a photograph that is to stay transparent; None for one that is opaque, or is to be."""
    if request.opaque or bool((alpha == 1).all()):
        return None
    if not alpha.any():
        raise ValueError(f"{request.photo} is transparent everywhere; --opaque takes its colours as they are")
    return alpha


def require_room_for_alpha(photo: Path, output: Path) -> None:
    """Refuse to render a photograph that is partly transparent to a file that holds no transparency.

    Raises:
        ValueError: with what to do.
    """
    if is_video(output) or output.suffix.lower() not in ALPHA_SUFFIXES:
        raise ValueError(
            f"{photo} is partly transparent, and {output} holds no transparency: write PNG, TIFF, EXR or npy, or give --opaque"
        )


def stages_of(request: PhotoRequest) -> Stages:
    """How a photograph is taken apart.

    Raises:
        ValueError: a network or a package is missing, in one line.
    """
    model = request.inpaint_model
    inpaint = inpainter(request.inpaint) if model is None else _model(model.spec, "inpaint")
    return Stages(matte=refine_matte if request.matte == "refine" else outline_matte, inpaint=inpaint)


def split_photo(photo: Photo, request: PhotoRequest) -> tuple[Layers, Tensor | None]:
    """The photograph in layers, and if it is partly transparent their coverage [1, L, 1, H, W]."""
    layers: int | Literal["auto"] = request.layers or "auto"
    stages = stages_of(request)
    if request.cuts is not None:
        layers, stages = "auto", replace(stages, split=partial(_cuts_in, request.cuts))
    if photo.coverage is None:
        return to_layers(photo.rgb, photo.disparity, photo.alpha, layers, stages), None
    return split_cut_out(photo.rgb, photo.coverage, photo.disparity, photo.alpha, layers, stages)


def _cuts_in(cuts: tuple[float, ...], disparity: Array, _: int | None) -> list[float]:
    """Those of the cuts with something on either side of them."""
    return [cut for cut in cuts if disparity.min() < cut < disparity.max()]


@cache
def _model(spec: str, purpose: Purpose, say: Say = lambda _: None, trust_code: bool = False) -> Callable[..., Array]:
    """A network, loaded once for all images of a sequence."""
    return load_model(spec, purpose, say, trust_code)


def depth_network(request: PhotoRequest, say: Say) -> Callable[..., Array]:
    """The network for depth, loaded once.

    Raises:
        ValueError: it cannot be had, in one line.
    """
    return _model(str(request.depth_model), "depth", say, request.trust_model_code)


def _estimated(rgb: Array, request: PhotoRequest, say: Say) -> Array:
    """The disparity that a network gives, [H, W]; NaN at holes. Without a unit of its own it is scaled to [0, 1]."""
    spec = str(request.depth_model)
    model = depth_network(request, say)
    is_depth = request.depth or getattr(model, "output", None) == "metres"
    if is_depth and not request.depth:
        say(f"{spec} gives metres: disparity is in 1/m")
    disparity = as_disparity(model(rgb), is_depth, f"what {spec} estimated")
    if not is_depth:
        low, high = np.nanmin(disparity), np.nanmax(disparity)
        disparity = (disparity - low) / (high - low if high > low else 1)
    return disparity.astype(np.float32)


def _read(file: Path, rgb: Array, request: PhotoRequest, frame: Frame | None, say: Say) -> Array:
    """The disparity of a file at the photograph's size, resized only if that was asked for."""
    layer = request.depth_layer or (request.layer if file == request.photo else None)
    disparity = read_map(file, request.map_code(), MapPlace(layer, request.depth_frame, frame), say)
    disparity = surrounded(turned_as_photo(disparity, file, rgb, request, say), frame)
    if disparity.shape == rgb.shape[:2]:
        return disparity
    wrong = f"{file} is {_size(disparity)} pixels, and must be {_size(rgb)} as {request.photo}"
    rounded = rounded_to(disparity.shape, rgb.shape)
    if not same_aspect(disparity.shape, rgb.shape) and rounded is None:
        raise ValueError(f"{wrong}, or of the same aspect ratio with --resize-depth")
    if not request.resize_depth:
        raise ValueError(f"{wrong}; --resize-depth resizes it")
    if rounded is not None:
        say(
            f"{file} is {_size(disparity)} pixels, of nearly the shape of the image, its sides multiples of {rounded} as "
            "networks round them: it is stretched over the whole image"
        )
    return stretch_disparity(disparity, rgb)


def _size(image: Array) -> str:
    return f"{image.shape[1]}×{image.shape[0]}"


def write_result(layers: Layers, coverage: Tensor | None, result: Result, photo: Path, output: OutputRequest, say: Say) -> None:
    """Write the image, and the layers where they were asked for, as transparent as they are.

    Raises:
        OSError: a file exists or cannot be written.
    """
    folder = output.save_layers
    if folder is not None:
        check_folder(folder, _files(folder, layers.count), output.overwrite)
        folder.mkdir(exist_ok=True)
        seen = layers if coverage is None else replace(layers, alpha=layers.alpha * coverage)
        write_layers(seen, folder, output.overwrite)
        say(f"layers written to {folder}")
    write_atomically(output.output, encoded_result(result, photo, output, say), overwrite=output.overwrite)
    say(f"written: {output.output}")


def encoded_result(result: Result, photo: Path, output: OutputRequest, say: Say) -> bytes:
    """The file of an image, with what the photograph's file says of it."""
    image, framed = result.for_file(output.output)
    return encode_image(output.output, *image, bits=output.bits, metadata=framed or _metadata(photo, output.output, say))


def _metadata(photo: Path, output: Path, say: Say) -> Metadata | None:
    """What the photograph's file says of it, where the output can hold it."""
    suffix = output.suffix.lower()
    if suffix not in METADATA_SUFFIXES:
        return None
    try:
        metadata = read_metadata(photo)
        check_metadata(metadata, suffix)
    except ValueError as error:
        say(f"the photograph's EXIF is left out: {error}")
        return None
    return metadata


def _files(folder: Path, count: int) -> list[Path]:
    return [file for pair in layer_files(folder, count) for file in pair]
