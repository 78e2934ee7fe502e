"""What an OpenEXR file holds for one use."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io.exr.deep import Deep, is_deep, read_deep
from taichi_bokeh.io.exr.file import read_parts
from taichi_bokeh.io.exr.frame import Frame
from taichi_bokeh.io.exr.layers import choose, is_named_depth, layers_of
from taichi_bokeh.io.formats.contents import Contents, Use


def decode(content: bytes, use: Use = "image", layer: str | None = None) -> Contents:
    """Read what the channels of an EXR file hold for this use.

    An image is R, G, B or Y, with A where there is one, straight: where alpha is 0 the colours are as in the file. Disparity
    is Y, depth is Z or else Y; either may be the only channel, of any name, or grey colours. Other channels are left out.
    Values are those of the whole data window; the frame says what of them is shown.

    Args:
        content: of the file.
        use: what is looked for.
        layer: the name of the layer that is meant, see `layers.choose`.

    Raises:
        ValueError: the file is damaged, too large, has no such channels, or several
            layers of them.
    """
    if is_deep(content):
        return _flattened(read_deep(content), use)
    parts = read_parts(content)
    chosen, names = choose(layers_of(parts), use, layer)
    planes = chosen.planes(parts, names)
    values = planes[0] if len(planes) == 1 else np.dstack(planes)
    if use == "image" and len(names) in (2, 4):
        values = _straight(values)
    channels = tuple(name for part in parts for name in part.channels)
    frame = Frame.of(parts[chosen.part].header)
    return Contents(
        values, "OpenEXR", channels=channels, is_depth=use == "depth" and is_named_depth(chosen, names), frame=frame
    )


def _flattened(deep: Deep, use: Use) -> Contents:
    """Give a deep image as if it were flat: its composite, or how far in the mean is what is seen."""
    rgba, depth = deep.composite()
    values = depth if use == "depth" else _straight(rgba)
    return Contents(values, "deep OpenEXR", channels=tuple("RGBAZ"), is_depth=use == "depth", frame=deep.frame)


def decode_channels(content: bytes) -> Mapping[str, NDArray[Any]]:
    """Read the channels [H, W] of the first part of an EXR file by their names, as they are stored: float16, float32 or uint32.

    Raises:
        ValueError: as `decode`, but for what channels there are.
    """
    return read_parts(content)[0].channels


def _straight(planes: NDArray[Any]) -> NDArray[np.float32]:
    """Divide colours by the alpha behind them."""
    colours, alpha = planes[..., :-1], np.clip(planes[..., -1:].astype(np.float32), 0, 1)
    with np.errstate(over="ignore", invalid="ignore"):
        straight = np.divide(colours, alpha, where=alpha > 0, out=colours.astype(np.float32))
    return np.concatenate([straight, alpha], axis=-1)
