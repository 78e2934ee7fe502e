"""OpenEXR: exact, linear, premultiplied in the file and straight in memory; maps by the names of their channels."""

import io
from pathlib import Path

import numpy as np
import OpenEXR
import pytest

from taichi_bokeh.io import exr, read_alpha, read_disparity, read_image, write_image


@pytest.fixture
def rgb() -> np.ndarray:
    return 100 * np.random.default_rng(0).random((13, 17, 3), np.float32)


def _write(path: Path, header: dict[str, object] | None = None, **channels: np.ndarray) -> None:
    """A file as another program may write it."""
    start = {"compression": OpenEXR.PIZ_COMPRESSION, "type": OpenEXR.scanlineimage}
    whole = {name: np.ascontiguousarray(plane) for name, plane in channels.items()}  # the package takes no strides
    OpenEXR.File(start | (header or {}), whole, num_threads=0).write(str(path))


def test_floats_come_back_bit_for_bit(tmp_path, rgb):
    write_image(tmp_path / "a.exr", rgb)
    image = read_image(tmp_path / "a.exr")
    np.testing.assert_array_equal(image.rgb, rgb)
    assert image.alpha is None


def test_halves_come_back_bit_for_bit_and_are_halves_in_the_file(tmp_path, rgb):
    halves = rgb.astype(np.float16).astype(np.float32)
    write_image(tmp_path / "a.exr", halves, bits=16)
    np.testing.assert_array_equal(read_image(tmp_path / "a.exr").rgb, halves)
    channels = exr.decode_channels((tmp_path / "a.exr").read_bytes())
    assert {name: plane.dtype for name, plane in channels.items()} == dict.fromkeys("BGR", np.float16)


def test_the_file_is_premultiplied_and_the_image_straight(tmp_path, rgb):
    alpha = np.linspace(0, 1, 13 * 17, dtype=np.float32).reshape(13, 17)
    write_image(tmp_path / "a.exr", rgb, alpha)
    channels = exr.decode_channels((tmp_path / "a.exr").read_bytes())
    np.testing.assert_array_equal(channels["A"], alpha)
    np.testing.assert_array_equal(channels["G"], rgb[..., 1] * alpha)
    image = read_image(tmp_path / "a.exr")
    np.testing.assert_array_equal(image.alpha, alpha)
    np.testing.assert_allclose(image.rgb[alpha > 0], rgb[alpha > 0], rtol=3e-7)
    assert (image.rgb[alpha == 0] == 0).all()
    np.testing.assert_array_equal(read_alpha(tmp_path / "a.exr"), alpha)


def test_light_without_coverage_is_kept_as_it_is(tmp_path):
    glow, none = np.full((2, 2), 3, np.float32), np.zeros((2, 2), np.float32)
    _write(tmp_path / "a.exr", R=glow, G=glow, B=none, A=none)
    np.testing.assert_array_equal(read_image(tmp_path / "a.exr").rgb[0, 0], [3, 3, 0])


def test_luminance_is_grey_and_other_channels_are_left_out(tmp_path, rgb):
    plane = rgb[..., 0]
    _write(tmp_path / "grey.exr", Y=plane)
    np.testing.assert_array_equal(read_image(tmp_path / "grey.exr").rgb, np.dstack([plane] * 3))
    _write(tmp_path / "more.exr", R=plane, G=2 * plane, B=plane, Z=plane, id=np.ones((13, 17), np.uint32))
    np.testing.assert_array_equal(read_image(tmp_path / "more.exr").rgb[..., 1], 2 * plane)


def test_depth_is_z_and_disparity_is_y_or_the_only_channel(tmp_path, rgb):
    plane = rgb[..., 0] + 1
    _write(tmp_path / "z.exr", R=plane, G=2 * plane, B=plane, Z=plane)
    np.testing.assert_array_equal(read_disparity(tmp_path / "z.exr", depth=True), 1 / plane)
    with pytest.raises(ValueError, match=r"z\.exr cannot be read: its channel Z is depth, and must be read as depth"):
        read_disparity(tmp_path / "z.exr")
    _write(tmp_path / "both.exr", Y=2 * plane, Z=plane)
    np.testing.assert_array_equal(read_disparity(tmp_path / "both.exr"), 2 * plane)
    np.testing.assert_array_equal(read_disparity(tmp_path / "both.exr", depth=True), 1 / plane)
    _write(tmp_path / "only.exr", disparity=plane.astype(np.float16))
    np.testing.assert_array_equal(read_disparity(tmp_path / "only.exr"), plane.astype(np.float16).astype(np.float32))
    _write(tmp_path / "grey.exr", R=plane, G=plane, B=plane)
    np.testing.assert_array_equal(read_disparity(tmp_path / "grey.exr"), plane)
    _write(tmp_path / "colour.exr", R=plane, G=2 * plane, B=plane)
    with pytest.raises(ValueError, match="3 channels"):
        read_disparity(tmp_path / "colour.exr")
    _write(tmp_path / "motion.exr", u=plane, v=plane)
    with pytest.raises(ValueError, match="its channels are u, v; disparity is in Y"):
        read_disparity(tmp_path / "motion.exr")


