"""With checks off no value is read by a check; types and shapes are checked as ever."""

import pytest
import torch

import taichi_bokeh as tb


def scene(size=12, **changes):
    generator = torch.Generator().manual_seed(0)
    rgb, disparity = (torch.rand(1, 1, channels, size, size, generator=generator) for channels in (3, 1))
    return {"rgb": rgb, "alpha": torch.ones_like(disparity), "disparity": disparity, **changes}


#: What waits for the device: numbers and lists made of tensors, copies to the host, sizes that depend on values.
READS = ("item", "tolist", "cpu", "to", "numpy", "__bool__", "__float__", "__int__", "__index__", "nonzero", "bincount")


def waits(name, tensor, *args):
    """Whether a call reads from the device; the facts of layers, in float64, have been read before, and are on the host."""
    if name == "to":
        return args[:1] == ("cpu",)
    return not (name == "tolist" and tensor.dtype == torch.float64)


@pytest.fixture
def reads(monkeypatch):
    """The names of the reads so far, in operators and backward passes too."""
    names = []

    def counted(name):
        method = getattr(torch.Tensor, name)

        def call(*args, **kwargs):
            if waits(name, *args):
                names.append(name)
            return method(*args, **kwargs)

        return call

    for name in READS:
        monkeypatch.setattr(torch.Tensor, name, counted(name))
    return names


def test_values_are_refused_again_after_the_block():
    bad = scene(disparity=torch.full((1, 1, 1, 12, 12), torch.nan))
    with tb.checks(False):
        layers = tb.Layers(**bad)
        assert tb.render(layers, tb.ThinLens(2.0, 0.5), model="scatter").isnan().all()
    with pytest.raises(ValueError, match="disparity holds NaN"):
        tb.Layers(**bad)


def test_they_can_be_turned_off_for_good_and_on_again():
    tb.checks(False)
    try:
        tb.ThinLens(torch.tensor(-1.0), 0.5)
    finally:
        tb.checks(True)
    with pytest.raises(ValueError, match=r"blur has values from -1\.0"):
        tb.ThinLens(torch.tensor(-1.0), 0.5)


def test_types_and_shapes_are_checked_all_the_same():
    with tb.checks(False):
        with pytest.raises(TypeError, match=r"rgb has dtype torch\.int64"):
            tb.Layers(**scene(rgb=torch.ones(1, 1, 3, 12, 12, dtype=torch.int64)))
        with pytest.raises(ValueError, match="alpha has shape"):
            tb.Layers(**scene(alpha=torch.ones(1, 1, 1, 12, 11)))
    with pytest.raises(TypeError, match="enabled is of type int"):
        tb.checks(0)


@pytest.mark.parametrize("enabled", [True, False])
def test_layers_and_lens_read_nothing(enabled, reads):
    with tb.checks(enabled):
        tb.ThinLens(torch.tensor(3.0), torch.tensor(0.5)).per_image(tb.Layers(**scene()))
    assert bool(reads) == enabled


def test_a_step_of_the_scatter_model_reads_once(reads):
    inputs = {name: value.requires_grad_(name != "alpha") for name, value in scene(32).items()}
    blur = torch.tensor(8.0, requires_grad=True)

    def step():
        with tb.checks(False):
            tb.render(tb.Layers(**inputs), tb.ThinLens(blur, torch.tensor(0.5)), model="scatter").sum().backward()

    step()  # makes the tables
    reads.clear()
    step()
    assert reads == ["to"]  # the facts that the strategy goes by; they are saved for backward
