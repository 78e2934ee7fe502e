"""Images, disparities and mattes survive a file; what is not one is refused by name."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from taichi_bokeh.io import (
    read_alpha,
    read_disparity,
    read_image,
    srgb_decode,
    srgb_encode,
    to_srgb8,
    write_atomically,
    write_image,
)
from taichi_bokeh.io.formats import png


@pytest.fixture
def rgb() -> np.ndarray:
    return np.random.default_rng(0).random((13, 17, 3), np.float32)


def test_the_srgb_curve_has_its_standard_values_and_inverts():
    np.testing.assert_allclose(srgb_decode([0, 0.04045, 0.5, 1]), [0, 0.0031308, 0.2140411, 1], rtol=1e-4)
    values = np.linspace(0, 1, 1001, dtype=np.float32)
    np.testing.assert_allclose(srgb_encode(srgb_decode(values)), values, atol=2e-6)


def test_light_is_brought_to_8_bits_of_srgb_as_files_hold_it():
    assert to_srgb8([-1, 0, 0.2158605, 1, 2]).tolist() == [0, 0, 128, 255, 255]
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_srgb8(srgb_decode(levels)), levels)
    with pytest.raises(TypeError, match="uint8"):
        to_srgb8(levels)


@pytest.mark.parametrize(("name", "bits", "tolerance"), [("a.png", 8, 0.5 / 255), ("a.png", 16, 0.5 / 65535)])
def test_integer_files_keep_srgb_values_to_half_a_step(tmp_path, rgb, name, bits, tolerance):
    write_image(tmp_path / name, rgb, bits=bits)
    np.testing.assert_allclose(srgb_encode(read_image(tmp_path / name).rgb), srgb_encode(rgb), atol=tolerance + 1e-6)


@pytest.mark.parametrize("name", ["a.tif", "a.tiff", "a.npy"])
def test_float_files_keep_linear_light_above_one(tmp_path, rgb, name):
    write_image(tmp_path / name, 100 * rgb)
    np.testing.assert_array_equal(read_image(tmp_path / name).rgb, 100 * rgb)


def test_integer_files_clip_what_is_brighter_than_white(tmp_path, rgb):
    write_image(tmp_path / "a.png", rgb + 2)
    assert (read_image(tmp_path / "a.png").rgb == 1).all()


def test_jpeg_comes_back_close_and_upright(tmp_path):
    rgb = np.zeros((8, 24, 3), np.float32)
    rgb[:, 12:] = 0.5
    write_image(tmp_path / "a.jpg", rgb)
    np.testing.assert_allclose(read_image(tmp_path / "a.jpg").rgb, rgb, atol=0.03)
    exif = PillowImage.Exif()
    exif[0x0112] = 6  # the camera was held on its side: turn by a quarter to the right
    PillowImage.open(tmp_path / "a.jpg").save(tmp_path / "turned.jpg", exif=exif)
    upright = read_image(tmp_path / "turned.jpg").rgb
    assert upright.shape == (24, 8, 3)
    assert upright[:10].max() < 0.05
    assert upright[14:].min() > 0.4


@pytest.mark.parametrize(("name", "bits"), [("a.png", 8), ("a.png", 16), ("a.tif", 8), ("a.npy", 8)])
def test_alpha_is_kept_straight(tmp_path, rgb, name, bits):
    alpha = np.linspace(0, 1, 13 * 17, dtype=np.float32).reshape(13, 17)
    write_image(tmp_path / name, rgb, alpha, bits=bits)
    image = read_image(tmp_path / name)
    np.testing.assert_allclose(image.alpha, alpha, atol=0.51 / 255)
    np.testing.assert_allclose(image.rgb, rgb, atol=0.01)
    np.testing.assert_array_equal(read_alpha(tmp_path / name), image.alpha)


def test_grey_and_palette_images_become_rgb(tmp_path):
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    PillowImage.fromarray(grey).save(tmp_path / "grey.png")
    PillowImage.fromarray(grey).convert("P").save(tmp_path / "palette.png")
    expected = np.repeat(srgb_decode(grey / 255)[..., None], 3, axis=2)
    np.testing.assert_allclose(read_image(tmp_path / "grey.png").rgb, expected, atol=1e-6)
    np.testing.assert_allclose(read_image(tmp_path / "palette.png").rgb, expected, atol=1e-6)


def test_negative_floats_become_black(tmp_path, rgb):
    np.save(tmp_path / "a.npy", -rgb)
    assert (read_image(tmp_path / "a.npy").rgb == 0).all()


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 9, 3), (9, 1, 4), (12, 7, 4)])
def test_sixteen_bit_png_round_trips(shape):
    samples = np.random.default_rng(1).integers(0, 65536, shape).astype(np.uint16)
    np.testing.assert_array_equal(png.decode(png.encode(samples)), samples)


def test_sixteen_bit_png_may_be_interlaced(tmp_path):
    (tmp_path / "a.png").write_bytes(_interlaced(0x8000))
    np.testing.assert_allclose(srgb_encode(read_image(tmp_path / "a.png").rgb), np.full((1, 1, 3), 0x8000 / 65535), atol=1e-6)


def _interlaced(level: int) -> bytes:
    """A PNG of one pixel with 16 bits a channel."""
    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 1)
    content = b"\x89PNG\r\n\x1a\n"
    rows = bytes(1) + struct.pack(">HHH", level, level, level)
    for name, body in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        content += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return content


def test_disparity_formats(tmp_path):
    values = np.linspace(0, 1, 256).reshape(16, 16)
    eight, sixteen = np.round(values * 255).astype(np.uint8), np.round(values * 65535).astype(np.uint16)
    np.save(tmp_path / "a.npy", 7 * values)
    np.savez(tmp_path / "a.npz", data=7 * values)
    PillowImage.fromarray(eight).save(tmp_path / "8.png")
    PillowImage.fromarray(np.repeat(eight[..., None], 3, axis=2)).save(tmp_path / "8rgb.png")
    PillowImage.fromarray(sixteen).save(tmp_path / "16.png")
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tif", (7 * values).astype(np.float32))
    for name, expected, tolerance in [
        ("a.npy", 7 * values, 1e-6),
        ("a.npz", 7 * values, 1e-6),
        ("a.tif", 7 * values, 1e-6),
        ("8.png", eight / 255, 1e-6),
        ("8rgb.png", eight / 255, 1e-6),
        ("16.png", sixteen / 65535, 1e-6),
    ]:
        disparity = read_disparity(tmp_path / name)
        assert disparity.dtype == np.float32
        np.testing.assert_allclose(disparity, expected, atol=tolerance, rtol=1e-6, err_msg=name)


def test_depth_is_inverted_and_holes_are_nan(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[2.0, 0.0, -1.0], [np.inf, np.nan, 0.5]]))
    nan = np.nan
    np.testing.assert_array_equal(read_disparity(tmp_path / "a.npy", depth=True), [[0.5, nan, nan], [0, nan, 2]])
    np.testing.assert_array_equal(read_disparity(tmp_path / "a.npy"), [[2, 0, -1], [nan, nan, 0.5]])


def _bad_files(folder: Path) -> dict[str, tuple[str, str]]:
    """File name → (function that refuses it, what the message says)."""
    good = np.random.default_rng(0).random((40, 40, 3), np.float32)
    write_image(folder / "good.png", good)
    write_image(folder / "good16.png", good, bits=16)
    write_image(folder / "good.jpg", good)
    write_image(folder / "good.tif", good)
    np.save(folder / "good.npy", good)
    np.savez(folder / "good.npz", data=good[..., 0])
    for name in ("good.png", "good16.png", "good.jpg", "good.tif", "good.npy", "good.npz"):
        content = (folder / name).read_bytes()
        (folder / f"cut_{name}").write_bytes(content[: len(content) // 2])
        (folder / f"empty_{name}").write_bytes(b"")
    (folder / "text.png").write_text("not an image")
    flipped = bytearray((folder / "good16.png").read_bytes())
    flipped[200] ^= 1
    (folder / "flipped16.png").write_bytes(flipped)
    np.savez(folder / "other.npz", a=good[..., 0], b=good[..., 1])
    np.save(folder / "objects.npy", np.array([[{}]]), allow_pickle=True)
    np.save(folder / "five.npy", np.zeros((4, 4, 5), np.float32))
    np.save(folder / "line.npy", np.zeros(4, np.float32))
    np.save(folder / "none.npy", np.zeros((0, 4), np.float32))
    np.save(folder / "nan.npy", np.full((4, 4, 3), np.nan, np.float32))
    np.save(folder / "complex.npy", np.zeros((4, 4), np.complex64))
    np.save(folder / "long.npy", np.zeros((4, 4, 3), np.int64))
    np.save(folder / "two.npy", np.full((4, 4), 2, np.float32))
    PillowImage.new("CMYK", (4, 4)).save(folder / "cmyk.jpg")
    for name in ("inks.jpg", "black.jpg"):
        PillowImage.new("CMYK", (4, 4)).save(folder / name)
    cut = {f"{kind}_{name}": ("image", "cannot be read") for kind in ("cut", "empty") for name in (
        "good.png", "good16.png", "good.jpg", "good.tif", "good.npy")}  # fmt: skip
    return cut | {
        "cut_good.npz": ("disparity", "cannot be read"),
        "text.png": ("image", "PNG"),
        "flipped16.png": ("image", "damaged or truncated PNG data; expected a whole PNG file"),
        "other.npz": ("disparity", r"several of its arrays .*a \[40, 40\] float32, b"),
        "objects.npy": ("disparity", "cannot be read"),
        "five.npy": ("image", "5 channels"),
        "line.npy": ("disparity", r"\[H, W\]"),
        "none.npy": ("disparity", "empty"),
        "nan.npy": ("image", "NaN"),
        "complex.npy": ("disparity", "complex64"),
        "long.npy": ("image", "int64"),
        "two.npy": ("alpha", r"\[0, 1\]"),
        "cmyk.jpg": ("image", "CMYK"),
        "inks.jpg": ("alpha", "inks"),
        "black.jpg": ("disparity", "inks"),
        "good.png": ("disparity", "3 channels"),
    }


def test_every_bad_file_is_refused_by_its_name(tmp_path):
    readers = {"image": read_image, "disparity": read_disparity, "alpha": read_alpha}
    for name, (kind, message) in _bad_files(tmp_path).items():
        with pytest.raises(ValueError, match=message) as caught:
            readers[kind](tmp_path / name)
        assert name in str(caught.value)
    for reader in readers.values():
        with pytest.raises(FileNotFoundError, match=r"missing\.png"):
            reader(tmp_path / "missing.png")
        with pytest.raises(ValueError, match="folder"):
            reader(tmp_path)


def test_a_map_without_a_valid_pixel_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((3, 3), np.float32))
    assert (read_disparity(tmp_path / "a.npy") == 0).all()
    with pytest.raises(ValueError, match="hole"):
        read_disparity(tmp_path / "a.npy", depth=True)


def test_an_existing_file_is_kept_unless_overwriting_is_asked_for(tmp_path, rgb):
    (tmp_path / "a.png").write_bytes(b"precious")
    with pytest.raises(FileExistsError, match=r"a\.png"):
        write_image(tmp_path / "a.png", rgb)
    assert (tmp_path / "a.png").read_bytes() == b"precious"
    write_image(tmp_path / "a.png", rgb, overwrite=True)
    assert read_image(tmp_path / "a.png").rgb.shape == rgb.shape


def test_a_failed_write_leaves_nothing(tmp_path, rgb, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError("disk full")

    for step in ("os.link", "os.replace"):  # whichever gives the file its name
        monkeypatch.setattr(step, fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(tmp_path / "a.png", b"content")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.bmp", {}, "suffix"),
        ("a.jpg", {"bits": 16}, "16 bits"),
        ("a.png", {"bits": 12}, "12 bits"),
        ("a.jpg", {"alpha": np.ones((13, 17), np.float32)}, "alpha"),
        ("a.png", {"alpha": np.ones((2, 2), np.float32)}, "alpha has shape"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(tmp_path, rgb, name, options, message):
    with pytest.raises(ValueError, match=message):
        write_image(tmp_path / name, rgb, **options)
    assert list(tmp_path.iterdir()) == []


def test_bad_pixels_are_not_written(tmp_path, rgb):
    with pytest.raises(ValueError, match="NaN"):
        write_image(tmp_path / "a.png", rgb * np.nan)
    with pytest.raises(ValueError, match="alpha holds NaN"):
        write_image(tmp_path / "a.exr", rgb, rgb[..., 0] * np.nan)
    with pytest.raises(ValueError, match=r"\[H, W, 3\]"):
        write_image(tmp_path / "a.png", rgb[..., :2])
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write_image(tmp_path / "nowhere" / "a.png", rgb)
    assert list(tmp_path.iterdir()) == []
