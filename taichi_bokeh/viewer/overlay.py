"""Words on the frame: the line of numbers below the image, the table of keys over it. Drawn by Pillow's own font."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Bytes = NDArray[np.uint8]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_FONT_PX = 13
_GAP_PX = 6
_TEXT = (225, 225, 228)
_LEAST_SCALE = 0.5
_FAINT = (150, 150, 156)
_WARNING = (255, 190, 90)
_GROUND = (24, 24, 28)


@lru_cache(maxsize=4)
def _font(scale: float) -> Font:
    return ImageFont.load_default(size=_FONT_PX * scale)


def bar_height_px(scale: float) -> int:
    """Height of the strip of `draw_status`."""
    return round((2 * _FONT_PX + 3 * _GAP_PX) * scale)


def draw_status(frame: Bytes, lines: tuple[str, str], warning: str, scale: float) -> None:
    """Two lines into the strip at the bottom of the frame [H, W, 3], in place; a warning stands instead of the second.

    What is too long for the frame ends in an ellipsis.
    """
    height = bar_height_px(scale)
    if height >= frame.shape[0] or frame.shape[1] == 0:
        return  # a frame with no room for words
    strip = Image.new("RGB", (frame.shape[1], height), _GROUND)
    draw, font = ImageDraw.Draw(strip), _font(scale)
    gap = _GAP_PX * scale
    second = (warning, _WARNING) if warning else (lines[1], _FAINT)
    for row, (text, colour) in enumerate(((lines[0], _TEXT), second)):
        fitted = _fitted(draw, text, frame.shape[1] - 2 * gap, font)
        draw.text((gap, gap + row * (_FONT_PX * scale + gap)), fitted, colour, font=font)
    frame[-height:] = np.asarray(strip)


def draw_table(frame: Bytes, title: str, rows: Sequence[tuple[str, str]], scale: float) -> None:
    """A table in the middle of the frame [H, W, 3], in place; where it does not fit, it is drawn smaller."""
    needed = _table_size(rows, scale)
    scale = round(scale * min(1.0, *(have / need for have, need in zip(frame.shape[1::-1], needed, strict=True))), 2)
    if scale < _LEAST_SCALE:
        return  # nobody could read it
    line, gap, font = (_FONT_PX + _GAP_PX) * scale, _GAP_PX * scale, _font(scale)
    first = _column_px([key for key, _ in rows], font) + 3 * gap
    width, height = (min(have, round(need)) for have, need in zip(frame.shape[1::-1], _table_size(rows, scale), strict=True))
    left, top = (frame.shape[1] - width) // 2, (frame.shape[0] - height) // 2
    under = frame[top : top + height, left : left + width]
    shade = Image.fromarray((under * np.float32(0.15) + np.array(_GROUND, np.float32) * np.float32(0.85)).astype(np.uint8))
    draw = ImageDraw.Draw(shade)
    draw.text((2 * gap, 2 * gap), title, _TEXT, font=font)
    for row, (key, text) in enumerate(rows):
        y = 2 * gap + (row + 1.5) * line
        draw.text((2 * gap, y), key, _WARNING, font=font)
        draw.text((2 * gap + first, y), text, _TEXT, font=font)
    frame[top : top + height, left : left + width] = np.asarray(shade)


def _table_size(rows: Sequence[tuple[str, str]], scale: float) -> tuple[float, float]:
    """Width and height of a table, in px."""
    gap, font = _GAP_PX * scale, _font(scale)
    width = sum(_column_px(column, font) for column in zip(*rows, strict=True)) + 7 * gap
    return width, (len(rows) + 1.5) * (_FONT_PX + _GAP_PX) * scale + 4 * gap


def _column_px(texts: Sequence[str], font: Font) -> float:
    probe = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    return max(probe.textlength(text, font=font) for text in texts)


def _fitted(draw: ImageDraw.ImageDraw, text: str, width_px: float, font: Font) -> str:
    if draw.textlength(text, font=font) <= width_px:
        return text
    kept = text
    while kept and draw.textlength(kept + "…", font=font) > width_px:
        kept = kept[: -max(1, len(kept) // 20)]
    return kept + "…"
