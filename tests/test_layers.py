import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from taichi_bokeh.layers import Layers

SHAPE = (2, 3, 4, 5)  # B, L, H, W


def scene(**changes: object) -> dict[str, object]:
    batch, count, height, width = SHAPE
    return {
        "rgb": torch.full((batch, count, 3, height, width), 0.5),
        "alpha": torch.full((batch, count, 1, height, width), 0.5),
        "disparity": torch.full((batch, count, 1, height, width), 0.5),
    } | changes


def holding(value: float, channels: int = 1) -> Tensor:
    tensor = torch.full((SHAPE[0], SHAPE[1], channels, *SHAPE[2:]), 0.5)
    tensor[1, 2, 0, 3, 4] = value
    return tensor


def test_layers_tell_their_sizes_dtype_and_device():
    layers = Layers(**scene())
    assert layers.shape == (layers.batch, layers.count, layers.height, layers.width) == SHAPE
    assert layers.dtype == torch.float32
    assert layers.device == torch.device("cpu")
    assert repr(layers) == "Layers([2, 3, 4, 5] as [B, L, H, W], torch.float32, cpu)"


def test_light_and_disparity_have_no_upper_bound_and_disparity_no_lower_one():
    Layers(**scene(rgb=holding(1e6, 3), disparity=holding(-1e3)))


def test_coverage_may_be_nothing_and_everything():
    Layers(**scene(alpha=holding(0.0)))
    Layers(**scene(alpha=holding(1.0)))


@pytest.mark.parametrize("name", ["rgb", "alpha", "disparity"])
@pytest.mark.parametrize("value", [None, 0.5, [[0.5]], torch.zeros(1).numpy()], ids=lambda value: type(value).__name__)
def test_what_is_not_a_tensor_is_refused(name, value):
    with pytest.raises(TypeError, match=f"{name} is of type {type(value).__name__}; expected a torch tensor"):
        Layers(**scene(**{name: value}))


@pytest.mark.parametrize("name", ["rgb", "alpha", "disparity"])
@pytest.mark.parametrize(
    "dtype", [torch.bool, torch.uint8, torch.int64, torch.float16, torch.bfloat16, torch.complex64], ids=str
)
def test_dtypes_other_than_float32_and_float64_are_refused(name, dtype):
    channels = 3 if name == "rgb" else 1
    with pytest.raises(TypeError, match=f"{name} has dtype {dtype}; expected torch.float32 or torch.float64"):
        Layers(**scene(**{name: holding(0.5, channels).to(dtype)}))


@pytest.mark.parametrize("name", ["alpha", "disparity"])
def test_mixed_dtypes_are_refused(name):
    with pytest.raises(TypeError, match=f"{name} has dtype torch.float64; expected that of rgb, torch.float32"):
        Layers(**scene(**{name: holding(0.5).double()}))


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("rgb", (3, 4, 5), "[B, L, 3, H, W]"),
        ("rgb", (2, 3, 4, 5), "[B, L, 3, H, W]"),
        ("rgb", (2, 3, 4, 4, 5), "[B, L, 3, H, W]"),
        ("rgb", (2, 3, 4, 5, 3), "[B, L, 3, H, W]"),
        ("alpha", (2, 3, 4, 5), "[2, 3, 1, 4, 5]"),
        ("alpha", (2, 3, 3, 4, 5), "[2, 3, 1, 4, 5]"),
        ("alpha", (1, 3, 1, 4, 5), "[2, 3, 1, 4, 5]"),
        ("alpha", (2, 2, 1, 4, 5), "[2, 3, 1, 4, 5]"),
        ("disparity", (2, 3, 1, 5, 4), "[2, 3, 1, 4, 5]"),
        ("disparity", (2, 3, 1, 1, 1), "[2, 3, 1, 4, 5]"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(name, shape, expected):
    message = f"{name} has shape {list(shape)}; expected {expected}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Layers(**scene(**{name: torch.full(shape, 0.5)}))


@pytest.mark.parametrize("axis", [0, 1, 3, 4])
def test_an_empty_scene_is_refused(axis):
    sizes = {name: [0 if i == axis else size for i, size in enumerate(tensor.shape)] for name, tensor in scene().items()}
    with pytest.raises(ValueError, match=r"rgb has shape .*; every size must be at least 1"):
        Layers(**{name: torch.empty(size) for name, size in sizes.items()})


@pytest.mark.parametrize("name", ["alpha", "disparity"])
def test_mixed_devices_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} is on device meta; expected that of rgb, cpu"):
        Layers(**scene(**{name: holding(0.5).to("meta")}))


