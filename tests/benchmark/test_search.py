"""The search for the best blur, on errors whose minimum is known."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from taichi_bokeh.benchmark.methods.rgbd import Classical
from taichi_bokeh.benchmark.metrics import frame_rmse
from taichi_bokeh.benchmark.search import Searched, best_scale
from tests.benchmark.billboards import grey, make_scene

TRUTH = grey(0.5, 4, 4)


class Counting:
    """Pictures whose RMSE at a scale is given."""

    def __init__(self, rmse: Callable[[float], float]):
        self.rmse = rmse
        self.scales: list[float] = []

    def __call__(self, scale: float) -> Tensor:
        self.scales.append(scale)
        return TRUTH + self.rmse(scale)

    def search(self, **options: float) -> Searched:
        found = best_scale(self, TRUTH, **options)
        assert found.evaluations == len(self.scales) <= 8
        assert len(set(self.scales)) == len(self.scales)
        assert torch.equal(found.picture, TRUTH + self.rmse(found.scale))
        assert found.rmse == pytest.approx(self.rmse(found.scale), abs=1e-6)
        assert found.rmse == min(frame_rmse(TRUTH + self.rmse(scale), TRUTH) for scale in self.scales)
        return found


@pytest.mark.parametrize("best", [0.62, 0.85, 0.9, 0.97, 1.0, 1.03, 1.1, 1.21, 1.44])
def test_the_minimum_of_a_parabola(best):
    found = Counting(lambda scale: math.sqrt(0.01 + 0.2 * (scale - best) ** 2)).search()
    assert found.scale == pytest.approx(best, abs=0.005)
    assert found.evaluations <= 7


@pytest.mark.parametrize("best", [0.7, 0.93, 1.0, 1.06, 1.25])
@pytest.mark.parametrize("skew", [-1.5, 1.5])
def test_the_minimum_of_a_skewed_error(best, skew):
    def rmse(scale: float) -> float:
        t = math.log(scale / best)
        return math.sqrt(1e-4 + 0.1 * t**2 * math.exp(skew * t))

    assert Counting(rmse).search().scale == pytest.approx(best, abs=0.005)


@pytest.mark.parametrize("best", [0.8, 1.0, 1.15])
def test_the_minimum_of_an_error_that_reaches_zero(best):
    found = Counting(lambda scale: 0.3 * abs(scale - best)).search()
    assert found.scale == pytest.approx(best, abs=0.005)
    assert found.rmse < 0.3 * 0.005


def test_a_kink_is_approached():
    found = Counting(lambda scale: math.sqrt(0.01 + 0.1 * abs(scale - 1.13))).search()
    assert found.scale == pytest.approx(1.13, abs=0.02)


@pytest.mark.parametrize(("best", "bound"), [(0.2, 0.5), (3.0, 1.5)])
def test_a_minimum_beyond_the_bounds_gives_the_bound(best, bound):
    counting = Counting(lambda scale: math.sqrt(0.01 + 0.01 * (scale - best) ** 2))
    assert counting.search().scale == bound
    assert all(0.5 <= scale <= 1.5 for scale in counting.scales)


def test_a_minimum_close_to_a_bound():
    assert Counting(lambda scale: math.sqrt(0.01 + 0.1 * (scale - 0.53) ** 2)).search().scale == pytest.approx(0.53, abs=0.005)


def test_tight_bounds_are_kept():
    counting = Counting(lambda scale: math.sqrt(0.01 + 0.1 * (scale - 0.96) ** 2))
    assert counting.search(lower=0.95, upper=1.02).scale == pytest.approx(0.96, abs=0.005)
    assert all(0.95 <= scale <= 1.02 for scale in counting.scales)
    one_sided = Counting(lambda scale: math.sqrt(0.01 + 0.1 * (scale - 1.04) ** 2))
    assert one_sided.search(lower=1.0).scale == pytest.approx(1.04, abs=0.005)
    assert Counting(lambda scale: 0.1).search(lower=1, upper=1).evaluations == 1


def test_where_the_blur_does_not_matter_it_stays():
    found = Counting(lambda scale: 0.1).search()
    assert (found.scale, found.evaluations) == (1.0, 3)


def test_of_equal_minima_the_one_closest_to_one_is_taken():
    assert Counting(lambda scale: 0.1 if 0.85 < scale < 0.95 or scale == 1 else 0.2).search().scale == 1.0


@pytest.mark.parametrize("seed", range(20))
def test_a_rough_error_never_gives_worse_than_the_true_blur(seed):
    a, b, c = torch.rand(3, generator=torch.Generator().manual_seed(seed)).tolist()
    counting = Counting(lambda scale: 0.2 + 0.1 * math.sin(9 * a + 40 * b * scale) + 0.05 * math.cos(90 * c * scale))
    assert counting.search().rmse <= counting.rmse(1.0) + 1e-7


def test_a_finer_tolerance_comes_closer():
    def rmse(scale: float) -> float:
        return math.sqrt(1e-4 + 0.2 * (scale - 1.08) ** 2 * math.exp(1.5 * scale))

    coarse, fine = (abs(Counting(rmse).search(tolerance=t).scale - 1.08) for t in (0.05, 1e-4))
    assert fine < 2e-4
    assert coarse < 0.05


def test_the_blur_of_a_rendered_scene_is_found():
    scene = make_scene([6.0])
    truth = Classical().render(scene, 1.17)
    found = best_scale(lambda scale: Classical().render(scene, scale), truth)
    assert found.scale == pytest.approx(1.17, abs=0.01)
    assert found.evaluations <= 7


@pytest.mark.parametrize(
    ("options", "message"),
    [({"lower": 1.1}, "lower"), ({"lower": 0.0}, "lower"), ({"upper": 0.9}, "upper"), ({"tolerance": 0.0}, "tolerance")],
)
def test_bounds_that_leave_out_the_true_blur_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        best_scale(lambda scale: TRUTH, TRUTH, **options)


def test_a_picture_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="picture holds NaN"):
        best_scale(lambda scale: TRUTH * math.nan, TRUTH)
