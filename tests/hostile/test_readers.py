"""Files that are made to do harm are refused in one line, soon, in little memory. benchmarks/fuzz_readers.py makes more."""

import base64
import struct
import zlib

import numpy as np
import pytest
import tifffile

from benchmarks.fuzz_files import FORMATS
from benchmarks.fuzz_readers import WRONG, judge
from taichi_bokeh.io import read_image, read_metadata
from taichi_bokeh.io.formats.metadata import read_orientation
from taichi_bokeh.io.phones import find_parts
from tests.io.phones.writers import jpeg, packet, picture


def _vast_png() -> bytes:
    """A few bytes that say that they are a picture of 3 gigapixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 1 << 28, 12, 8, 0, 0, 0, 0)
    content = picture(np.zeros((2, 2), np.uint8))
    return content[:12] + head + struct.pack(">I", zlib.crc32(head)) + content[33:]


def test_looking_for_exif_does_not_unpack_a_picture_that_is_too_large(tmp_path):
    (tmp_path / "a.png").write_bytes(_vast_png())
    with pytest.raises(ValueError, match=r"a.png has EXIF that cannot be read .*more than 200 megapixels"):
        read_metadata(tmp_path / "a.png")
    assert read_orientation(tmp_path / "a.png") == 1


def test_nor_does_looking_for_the_depth_in_a_photograph(tmp_path):
    told = packet(GDepth__Mime="image/png", GDepth__Data=base64.b64encode(_vast_png()).decode())
    (tmp_path / "a.jpg").write_bytes(jpeg(np.zeros((16, 16, 3), np.uint8), 1, told))
    parts = find_parts(tmp_path / "a.jpg")
    assert not parts.found
    assert "more than 200 megapixels" in parts.problems[0]


def test_a_tiff_whose_pages_are_a_ring_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 4), np.uint8), metadata=None)
    content = bytearray((tmp_path / "a.tif").read_bytes())
    (first,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, first)
    struct.pack_into("<I", content, first + 2 + 12 * count, len(content))
    content += bytes(2) + struct.pack("<I", len(content))  # a directory without tags that names itself
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(ValueError, match="follow one another in a ring"):
        read_image(tmp_path / "a.tif")


def test_samples_of_a_deep_file_whose_sum_no_float_holds_are_refused_as_colours(tmp_path):
    openexr = pytest.importorskip("OpenEXR")
    channels = {name: np.empty((1, 1), object) for name in "RGBAZ"}
    for name, plane in channels.items():
        plane[0, 0] = np.array([3e38, 3e38] if name in "RGB" else [1e-3, 1e-3] if name == "A" else [1, 2], np.float32)
    openexr.File({"compression": openexr.ZIPS_COMPRESSION, "type": openexr.deepscanline}, channels).write(
        str(tmp_path / "a.exr")
    )
    with pytest.raises(ValueError, match="NaN or infinite colours"):
        read_image(tmp_path / "a.exr")


@pytest.mark.parametrize(
    ("name", "package"), [("png", "imagecodecs"), ("jpeg", "PIL"), ("tiff", "tifffile"), ("exr", "OpenEXR")]
)
def test_damaged_files_are_read_or_refused(name, package, tmp_path):
    pytest.importorskip(package)
    files = FORMATS[name][1]()
    verdicts = [judge(name, files, seed, tmp_path) for seed in range(15)]
    assert [one for one in verdicts if one.kind == WRONG] == []
