"""AVIF of 10 and 12 bits keeps them, and colours that are told by numbers are brought to sRGB or refused."""

import imagecodecs
import numpy as np
import pytest
from PIL import Image as PillowImage

from taichi_bokeh.io import read_image
from taichi_bokeh.io.arrays import read_contents

RAMP = np.linspace(0, 1, 24 * 32).reshape(24, 32)[..., None] * np.ones(3)


def encoded(samples: np.ndarray, bits: int, primaries: int = 1, curve: int = 13) -> bytes:
    """The file, with other numbers written over those of its colours."""
    content = imagecodecs.avif_encode(samples, level=100, bitspersample=bits)
    at = content.index(b"colrnclx") + 8
    return content[:at] + bytes([0, primaries, 0, curve]) + content[at + 4 :]


def write(path, bits: int, **numbers: int) -> np.ndarray:
    samples = np.rint(RAMP * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)
    path.write_bytes(encoded(samples, bits, **numbers))
    return samples / (2**bits - 1)


@pytest.mark.parametrize("bits", [10, 12])
def test_more_than_8_bits_are_kept(tmp_path, bits):
    expected = write(tmp_path / "a.avif", bits)
    values = read_contents(tmp_path / "a.avif").values
    assert values.dtype == np.uint16
    np.testing.assert_allclose(values / 65535, expected, atol=1e-4)
    assert len(np.unique(values)) > 256


def test_8_bits_are_read_as_before(tmp_path):
    expected = write(tmp_path / "a.avif", 8)
    values = read_contents(tmp_path / "a.avif").values
    assert values.dtype == np.uint8
    np.testing.assert_allclose(values / 255, expected, atol=1 / 255)


def test_wide_colours_told_by_numbers_are_brought_to_srgb_and_hdr_is_refused(tmp_path):
    write(tmp_path / "srgb.avif", 10)
    grey = read_image(tmp_path / "srgb.avif").rgb
    samples = np.zeros((16, 16, 3), np.uint16)
    samples[..., 1] = 700
    for name, primaries in (("p3.avif", 12), ("narrow.avif", 1)):
        (tmp_path / name).write_bytes(encoded(samples, 10, primaries))
    wide, narrow = (read_image(tmp_path / name).rgb[4, 4] for name in ("p3.avif", "narrow.avif"))
    assert wide[1] > narrow[1] + 0.01
    assert grey.max() == pytest.approx(1, abs=1e-3)
    write(tmp_path / "pq.avif", 10, primaries=9, curve=16)
    with pytest.raises(ValueError, match=r"pq\.avif cannot be read: its colours have the HDR curve PQ"):
        read_image(tmp_path / "pq.avif")


def test_a_picture_that_is_turned_is_turned_once(tmp_path):
    expected = write(tmp_path / "a.avif", 10)
    exif = PillowImage.Exif()
    exif[0x0112] = 6
    with PillowImage.open(tmp_path / "a.avif") as file:
        file.save(tmp_path / "turned.avif", exif=exif, quality=100)
    assert read_contents(tmp_path / "turned.avif").values.shape == (32, 24, 3)
    assert expected.shape == (24, 32, 3)
