"""Depth, mattes, gain maps and other views of a HEIC are found, and are upright as the picture is."""

import numpy as np
import pytest
from PIL import Image as PillowImage

from taichi_bokeh.io import read_image
from taichi_bokeh.io.phones import find_parts
from taichi_bokeh.io.phones.boxes import read_items
from tests.io.phones.writers import heic, packet, with_auxiliary, with_stereo

pytest.importorskip("pillow_heif")
RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 255, (64, 96, 3)).astype(np.uint8)
MAP = RNG.integers(0, 255, (64, 96)).astype(np.uint8)
DEPTH, MATTE = "urn:mpeg:hevc:2015:auxid:2", "urn:com:apple:photo:2018:aux:portraiteffectsmatte"
GAIN = "urn:com:apple:photo:2020:aux:hdrgainmap"


def found(tmp_path, content: bytes):
    (tmp_path / "a.heic").write_bytes(content)
    return find_parts(tmp_path / "a.heic")


def apple(**facts: object) -> dict[str, object]:
    told = {"apdi__FloatMinValue": 0.5, "apdi__FloatMaxValue": 3.0, "apdi__AuxiliaryImageType": "disparity"}
    return {"xmp": packet(**told | facts)}


@pytest.mark.parametrize("accuracy", ["absolute", "relative"])
def test_disparity_in_the_range_that_its_xmp_says(tmp_path, accuracy):
    content = with_auxiliary(heic([(PHOTO, {}), (MAP, apple(depthData__Accuracy=accuracy))]), 1, DEPTH)
    parts = found(tmp_path, content)
    (depth,) = parts.found
    assert parts.problems == ()
    assert (depth.kind, depth.name, depth.is_per_metre) == ("depth", "depth", accuracy == "absolute")
    assert "disparity 0.5 to 3" in depth.text
    np.testing.assert_allclose(depth.values(), 0.5 + MAP / 255 * 2.5, rtol=1e-6)


def test_depth_becomes_disparity(tmp_path):
    told = apple(apdi__AuxiliaryImageType="depth", depthData__Accuracy="absolute")
    (depth,) = found(tmp_path, with_auxiliary(heic([(PHOTO, {}), (MAP, told)]), 1, DEPTH)).found
    np.testing.assert_allclose(depth.values(), 1 / (0.5 + MAP / 255 * 2.5), rtol=1e-5)


def test_without_any_range_larger_is_nearer(tmp_path):
    (depth,) = found(tmp_path, with_auxiliary(heic([(PHOTO, {}), (MAP, {})]), 1, DEPTH)).found
    np.testing.assert_allclose(depth.values(), MAP / 255, rtol=1e-6)


@pytest.mark.parametrize("is_map_turned", [True, False])
def test_both_are_turned_once(tmp_path, is_map_turned):
    exif = PillowImage.Exif()
    exif[0x0112] = 6
    turn = {"exif": exif.tobytes()}
    content = with_auxiliary(heic([(PHOTO, turn), (MAP, turn if is_map_turned else {})]), 1, DEPTH)
    (depth,) = found(tmp_path, content).found
    assert read_image(tmp_path / "a.heic").rgb.shape == (96, 64, 3)
    np.testing.assert_allclose(depth.values(), np.rot90(MAP, -1) / 255, rtol=1e-6)


def test_mattes_and_gain_maps(tmp_path):
    content = heic([(PHOTO, {}), (MAP, {}), (MAP[::2, ::2].copy(), {})])
    parts = found(tmp_path, with_auxiliary(with_auxiliary(content, 1, MATTE), 2, GAIN))
    assert [(one.kind, one.name) for one in parts.found] == [("matte", "matte_portrait"), ("gain map", "gain_map")]
    np.testing.assert_allclose(parts.found[0].values(), MAP / 255, rtol=1e-6)
    np.testing.assert_array_equal(parts.found[1].values(), MAP[::2, ::2])


def test_an_unknown_auxiliary_image_is_told(tmp_path):
    parts = found(tmp_path, with_auxiliary(heic([(PHOTO, {}), (MAP, {})]), 1, "urn:com:maker:new"))
    assert parts.found == ()
    assert parts.problems == ("an auxiliary image of the type urn:com:maker:new is left out, which is not known",)


@pytest.mark.parametrize("is_right", [True, False])
def test_a_stereo_pair_says_which_side_the_other_one_is(tmp_path, is_right):
    other = PHOTO[:, ::-1].copy()
    pair = (0, 1) if is_right else (1, 0)
    (view,) = found(tmp_path, with_stereo(heic([(PHOTO, {}), (other, {})]), *pair)).found
    assert (view.kind, view.is_right) == ("view", is_right)
    (tmp_path / "b.heic").write_bytes(heic([(other, {})]))
    np.testing.assert_allclose(view.values(), read_image(tmp_path / "b.heic").rgb, atol=0.02)  # rounded as YCbCr


def test_boxes_that_lie_are_refused_or_passed_over_quickly():
    content = with_auxiliary(heic([(PHOTO, {}), (MAP, apple())]), 1, DEPTH)
    end = content.index(b"mdat")
    for at in range(8, end):
        for value in (0, 0xFF):
            damaged = content[:at] + bytes([value]) + content[at + 1 : end]
            try:
                items = read_items(damaged)
            except ValueError:
                continue
            assert sum(len(one) for packets in items.xmp.values() for one in packets) <= len(damaged)