@pytest.mark.parametrize("name", ["rgb", "alpha", "disparity"])
@pytest.mark.parametrize(("value", "culprit"), [(float("nan"), "NaN"), (float("inf"), "infinite"), (-float("inf"), "infinite")])
def test_one_value_that_is_not_finite_is_refused(name, value, culprit):
    with pytest.raises(ValueError, match=f"{name} holds {culprit}"):
        Layers(**scene(**{name: holding(value, 3 if name == "rgb" else 1)}))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("rgb", -0.25, "rgb has values from -0.25 to 0.5; expected at least 0"),
        ("alpha", -0.25, "alpha has values from -0.25 to 0.5; expected values in [0, 1]"),
        ("alpha", 1.25, "alpha has values from 0.5 to 1.25; expected values in [0, 1]"),
    ],
)
def test_one_value_out_of_range_is_refused_with_the_range_found(name, value, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Layers(**scene(**{name: holding(value, 3 if name == "rgb" else 1)}))


@settings(deadline=None)  # a busy machine is no failure
@given(alpha=st.floats(allow_nan=True, allow_infinity=True, width=32))
def test_coverage_is_accepted_exactly_when_it_lies_between_0_and_1_to_rounding(alpha):
    arguments = scene(alpha=holding(alpha))
    if 0 <= alpha <= 1:
        assert Layers(**arguments).alpha is arguments["alpha"]
    elif -1e-5 < alpha < 1 + 1e-5:
        assert torch.equal(Layers(**arguments).alpha, arguments["alpha"].clamp(0, 1))
    else:
        with pytest.raises(ValueError, match=r"^alpha "):
            Layers(**arguments)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    ("name", "value", "brightest"), [("alpha", 1 + 5e-6, 0.5), ("alpha", -1e-8, 0.5), ("rgb", -5e-7, 0.5), ("rgb", -5e-4, 1e3)]
)
def test_what_rounding_put_out_of_range_is_put_on_its_end_with_the_gradient_of_the_identity(name, value, brightest, dtype):
    tensor = holding(value, 3 if name == "rgb" else 1).to(dtype)
    tensor[0, 0, 0, 0, 0] = brightest
    arguments = {key: other.to(dtype) for key, other in scene().items()} | {name: tensor.requires_grad_()}
    taken = getattr(Layers(**arguments), name)
    assert torch.equal(taken, tensor.clamp(0, 1 if name == "alpha" else None))
    weights = torch.linspace(1, 2, taken.numel(), dtype=dtype).reshape(taken.shape)
    assert torch.equal(torch.autograd.grad(taken, tensor, weights)[0], weights)


