"""Procedural mattes: antialiased, reproducible, of the sizes that they are said to have."""

import numpy as np
import pytest
from scipy import ndimage

from taichi_bokeh.synthetic.mattes import KINDS, draw_matte

SIZE = (192, 256)
UNIT = 192 / 384  # px of this frame in one of the reference frame


def drawn(kind, seed=0, size=SIZE):
    return draw_matte(kind, size, np.random.default_rng(seed))


@pytest.mark.parametrize("kind", KINDS)
def test_covers_a_fair_part_of_the_frame(kind):
    for seed in range(4):
        matte = drawn(kind, seed)
        assert matte.shape == SIZE
        assert matte.dtype == np.float32
        assert matte.min() == 0
        assert matte.max() == 1
        assert 0.10 <= matte.mean() <= 0.45


@pytest.mark.parametrize("kind", KINDS)
def test_depends_on_the_generator_alone(kind):
    np.testing.assert_array_equal(drawn(kind, 3), drawn(kind, 3))
    assert (drawn(kind, 3) != drawn(kind, 4)).mean() > 0.05


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(16, 16), (20, 61), (48, 31)])
def test_fits_any_frame(kind, size):
    matte = drawn(kind, size=size)
    assert matte.shape == size
    assert 0 < matte.mean() < 1


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_on_an_outline_are_partly_covered(kind):
    matte = drawn(kind)
    jumps = (np.abs(np.diff(matte, axis=0)) == 1).sum() + (np.abs(np.diff(matte, axis=1)) == 1).sum()
    assert ((matte > 0) & (matte < 1)).sum() > 4 * jumps  # a jump from 0 to 1 needs an edge along the pixels


def test_hair_is_mostly_thinner_than_two_pixels():
    matte = drawn("hair", size=(384, 384)) >= 0.5
    body = ndimage.binary_opening(matte, np.ones((5, 5)))
    body = ndimage.binary_dilation(body, iterations=2)
    strands, _ = ndimage.label(matte & ~body, np.ones((3, 3)))
    thin = strands > 0
    assert thin.mean() > 0.01
    assert ndimage.distance_transform_edt(thin)[thin].mean() < 1.5


def test_holes_are_round_and_of_3_to_20_px():
    matte = drawn("holes", size=(384, 384))
    labels, count = ndimage.label(matte < 0.5)
    area = ndimage.sum_labels(np.ones_like(matte), labels, np.arange(1, count + 1))
    inner = area < area.max()  # less the space round the sheet
    diameter = 2 * np.sqrt(area[inner] / np.pi)
    whole = [box for box, is_inner in zip(ndimage.find_objects(labels), inner, strict=True) if is_inner]
    whole = [box for box in whole if all(part.start > 0 and part.stop < 384 for part in box)]
    height, width = np.array([[part.stop - part.start for part in box] for box in whole]).T
    assert len(whole) > 50
    assert diameter.max() < 20.5
    assert np.median(diameter) > 3
    assert np.abs(height - width).max() <= 2


def test_twigs_taper_from_some_pixels_to_less_than_one():
    matte = drawn("twigs", size=(384, 384))
    thickest_px = 2 * ndimage.distance_transform_edt(matte > 0.5).max()
    assert 5 < thickest_px < 25  # where branches cross, more than one's 9 px
    strongest_near = ndimage.maximum_filter(matte, 5)
    assert ((strongest_near > 0.1) & (strongest_near < 0.9)).mean() > 0.01  # tips that nowhere cover a whole pixel


def test_the_soft_edge_fades_over_5_px_and_more():
    matte = drawn("soft", size=(384, 384))
    steepest = max(np.abs(np.diff(matte, axis=axis)).max() for axis in (0, 1))
    assert 1.5 / 30 < steepest < 1.5 / 5 * 1.1  # a smooth step over w px rises by at most 1.5/w a pixel


def test_leaves_have_hard_edges():
    for seed in range(4):
        matte = drawn("solid", seed, (384, 384))
        assert ((matte > 0) & (matte < 1)).mean() < 0.06


def test_bars_of_a_lattice_cross():
    open_, count = ndimage.label(drawn("lattice", size=(384, 384)) < 0.5)
    assert count > 30
    assert np.bincount(open_.ravel())[1:].max() < 0.6 * 384**2


def test_lengths_grow_with_the_frame():
    # The same draws in a frame of twice the size are the same shape, so its area average is the smaller matte.
    large = drawn("solid", size=(256, 256)).reshape(128, 2, 128, 2).mean(axis=(1, 3))
    assert np.abs(large - drawn("solid", size=(128, 128))).mean() < 0.01


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="kind is 'fur'; expected one of 'hair', 'holes'"):
        draw_matte("fur", SIZE, np.random.default_rng(0))
