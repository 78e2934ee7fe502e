"""What is launched on a GPU, on any Vulkan device there is: the same as on the CPU, forward and backward."""

import subprocess
import sys

import pytest
import torch

import taichi_bokeh as tb
from taichi_bokeh import _runtime
from taichi_bokeh.models.scatter import PX_STEP
from taichi_bokeh.ops.scatter import bands as _bands
from taichi_bokeh.optics.aperture import shape_of
from tests.on_vulkan import results
from tests.scenes import relative_error

PENTAGON = tb.Aperture(blades=5, roundness=0.0)
LEMON = tb.Aperture(blades=5, roundness=0.0, cat_eye=0.4)
GENERATOR = torch.Generator().manual_seed(3)
#: Of the sums, and the gradients of planes, spread, disparity and in-focus weight. What nodes hide is a small difference.
ROUNDING = {
    "exact": (1e-6,) * 5,
    "fast": (1e-5, 1e-5, 1e-4, 3e-3, 3e-3),
    "subaperture": (1e-5,) * 3,
    "trace": (1e-5,) * 5,
}


def scatter(algorithm: str, profile: str, aperture: tb.Aperture, opaque: bool) -> tuple:
    """A picture of three stretches of a row, a band of which is in focus, and cotangents with a hole."""
    height, width, blur, focus = 45, 300, 28.0, 0.45
    planes = torch.rand(1, 5, height, width, generator=GENERATOR)
    planes[:, 4] = planes[:, 3] if opaque else 1.0
    disparity = 0.2 * torch.rand(1, height, width, generator=GENERATOR) + torch.linspace(0, 1, width)
    radius = blur * (disparity - focus)
    in_focus = torch.exp(-3 * radius.square())
    spread = radius if profile == "shape" else radius.abs().clamp(min=0.5)
    gradient = torch.randn(planes.shape, generator=GENERATOR)
    gradient[:, :, 20:30, 50:200] = 0
    tiles = torch.ones(1, 3, 19, dtype=torch.int32)
    tiles[:, 1:, 3:9] = 0
    compared = torch.ones(1), torch.zeros(1)  # occlusion compares radii, in px, whose blur is 1 and whose focus 0
    plan = (*compared, profile, 0.0, "replicate", algorithm, list(PX_STEP), aperture.image)
    return "scatter_sums", (planes, spread, radius, in_focus, *plan, shape_of(aperture), tiles, True), gradient


def scene() -> tuple[torch.Tensor, torch.Tensor]:
    """Textures of two layers, and a number for each of their pixels."""
    textures = torch.rand(1, 2, 4, 40, 70, generator=GENERATOR)
    textures[:, :, 3] = 0.5 + 0.5 * textures[:, :, 3]
    textures[:, :, :3] *= textures[:, :, 3:]
    return textures, torch.rand(1, 2, 40, 70, generator=GENERATOR)


def subaperture(summation: str) -> tuple:
    """A slanted layer before a flat one, through a cat-eye."""
    textures, noise = scene()
    radius = 3 * noise + torch.linspace(-8, 8, 70)
    radius[0, 1] = 4.0
    settings = (LEMON.image, shape_of(LEMON), 4, [0, 40, 0, 70], [0.3, 0.2], summation, True)
    return "subaperture", (textures, radius, *settings), torch.randn(1, 3, 40, 70, generator=GENERATOR)


def trace() -> tuple:
    """Two uneven layers, one behind the other, by a few rays."""
    textures, noise = scene()
    disparity = 0.1 * noise + torch.tensor([0.8, 0.2])[None, :, None, None]
    points = torch.cat([2 * torch.rand(12, 2, generator=GENERATOR) - 1, torch.full((12, 1), 1 / 12)], 1)
    inputs = (textures, disparity, torch.tensor([[8.0, 0.5, 0.0]]), points, "thin", 1)
    return "trace", inputs, torch.randn(1, 3, 40, 70, generator=GENERATOR)


CASES = {
    "exact": scatter("exact", "disc", tb.Aperture(), opaque=False),
    "exact, cat-eye": scatter("exact", "shape", LEMON, opaque=False),
    "fast": scatter("fast", "disc", tb.Aperture(), opaque=False),
    "fast, opaque pentagon": scatter("fast", "shape", PENTAGON, opaque=True),
    "subaperture, by taps": subaperture("taps"),
    "subaperture, by integral images": subaperture("integral images"),
    "trace": trace(),
}


@pytest.mark.slow
@pytest.mark.skipif(not _runtime.has_vulkan(), reason="there is no Vulkan driver")
def test_a_gpu_launches_other_kernels_and_computes_the_same(monkeypatch, tmp_path):
    tables, table_of = {}, _bands.disc_table_of
    monkeypatch.setattr(_bands, "disc_table_of", lambda size, *of: tables.setdefault(size, table_of(size, *of)))
    _bands._row_lists.cache_clear()  # so that tables are asked for
    here = [results(*case) for case in CASES.values()]
    torch.save(([*CASES.values()], tables), tmp_path / "cases.pt")
    command = [sys.executable, "-m", "tests.on_vulkan", tmp_path / "cases.pt", tmp_path / "results.pt"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    for name, ours, there in zip(CASES, here, torch.load(tmp_path / "results.pt"), strict=True):
        for mine, its, bound in zip(ours, there, ROUNDING[name.split(",")[0]], strict=True):
            assert relative_error(its, mine) < bound, name
