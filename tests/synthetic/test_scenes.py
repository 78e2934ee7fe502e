"""Scenes follow from seed and index, and a set of them sweeps focus, blur and mattes."""

import json

import numpy as np
import pytest
import torch

from taichi_bokeh.synthetic.mattes import KINDS
from taichi_bokeh.synthetic.pictures import Background, Foreground, Pictures
from taichi_bokeh.synthetic.scenes import SceneSettings, describe, make_scene

SIZE = 32


class Plain:
    """Stands in for Pictures where only geometry matters."""

    def background(self, size, rng, avoid=()):
        return Background(np.full((*size, 3), 0.25, np.float32), "grey")

    def foreground(self, kind, size, rng, avoid=()):
        return Foreground(np.full((*size, 3), 0.5, np.float32), np.full(size, 0.5, np.float32), f"{len(avoid)}", kind)


def plain_scene(index, **settings):
    return make_scene(index, SceneSettings(**{"size": 16, **settings}), Plain())


@pytest.fixture(scope="module")
def pictures():
    return Pictures()


def same(a, b):
    return all(torch.equal(getattr(a.layers, name), getattr(b.layers, name)) for name in ("rgb", "alpha", "disparity"))


def test_a_scene_follows_from_seed_and_index_alone(pictures):
    settings = SceneSettings(size=SIZE, seed=5)
    alone = make_scene(2, settings, Pictures())
    make_scene(1, settings, pictures)
    after_another = make_scene(2, settings, pictures)
    assert same(alone, after_another)
    assert describe(alone) == describe(after_another)
    assert not same(alone, make_scene(3, settings, pictures))
    assert not same(alone, make_scene(2, SceneSettings(size=SIZE, seed=6), pictures))


def test_a_scene_is_a_stack_of_billboards_before_an_opaque_picture(pictures):
    scene = make_scene(0, SceneSettings(size=(24, SIZE)), pictures)
    assert scene.layers.shape == (1, 5, 24, SIZE)
    assert scene.layers.dtype == torch.float32
    assert scene.name == "000"
    disparity = scene.layers.disparity[0, :, 0].flatten(1)
    assert torch.equal(disparity, disparity[:, :1].expand_as(disparity))
    assert (scene.layers.alpha[0, -1] == 1).all()
    cover = scene.layers.alpha[0, :-1].mean(dim=(1, 2, 3))
    assert (cover > 0.05).all()
    assert (cover < 0.6).all()


@pytest.mark.parametrize("layers", [3, 4, 5, 9])
def test_depths_are_in_order_and_well_apart(layers):
    for index in range(20):
        disparities = np.array(plain_scene(index, layers=layers).disparities)
        assert 0.8 <= 1 / disparities[0] <= 1.4
        assert 8 <= 1 / disparities[-1] <= 20
        gaps = -np.diff(disparities)
        assert gaps.min() >= 0.5 * (disparities[0] - disparities[-1]) / (layers - 1) - 1e-6


@pytest.mark.parametrize(
    ("layers", "near", "middle", "far"), [(3, {0}, {1}, {2}), (4, {0, 1}, {2}, {3}), (5, {0, 1}, {2}, {3, 4})]
)
def test_the_focus_goes_round_near_middle_and_far_and_meets_a_layer_exactly(layers, near, middle, far):
    expected = {"near": near, "middle": middle, "far": far}
    met = {name: set() for name in expected}
    for index in range(36):
        scene = plain_scene(index, layers=layers)
        assert scene.focal_plane == ("near", "middle", "far")[index % 3]
        met[scene.focal_plane].add(scene.disparities.index(scene.focus))
        assert scene.radii_px[scene.disparities.index(scene.focus)] == 0
    assert met == expected


def test_the_largest_radius_sweeps_its_range_evenly():
    radii = np.sort([plain_scene(index, size=384 // 24, seed=3).largest_radius_px * 24 for index in range(40)])
    assert radii[0] >= 5
    assert radii[-1] <= 40
    assert np.diff([5, *radii, 40]).max() < 2.5 * 35 / 40  # a golden-ratio sequence leaves no gap beyond φ² / n
    for plane in range(3):
        some = [plain_scene(index, seed=3).largest_radius_px * 24 for index in range(plane, 30, 3)]
        assert min(some) < 12
        assert max(some) > 33


def test_blur_grows_with_the_short_side():
    small, large = plain_scene(4, size=(16, 40)), plain_scene(4, size=48)
    assert large.blur == pytest.approx(3 * small.blur, rel=1e-12)
    assert large.disparities == small.disparities


def test_every_scene_holds_different_kinds_and_a_set_holds_all():
    first_layers, in_focus = set(), set()
    for index in range(36):
        scene = plain_scene(index)
        kinds = [content.kind for content in scene.contents]
        assert kinds[-1] == "background"
        assert len(set(kinds)) == 5
        first_layers.add(kinds[0])
        in_focus.add(kinds[scene.disparities.index(scene.focus)])
    assert first_layers == set(KINDS)
    assert in_focus == {*KINDS, "background"}
    three = [content.kind for index in range(3) for content in plain_scene(index).contents[:-1]]
    assert sorted(three) == sorted([*KINDS, *KINDS])


def test_no_picture_comes_twice_in_a_scene(pictures):
    for index in range(3):
        sources = [content.source for content in make_scene(index, SceneSettings(size=16), pictures).contents]
        assert len(set(sources)) == len(sources)


def test_hdr_adds_lights_to_the_background_and_changes_nothing_else(pictures):
    for index in range(3):
        dim, bright = (make_scene(index, SceneSettings(size=SIZE, hdr=hdr), pictures) for hdr in (False, True))
        assert dim.blur == bright.blur
        assert torch.equal(dim.layers.alpha, bright.layers.alpha)
        assert torch.equal(dim.layers.rgb[0, :-1], bright.layers.rgb[0, :-1])
        assert dim.layers.rgb.max() <= 1
        assert 5 <= bright.layers.rgb.max() <= 200


def test_a_description_is_what_the_scene_is(pictures):
    scene = make_scene(1, SceneSettings(size=SIZE), pictures)
    description = describe(scene)
    assert json.loads(json.dumps(description)) == description
    assert description["focal_plane"] == "middle"
    assert description["size"] == [SIZE, SIZE]
    np.testing.assert_allclose(np.array(description["depths_m"]) * description["disparities"], 1)
    assert max(map(abs, description["radii_px"])) == description["largest_radius_px"]
    assert description["mattes"] == [content.kind for content in scene.contents]
    assert len(description["pictures"]) == len(description["coverage"]) == 5


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"size": 15}, ValueError, "size is 15; expected at least 16"),
        ({"size": (64, 8)}, ValueError, "size is 8"),
        ({"size": (64, 64, 3)}, ValueError, "expected one number, or"),
        ({"size": 64.0}, TypeError, "size is of type float"),
        ({"layers": 2}, ValueError, "layers is 2; expected at least 3"),
        ({"layers": True}, TypeError, "layers is of type bool"),
        ({"seed": -1}, ValueError, "seed is -1"),
        ({"hdr": 1}, TypeError, "hdr is of type int"),
    ],
)
def test_wrong_settings_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        SceneSettings(**settings)


@pytest.mark.parametrize(("index", "error"), [(-1, ValueError), (0.5, TypeError)])
def test_a_wrong_index_is_refused(index, error):
    with pytest.raises(error, match="index is"):
        plain_scene(index)
