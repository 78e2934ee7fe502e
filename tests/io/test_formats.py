"""Images as other programs write them: turned, with palettes and inks, moving, huge, damaged."""

import struct
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage

from taichi_bokeh.io import read_alpha, read_disparity, read_image, srgb_decode, write_image
from taichi_bokeh.io.formats import numpy_files, png


@pytest.fixture
def levels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (8, 16, 3)).astype(np.uint8)


def _linear(levels: np.ndarray) -> np.ndarray:
    return srgb_decode(levels / np.float32(np.iinfo(levels.dtype).max))


def _turned(upright: np.ndarray, orientation: int) -> np.ndarray:
    """What a camera stores of an upright picture (EXIF 2.3: which side is row 0, which is column 0)."""
    return {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright),
        7: np.rot90(upright, 2).swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }[orientation]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "8.png", "16.png", "8.tif", "16.tif"])
def test_images_are_turned_upright(tmp_path, levels, name, orientation):
    if name == "a.jpg":  # plain areas of 8 pixels, which JPEG keeps
        levels = np.array([[[0, 0, 0], [80, 80, 80]], [[160, 160, 160], [255, 255, 255]]], np.uint8).repeat(8, 0).repeat(8, 1)
    upright = levels.astype(np.uint16) * 257 if name.startswith("16") else levels
    stored = np.ascontiguousarray(_turned(upright, orientation))
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    if name.endswith("tif"):
        tag = (0x0112, "H", 1, orientation, True)
        tifffile.imwrite(tmp_path / name, stored, photometric="rgb", extratags=[tag])
    elif name == "16.png":
        (tmp_path / name).write_bytes(_with_chunk(png.encode(stored), b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")))
    else:
        PillowImage.fromarray(stored).save(tmp_path / name, exif=exif, quality=100)
    np.testing.assert_allclose(read_image(tmp_path / name).rgb, _linear(upright), atol=0.02 if name == "a.jpg" else 1e-6)


def test_a_palette_is_turned_upright_too(tmp_path):
    picture = PillowImage.new("P", (2, 1))
    picture.putpalette([255, 0, 0, 0, 255, 0])
    picture.putdata([0, 1])
    exif = PillowImage.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").rgb, [[[1, 0, 0]], [[0, 1, 0]]])


def test_a_tiff_may_have_an_unknown_unit_of_resolution(tmp_path, levels):
    tifffile.imwrite(tmp_path / "a.tif", levels, photometric="rgb")
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as file:
        file.pages[0].tags["ResolutionUnit"].overwrite(0)
    np.testing.assert_allclose(read_image(tmp_path / "a.tif").rgb, _linear(levels), atol=1e-6)


def _with_chunk(png: bytes, name: bytes, body: bytes) -> bytes:
    """The file with a chunk put before its data, or at its end."""
    at = png.index(b"IDAT" if b"IDAT" in png else b"IEND") - 4
    return png[:at] + struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) + png[at:]


@pytest.mark.parametrize("name", ["a.png", "a.gif"])
def test_a_palette_may_be_transparent(tmp_path, name):
    picture = PillowImage.new("P", (4, 2))
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    picture.putdata([0, 1, 2, 1] * 2)
    picture.save(tmp_path / name, transparency=1)
    image = read_image(tmp_path / name)
    np.testing.assert_array_equal(image.alpha, [[1, 0, 1, 0]] * 2)
    np.testing.assert_array_equal(image.rgb[0, ::2], [[1, 0, 0], [0, 0, 1]])


def test_one_colour_may_be_transparent(tmp_path):
    levels = np.array([[[10, 20, 30], [40, 50, 60]]], np.uint8)
    PillowImage.fromarray(levels).save(tmp_path / "a.png", transparency=(40, 50, 60))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").alpha, [[1, 0]])
    np.testing.assert_allclose(read_image(tmp_path / "a.png").rgb, _linear(levels), atol=1e-6)


def test_one_colour_of_16_bits_may_be_transparent(tmp_path):
    samples = np.array([[[10, 20, 30], [400, 500, 600]]], np.uint16)
    (tmp_path / "a.png").write_bytes(_with_chunk(png.encode(samples), b"tRNS", struct.pack(">3H", 400, 500, 600)))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").alpha, [[1, 0]])
    np.testing.assert_allclose(read_image(tmp_path / "a.png").rgb, _linear(samples), atol=1e-6)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_png_coded_for_hdr_is_refused(tmp_path, bits):
    write_image(tmp_path / "a.png", np.ones((2, 2, 3), np.float32), bits=bits)
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "srgb.png").write_bytes(_with_chunk(content, b"cICP", bytes((1, 13, 0, 1))))
    assert (read_image(tmp_path / "srgb.png").rgb == 1).all()
    (tmp_path / "hdr.png").write_bytes(_with_chunk(content, b"cICP", bytes((9, 16, 0, 1))))
    with pytest.raises(ValueError, match=r"its colours are coded as 9, 16, 0, 1"):
        read_image(tmp_path / "hdr.png")


