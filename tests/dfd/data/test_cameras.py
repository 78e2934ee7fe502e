"""Cameras blur as the thin lens does, and scenes fill their range of depth."""

from dataclasses import replace

import pytest
import torch

from taichi_bokeh.dfd.data.cameras import CAMERAS, DEFOCUSNET, DERED, NORMALISED, camera_named
from taichi_bokeh.dfd.data.scenes import DefocusScene, DefocusSceneSettings, make_scene
from taichi_bokeh.synthetic.pictures import Pictures


@pytest.fixture(scope="module")
def scene() -> DefocusScene:
    return make_scene(2, DefocusSceneSettings(size=32), Pictures())


@pytest.mark.parametrize("camera", [DERED, DEFOCUSNET], ids=lambda camera: camera.name)
@pytest.mark.parametrize("depth_m", [0.2, 1.0, 3.0])
def test_the_radius_is_that_of_the_thin_lens_equation(camera, depth_m):
    f, opening_m = camera.focal_length_m, camera.focal_length_m / camera.f_number
    for lens, focus_m in zip(camera.lenses, camera.focus_distances_m, strict=True):
        sensor_m, image_m = (1 / (1 / f - 1 / z) for z in (focus_m, depth_m))
        diameter_px = opening_m * abs(image_m - sensor_m) / image_m / camera.pixel_m
        assert abs(lens.blur * (1 / depth_m - lens.focus)) == pytest.approx(diameter_px / 2, abs=1e-9)


def test_published_numbers():
    assert DERED.size == (240, 320)
    assert [1 / lens.focus for lens in DERED.lenses] == pytest.approx([1, 1.5, 2.5, 4, 6])
    assert DERED.lenses[0].blur == pytest.approx(3.125e-3 * 0.05 / 0.95 / 12e-6)
    assert DEFOCUSNET.size == (256, 256)
    assert [1 / lens.focus for lens in DEFOCUSNET.lenses] == pytest.approx([0.1, 0.15, 0.3, 0.7, 1.5])
    assert 1 / DEFOCUSNET.far == pytest.approx(3)


@pytest.mark.parametrize("camera", [DERED, DEFOCUSNET], ids=lambda camera: camera.name)
def test_a_scene_fills_the_range_of_depth(camera, scene):
    view = camera.view(scene)
    covered = view.layers.disparity[view.layers.alpha > 0]
    assert covered.min() == pytest.approx(camera.far, abs=1e-6)
    assert covered.max() == pytest.approx(camera.near, rel=1e-6)
    assert (view.near, view.far) == (camera.near, camera.far)
    assert len(view.lenses) == 5
    assert torch.equal(view.layers.rgb, scene.layers.rgb)
    alone = scene.layers.alpha[0, :-1, 0].amax(0) == 0
    assert torch.equal(view.disparity[alone], view.layers.disparity[0, -1, 0][alone])
    assert view.disparity.max() == pytest.approx(camera.near, rel=1e-6)


def test_the_normalised_camera_takes_one_picture_by_the_scenes_own_lens(scene):
    view = NORMALISED.view(scene)
    assert (view.far, view.near) == (0, 1)
    (lens,) = view.lenses
    assert (lens.blur, lens.focus) == (scene.blur, scene.focus)
    assert torch.equal(view.disparity, scene.disparity_map)


def test_cameras_have_names():
    assert list(CAMERAS) == ["normalised", "dered", "defocusnet"]
    assert camera_named("dered") is DERED
    with pytest.raises(ValueError, match="camera is 'leica'; expected one of 'normalised', 'dered', 'defocusnet'"):
        camera_named("leica")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"focus_distances_m": ()}, "focus_distances_m is empty"),
        ({"focus_distances_m": (1.0, 0.04)}, "focus_distance is 0.04 m; expected more than focal_length"),
        ({"farthest_m": 0.5}, "farthest_m is 0.5; expected more than 0.7"),
        ({"pixel_m": 0.0}, "sensor_width is 0.0"),
        ({"width_px": 0}, "width_px is 0"),
    ],
)
def test_bad_cameras_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        replace(DERED, **change)
