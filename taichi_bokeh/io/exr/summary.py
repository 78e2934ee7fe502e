"""What an OpenEXR file holds, in lines for people."""

from taichi_bokeh.io.colours import are_rec709
from taichi_bokeh.io.exr.deep import is_deep, read_deep
from taichi_bokeh.io.exr.file import Part, read_parts
from taichi_bokeh.io.exr.frame import Frame
from taichi_bokeh.io.exr.layers import cryptomattes_of, layers_of


def summary(content: bytes) -> list[str]:
    """List layers, and what is not usual of windows, pixels and colours.

    Raises:
        ValueError: the file is damaged or too large.
    """
    if is_deep(content):
        deep = read_deep(content)
        return [f"deep image: {len(deep.pixels)} samples; render needs no --disparity"]
    parts = read_parts(content)
    layers = [f"{layer.name or 'without a name'} ({', '.join(sorted(layer.channels))})" for layer in layers_of(parts)]
    lines = [f"layers: {'; '.join(layers)}; --layer and --depth-layer choose"] if len(layers) > 1 else []
    frames = dict.fromkeys(line for part in parts for line in _frame_lines(part))
    mattes = [f"Cryptomatte {name}: --alpha FILE --alpha-object NAME" for part in parts for name in cryptomattes_of(part)]
    return [*lines, *frames, *mattes]


def _frame_lines(part: Part) -> list[str]:
    frame = Frame.of(part.header)
    lines = []
    if frame.data != frame.display:
        sizes = [f"{one.shape[1]}×{one.shape[0]} at {one.left}, {one.top}" for one in (frame.data, frame.display)]
        lines.append(f"pixels: {sizes[0]}; shown: {sizes[1]}")
    if frame.pixel_aspect != 1:
        lines.append(f"its pixels are {frame.pixel_aspect:g} times as wide as high; discs are round on the display")
    if not are_rec709(frame.primaries):
        lines.append(f"its primaries are {', '.join(f'{value:g}' for value in frame.primaries)}, not those of sRGB")
    return lines
