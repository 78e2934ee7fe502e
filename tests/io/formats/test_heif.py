"""HEIC photographs are read as pictures: bits, colours, orientation and EXIF; and written, as AVIF is."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from taichi_bokeh.io import Metadata, read_image, read_metadata, srgb_decode, srgb_encode, write_image
from taichi_bokeh.io.candidates import is_candidate

pillow_heif = pytest.importorskip("pillow_heif")
P3_TO_SRGB = np.array([[1.2249, -0.2247, 0], [-0.0420, 1.0419, 0], [-0.0197, -0.0786, 1.0979]])
LOSSLESS = {"quality": -1, "chroma": 444, "matrix_coefficients": 0}


def heic(path: Path, samples: np.ndarray, mode: str, **options) -> Path:
    file = pillow_heif.from_bytes(mode, samples.shape[1::-1], samples.tobytes())
    content = io.BytesIO()
    file.save(content, **{"color_primaries": 1, "transfer_characteristics": 13, "full_range_flag": 1} | LOSSLESS | options)
    path.write_bytes(content.getvalue())
    return path


@pytest.fixture
def levels() -> np.ndarray:
    return np.random.default_rng(0).integers(60, 200, (64, 96, 3)).astype(np.uint8)


def test_a_heic_is_srgb_under_any_name(tmp_path, levels):
    path = heic(tmp_path / "photo.jpg", levels, "RGB")
    np.testing.assert_allclose(read_image(path).rgb, srgb_decode(levels / 255), atol=1e-6)
    assert read_image(path).alpha is None
    assert is_candidate(path.rename(tmp_path / "nameless"))


def test_ten_bits_are_kept_and_reach_white(tmp_path):
    ramp = np.repeat(np.arange(1024, dtype=np.uint16).reshape(16, 64)[..., None], 3, axis=2)
    path = heic(tmp_path / "a.heic", ramp << 6, "RGB;16")
    np.testing.assert_allclose(read_image(path).rgb, srgb_decode(ramp / 1023), atol=2e-5)


def test_wide_colours_told_by_number_are_brought_to_srgb(tmp_path, levels):
    path = heic(tmp_path / "a.heic", levels, "RGB", color_primaries=12)
    expected = np.clip(srgb_decode(levels / 255) @ P3_TO_SRGB.T, 0, 1)
    np.testing.assert_allclose(srgb_encode(read_image(path).rgb), srgb_encode(expected), atol=2 / 255)


@pytest.mark.parametrize(("curve", "name"), [(16, "PQ"), (18, "HLG")])
def test_an_hdr_curve_is_refused_by_name(tmp_path, levels, curve, name):
    path = heic(tmp_path / "a.heic", levels, "RGB", color_primaries=9, transfer_characteristics=curve)
    with pytest.raises(ValueError, match=f"a.heic cannot be read: its colours have the HDR curve {name}"):
        read_image(path)


def test_it_is_turned_once_though_exif_says_so_too(tmp_path, levels):
    exif = PillowImage.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "Maker"
    path = heic(tmp_path / "a.heic", levels, "RGB", exif=exif.tobytes())
    np.testing.assert_allclose(read_image(path).rgb, srgb_decode(np.rot90(levels, -1) / 255), atol=1e-6)
    kept = PillowImage.Exif()
    kept.load(read_metadata(path).exif)
    assert dict(kept) == {0x010F: "Maker"}


@pytest.mark.parametrize("length", [3, 40, 300, 900])
def test_one_that_is_cut_short_is_refused_in_one_line(tmp_path, levels, length):
    path = heic(tmp_path / "a.heic", levels, "RGB")
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match=r"^.*a\.heic cannot be read: [^\n]*; expected a whole HEIC file$"):
        read_image(path)


@pytest.mark.parametrize("suffix", [".heic", ".avif"])
def test_what_is_written_is_read_back_with_alpha_and_exif(tmp_path, suffix):
    rows, columns = np.mgrid[0:64, 0:96]
    shown = np.dstack([rows / 64, columns / 96, np.full((64, 96), 0.5)]).astype(np.float32)
    alpha = (columns / 95).astype(np.float32)
    exif = PillowImage.Exif()
    exif[0x010F] = "Maker"
    path = tmp_path / f"a{suffix}"
    write_image(path, srgb_decode(shown), alpha, metadata=Metadata(exif.tobytes()))
    back = read_image(path)
    np.testing.assert_allclose(srgb_encode(back.rgb), shown, atol=4 / 255)
    np.testing.assert_allclose(back.alpha, alpha, atol=4 / 255)
    assert b"Maker" in read_metadata(path).exif
    with pytest.raises(ValueError, match="cannot have 16 bits"):
        write_image(path, shown, bits=16, overwrite=True)
