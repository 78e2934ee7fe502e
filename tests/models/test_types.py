"""The models as types: fields, checks, names, and that everybody has the same default."""

import copy
import pickle
from dataclasses import MISSING, fields, replace

import pytest
import torch

import taichi_bokeh as tb
from taichi_bokeh.apps.options import model as model_options_of_commands
from taichi_bokeh.apps.options.model import ModelRequest
from taichi_bokeh.models import DEFAULT, FIELDS, MODELS, Model, model_of
from taichi_bokeh.nn import Positive
from taichi_bokeh.viewer.scene import Scene
from taichi_bokeh.viewer.source import model_options
from tests.scenes import random_layers

#: Another value than the default for every field of every model.
OTHERS = {
    tb.SubAperture: {"cells": "auto", "algorithm": "exact"},
    tb.Scatter: {
        "profile": "soft",
        "algorithm": "exact",
        "max_radius": 3.5,
        "quality": "draft",
        "occlusion": False,
        "occlusion_gap": -1.0,
        "occlusion_steepness": 2,
    },
    tb.OfficialScatter: {"max_radius": 9, "algorithm": "reference", "occlusion": False},
}
EVERY_FIELD = [(kind, field.name) for kind in OTHERS for field in fields(kind)]
every_field = pytest.mark.parametrize(
    ("kind", "name"), EVERY_FIELD, ids=[f"{kind.__name__}-{name}" for kind, name in EVERY_FIELD]
)


@every_field
def test_a_model_is_what_its_repr_says_and_travels(kind, name):
    model = kind(**{name: OTHERS[kind][name]})
    assert model != kind()
    assert f"{name}={getattr(model, name)!r}" in repr(model)
    for twin in (eval(repr(model), vars(tb)), copy.deepcopy(model), pickle.loads(pickle.dumps(model)), replace(model)):
        assert twin == model
        assert hash(twin) == hash(model)
        assert repr(twin) == repr(model)


@every_field
def test_names_with_keywords_build_the_same(kind, name):
    given = {name: OTHERS[kind][name]}
    assert model_of(kind.name, **given) == kind(**given)
    assert model_of(kind.name, **{name: None}) == kind()
    assert all(field.default is not MISSING for field in fields(kind))
    lens = tb.ThinLens(5.0, 0.5)
    assert tb.BokehRenderer(lens, kind.name, **given).model == tb.BokehRenderer(5.0, 0.5, model=kind(**given)).model


@every_field
def test_explain_knows_every_field(kind, name):
    layers, lens = random_layers(height=9, width=9), tb.ThinLens(9.0, 0.5)
    given = {name: OTHERS[kind][name]}
    explained = tb.explain(layers, lens, kind.name, **given)
    assert explained == tb.explain(layers, lens, kind(**given)) == kind(**given).explain(layers, lens)
    assert f"{name}={getattr(kind(**given), name)!r}" in str(explained)


def test_old_names_say_the_new_ones():
    explained = tb.explain(random_layers(height=5, width=5), tb.ThinLens(2.0, 0.5))
    for owner, name, now in (
        (explained, "ways", "strategies"),
        (explained, "algorithm", "model.algorithm"),
        (explained.layers[0], "way", "strategy"),
        (tb.ThinLens(2.0, 0.5), "per_picture", "per_image"),
        (tb.TraceState(torch.zeros(1), torch.zeros(1), done=0, rays=1, seed=0), "picture", "image"),
    ):
        with pytest.raises(AttributeError, match=f"{name} is gone; write {now}"):
            getattr(owner, name)


def test_a_draft_is_explained():
    layers = random_layers(count=1, height=20, width=20)
    (plan,) = tb.explain(layers, tb.ThinLens(300.0, 0.5), tb.Scatter(quality="draft")).layers
    assert plan.strategy == "pyramid"
    assert "merged on 4 levels" in plan.reason
    (small,) = tb.explain(layers, tb.ThinLens(20.0, 0.5), tb.Scatter(quality="draft")).layers
    assert small.strategy == "rows"


