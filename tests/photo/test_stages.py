"""Every stage between a picture and its layers can be replaced, and what comes with the package does what it says."""

import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage

from taichi_bokeh.photo import (
    Stages,
    choose_cuts,
    clean_disparity,
    colours_ml,
    inpainter,
    outline_matte,
    patch_match,
    push_pull,
    refine_matte,
    resize_disparity,
    separate_colours,
    sharpen_edges,
    to_layers,
)
from taichi_bokeh.photo.matte.refine import _tiles
from tests.photo.scenes import composite, disc_before_wall, psnr, texture


def test_each_stage_is_called_with_what_it_is_promised():
    scene, seen = disc_before_wall(60, 80), []
    disparity = scene.disparity.copy()
    disparity[:5, :5] = np.nan

    def spy(name, function):
        def called(*arguments):
            seen.append((name, [np.shape(argument) for argument in arguments]))
            return function(*arguments)

        return called

    stages = {"clean": clean_disparity, "split": choose_cuts, "matte": outline_matte, "colours": separate_colours}
    to_layers(
        scene.rgb, disparity, stages=Stages(**{n: spy(n, f) for n, f in stages.items()}, inpaint=spy("inpaint", push_pull))
    )
    plane, picture = (60, 80), (60, 80, 3)
    assert seen == [
        ("clean", [plane, picture]),
        ("split", [plane, ()]),
        ("matte", [picture, plane, plane]),
        ("colours", [picture, plane]),
        ("inpaint", [picture, plane]),
    ]


def test_what_a_stage_returns_ends_up_in_the_layers():
    scene = disc_before_wall()
    rgb = np.full_like(scene.rgb, 0.95 * 0.3 + 0.05 * 0.6)  # what the stages' colours mix to
    half = Stages(
        split=lambda disparity, count: [0.5],
        matte=lambda rgb, near, edge_px: near * np.float32(0.95),
        colours=lambda rgb, alpha: (np.full_like(rgb, 0.3), rgb),
        inpaint=lambda rgb, known: np.where(known[..., None], rgb, np.float32(0.6)),
    )
    layers = to_layers(rgb, scene.disparity, stages=half)
    inside = (0, slice(None), slice(None), 60, 80)
    assert layers.alpha[inside].flatten().tolist() == pytest.approx([0.95, 1])
    np.testing.assert_allclose(layers.rgb[inside], [[0.3] * 3, [0.6] * 3], rtol=1e-6)


@pytest.mark.parametrize(
    ("stage", "returned", "message"),
    [
        ("clean", np.zeros((2, 2)), r"stages.clean returned an array of shape \(2, 2\)"),
        ("matte", np.full((120, 160), np.nan), "stages.matte returned NaN"),
        ("matte", np.full((120, 160), 1.5), r"stages.matte returned values from 1.5 to 1.5; expected values in \[0, 1\]"),
        ("inpaint", np.full((120, 160, 3), -1), "stages.inpaint returned values from -1 to -1; expected at least 0"),
        ("inpaint", np.zeros((120, 160)), "stages.inpaint returned an array of shape"),
    ],
)
def test_what_a_stage_must_not_return_is_refused_by_its_name(stage, returned, message):
    scene = disc_before_wall()
    with pytest.raises(ValueError, match=message):
        to_layers(scene.rgb, scene.disparity, stages=Stages(**{stage: lambda *_: returned}))


def _steps(*disparities: float) -> np.ndarray:
    return np.repeat(np.array(disparities, np.float32), 20)[None].repeat(60, axis=0)


def test_as_many_layers_are_made_as_there_are_steps_up_to_five():
    for disparities in ((0.1,), (0.1, 0.9), (0.1, 0.5, 0.9), (0.9, 0.6, 0.3, 0.1), (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)):
        disparity = _steps(*disparities)
        rgb = texture(*disparity.shape, (0.5, 0.4, 0.3), 0)
        assert to_layers(rgb, disparity).count == min(len(disparities), 5)


def test_a_step_that_is_hardly_any_makes_no_layer_unless_asked_for():
    disparity = _steps(0.1, 0.9)
    disparity[:2, -2:] = 1  # a speck
    assert len(choose_cuts(disparity)) == 1
    assert len(choose_cuts(disparity, 4)) == 2


def test_a_blurred_edge_becomes_a_step_and_a_narrow_middle_stays():
    blurred = ndimage.uniform_filter1d(_steps(0.1, 0.9), 5, axis=1)
    assert set(np.unique(np.round(sharpen_edges(blurred), 3))) == {np.float32(0.1), np.float32(0.9)}
    three = _steps(0.1, 0.5, 0.9)
    three = np.delete(three, np.s_[22:38], axis=1)  # the middle is 4 px wide
    np.testing.assert_array_equal(sharpen_edges(three), three)


