"""Colours by their curve and primaries: light is linear, white stays white."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from taichi_bokeh.io import describe_depth, read_image
from taichi_bokeh.io.colours import REC709, to_rec709

_WIDE = (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290)
_ACESCG = (0.713, 0.293, 0.165, 0.830, 0.128, 0.044, 0.32168, 0.33767)
_LINEAR = (b"gAMA", struct.pack(">I", 100_000))
_USUAL = (b"gAMA", struct.pack(">I", 45_455))
_SRGB = (b"sRGB", b"\0")


def _cicp(*numbers: int) -> tuple[bytes, bytes]:
    return b"cICP", bytes(numbers)


def _chrm(points: tuple[float, ...]) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in (*points[6:], *points[:6])))


def _write(path: Path, *chunks: tuple[bytes, bytes], rgb: tuple[int, ...] = (128, 128, 128), bits: int = 8) -> None:
    """A PNG of 2 × 2 pixels; one number is grey."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", 2, 2, bits, 2 if len(rgb) == 3 else 0, 0, 0, 0)
    row = b"\0" + b"".join(bytes([value] * (bits // 8)) for value in rgb) * 2
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(row * 2)), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ((), 0.2159),
        ((_USUAL,), 0.2159),
        ((_LINEAR,), 128 / 255),
        ((b"gAMA", struct.pack(">I", 0)), 0.2159),
        ((_LINEAR, _SRGB), 0.2159),
        ((_LINEAR, _cicp(1, 13, 0, 1)), 0.2159),
        ((_USUAL, _cicp(1, 8, 0, 1)), 128 / 255),
        ((_cicp(9, 13, 0, 1),), 0.2159),
        ((_cicp(1, 8, 0, 0),), (128 - 16) / 219),
        ((_LINEAR, _chrm(_WIDE)), 128 / 255),
    ],
)
@pytest.mark.parametrize(("rgb", "bits"), [((128,) * 3, 8), ((128,) * 3, 16), ((128,), 8), ((128,), 16)])
def test_what_a_png_says_of_its_curve_is_obeyed_in_order(tmp_path, chunks, expected, rgb, bits):
    pairs = chunks if not chunks or isinstance(chunks[0], tuple) else (chunks,)
    _write(tmp_path / "a.png", *pairs, rgb=rgb, bits=bits)
    np.testing.assert_allclose(read_image(tmp_path / "a.png").rgb, expected, atol=1e-3)


def test_wide_primaries_of_a_png_come_to_those_of_srgb(tmp_path):
    _write(tmp_path / "a.png", _LINEAR, _chrm(_WIDE), rgb=(128, 120, 100))
    expected = to_rec709(np.float32([128, 120, 100]) / 255, _WIDE)
    np.testing.assert_allclose(read_image(tmp_path / "a.png").rgb[0, 0], expected, atol=1e-5)
    assert "gamma 1 and primaries of its own" in str(describe_depth(tmp_path / "a.png").profile)


def test_hdr_by_its_numbers_is_refused(tmp_path):
    _write(tmp_path / "a.png", _cicp(9, 16, 0, 1))
    with pytest.raises(ValueError, match=r"a\.png cannot be read: its colours are coded as 9, 16, 0, 1 \(ITU-T H\.273\)"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("primaries", [_WIDE, _ACESCG, REC709])
def test_white_stays_white_whatever_the_primaries(primaries):
    np.testing.assert_allclose(to_rec709(np.ones((1, 3), np.float32), primaries), 1, atol=2e-6)


def test_a_red_of_acescg_lies_outside_rec709():
    """Published matrix of ACEScg to linear sRGB, D60 to D65 by Bradford."""
    red, green, blue = to_rec709(np.eye(3, dtype=np.float32), _ACESCG)
    np.testing.assert_allclose(red, [1.70505, -0.13026, -0.02400], atol=2e-3)
    np.testing.assert_allclose(green, [-0.62179, 1.14080, -0.12897], atol=2e-3)
    np.testing.assert_allclose(blue, [-0.08326, -0.01055, 1.15297], atol=2e-3)


def test_primaries_that_are_no_colours_are_refused():
    with pytest.raises(ValueError, match="span no colours"):
        to_rec709(np.ones((1, 3)), (0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3))
