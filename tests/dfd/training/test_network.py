"""The network starts as the sweep's soft decision, takes any size, and learns."""

import pytest
import torch
from torch import Tensor

import taichi_bokeh as tb
from taichi_bokeh.dfd.observation import Observation
from taichi_bokeh.dfd.training.network import DepthUNet, load_network


def observation(
    height: int = 24, width: int = 32, batch: int = 1, dtype: torch.dtype = torch.float32, count: int = 1
) -> Observation:
    """Noise at the disparity 0.5, in the middle of its range, with radii of 2 px."""
    generator = torch.Generator().manual_seed(height)
    picture = torch.rand(batch, 3, height, width, generator=generator, dtype=torch.float64).to(dtype)
    layers = tb.Layers(picture[:, None], torch.ones_like(picture[:, None, :1]), torch.full_like(picture[:, None, :1], 0.5))
    blurred = tb.render(layers, tb.ThinLens(4.0, 0.0), model="subaperture")
    ones = torch.ones(batch, count, dtype=dtype)
    return Observation(picture, blurred[:, None].repeat(1, count, 1, 1, 1), 4 * ones, 0 * ones, near=1.0, far=0.0)


def trained(network: DepthUNet) -> DepthUNet:
    """With weights that are not 0 anywhere."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weights in network.parameters():
            weights += 0.05 * torch.randn(weights.shape, generator=generator)
    return network


def small() -> DepthUNet:
    torch.manual_seed(0)
    return DepthUNet(planes=5, channels=(8, 12))


def test_an_untrained_network_decides_as_the_sweep_does():
    seen = observation()
    network = small()
    costs = network.costs(seen)
    planes = torch.linspace(0, 1, 5)
    expected = (torch.softmax(-costs / 0.01, 1) * planes[:, None, None]).sum(1, keepdim=True)
    torch.testing.assert_close(network(seen), expected)
    assert (network(seen)[..., 6:-6, 6:-6] - 0.5).abs().mean().item() < 0.06  # a quarter of the step between its planes


@pytest.mark.parametrize(("height", "width"), [(16, 24), (17, 23), (1, 1), (5, 40)])
def test_any_size(height, width):
    seen = observation(height, width, batch=2)
    found = trained(DepthUNet(planes=4, channels=(4, 8, 8, 8)))(seen)
    assert found.shape == (2, 1, height, width)
    assert found.min().item() >= 0
    assert found.max().item() <= 1


def test_probabilities_are_of_the_planes_and_add_up():
    seen = observation(count=2)
    network = trained(small())
    probabilities = network.probabilities(seen)
    assert probabilities.shape == (1, 5, 24, 32)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(1, 24, 32))
    torch.testing.assert_close(network(seen), (probabilities * network.disparities(seen)[:, None, None]).sum(1, keepdim=True))


def test_known_costs_are_not_computed_again():
    seen = observation()
    network = trained(small())
    torch.testing.assert_close(network(seen, network.costs(seen)), network(seen))
    assert not torch.allclose(network(seen, torch.zeros(1, 5, 24, 32)), network(seen))
    with pytest.raises(ValueError, match=r"costs has shape \[1, 4, 24, 32\]; expected \[1, 5, 24, 32\]"):
        network(seen, torch.zeros(1, 4, 24, 32))


def test_a_batch_is_a_loop():
    both, network = observation(batch=2), trained(small())
    single = [
        network(
            Observation(
                both.all_in_focus[i : i + 1], both.blurred[i : i + 1], both.blur[i : i + 1], both.focus[i : i + 1], 1, 0
            )
        )
        for i in range(2)
    ]
    torch.testing.assert_close(network(both), torch.cat(single))


def test_double_in_double_out():
    assert small()(observation(dtype=torch.float64)).dtype == torch.float64


def test_every_weight_has_a_gradient():
    network = trained(small())
    network(observation()).square().mean().backward()
    assert all(weights.grad is not None and bool((weights.grad != 0).any()) for weights in network.parameters())


def test_the_default_network_is_small():
    assert sum(weights.numel() for weights in DepthUNet().parameters()) < 300_000


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"planes": 1}, ValueError, "planes is 1; expected at least 2"),
        ({"planes": 2.0}, TypeError, "planes is of type float"),
        ({"channels": ()}, ValueError, "channels is empty"),
        ({"channels": (8, 10)}, ValueError, "channels has 10; expected multiples of 4"),
        ({"temperature": 0}, ValueError, "temperature is 0; expected more than 0"),
    ],
)
def test_networks_that_cannot_be(arguments, error, message):
    with pytest.raises(error, match=message):
        DepthUNet(**arguments)


class Middle(torch.nn.Module):
    """A network of the user's own."""

    def forward(self, seen: Observation) -> Tensor:
        return torch.full_like(seen.all_in_focus[:, :1], 0.5)


def test_networks_by_name():
    assert isinstance(load_network("unet"), DepthUNet)
    assert isinstance(load_network("torch.nn:Identity"), torch.nn.Identity)
    assert isinstance(load_network(f"{__name__}:Middle"), Middle)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet", "network is 'resnet'; expected 'unet', or 'package.module:function'"),
        ("torch.nn:Nothing", "the module torch.nn has no Nothing"),
        ("collections:OrderedDict", "returns a OrderedDict; expected a torch.nn.Module"),
        ("no_such_package.nets:make", "there is no module no_such_package"),
    ],
)
def test_names_of_no_network(name, message):
    with pytest.raises(ValueError, match=message):
        load_network(name)
