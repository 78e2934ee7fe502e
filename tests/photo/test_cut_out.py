"""Photographs that are transparent in places, in layers and rendered."""

import numpy as np
import pytest
import torch

import taichi_bokeh as tb
from taichi_bokeh.photo import render_cut_out, split_cut_out, to_layers
from tests.photo.scenes import disc_before_wall, psnr

SHARP, BLURRED = tb.ThinLens(0.0, 0.9), tb.ThinLens(20.0, 0.2)


def vignette(height, width):
    """Coverage that falls from 1 at the left to 0 at the right."""
    return np.linspace(1.2, -0.2, width, dtype=np.float32).clip(0, 1)[None].repeat(height, 0)


def test_without_blur_a_cut_out_is_what_it_was():
    rgb, disparity, matte = disc_before_wall()
    coverage = vignette(*disparity.shape)
    picture = render_cut_out(split_cut_out(rgb, coverage, disparity, matte), SHARP, model="scatter")[0].numpy()
    assert psnr(picture[3], coverage) > 45
    assert psnr(picture[:3], (coverage[..., None] * rgb).transpose(2, 0, 1)) > 45


def test_an_opaque_one_is_the_photograph():
    rgb, disparity, _ = disc_before_wall()
    cut_out = split_cut_out(rgb, np.ones_like(disparity), disparity)
    layers = to_layers(rgb, disparity)
    for name in ("rgb", "alpha", "disparity"):
        torch.testing.assert_close(getattr(cut_out.layers, name), getattr(layers, name))
    picture = render_cut_out(cut_out, BLURRED, model="scatter")
    torch.testing.assert_close(picture[:, :3], tb.render(layers, BLURRED, "scatter"))
    torch.testing.assert_close(picture[:, 3], torch.ones_like(picture[:, 3]), atol=1e-4, rtol=0)


def test_evenly_transparent_stays_evenly_transparent():
    """Unlike layers that let each other's light through: these are of one picture."""
    rgb, disparity, matte = disc_before_wall()
    cut_out = split_cut_out(rgb, np.full_like(disparity, 0.5), disparity, matte)
    picture = render_cut_out(cut_out, BLURRED, model="scatter")
    torch.testing.assert_close(picture[:, 3], torch.full_like(picture[:, 3], 0.5), atol=1e-4, rtol=0)


def test_a_foreground_before_nothing_blurs_into_nothing_whatever_colour_nothing_has():
    rgb, disparity, matte = disc_before_wall()
    pictures = []
    for nothing in (0.0, 5.0):
        cut = np.where(matte[..., None] > 0, rgb, nothing)
        cut_out = split_cut_out(cut, matte, disparity)
        pictures.append(render_cut_out(cut_out, BLURRED, model="scatter")[0])
    torch.testing.assert_close(*pictures)
    premultiplied, coverage = pictures[0][:3], pictures[0][3]
    assert coverage[:20, :20].max() < 0.01  # far from the disc
    assert coverage[60, 80] > 0.99  # in its middle
    rim = coverage[60, 110:130]
    assert rim[0] > 0.6 > 0.4 > rim[-1]  # half at its rim
    straight = premultiplied / coverage.clamp(min=1e-6)
    inside = coverage > 0.05
    assert straight[1][inside].max() < 0.35  # the disc is red: no green of the wall


def test_progress_runs_once_from_beginning_to_end():
    rgb, disparity, matte = disc_before_wall(60, 80)
    heard = []
    cut_out = split_cut_out(rgb, matte, disparity)
    render_cut_out(cut_out, BLURRED, model="scatter", progress=lambda done, total: heard.append(done / total))
    assert heard == sorted(heard)
    assert heard[-1] == 1
    assert any(0.4 < part < 0.6 for part in heard)


@pytest.mark.parametrize(
    ("coverage", "message"),
    [
        (np.ones((3, 4), np.float32), r"coverage has shape \(3, 4\); expected \(60, 80\) as rgb"),
        (np.full((60, 80), 1.5, np.float32), "coverage has values from 1.5 to 1.5"),
        (np.full((60, 80), np.nan, np.float32), "coverage holds NaN"),
        (np.zeros((60, 80), np.float32), "coverage is 0 everywhere"),
    ],
)
def test_bad_coverage_is_named(coverage, message):
    rgb, disparity, _ = disc_before_wall(60, 80)
    with pytest.raises(ValueError, match=message):
        split_cut_out(rgb, coverage, disparity)