@pytest.mark.parametrize("name", ["a.png", "a.gif", "a.webp", "a.tif"])
def test_what_moves_is_refused(tmp_path, levels, name):
    frames = [PillowImage.fromarray(part) for part in (levels, levels[::-1].copy(), levels[:, ::-1].copy())]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match=rf"{name} cannot be read: it (is an animation of 3 frames|has 3 pages)"):
        read_image(tmp_path / name)


def test_a_jpeg_may_hold_more_images_behind_its_own(tmp_path, levels):
    frames = [PillowImage.fromarray(levels // 3), PillowImage.fromarray(255 - levels)]
    frames[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=frames[1:], quality=95)
    assert abs(read_image(tmp_path / "a.jpg").rgb.mean() - _linear(levels // 3).mean()) < 0.01


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_of_integers_is_srgb(tmp_path, dtype):
    values = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, (6, 7, 4), dtype)
    for name, planar in (("chunky", "contig"), ("planes", "separate")):
        stored = values if planar == "contig" else np.moveaxis(values, -1, 0)
        tifffile.imwrite(tmp_path / f"{name}.tif", stored, photometric="rgb", planarconfig=planar, extrasamples=["unassalpha"])
        image = read_image(tmp_path / f"{name}.tif")
        np.testing.assert_allclose(image.rgb, _linear(values[..., :3]), atol=1e-6)
        np.testing.assert_allclose(image.alpha, values[..., 3] / np.iinfo(dtype).max, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_associated_alpha_of_tiff_is_divided_out(tmp_path, dtype):
    top = 1 if dtype == np.float32 else np.iinfo(dtype).max
    alpha = np.array([[1, 0.5, 0.25, 0]])
    stored = (np.dstack([0.8 * alpha, 0.4 * alpha, 0.2 * alpha, alpha]) * top).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", extrasamples=["assocalpha"])
    image = read_image(tmp_path / "a.tif")
    straight = np.array([0.8, 0.4, 0.2], np.float32)
    expected = straight if dtype == np.float32 else srgb_decode(straight)
    np.testing.assert_allclose(image.rgb[0, :3], np.tile(expected, (3, 1)), atol=0.02)
    np.testing.assert_allclose(image.alpha, alpha, atol=0.005)
    assert (image.rgb[0, 3] == 0).all()


def test_tiff_with_white_as_zero_and_with_a_palette(tmp_path, levels):
    tifffile.imwrite(tmp_path / "white.tif", levels[..., 0], photometric="miniswhite")
    np.testing.assert_allclose(read_image(tmp_path / "white.tif").rgb[..., 0], _linear(255 - levels[..., 0]), atol=1e-6)
    PillowImage.fromarray(levels[..., 0] > 99).save(tmp_path / "bits.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "bits.tif").rgb[..., 0], levels[..., 0] > 99)
    palette = np.random.default_rng(2).integers(0, 65536, (3, 256)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "palette.tif", levels[..., 0], photometric="palette", colormap=palette)
    np.testing.assert_allclose(
        read_image(tmp_path / "palette.tif").rgb, _linear(np.moveaxis(palette[:, levels[..., 0]], 0, -1)), atol=1e-6
    )


@pytest.mark.parametrize("compression", ["jpeg", "tiff_lzw", "tiff_adobe_deflate"])
def test_compressed_tiff_has_the_same_colours(tmp_path, levels, compression):
    plain = np.full_like(levels, (200, 100, 50))
    PillowImage.fromarray(plain).save(tmp_path / "a.tif", compression=compression)
    np.testing.assert_allclose(read_image(tmp_path / "a.tif").rgb, _linear(plain), atol=0.02 if compression == "jpeg" else 1e-6)


def test_tiff_in_other_colours_is_refused(tmp_path, levels):
    tifffile.imwrite(tmp_path / "a.tif", levels, photometric="cielab")
    with pytest.raises(ValueError, match="its colours are CIELAB with uint8 values"):
        read_image(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "volume.tif", np.zeros((16, 16, 16), np.uint8), volumetric=True, tile=(16, 16, 16))
    with pytest.raises(ValueError, match="its axes are"):
        read_image(tmp_path / "volume.tif")


@pytest.mark.parametrize("kind", ["u2", "f4"])
def test_the_order_of_bytes_does_not_matter(tmp_path, levels, kind):
    values = levels[..., 0].astype(f">{kind}")
    np.save(tmp_path / "a.npy", values)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", byteorder=">")
    expected = (levels[..., 0] / np.float32(65535 if kind == "u2" else 1)).astype(np.float32)
    for name in ("a.npy", "a.tif"):
        np.testing.assert_array_equal(read_disparity(tmp_path / name), expected)


def test_a_file_is_known_by_its_content_not_its_name(tmp_path, levels):
    depth = levels[..., 0].astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", depth, photometric="minisblack")
    (tmp_path / "a.tif").rename(tmp_path / "a.png")
    np.testing.assert_array_equal(read_disparity(tmp_path / "a.png"), depth)


def _huge(folder: Path) -> list[Path]:
    """Files of 20000×20000 pixels by their headers, in all formats that have one."""
    small = np.zeros((2, 3, 3), np.float32)
    for name in ("8.png", "16.png"):
        write_image(folder / name, small, bits=int(name[:-4]))
        content = bytearray((folder / name).read_bytes())
        content[16:24] = struct.pack(">II", 20000, 20000)
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
        (folder / name).write_bytes(content)
    tifffile.imwrite(folder / "a.tif", np.zeros((2, 3), np.uint8), photometric="minisblack")
    with tifffile.TiffFile(folder / "a.tif", mode="r+b") as file:
        for tag in ("ImageWidth", "ImageLength"):
            file.pages[0].tags[tag].overwrite(20000)
    content = np.lib.format.MAGIC_PREFIX + b"\1\0"
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (20000, 20000), }\n"
    (folder / "a.npy").write_bytes(content + struct.pack("<H", len(header)) + header)
    (folder / "a.pfm").write_bytes(b"Pf\n20000 20000\n-1\n")
    PillowImage.new("L", (3, 2)).save(folder / "a.jpg")
    jpeg = bytearray((folder / "a.jpg").read_bytes())
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", 20000, 20000)
    (folder / "a.jpg").write_bytes(jpeg)
    return sorted(folder.iterdir())


@pytest.mark.parametrize(("name", "package"), [("a.tif", "tifffile"), ("a.exr", "OpenEXR"), ("16.png", "imagecodecs")])
def test_a_missing_package_is_told(tmp_path, monkeypatch, name, package):
    bits = 16 if name == "16.png" else None
    write_image(tmp_path / name, np.ones((2, 2, 3), np.float32), bits=bits)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match=rf"{name} cannot be read: \w+ files.* need {package} \(pip install"):
        read_image(tmp_path / name)
    with pytest.raises(ValueError, match=rf"files.* need {package} \(pip install"):
        write_image(tmp_path / f"b{name}", np.ones((2, 2, 3), np.float32), bits=bits)


def test_huge_images_are_refused_by_their_headers(tmp_path):
    paths = _huge(tmp_path)
    assert len(paths) == 6
    for path in paths:
        for reader in (read_image, read_disparity, read_alpha):
            with pytest.raises(ValueError, match=r"20000×20000 pixels \(400 megapixels\), more than 200 megapixels"):
                reader(path)


def test_small_files_do_not_unpack_to_much(tmp_path, monkeypatch, capfd):
    np.savez_compressed(tmp_path / "a.npz", data=np.zeros((100, 100), np.float32))
    assert read_image(tmp_path / "a.npz").rgb.shape == (100, 100, 3)
    monkeypatch.setattr(numpy_files, "_LARGEST_ENTRY", 40_000)
    with pytest.raises(ValueError, match=r"its array 'data' has 40128 bytes, more than 40000"):
        read_image(tmp_path / "a.npz")
    content = png.encode(np.zeros((2, 2, 3), np.uint16))
    start, end = content.index(b"IDAT") - 4, content.index(b"IEND") - 4
    (tmp_path / "long.png").write_bytes(_with_chunk(content[:start] + content[end:], b"IDAT", zlib.compress(bytes(10**6))))
    assert read_image(tmp_path / "long.png").rgb.shape == (2, 2, 3)  # what is too much is not unpacked
    assert capfd.readouterr() == ("", "")


def test_pillows_own_limit_neither_warns_nor_refuses_and_stays(tmp_path, monkeypatch):
    PillowImage.new("L", (40, 30)).save(tmp_path / "a.png")
    monkeypatch.setattr(PillowImage, "MAX_IMAGE_PIXELS", 500)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_image(tmp_path / "a.png").rgb.shape == (30, 40, 3)
    assert PillowImage.MAX_IMAGE_PIXELS == 500


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "webp", "tif", "npy", "npz", "exr", "pfm"])
def test_damage_anywhere_is_one_clear_error_or_none(tmp_path, levels, suffix, capfd):
    path = tmp_path / f"a.{suffix}"
    if suffix == "npy":
        np.save(path, levels)
    elif suffix == "npz":
        np.savez_compressed(path, data=levels)
    elif suffix in ("exr", "pfm"):
        write_image(path, _linear(levels))
    else:
        PillowImage.fromarray(levels).save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(3)
    messages = []
    for turn in range(60):
        content = bytearray(whole)
        for at in rng.integers(0, len(whole), 1 + turn % 4):
            content[at] ^= 1 << rng.integers(8)
        path.write_bytes(content[: rng.integers(0, len(whole))] if turn % 3 == 0 else content)
        try:
            read_image(path)
        except ValueError as error:
            messages.append(str(error))
    assert len(messages) >= 20
    assert all(f"a.{suffix}" in message for message in messages)
    assert capfd.readouterr() == ("", "")