@pytest.mark.parametrize(
    ("kind", "bad", "error", "message"),
    [
        (tb.SubAperture, {"cells": 0}, ValueError, "cells is 0; expected at least 1"),
        (tb.SubAperture, {"cells": 1025}, ValueError, "cells is 1025; expected at most 1024"),
        (tb.SubAperture, {"cells": "many"}, ValueError, "cells is 'many'; expected a number or 'auto'"),
        (tb.SubAperture, {"cells": True}, TypeError, "cells is of type bool; expected an integer"),
        (tb.SubAperture, {"cells": 2.5}, TypeError, "cells is of type float; expected an integer"),
        (tb.SubAperture, {"algorithm": "slow"}, ValueError, "algorithm is 'slow'; expected one of 'auto', 'exact', 'fast'"),
        (tb.Scatter, {"profile": "hard"}, ValueError, "profile is 'hard'; expected one of 'disc', 'soft'"),
        (tb.Scatter, {"algorithm": "slow"}, ValueError, "algorithm is 'slow'; expected one of"),
        (tb.Scatter, {"quality": "rough"}, ValueError, "quality is 'rough'; expected one of 'full', 'draft'"),
        (tb.Scatter, {"quality": "draft", "algorithm": "exact"}, ValueError, "algorithm is 'exact'; expected 'auto' or 'fast'"),
        (tb.Scatter, {"quality": "draft", "max_radius": 4}, ValueError, "max_radius is 4.0; expected None"),
        (tb.Scatter, {"occlusion": 0}, TypeError, "occlusion is of type int; expected a bool"),
        (tb.Scatter, {"occlusion_gap": "near"}, TypeError, "occlusion_gap is of type str; expected a number"),
        (tb.Scatter, {"occlusion_steepness": 0}, ValueError, "occlusion_steepness is 0"),
        (tb.Scatter, {"max_radius": 0}, ValueError, "max_radius is 0; expected px between 0 and 32768"),
        (tb.Scatter, {"max_radius": float("nan")}, ValueError, "max_radius is nan; expected a finite number"),
        (tb.Scatter, {"max_radius": "35"}, TypeError, "max_radius is of type str; expected a number"),
        (tb.OfficialScatter, {"algorithm": "fast"}, ValueError, "algorithm is 'fast'; expected one of 'auto', 'exact', 'ref"),
        (tb.OfficialScatter, {"max_radius": -1}, ValueError, "max_radius is -1; expected px"),
        (tb.OfficialScatter, {"occlusion": None}, TypeError, "occlusion is of type NoneType"),
    ],
)
def test_a_field_is_checked(kind, bad, error, message):
    with pytest.raises(error, match=f"^{message}"):
        kind(**bad)


@pytest.mark.parametrize(
    ("model", "given", "error", "message"),
    [
        ("gauss", {}, ValueError, "model is 'gauss'; expected one of 'subaperture', 'scatter', 'scatter-official'"),
        (16, {}, TypeError, "model is of type int; expected a name or a model"),
        (tb.SubAperture(), {"cells": 4}, TypeError, "cells given beside the model SubAperture"),
        ("scatter", {"profil": "soft"}, TypeError, "profil is no field of a model; those of 'scatter' are profile, algorithm"),
        ("subaperture", {"profile": "disc"}, ValueError, "profile is 'disc', but model 'subaperture' has no such field"),
        ("subaperture", {"quality": "draft"}, ValueError, "quality is 'draft', but model 'subaperture' has no such field"),
        ("subaperture", {"occlusion": False}, ValueError, "occlusion is False, but model 'subaperture' has no such field"),
        (None, {"profile": "soft", "cells": 4}, ValueError, "profile is 'soft', but model 'subaperture' has no such field"),
        ("scatter", {"cells": 16}, ValueError, "cells is 16, but model 'scatter' has no such field"),
        ("scatter-official", {"profile": "disc"}, ValueError, "profile is 'disc', but model 'scatter-official' has no such"),
    ],
)
def test_what_is_no_model_is_refused_everywhere(model, given, error, message):
    lens = tb.ThinLens(5.0, 0.5)
    for build in (
        lambda: tb.render(random_layers(), lens, model, **given),
        lambda: tb.explain(random_layers(), lens, model, **given),
        lambda: tb.BokehRenderer(lens, model, **given),
        lambda: tb.BokehRenderer(5.0, 0.5, model=model, **given),
    ):
        with pytest.raises(error, match=f"^{message}"):
            build()


