"""Every row of the table of formats: a map in each is known by its content, read, and the table in the docs is this one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from taichi_bokeh.io import read_disparity, write_map
from taichi_bokeh.io.registry import FORMATS, FileFormat, format_of, table

PAGE = Path(__file__).parents[2] / "docs/tutorials/depth.md"
LEVELS = np.repeat(np.arange(0, 256, 8, dtype=np.uint8)[None], 24, axis=0)  # columns, which codecs with loss keep
FLOATS = np.linspace(0.25, 2, 24 * 32, dtype=np.float32).reshape(24, 32)
LOSS = 0.03


def _picture(path: Path) -> np.ndarray:
    Image.fromarray(LEVELS).save(path, quality=95, lossless=True)
    return LEVELS / 255


def _heif(path: Path) -> np.ndarray:
    pytest.importorskip("pillow_heif").from_pillow(Image.fromarray(LEVELS)).save(path, quality=95)
    return LEVELS / 255


def _map(path: Path) -> np.ndarray:
    write_map(path, FLOATS)
    return FLOATS


def _npz(path: Path) -> np.ndarray:
    np.savez(path, depth=FLOATS)
    return FLOATS


WRITERS: dict[str, tuple[Callable[[Path], np.ndarray], tuple[str, ...]]] = {
    "OpenEXR": (_map, (".exr",)),
    "PFM": (_map, (".pfm",)),
    "TIFF": (_map, (".tif", ".tiff")),
    "npy": (_map, (".npy",)),
    "npz": (_npz, (".npz",)),
    "HEIC": (_heif, (".heic", ".heif", ".hif")),
    "PNG": (_picture, (".png",)),
    "JPEG": (_picture, (".jpg", ".jpeg")),
    "WebP, AVIF, GIF, BMP …": (_picture, (".webp", ".gif", ".bmp")),
}


@pytest.mark.parametrize("one", FORMATS, ids=lambda one: one.name)
def test_a_map_of_each_format_is_read(tmp_path, one: FileFormat):
    write, suffixes = WRITERS[one.name]
    for suffix in suffixes:
        expected = write(tmp_path / f"a{suffix}")
        path = (tmp_path / f"a{suffix}").rename(tmp_path / f"{suffix[1:]}.bin")
        assert format_of(path.read_bytes()) is one
        np.testing.assert_allclose(read_disparity(path, index=0), expected, atol=LOSS if write in (_picture, _heif) else 0)
        if not one.has_layers:
            with pytest.raises(ValueError, match="has no layer 'other'"):
                read_disparity(path, layer="other")
        with pytest.raises(ValueError, match="has no frame 1"):
            read_disparity(path, index=1)


def test_a_frame_of_a_stack_is_read_of_each_format_that_has_them(tmp_path):
    frames = np.stack([FLOATS, 2 * FLOATS])
    np.save(tmp_path / "a.npy", frames)
    np.savez(tmp_path / "a.npz", depths=frames)
    tifffile.imwrite(tmp_path / "a.tiff", frames, photometric="minisblack")
    assert [one.name for one in FORMATS if one.has_frames] == ["TIFF", "npy", "npz"]
    for name in ("a.tiff", "a.npy", "a.npz"):
        np.testing.assert_array_equal(read_disparity(tmp_path / name, index=1), 2 * FLOATS)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.uint8, np.uint16, np.int32])
@pytest.mark.parametrize("shape", [(1, 24, 32), (24, 32, 1), (1, 24, 32, 1)])
def test_axes_of_1_in_tiff_do_not_count(tmp_path, dtype, shape):
    values = (FLOATS * 100).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", values.reshape(shape))
    scale = np.iinfo(dtype).max if dtype in (np.uint8, np.uint16) else 1
    np.testing.assert_allclose(read_disparity(tmp_path / "a.tif"), values / scale, rtol=1e-6)


def test_the_table_of_the_tutorial_is_made_of_the_registry():
    assert table() in PAGE.read_text(encoding="utf-8")
    assert len(table().splitlines()) == 2 + len(FORMATS)
