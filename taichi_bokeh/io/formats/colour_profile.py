"""Colours that an image's ICC profile describes, in sRGB (relative colorimetric, black to black)."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageCms

from taichi_bokeh.io.extras import import_package
from taichi_bokeh.io.formats.contents import Contents

_SPACES = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}  # of a profile → Pillow's mode
_ALIKE = 2  # levels of 255 by which a profile of sRGB may differ from another
_ALIKE_PRIMARIES = 0.003


def to_srgb(contents: Contents) -> NDArray[Any]:
    """Convert the values to sRGB where the profile says otherwise; alpha as it is.

    Without a profile, grey and RGB are taken for sRGB. Images of 8 and 16 bits are converted, floats are not.

    Returns:
        [H, W] or [H, W, C]; what is sRGB already is returned unchanged.

    Raises:
        ValueError: inks without a profile; a profile that is damaged or does not fit the image; colours of 32-bit
            integers that are not sRGB's, or floats with other primaries; no package for 16 bits is installed.
    """
    values = contents.values
    if contents.profile is None:
        if contents.is_cmyk:
            raise ValueError("its colours are CMYK without a colour profile, so unknown; save it as RGB")
        return values
    if values.dtype == np.bool_:
        return values
    profile, space = _open(contents.profile)
    has_alpha = not contents.is_cmyk and values.ndim == 3 and values.shape[2] in (2, 4)
    colours = values[..., :-1] if has_alpha else values
    _check_fits(space, colours, contents.is_cmyk)
    if np.issubdtype(values.dtype, np.floating):
        _check_primaries(profile)
        return values
    transform = _transform(profile, space)
    if space != "CMYK" and _changes_little(transform, space):
        return values
    if values.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"its colours are those of {_name(profile)!r}; {values.dtype} must be sRGB: convert it first")
    is_deep = values.dtype == np.uint16
    rgb = _apply_16(contents.profile, colours, space) if is_deep else _apply(transform, _image(colours, space))
    return np.dstack([rgb, values[..., -1]]) if has_alpha else rgb


def profile_name(profile: bytes) -> str:
    """Read what a profile calls itself.

    Raises:
        ValueError: it is damaged.
    """
    return _name(_open(profile)[0])


def _open(content: bytes) -> tuple[ImageCms.ImageCmsProfile, str]:
    """Open a profile and the mode of its colours."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(content))
        space = profile.profile.xcolor_space.strip()
    except (OSError, ImageCms.PyCMSError):
        raise ValueError("its colour profile is damaged; save it without one, or as sRGB") from None
    if space not in _SPACES:
        raise ValueError(f"its colour profile is for {space} colours; expected RGB, grey or CMYK")
    return profile, _SPACES[space]


def _name(profile: ImageCms.ImageCmsProfile) -> str:
    return str(profile.profile.profile_description or "an unnamed profile").strip("\0 \n")


def _check_fits(space: str, colours: NDArray[Any], is_cmyk: bool) -> None:
    """Raise ValueError unless the profile is for the image's colours; grey may have one for RGB."""
    is_grey = colours.ndim == 2 or colours.shape[2] == 1
    found = "CMYK" if is_cmyk else "grey" if is_grey else "RGB"
    fits = {"CMYK": is_cmyk, "L": is_grey, "RGB": not is_cmyk}
    if not fits[space]:
        raise ValueError(f"its colours are {found}, and its colour profile is for {'grey' if space == 'L' else space}")


def _check_primaries(profile: ImageCms.ImageCmsProfile) -> None:
    """Check what red, green and blue mean; floats are linear light whatever the profile's curve."""
    ours = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).profile
    theirs = profile.profile
    if theirs.xcolor_space.strip() == "GRAY":
        return
    for name in ("red_colorant", "green_colorant", "blue_colorant"):
        found, expected = getattr(theirs, name), getattr(ours, name)
        if found is None or not np.allclose(found[0], expected[0], atol=_ALIKE_PRIMARIES):
            raise ValueError(
                f"its colours are those of {_name(profile)!r}; floats must have the primaries of sRGB: convert it first"
            )


def _transform(profile: ImageCms.ImageCmsProfile, space: str) -> ImageCms.ImageCmsTransform:
    intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
    try:
        return ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), space, "RGB", intent, flags)
    except ImageCms.PyCMSError as error:
        raise ValueError(f"its colour profile {_name(profile)!r} cannot be used ({error})") from None


def _changes_little(transform: ImageCms.ImageCmsTransform, space: str) -> bool:
    """Tell whether the transform leaves colours from all over as they are: many profiles of sRGB have small differences."""
    levels = np.linspace(0, 255, 16).astype(np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3) if space == "RGB" else levels[None]
    expected = colours if space == "RGB" else np.repeat(colours[..., None], 3, axis=2)
    difference = _apply(transform, _image(colours, space)).astype(int) - expected
    return int(np.abs(difference).max()) <= _ALIKE


def _apply_16(profile: bytes, colours: NDArray[np.uint16], space: str) -> NDArray[np.uint16]:
    """Do what Pillow does for 8 bits, by the same library."""
    planes = colours[..., 0] if colours.shape[2:] == (1,) else colours
    if space == "RGB" and planes.ndim == 2:
        planes = np.repeat(planes[..., None], 3, axis=2)
    cms = import_package("imagecodecs")
    return cms.cms_transform(
        np.ascontiguousarray(planes),
        profile,
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        colorspace="gray" if space == "L" else "rgb",
        outcolorspace="rgb",
        intent=int(ImageCms.Intent.RELATIVE_COLORIMETRIC),
        # Otherwise it looks 16 bits up in a coarse table.
        flags=int(ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.NOOPTIMIZE),
    )


def _image(colours: NDArray[Any], space: str) -> PillowImage.Image:
    """Make [H, W] or [H, W, C] of uint8 in the mode that the profile is for."""
    colours = np.ascontiguousarray(colours[..., 0] if colours.shape[2:] == (1,) else colours)
    if space == "CMYK":
        size = (colours.shape[1], colours.shape[0])
        return PillowImage.frombytes("CMYK", size, colours.tobytes())
    return PillowImage.fromarray(colours).convert(space)


def _apply(transform: ImageCms.ImageCmsTransform, image: PillowImage.Image) -> NDArray[Any]:
    return np.asarray(transform.apply(image))