def test_an_image_has_colours(tmp_path, rgb):
    plane = rgb[..., 0]
    _write(tmp_path / "a.exr", Z=plane)
    with pytest.raises(ValueError, match="its channels are Z; an image has R, G, B or Y"):
        read_image(tmp_path / "a.exr")
    _write(tmp_path / "motion.exr", **{"left.u": plane, "left.v": plane})
    with pytest.raises(ValueError, match=r"left\.u, left\.v"):
        read_image(tmp_path / "motion.exr")


def test_the_primaries_may_be_named(tmp_path, rgb):
    planes = dict(zip("RGB", np.moveaxis(rgb, -1, 0), strict=True))
    _write(tmp_path / "a.exr", {"chromaticities": (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329)}, **planes)
    np.testing.assert_array_equal(read_image(tmp_path / "a.exr").rgb, rgb)


def test_a_half_too_large_is_refused(tmp_path, rgb):
    with pytest.raises(ValueError, match=r"up to 1e\+06; expected at most 65504"):
        write_image(tmp_path / "a.exr", rgb * 0 + 1e6, bits=16)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_whole_flat_image_is_refused_in_silence(tmp_path, rgb, capfd):
    plane = rgb[..., 0]
    _write(tmp_path / "good.exr", R=plane, G=plane, B=plane)
    content = (tmp_path / "good.exr").read_bytes()
    for size in (0, 3, 4, 50, 300, len(content) // 2, len(content) - 3):
        (tmp_path / f"cut{size}.exr").write_bytes(content[:size])
    write_image(tmp_path / "wrong.exr", np.tile(rgb[:1], (64, 9, 1)))
    wrong = bytearray((tmp_path / "wrong.exr").read_bytes())
    wrong[-100:-50] = bytes(50)
    (tmp_path / "wrong.exr").write_bytes(wrong)
    window = (np.array([40, 0], np.int32), np.array([60, 20], np.int32))
    _write(tmp_path / "window.exr", {"displayWindow": window}, Y=plane)
    messages = {"window": "data and display windows are apart"}
    for path in sorted(tmp_path.glob("*.exr")):
        if path.stem != "good":
            with pytest.raises(ValueError, match=messages.get(path.stem, "damaged|cannot be read")) as caught:
                read_image(path)
            assert path.name in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_too_many_pixels_are_refused_before_they_are_unpacked(tmp_path, rgb):
    _write(tmp_path / "a.exr", Y=rgb[..., 0])
    content = (tmp_path / "a.exr").read_bytes()
    window = np.array([0, 0, 16, 12], "<i4").tobytes()
    (tmp_path / "a.exr").write_bytes(content.replace(window, np.array([0, 0, 19999, 19999], "<i4").tobytes()))
    with pytest.raises(ValueError, match="20000×20000 pixels"):
        read_image(tmp_path / "a.exr")


def test_an_old_package_is_refused_by_its_version(tmp_path, rgb, monkeypatch):
    monkeypatch.setattr(OpenEXR, "__version__", "3.4.4")
    with pytest.raises(ValueError, match=r"OpenEXR 3\.5 or newer, and 3\.4\.4 is installed"):
        write_image(tmp_path / "a.exr", rgb)


def test_deep_images_without_colours_are_refused(tmp_path):
    samples = np.empty((2, 2), object)
    for at in np.ndindex(2, 2):
        samples[at] = np.ones(2, np.float32)
    file = io.BytesIO()
    header = {"compression": OpenEXR.ZIPS_COMPRESSION, "type": OpenEXR.deepscanline}
    OpenEXR.File(header, {"Y": samples}, num_threads=0).write(file)
    with pytest.raises(ValueError, match="its deep channels are Y"):
        exr.decode(file.getvalue())
