"""A blur that is too large is refused with the largest that is not."""

import math

import pytest
import torch

from taichi_bokeh.apps import blur_limit
from taichi_bokeh.apps.blur_limit import Work, check_blur
from taichi_bokeh.apps.options.lens import LensRequest
from taichi_bokeh.models import OfficialScatter, Scatter, SubAperture
from taichi_bokeh.optics.aperture import Aperture

GIB = 1 << 30
DISC, HEXAGON, RINGED = Aperture(), Aperture(blades=6, roundness=0.0), Aperture(ring=0.5)


@pytest.fixture
def free(monkeypatch):
    """Sets how many bytes are free."""

    def set_to(value: int | None) -> None:
        monkeypatch.setattr(blur_limit, "available_bytes", lambda device: value)

    set_to(None)
    return set_to


def refusal(work: Work, blur: float, span: float, given: LensRequest | None = None) -> str:
    with pytest.raises(ValueError, match="the largest blur radius would be") as caught:
        check_blur(given or LensRequest(blur=blur), work, blur, span)
    return str(caught.value)


@pytest.mark.parametrize("model", [SubAperture(), Scatter(), OfficialScatter(), None])
def test_radii_far_beyond_the_picture_are_refused_by_every_model(free, model):
    work = Work(model, 160, 120, DISC)
    check_blur(LensRequest(blur=2000.0), work, 2000.0, 0.5)
    for blur in (10000.0, 1e30, 1e308):
        assert "at most 1024 px do, which is --blur 2040 or less" in refusal(work, blur, 0.5)
    assert "would be inf px" in refusal(work, 1e308, 10.0)


def test_in_a_large_picture_the_radius_may_be_as_large_as_it_is(free):
    assert Work(None, 1000, 700, DISC).farthest_px == 4000
    check_blur(LensRequest(blur=4000.0), Work(Scatter(), 1000, 700, DISC), 4000.0, 1.0)
    assert "at most 6434 px do" in refusal(Work(Scatter(), 4000, 3000, DISC), 7000.0, 1.0)  # by which kernels count


@pytest.mark.parametrize(
    ("work", "radius_px"),
    [
        (Work(SubAperture(), 640, 480, DISC), 1200.0),
        (Work(Scatter(), 640, 480, DISC), 900.0),
        (Work(Scatter(), 640, 480, DISC), 1500.0),
        (Work(Scatter(), 640, 480, HEXAGON), 900.0),
        (Work(Scatter(), 640, 480, RINGED), 150.0),
        (Work(OfficialScatter(), 640, 480, DISC), 1500.0),
    ],
)
def test_what_does_not_fit_into_memory_is_refused_and_what_is_advised_fits(free, work, radius_px):
    needed = work.bytes_at(radius_px)
    assert 0.5 * GIB < needed < math.inf
    free(int(2 * needed))
    check_blur(LensRequest(blur=radius_px), work, radius_px, 1.0)
    free(int(needed / 2))
    told = refusal(work, radius_px, 1.0)
    assert f"it takes some {needed / GIB:.1f} GiB, and {needed / 2 / GIB:.1f} GiB are free" in told
    advised = float(told.split("--blur ")[1].split()[0])
    assert radius_px / 4 < advised < radius_px
    check_blur(LensRequest(blur=advised), work, advised, 1.0)


def test_more_cells_take_more_memory_and_a_limit_of_the_radius_less(free):
    assert Work(SubAperture(4), 640, 480, DISC).bytes_at(700) < Work(SubAperture(), 640, 480, DISC).bytes_at(700)
    assert Work(SubAperture(64), 640, 480, DISC).bytes_at(1000) == math.inf
    assert Work(Scatter(max_radius=20), 640, 480, DISC).bytes_at(1500) < GIB / 4


def test_a_camera_is_told_its_f_number_and_a_pull_is_told_to_blur_less(free):
    work = Work(None, 160, 120, DISC)
    assert "which is --f-number 0.0977 or more" in refusal(work, 1e4, 1.0, LensRequest(blur=None, f_number=0.01))
    assert "which is a smaller blur" in refusal(work, 1e4, 1.0, LensRequest(blur=None, f_number=None))


def test_little_memory_is_no_reason_where_little_is_needed(free):
    free(0)
    check_blur(LensRequest(blur=50.0), Work(SubAperture(), 48, 36, DISC, device=torch.device("cpu")), 50.0, 1.0)
