import copy
import io
import pickle

import pytest
import torch

import taichi_bokeh as tb
from taichi_bokeh.nn import Positive
from tests.scenes import random_layers


def test_module_renders_as_the_function():
    layers = random_layers()
    module = tb.BokehRenderer(blur=6.0, focus=0.4, model="scatter", profile="soft")
    expected = tb.render(layers, tb.ThinLens(6.0, 0.4), "scatter", profile="soft")
    assert torch.equal(module(layers.rgb, layers.alpha, layers.disparity), expected)


def test_the_subaperture_model_takes_cells_and_any_aperture():
    layers = random_layers(height=12, width=14)
    aperture = tb.Aperture(blades=5, roundness=0.0, ring=0.4)
    module = tb.BokehRenderer(3.0, 0.4, aperture=aperture, model="subaperture", cells=4)
    expected = tb.render(layers, tb.ThinLens(3.0, 0.4, aperture), model="subaperture", cells=4)
    assert torch.equal(module(layers.rgb, layers.alpha, layers.disparity), expected)
    shown = repr(module)
    assert "model=SubAperture(cells=4, " in shown
    assert "Aperture(blades=5" in shown


def test_parameters_are_learned_and_tensors_move_with_the_module():
    module = tb.BokehRenderer(blur=torch.nn.Parameter(torch.tensor(6.0)), focus=torch.tensor(0.4))
    assert [name for name, _ in module.named_parameters()] == ["blur"]
    assert list(module.state_dict()) == ["blur", "focus"]
    layers = random_layers(dtype=torch.float32)
    module(layers.rgb, layers.alpha, layers.disparity).square().sum().backward()
    assert module.blur.grad.isfinite()
    assert module.blur.grad != 0


def test_blur_is_recovered_by_gradient_descent():
    layers = random_layers(count=1, height=16, width=16, dtype=torch.float32)
    target = tb.render(layers, tb.ThinLens(5.0, 0.2), cells=1).detach()
    module = tb.BokehRenderer(blur=torch.nn.Parameter(torch.tensor(3.0)), focus=0.2, cells=1)
    optimiser = torch.optim.Adam(module.parameters(), lr=0.15)
    for _ in range(60):
        optimiser.zero_grad()
        loss = (module(layers.rgb, layers.alpha, layers.disparity) - target).square().mean()
        loss.backward()
        optimiser.step()
    assert module.blur.item() == pytest.approx(5.0, abs=0.1)


@pytest.mark.parametrize(("bad", "error"), [({"blur": -1.0}, ValueError), ({"blur": 1.0, "profil": "soft"}, TypeError)])
def test_bad_settings_are_refused_at_once(bad, error):
    with pytest.raises(error, match=r"blur|profil"):
        tb.BokehRenderer(focus=0.5, **bad)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("value", [1e-6, 0.5, 12.0, 25.0, 45.0, 3000.0])
def test_a_positive_number_is_what_it_was_set_to(value, dtype):
    number = Positive(torch.tensor([1.0], dtype=dtype))
    number.set(torch.tensor([value], dtype=dtype))
    assert number().dtype == dtype
    assert number().item() == pytest.approx(value, rel=16 * torch.finfo(dtype).eps)
    assert Positive(value)().item() == pytest.approx(value, rel=2e-6)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (0.0, ValueError, "value is 0.0; expected more than 0"),
        (torch.tensor(-1.0), ValueError, "value has values from -1.0"),
        (torch.ones(2, 2), ValueError, "value has shape"),
        ("12", TypeError, "value is of type str"),
        (torch.ones((), dtype=torch.float16), TypeError, "value has dtype"),
    ],
)
def test_a_positive_number_begins_with_one(value, error, message):
    with pytest.raises(error, match=message):
        Positive(value)


def test_a_learnt_blur_never_falls_below_0():
    layers = random_layers(count=1, dtype=torch.float32)
    module = tb.BokehRenderer(Positive(0.5), 0.2)
    optimiser = torch.optim.SGD(module.parameters(), lr=5.0)
    for _ in range(4):
        optimiser.zero_grad()
        module(layers.rgb, layers.alpha, layers.disparity)
        module.blur().backward()  # the less, the better
        optimiser.step()
    assert 0 < module.blur().item() < 0.1


def test_a_module_with_a_positive_blur_is_saved_copied_and_pickled():
    module = tb.BokehRenderer(Positive(torch.tensor([3.0, 4.0])), 0.2, aperture=tb.Aperture(image=torch.eye(3)))
    assert list(module.state_dict()) == ["blur.raw"]
    assert "(blur): Positive(tensor([3., 4.]))" in repr(module)
    saved = io.BytesIO()
    torch.save(module.state_dict(), saved)
    saved.seek(0)
    layers = random_layers(batch=2, dtype=torch.float32)
    other = tb.BokehRenderer(Positive(torch.tensor([1.0, 1.0])), 0.2, aperture=tb.Aperture(image=torch.eye(3)))
    other.load_state_dict(torch.load(saved, weights_only=True))
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module)), other):
        shown = (one(layers.rgb, layers.alpha, layers.disparity) for one in (module, twin))
        assert torch.equal(*shown)
