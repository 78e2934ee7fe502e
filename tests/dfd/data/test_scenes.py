"""Scenes for depth from defocus: layers that never cross, radii as they were asked for, a truth that is what is seen."""

from itertools import pairwise

import pytest
import torch

from taichi_bokeh.dfd.data.scenes import FOCAL_PLANES, DefocusScene, DefocusSceneSettings, make_scene, weak_texture
from taichi_bokeh.synthetic.pictures import Pictures

SIZE = 64
COUNT = 18  # every kind of surface with every focal plane, twice


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    return Pictures()


@pytest.fixture(scope="module")
def scenes(pictures) -> list[DefocusScene]:
    settings = DefocusSceneSettings(size=SIZE, focal_plane="any")
    return [make_scene(index, settings, pictures) for index in range(COUNT)]


def test_layers_keep_apart_and_within_the_range(scenes):
    for scene in scenes:
        planes = scene.layers.disparity[0, :, 0]
        assert planes.min() >= 0
        assert planes.max() <= 1
        for near, far in pairwise(planes):
            assert (near - far).min() > 0.07
        assert scene.layers.alpha[0, -1].min() == 1


def test_surfaces_are_what_they_are_called(scenes):
    for scene in scenes:
        assert 2 <= scene.layers.count <= 4
        for surface, plane in zip(scene.surfaces, scene.layers.disparity[0, :, 0].double(), strict=True):
            if surface == "flat":
                assert plane.min() == plane.max()
            else:
                assert plane.max() - plane.min() > 0.01
        background = scene.layers.disparity[0, -1, 0].double()
        bent = max(float(background.diff(n=2, dim=axis).abs().max()) for axis in (0, 1))
        assert (bent > 1e-5) == (scene.surfaces[-1] == "curved")
        assert scene.surfaces[-1] == {"billboards": "flat"}.get(scene.kind, scene.kind)


def test_every_kind_meets_every_focal_plane(scenes):
    assert len({(scene.kind, scene.focal_plane) for scene in scenes}) == 9
    assert len({scene.name for scene in scenes}) == COUNT


def test_the_radii_have_the_sign_and_the_size_that_were_asked_for(scenes):
    for scene in scenes:
        radius_px = scene.blur * (scene.disparity_map - scene.focus)
        assert 6 <= float(radius_px.abs().max()) <= 9
        assert scene.largest_radius_px == pytest.approx(float(radius_px.abs().max()), rel=1e-6)
        if scene.focal_plane == "far":
            assert radius_px.min() >= 0
        elif scene.focal_plane == "near":
            assert radius_px.max() <= 0
        else:
            assert radius_px.min() < -1
            assert radius_px.max() > 1
    assert len({round(scene.largest_radius_px, 3) for scene in scenes}) == COUNT


def test_a_scene_follows_from_its_seed_and_number_alone(scenes, pictures):
    again = make_scene(7, DefocusSceneSettings(size=SIZE, focal_plane="any"), pictures)
    assert torch.equal(again.layers.rgb, scenes[7].layers.rgb)
    assert torch.equal(again.layers.disparity, scenes[7].layers.disparity)
    assert (again.blur, again.focus) == (scenes[7].blur, scenes[7].focus)
    other = make_scene(7, DefocusSceneSettings(size=SIZE, focal_plane="any", seed=1), pictures)
    assert not torch.equal(other.layers.rgb[0, -1], scenes[7].layers.rgb[0, -1])
    assert other.name != again.name


def test_what_is_asked_for_of_the_lens_leaves_the_layers_alone(scenes, pictures):
    settings = DefocusSceneSettings(size=SIZE, focal_plane="near", largest_radius_px=4)
    scene = make_scene(6, settings, pictures)
    assert scenes[6].focal_plane == "far"
    assert torch.equal(scene.layers.disparity, scenes[6].layers.disparity)
    assert scene.largest_radius_px == pytest.approx(4, rel=1e-6)


def test_size_and_number_of_foregrounds_are_obeyed(pictures):
    settings = DefocusSceneSettings(size=(40, 72), foregrounds=2, kinds=("curved",))
    for index in range(3):
        scene = make_scene(index, settings, pictures)
        assert scene.layers.shape == (1, 3, 40, 72)
        assert scene.kind == "curved"


def test_layers_have_a_disparity_and_a_radius_of_their_own(scenes):
    for scene in scenes:
        assert all(near > far for near, far in pairwise(scene.disparities))
        assert len(scene.radii_px) == scene.layers.count


def test_textures_tell_of_blur_over_most_of_the_frame(scenes):
    shares = [float(weak_texture(scene.all_in_focus).double().mean()) for scene in scenes]
    assert max(shares) < 0.5
    assert sum(shares) / COUNT < 0.15


def test_weak_texture_is_found():
    flat = torch.full((3, 20, 40), 0.5)
    assert weak_texture(flat).all()
    striped = flat.clone()
    striped[:, :, 20::2] = 0.2
    assert weak_texture(striped)[:, :16].all()
    assert not weak_texture(striped)[:, 24:].any()


def test_focal_planes_are_named():
    assert FOCAL_PLANES == ("far", "near", "middle")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"size": 8}, ValueError, "size is 8; expected at least 16"),
        ({"size": (32, 32, 32)}, ValueError, "expected one number, or two"),
        ({"size": 64.0}, TypeError, "size is of type float"),
        ({"seed": -1}, ValueError, "seed is -1"),
        ({"largest_radius_px": 0}, ValueError, "largest_radius_px is 0; expected more than 0"),
        ({"largest_radius_px": (9.0, 6.0)}, ValueError, r"largest_radius_px is \(9.0, 6.0\); expected \(least, most\)"),
        ({"foregrounds": 0}, ValueError, "foregrounds is 0"),
        ({"foregrounds": (1, 2.0)}, TypeError, "foregrounds is of type float"),
        ({"kinds": ()}, ValueError, "kinds is empty"),
        ({"kinds": ("round",)}, ValueError, "kinds is 'round'; expected one of 'billboards'"),
        ({"focal_plane": "sky"}, ValueError, "focal_plane is 'sky'"),
    ],
)
def test_bad_settings_are_named(change, error, message):
    with pytest.raises(error, match=message):
        DefocusSceneSettings(**change)


def test_a_negative_number_is_refused(pictures):
    with pytest.raises(ValueError, match="index is -1"):
        make_scene(-1, DefocusSceneSettings(), pictures)
