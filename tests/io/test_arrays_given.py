"""Arrays that cannot be what a function takes are refused by name: 8-bit colours are no light, and layouts are checked."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from taichi_bokeh import photo
from taichi_bokeh.io import read_image, srgb_decode, srgb_encode, write_image, write_map

RGB8 = np.random.default_rng(0).integers(20, 220, (12, 16, 3)).astype(np.uint8)
RGB = srgb_decode(RGB8)
DISPARITY = np.where(np.arange(16) < 8, 1.0, 0.3)[None].repeat(12, 0).astype(np.float32)
NEAR, EDGE = DISPARITY > 0.5, np.abs(np.arange(16, dtype=np.float32) - 7.5)[None].repeat(12, 0)

Takes = Callable[[Any], object]

TAKE_LIGHT: dict[str, Takes] = {
    "to_layers": lambda rgb: photo.to_layers(rgb, DISPARITY),
    "split_cut_out": lambda rgb: photo.split_cut_out(rgb, NEAR, DISPARITY),
    "fill_holes": lambda rgb: photo.fill_holes(DISPARITY, rgb),
    "clean_disparity": lambda rgb: photo.clean_disparity(DISPARITY, rgb),
    "resize_disparity": lambda rgb: photo.resize_disparity(DISPARITY[::2, ::2], rgb),
    "outline_matte": lambda rgb: photo.outline_matte(rgb, NEAR, EDGE),
    "refine_matte": lambda rgb: photo.refine_matte(rgb, NEAR, EDGE + 9),
    "separate_colours": lambda rgb: photo.separate_colours(rgb, NEAR),
    "colours_ml": lambda rgb: photo.colours_ml(rgb, NEAR),
    "patch_match": lambda rgb: photo.patch_match(rgb, NEAR),
}
TAKE_DISPARITY: dict[str, Takes] = {
    "to_layers": lambda disparity: photo.to_layers(RGB, disparity),
    "split_cut_out": lambda disparity: photo.split_cut_out(RGB, NEAR, disparity),
    "fill_holes": lambda disparity: photo.fill_holes(disparity, RGB),
    "clean_disparity": lambda disparity: photo.clean_disparity(disparity, RGB),
    "resize_disparity": lambda disparity: photo.resize_disparity(disparity, RGB),
    "sharpen_edges": photo.sharpen_edges,
    "choose_cuts": photo.choose_cuts,
}
TAKE_COVERAGE: dict[str, tuple[str, Takes]] = {
    "to_layers": ("matte", lambda matte: photo.to_layers(RGB, DISPARITY, matte)),
    "split_cut_out": ("coverage", lambda coverage: photo.split_cut_out(RGB, coverage, DISPARITY)),
    "separate_colours": ("alpha", lambda alpha: photo.separate_colours(RGB, alpha)),
    "colours_ml": ("alpha", lambda alpha: photo.colours_ml(RGB, alpha)),
}
NO_LIGHT = {
    "8 bits": RGB8,
    "16 bits": RGB8.astype(np.uint16) * 257,
    "int64": RGB8.astype(int),
    "truth values": RGB8 > 100,
    "torch 8 bits": torch.from_numpy(RGB8),
}


@pytest.mark.parametrize("values", NO_LIGHT.values(), ids=NO_LIGHT)
def test_integers_are_no_light(tmp_path, values):
    for take in (*TAKE_LIGHT.values(), partial(write_image, tmp_path / "a.png")):
        with pytest.raises(TypeError, match=r"^rgb has dtype .*; expected floats in linear light.*io\.srgb_decode"):
            take(values)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("values", [RGB.transpose(2, 0, 1), RGB[..., 0], RGB[None], RGB[:0]])
def test_another_layout_of_colours_is_named(tmp_path, values):
    for take in (*TAKE_LIGHT.values(), partial(write_image, tmp_path / "a.png")):
        with pytest.raises(ValueError, match=r"^rgb has shape .*; expected \[H, W, 3\]"):
            take(values)


@pytest.mark.parametrize("take", TAKE_DISPARITY.values(), ids=TAKE_DISPARITY)
def test_another_layout_of_disparities_is_named(take):
    for values in (DISPARITY[..., None], DISPARITY[None], DISPARITY[0], DISPARITY[:0]):
        with pytest.raises(ValueError, match=r"^disparity has shape .*; expected \[H, W\]"):
            take(values)
    for values in (DISPARITY.astype(complex), DISPARITY.astype(str)):
        with pytest.raises(TypeError, match=r"^disparity has dtype .*; expected real numbers"):
            take(values)


@pytest.mark.parametrize("take", TAKE_DISPARITY.values(), ids=TAKE_DISPARITY)
def test_disparities_of_any_unit_are_taken_integers_too(take):
    for dtype in (np.uint8, np.int16, np.float64):
        assert take((10 * DISPARITY).astype(dtype)) is not None


@pytest.mark.parametrize(("name", "take"), TAKE_COVERAGE.values(), ids=TAKE_COVERAGE)
def test_coverage_is_in_0_to_1(name, take):
    take(NEAR)
    take(NEAR.astype(np.uint8))
    with pytest.raises(TypeError, match=f"^{name} has dtype uint8 and values up to 255; expected floats in "):
        take(NEAR * np.uint8(255))
    with pytest.raises(ValueError, match=f"^{name} has values from 0 to 255; expected "):
        take(NEAR * 255.0)
    with pytest.raises(ValueError, match=f"^{name} has shape "):
        take(NEAR[..., None])


@pytest.mark.parametrize(
    ("name", "take"),
    [
        ("near", lambda near: photo.outline_matte(RGB, near, EDGE)),
        ("near", lambda near: photo.refine_matte(RGB, near, EDGE)),
        ("edge_px", lambda edge_px: photo.outline_matte(RGB, NEAR, edge_px)),
        ("edge_px", lambda edge_px: photo.refine_matte(RGB, NEAR, edge_px)),
        ("known", lambda known: photo.patch_match(RGB, known)),
    ],
)
def test_another_layout_of_masks_is_named(name, take):
    for values in (NEAR[..., None], NEAR.T):
        with pytest.raises(ValueError, match=f"^{name} has shape .*; expected "):
            take(values)


def test_an_alpha_of_8_bits_is_not_written_as_opaque(tmp_path):
    for alpha, error in ((NEAR * np.uint8(255), TypeError), (NEAR * 255.0, ValueError), (NEAR[..., None], ValueError)):
        with pytest.raises(error, match=r"^alpha has"):
            write_image(tmp_path / "a.png", RGB, alpha)
    assert list(tmp_path.iterdir()) == []
    write_image(tmp_path / "a.png", RGB, NEAR)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").alpha, NEAR)


def test_maps_are_of_floats(tmp_path):
    with pytest.raises(TypeError, match=r"^values is of dtype uint8; expected a NumPy array of floats"):
        write_map(tmp_path / "a.npy", NEAR.astype(np.uint8))


def test_integers_of_8_and_16_bits_are_decoded_and_never_encoded():
    np.testing.assert_array_equal(srgb_decode(RGB8), srgb_decode(RGB8 / np.float32(255)))
    np.testing.assert_allclose(srgb_decode(RGB8.astype(np.uint16) * 257), RGB, rtol=1e-6)
    for levels in (RGB8, RGB8.astype(np.uint16)):
        with pytest.raises(TypeError, match=r"^linear has dtype uint"):
            srgb_encode(levels)


def test_what_is_decoded_is_written_and_read_back(tmp_path):
    write_image(tmp_path / "a.png", srgb_decode(RGB8))
    np.testing.assert_allclose(255 * srgb_encode(read_image(tmp_path / "a.png").rgb), RGB8, atol=1e-3)