@pytest.mark.parametrize(
    ("given", "built"),
    [
        ({}, DEFAULT),
        ({"cells": 4, "algorithm": "exact"}, tb.SubAperture(4, "exact")),
        ({"profile": "soft"}, tb.Scatter("soft")),
        ({"max_radius": 9, "quality": "full"}, tb.Scatter(max_radius=9)),
        ({"quality": "draft"}, tb.Scatter(quality="draft")),
    ],
)
def test_where_no_model_is_named_it_is_the_first_that_has_all_the_fields(given, built):
    assert model_of(None, **given) == built
    assert tb.BokehRenderer(5.0, 0.5, **given).model == built


@pytest.mark.parametrize("model", MODELS)
def test_what_asks_for_nothing_is_taken_by_every_model(model):
    assert model_of(model, quality="full", occlusion=True, cells=None, profile=None, max_radius=None) == MODELS[model]()


@pytest.mark.parametrize(
    ("model", "aperture", "message"),
    [
        (tb.Scatter("soft"), tb.Aperture(squeeze=2.0), r"aperture: profile 'soft' renders the disc only \(squeeze is 2"),
        (
            tb.OfficialScatter(),
            tb.Aperture(blades=5, roundness=0.0),
            r"aperture: model 'scatter-official' renders the disc only \(blades is 5",
        ),
        (tb.Scatter(quality="draft"), tb.Aperture(cat_eye=0.2), "aperture.cat_eye is 0.2; expected 0 with quality 'draft'"),
        (tb.Scatter(max_radius=3), tb.Aperture(ring=0.5), "max_radius is 3.0, but cuts off discs only"),
    ],
)
def test_an_aperture_that_a_model_cannot_do_is_refused_everywhere(model, aperture, message):
    layers, lens = random_layers(), tb.ThinLens(5.0, 0.5, aperture)
    for build in (
        lambda: model.render(layers, lens),
        lambda: model.explain(layers, lens),
        lambda: tb.BokehRenderer(lens, model),
    ):
        with pytest.raises(ValueError, match=message):
            build()


def test_the_default_is_the_same_everywhere():
    layers, lens = random_layers(height=7, width=8), tb.ThinLens(4.0, 0.4)
    assert tb.SubAperture(cells=16) == DEFAULT == model_of(DEFAULT.name)
    assert ModelRequest().build() == DEFAULT
    assert tb.BokehRenderer(lens).model == DEFAULT
    assert tb.explain(layers, lens).model == DEFAULT
    assert model_of(**model_options(Scene.of_layers(layers.to(torch.float32)).initial_state())) == DEFAULT
    assert torch.equal(tb.render(layers, lens), DEFAULT.render(layers, lens))


@pytest.mark.parametrize("kind", OTHERS)
def test_every_model_has_a_name_by_which_it_is_found(kind):
    assert issubclass(kind, Model)
    assert MODELS[kind.name] is kind
    assert FIELDS[kind.name] == tuple(OTHERS[kind])


def test_a_module_takes_a_lens_that_is_learnt():
    module = tb.BokehRenderer(tb.ThinLens(Positive(3.0), torch.nn.Parameter(torch.tensor(0.2))), tb.SubAperture(1))
    assert sorted(name for name, _ in module.named_parameters()) == ["blur.raw", "focus"]
    layers = random_layers(count=1, dtype=torch.float32)
    image = module(layers.rgb, layers.alpha, layers.disparity)
    assert torch.equal(image, tb.render(layers, tb.ThinLens(module.blur, 0.2), cells=1))
    image.square().sum().backward()
    assert all(parameter.grad.isfinite() and parameter.grad != 0 for parameter in module.parameters())


def test_the_command_lines_choices_are_those_of_the_library():
    """It names them itself, so that it need not import the models to say what there is."""
    assert tuple(MODELS) == model_options_of_commands.MODELS
    assert tb.SubAperture(cells=model_options_of_commands.DEFAULT_CELLS) == DEFAULT
    assert ModelRequest().build() == DEFAULT
