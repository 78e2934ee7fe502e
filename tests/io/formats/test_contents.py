"""Premultiplied colours: what the integers leave open is taken from round about."""

import numpy as np
import pytest

from taichi_bokeh.io.formats.contents import unpremultiplied


@pytest.mark.parametrize("rounding", [np.ceil, np.rint, np.floor])
def test_faint_pixels_are_not_brighter_than_what_is_round_about(rounding):
    alpha = np.maximum(np.round(255 * np.exp(-np.arange(60) / 6)), 1)[None].repeat(9, 0)
    colour = rounding(100 * alpha / 255)
    straight = unpremultiplied(np.dstack([colour, colour, colour, alpha]).astype(np.uint8))
    np.testing.assert_allclose(straight[..., :3].astype(int), 100, atol=4)
    np.testing.assert_array_equal(straight[..., 3], alpha)


def test_premultiplied_again_the_numbers_are_the_same():
    rng = np.random.default_rng(0)
    alpha = rng.integers(1, 256, (20, 30, 1))
    colours = rng.integers(0, alpha + 1, (20, 30, 3))
    straight = unpremultiplied(np.concatenate([colours, alpha], -1).astype(np.uint8))[..., :3].astype(float)
    assert np.abs(straight * alpha / 255 - colours).max() <= 1.25  # the rounding of the file, and a half of ours


def test_floats_and_much_alpha_are_divided():
    values = np.array([[[64, 32, 0, 128], [200, 100, 50, 255]]], np.uint8)
    np.testing.assert_array_equal(unpremultiplied(values), [[[128, 64, 0, 128], [200, 100, 50, 255]]])
    np.testing.assert_array_equal(unpremultiplied(np.float32([[[1e-6, 2, 0, 1e-6]]])), np.float32([[[1, 2e6, 0, 1e-6]]]))
