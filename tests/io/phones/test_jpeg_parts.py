"""Depth of JPEG photographs: GDepth, Dynamic Depth, several pictures in a file, Samsung's trailer."""

import base64
import contextlib

import numpy as np
import pytest

from taichi_bokeh.io import read_image
from taichi_bokeh.io.phones import find_parts
from tests.io.phones.writers import container, gdepth, jpeg, packet, picture, samsung, several

RNG = np.random.default_rng(0)
PHOTO = np.kron(RNG.integers(0, 255, (6, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)  # 48 × 64
MAP = np.kron(RNG.integers(0, 255, (6, 8)), np.ones((2, 2))).astype(np.uint8)
INVERSE = {"Format": "RangeInverse", "Near": 0.5, "Far": 4.0, "Units": "m"}
NEAR_IS_BLACK = 1 / 0.5 + MAP / 255 * (1 / 4 - 1 / 0.5)


def found(tmp_path, content: bytes):
    (tmp_path / "a.jpg").write_bytes(content)
    return find_parts(tmp_path / "a.jpg")


@pytest.mark.parametrize("is_extended", [True, False])
def test_range_inverse(tmp_path, is_extended):
    parts = found(tmp_path, gdepth(PHOTO, MAP, is_extended=is_extended, **INVERSE))
    (depth,) = parts.found
    assert (depth.kind, depth.is_per_metre, parts.problems) == ("depth", True, ())
    np.testing.assert_allclose(depth.values(), NEAR_IS_BLACK, rtol=1e-5)


def test_extended_xmp_of_several_segments_in_any_order(tmp_path):
    noise = RNG.integers(0, 255, (300, 400)).astype(np.uint8)
    (depth,) = found(tmp_path, gdepth(np.zeros((300, 400, 3), np.uint8), noise, is_extended=True, **INVERSE)).found
    np.testing.assert_allclose(depth.values(), 2 + noise / 255 * (0.25 - 2), rtol=1e-5)


def test_range_linear_is_depth(tmp_path):
    (depth,) = found(tmp_path, gdepth(PHOTO, MAP, **INVERSE | {"Format": "RangeLinear", "Units": "mm"})).found
    np.testing.assert_allclose(depth.values(), 1000 / (0.5 + MAP / 255 * 3.5), rtol=1e-5)


@pytest.mark.parametrize("wrong", [{"Near": 0}, {"Far": "nan"}, {"Near": "text"}, {"Near": 9}])
def test_a_range_that_cannot_be_leaves_black_near(tmp_path, wrong):
    (depth,) = found(tmp_path, gdepth(PHOTO, MAP, **INVERSE | wrong)).found
    assert not depth.is_per_metre
    np.testing.assert_allclose(depth.values(), 1 - MAP / 255, atol=1e-6)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_depth_is_turned_as_the_photograph_once(tmp_path, orientation):
    light = PHOTO.copy()
    light[..., :] = np.kron(MAP, np.ones((4, 4)))[..., None]
    (depth,) = found(tmp_path, gdepth(light, MAP, orientation, **INVERSE)).found
    grey = read_image(tmp_path / "a.jpg").rgb[::4, ::4, 0]
    values = depth.values()
    assert values.shape == grey.shape
    assert np.corrcoef(values.ravel(), grey.ravel())[0, 1] < -0.9


def test_depth_that_is_upright_already_is_left_so(tmp_path):
    (depth,) = found(tmp_path, gdepth(PHOTO, MAP.T.copy(), 6, **INVERSE)).found
    np.testing.assert_allclose(depth.values(), NEAR_IS_BLACK.T, rtol=1e-5)


def test_the_sharp_original_within_the_xmp(tmp_path):
    original = base64.b64encode(picture(PHOTO)).decode()
    (part,) = found(tmp_path, jpeg(PHOTO, xmp=packet(GImage__Mime="image/png", GImage__Data=original))).found
    (tmp_path / "b.png").write_bytes(picture(PHOTO))
    assert part.kind == "original"
    np.testing.assert_array_equal(part.values(), read_image(tmp_path / "b.png").rgb)


def test_dynamic_depth_behind_the_picture(tmp_path):
    items = [("Original", picture(PHOTO)), ("android/depthmap", picture(MAP)), ("GainMap", picture(MAP))]
    parts = found(tmp_path, container(PHOTO, items, **INVERSE))
    assert [one.kind for one in parts.found] == ["original", "depth", "gain map"]
    np.testing.assert_allclose(parts.first("depth").values(), NEAR_IS_BLACK, rtol=1e-5)
    np.testing.assert_array_equal(parts.first("gain map").values(), MAP)


def test_a_directory_that_lists_what_is_not_there_is_told(tmp_path):
    content = container(PHOTO, [("Depth", picture(MAP))], **INVERSE)
    parts = found(tmp_path, content[:-20])
    assert parts.found == ()
    assert "lists a depth of" in parts.problems[0]


@pytest.mark.parametrize("order", ["<", ">"])
def test_apples_auxiliary_pictures(tmp_path, order):
    told = {"apdi__AuxiliaryImageType": "disparity", "apdi__FloatMinValue": 0.5, "apdi__FloatMaxValue": 3}
    grey = np.full((12, 16), 128, np.uint8)
    matte = packet(apdi__AuxiliaryImageType="urn:com:apple:photo:2018:aux:portraiteffectsmatte")
    others = [
        (jpeg(grey, xmp=packet(**told, depthData__Accuracy="absolute")), 0),
        (jpeg(grey, xmp=matte), 0),
        (jpeg(grey, xmp=packet(hdrgm__Version="1.0")), 0),
    ]
    parts = found(tmp_path, several(jpeg(PHOTO), others, order))
    assert [(one.kind, one.name) for one in parts.found] == [
        ("depth", "depth"),
        ("matte", "matte_portrait"),
        ("gain map", "gain_map"),
    ]
    np.testing.assert_allclose(parts.found[0].values(), 0.5 + 128 / 255 * 2.5, rtol=0.01)
    assert parts.found[0].is_per_metre


def test_the_pictures_of_a_stereo_camera(tmp_path):
    parts = found(tmp_path, several(jpeg(PHOTO), [(jpeg(PHOTO[:, ::-1].copy()), 0x020002), (jpeg(PHOTO[::4, ::4]), 0)]))
    (view,) = parts.found
    assert (view.kind, view.is_right) == ("view", True)
    assert view.values().shape == PHOTO.shape
    assert read_image(tmp_path / "a.jpg").rgb.shape == PHOTO.shape


def test_samsungs_trailer(tmp_path):
    (depth,) = found(tmp_path, samsung(PHOTO, MAP)).found
    assert "taken to be nearer" in depth.text
    np.testing.assert_allclose(depth.values(), MAP / 255, atol=1e-6)


def test_a_bomb_of_entities_is_refused_by_name(tmp_path):
    bomb = b'<!DOCTYPE a [<!ENTITY a "' + b"x" * 1000 + b'"><!ENTITY b "' + b"&a;" * 1000 + b'">]><a>&b;</a>'
    parts = found(tmp_path, jpeg(PHOTO, xmp=bomb))
    assert parts.found == ()
    assert "declares entities" in parts.problems[0]


def test_damage_anywhere_costs_no_more_than_a_part(tmp_path):
    content = bytearray(container(PHOTO, [("Depth", picture(MAP))], **INVERSE))
    for at in RNG.integers(2, len(content), 150):
        damaged = content.copy()
        damaged[at] ^= 0xFF
        with contextlib.suppress(ValueError):
            for part in found(tmp_path, bytes(damaged)).found:
                assert part.values().size <= 48 * 64 * 3