def _striped_wall() -> tuple[np.ndarray, np.ndarray]:
    rgb = np.where((np.arange(64) // 4 % 2)[None, :, None], (0.6, 0.5, 0.4), (0.1, 0.2, 0.3))
    known = np.ones((48, 64), bool)
    known[16:32, 20:44] = False
    return np.broadcast_to(rgb, (48, 64, 3)).astype(np.float32), known


def test_patchmatch_goes_on_with_the_pattern_where_push_pull_blurs_it(capfd):
    pytest.importorskip("patchmatch")
    rgb, known = _striped_wall()
    holed = np.where(known[..., None], rgb, 7)
    filled = [inpainter(name)(holed, known) for name in ("patchmatch", "push-pull")]
    for one in filled:
        np.testing.assert_allclose(one[known], rgb[known], rtol=1e-6)
    assert psnr(filled[0], rgb) > psnr(filled[1], rgb) + 4
    np.testing.assert_array_equal(patch_match(holed, known), filled[0])
    assert capfd.readouterr() == ("", "")


def test_inpainters_refuse_what_they_cannot_do():
    with pytest.raises(ValueError, match="inpainter is 'telea'; expected"):
        inpainter("telea")
    with pytest.raises(ValueError, match="known is false everywhere"):
        patch_match(np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), bool))


def _tufts() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A red disc with radial hairs before a green wall; the outline of the disc alone; the true coverage."""
    y, x = np.mgrid[:160, :160]
    radius, angle = np.hypot(y - 80, x - 80), np.arctan2(y - 80, x - 80)
    hair = np.clip(4 * np.cos(24 * angle) - 1, 0, 1) * (radius < 62)
    alpha = np.maximum(np.clip(45.5 - radius, 0, 1), hair).astype(np.float32)
    front, back = texture(160, 160, (0.8, 0.1, 0.05), 0), texture(160, 160, (0.1, 0.5, 0.2), 1)
    return alpha[..., None] * front + (1 - alpha[..., None]) * back, radius < 54, alpha


def test_a_refined_matte_finds_hair_that_the_outline_cuts_off(capfd):
    pytest.importorskip("pymatting")
    rgb, near, true = _tufts()
    edge_px = (ndimage.distance_transform_edt(near) + ndimage.distance_transform_edt(~near) - 0.5).astype(np.float32)
    rough, refined = outline_matte(rgb, near, edge_px), refine_matte(rgb, near, edge_px, band_px=14)
    assert np.abs(refined - true).mean() < 0.3 * np.abs(rough - true).mean()
    assert capfd.readouterr() == ("", "")
    front, back = colours_ml(rgb, refined)
    mixed = (true > 0.2) & (true < 0.8)
    assert (front[..., 0] > front[..., 1])[mixed].mean() > 0.9
    assert (back[..., 1] > back[..., 0])[mixed].mean() > 0.9
    layers = to_layers(rgb, np.where(near, 0.9, 0.2).astype(np.float32), refined)
    assert psnr(composite(layers)[0], rgb) > 35


def test_tiles_cover_a_picture_once_with_their_surroundings():
    covered = np.zeros((2300, 900), int)
    for core, around, inner in _tiles(covered.shape, 20):
        covered[core] += 1
        assert covered[around][inner].shape == covered[core].shape
        assert np.shares_memory(covered[around][inner], covered[core])
    assert (covered == 1).all()


def test_a_resized_disparity_has_its_edges_where_the_picture_has_them():
    y, x = np.mgrid[:60, :90]
    near = x + 0.3 * y > 50
    rgb = np.where(near[..., None], (0.7, 0.2, 0.1), (0.1, 0.3, 0.5)).astype(np.float32)
    disparity = np.where(near, 0.9, 0.2).astype(np.float32)
    resized = resize_disparity(disparity[1::3, 1::3], rgb)
    np.testing.assert_allclose(resized, disparity, atol=1e-6)
    slope = np.linspace(0, 1, 30, dtype=np.float32)[:, None].repeat(45, axis=1)
    np.testing.assert_allclose(np.diff(resize_disparity(slope, rgb)[2:-2], axis=0), 0.5 / 29, atol=1e-5)


def test_a_hole_keeps_its_place_in_a_resized_disparity():
    disparity = np.full((20, 30), 0.5, np.float32)
    disparity[5:10, 5:10] = np.nan
    resized = resize_disparity(disparity, np.full((40, 60, 3), 0.5, np.float32))
    assert np.isnan(resized[11:19, 11:19]).all()
    assert np.isfinite(resized[:9]).all()
    smaller = resize_disparity(disparity, np.full((10, 15, 3), 0.5, np.float32))
    assert smaller.shape == (10, 15)
    assert np.isnan(smaller[3, 3])


def test_another_aspect_ratio_is_refused():
    with pytest.raises(ValueError, match=r"disparity has shape \(20, 20\); expected the aspect ratio"):
        resize_disparity(np.zeros((20, 20), np.float32), np.zeros((20, 30, 3), np.float32))


def test_importing_the_stages_starts_no_compiler():
    slow = "{'pymatting', 'numba', 'patchmatch', 'transformers'}"
    code = f"import sys, taichi_bokeh.photo; sys.exit(bool({slow} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