@pytest.mark.parametrize(
    ("name", "value", "brightest"), [("alpha", 1.0001, 0.5), ("alpha", -2e-5, 0.5), ("rgb", -2e-6, 1.0), ("rgb", -2e-3, 1e3)]
)
def test_what_is_further_out_of_range_than_rounding_puts_it_is_refused(name, value, brightest):
    tensor = holding(value, 3 if name == "rgb" else 1)
    tensor[0, 0, 0, 0, 0] = brightest
    with pytest.raises(ValueError, match=f"{name} has values from"):
        Layers(**scene(**{name: tensor}))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_autocast_makes_its_own_rounding(dtype):
    step = torch.finfo(dtype).eps
    rounded = {"rgb": holding(-step / 2, 3).to(dtype), "alpha": holding(1 + step).to(dtype)}
    with torch.autocast("cpu", torch.bfloat16):
        layers = Layers(**scene(**rounded))
        with pytest.raises(ValueError, match="alpha has values from"):
            Layers(**scene(alpha=holding(1 + 2 * step).to(dtype)))
        with pytest.raises(TypeError, match=r"alpha has dtype torch\.float64; expected that of rgb, torch\.float32"):
            Layers(**scene(alpha=holding(0.5).double()))
    assert layers.rgb.min() == 0
    assert layers.alpha.max() == 1
    assert {layers.rgb.dtype, layers.alpha.dtype, layers.disparity.dtype} == {torch.float32}
    with pytest.raises(TypeError, match="rgb has dtype"):
        Layers(**scene(**rounded))


def test_tensors_need_not_be_contiguous_and_are_kept_as_they_came():
    rgb = holding(0.5, 3).transpose(-1, -2).contiguous().transpose(-1, -2)
    alpha = torch.tensor(0.5).expand(2, 3, 1, 4, 5)
    layers = Layers(**scene(rgb=rgb, alpha=alpha))
    assert layers.rgb is rgb
    assert layers.alpha is alpha


def test_gradients_flow_through_layers_and_their_conversion_into_the_users_tensors():
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in scene().items()}
    layers = Layers(**leaves)
    assert all(leaf.grad is None for leaf in leaves.values())
    converted = layers.to(torch.float64)
    (converted.rgb.sum() + 2 * converted.alpha.sum() + 3 * converted.disparity.sum()).backward()
    for factor, leaf in zip((1, 2, 3), leaves.values(), strict=True):
        torch.testing.assert_close(leaf.grad, torch.full_like(leaf, factor))


@pytest.mark.parametrize("arguments", [(torch.float64,), ("cpu", torch.float64)])
def test_layers_convert_as_tensors_do(arguments):
    layers = Layers(**scene()).to(*arguments)
    assert {layers.rgb.dtype, layers.alpha.dtype, layers.disparity.dtype} == {torch.float64}
    assert Layers(**scene()).to(device="meta").device == torch.device("meta")


def test_detached_layers_share_values_and_drop_the_graph():
    layers = Layers(**scene(rgb=holding(0.5, 3).requires_grad_()))
    detached = layers.detach()
    assert layers.rgb.requires_grad
    assert not detached.rgb.requires_grad
    assert detached.rgb.data_ptr() == layers.rgb.data_ptr()


def test_layers_cannot_be_changed():
    with pytest.raises(AttributeError):
        Layers(**scene()).rgb = holding(0.5, 3)


def test_layers_of_fake_tensors_are_checked_for_shape_only():
    with FakeTensorMode():
        fake = {name: torch.empty(tensor.shape) for name, tensor in scene().items()}
        assert Layers(**fake).shape == SHAPE
        with pytest.raises(ValueError, match="alpha has shape"):
            Layers(**fake | {"alpha": torch.empty(1)})


def test_layers_can_be_built_inside_a_compiled_function():
    @torch.compile(fullgraph=True, backend="aot_eager")
    def double_light(rgb: Tensor, alpha: Tensor, disparity: Tensor) -> Tensor:
        layers = Layers(rgb, alpha, disparity)
        return 2 * layers.rgb * (layers.width * layers.alpha).clamp(max=1)

    rgb = holding(2.0, 3).requires_grad_()
    lit = double_light(**scene(rgb=rgb))
    torch.testing.assert_close(lit, 2 * rgb)
    lit.sum().backward()
    torch.testing.assert_close(rgb.grad, torch.full_like(rgb, 2.0))


def test_a_sparse_tensor_is_refused():
    ones = torch.ones(1, 1, 1, 4, 4)
    with pytest.raises(TypeError, match=r"rgb has layout torch\.sparse_coo"):
        Layers(torch.ones(1, 1, 3, 4, 4).to_sparse(), ones, ones)
