"""Evaluations: what they measure of an estimator, and the files they write."""

import csv
import json
from dataclasses import replace

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from torch.utils.data import Subset

import taichi_bokeh as tb
from taichi_bokeh.dfd.evaluation.evaluate import METRICS, Reblur, evaluate
from taichi_bokeh.dfd.evaluation.files import COLUMNS, markdown, write_evaluations, write_picture
from taichi_bokeh.dfd.evaluation.metrics import measure_depth
from taichi_bokeh.dfd.layers.base import DefocusLayer, RenderedDefocus
from taichi_bokeh.models import SubAperture
from taichi_bokeh.report.pictures import heat
from tests.dfd.pairs import Pairs, tiny

DATA = Pairs(2)


def middle(seen):
    """Knows nothing."""
    return torch.full_like(seen.all_in_focus[:, :1], 0.5)


class Knowing:
    """Knows the truth of one sample after another."""

    def __init__(self, data=DATA):
        self.samples = iter(data[number] for number in range(len(data)))

    def __call__(self, seen):
        return next(self.samples).disparity[None]


@pytest.fixture(scope="module")
def evaluations():
    reblur = Reblur(RenderedDefocus(SubAperture(1)), rays=64)
    return [evaluate(Knowing(), DATA, "truth", reblur), evaluate(middle, DATA, "middle | guess", reblur)]


def test_every_metric_of_every_sample(evaluations):
    for each in evaluations:
        assert [result.name for result in each.results] == ["000", "001"]
        assert all(tuple(result.metrics) == METRICS for result in each.results)
        assert all(result.seconds > 0 for result in each.results)
    sample = DATA[1]
    found = measure_depth(torch.full((1, 32, 32), 0.5), sample.disparity, tb.ThinLens(4.0, 0.0), sample.all_in_focus)
    assert {name: evaluations[1].results[1].metrics[name] for name in found.as_dict()} == found.as_dict()


def test_the_truth_is_best(evaluations):
    truth, guess = (each.summary() for each in evaluations)
    assert truth["rmse_px"].mean == 0
    assert truth["own_psnr_db"].mean > 100  # the pictures are this layer's own
    for name in ("own_psnr_db", "own_ssim", "retrace_psnr_db", "retrace_ssim", "retrace_edge_psnr_db"):
        assert truth[name].mean > guess[name].mean
        assert truth[name].count == (1 if "edge" in name else 2)  # one of the two has no step of more than a pixel


def test_of_a_stack_the_largest_blur_tells_the_error():
    data = Pairs(1, count=3)
    found = evaluate(middle, data, "middle", Reblur(RenderedDefocus(SubAperture(1)))).results[0].metrics
    assert found["mae_px"] == pytest.approx(float(6.0 * (data[0].disparity - 0.5).abs().mean()), rel=1e-6)
    alone = []
    for k in range(3):
        one = {name: getattr(data[0], name)[k : k + 1] for name in ("blurred", "blur", "focus")}
        alone.append(
            evaluate(middle, [replace(data[0], **one)], "middle", Reblur(RenderedDefocus(SubAperture(1)))).results[0].metrics
        )
    assert found["mae_px"] == alone[2]["mae_px"]
    assert found["own_psnr_db"] == pytest.approx(sum(one["own_psnr_db"] for one in alone) / 3)


def test_without_depth_only_pictures_are_compared():
    found = evaluate(middle, Pairs(1, has_depth=False), "middle", Reblur(rays=16)).results[0].metrics
    assert {name for name, value in found.items() if value is not None} == {"retrace_psnr_db", "retrace_ssim"}


class ByMode(DefocusLayer):
    title = "by mode"

    def forward(self, all_in_focus, disparity, lens):
        assert not self.training
        return all_in_focus


def test_modules_are_measured_in_evaluation_mode_and_left_as_they_were():
    network, layer, seen = tiny(), ByMode().train(), []
    first = evaluate(network, DATA, "network", Reblur(layer), progress=lambda done, total: seen.append((done, total)))
    again = evaluate(network, DATA, "network")
    assert [torch.equal(a.disparity, b.disparity) for a, b in zip(first.results, again.results, strict=True)] == [True, True]
    assert network.training
    assert layer.training
    assert seen == [(1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("estimator", "error", "message"),
    [
        (
            lambda seen: seen.all_in_focus,
            ValueError,
            r"sample 000: the estimate has shape \[1, 3, 32, 32\]; expected \[1, 1, 32",
        ),
        (lambda seen: middle(seen) / 0, ValueError, "sample 000: the estimate holds infinite values"),
        (lambda seen: 0.5, TypeError, "sample 000: the estimate is of type float"),
    ],
)
def test_estimates_that_are_none(estimator, error, message):
    with pytest.raises(error, match=message):
        evaluate(estimator, DATA, "broken")


def test_an_empty_set_and_rays_below_0():
    with pytest.raises(ValueError, match="dataset is empty"):
        evaluate(middle, Pairs(0), "middle")
    with pytest.raises(ValueError, match="rays is -1; expected at least 0"):
        Reblur(rays=-1)


def test_tables(tmp_path, evaluations):
    write_evaluations(tmp_path / "out", evaluations)
    texts = {name: (tmp_path / "out" / f"{name}.csv").read_text() for name in ("results", "summary", "times")}
    read = {name: list(csv.DictReader(text.splitlines())) for name, text in texts.items()}
    rows = json.loads((tmp_path / "out" / "results.json").read_text())
    assert len(rows) == len(read["results"]) == len(read["times"]) == 4
    for row, of_json in zip(read["results"], rows, strict=True):
        assert (row["estimator"], row["sample"]) == (of_json["estimator"], of_json["sample"])
        for name in METRICS:
            assert (float(row[name]) if row[name] else None) == of_json[name]
    summary = evaluations[1].summary()
    assert read["summary"][1]["estimator"] == "middle | guess"
    assert float(read["summary"][1]["rmse_px.mean"]) == summary["rmse_px"].mean
    assert float(read["summary"][1]["rmse_px.deviation"]) == summary["rmse_px"].deviation
    assert (tmp_path / "out" / "summary.md").read_text() == markdown(evaluations)
    write_evaluations(tmp_path / "out", evaluations[:1])  # replaces them
    assert len(json.loads((tmp_path / "out" / "results.json").read_text())) == 2


def test_the_table_for_a_reader(evaluations):
    head, rule, truth, guess = markdown(evaluations).splitlines()
    assert head.startswith("| estimator | samples | RMSE px | MAE px |")
    assert rule.count("---:") == head.count("|") - 2
    assert truth.startswith("| truth | 2 | 0.00 ± 0.00 | 0.00 ± 0.00 | 100 ± 0 | 100 ± 0 |")
    assert truth.endswith(" (of 1) |")  # one sample has edges
    assert guess.startswith("| middle \\| guess | 2 | ")
    assert {column.metric for column in COLUMNS} <= set(METRICS)
    plain = markdown([evaluate(middle, DATA, "middle")])
    assert "re-render" not in plain


def test_evaluations_that_cannot_be_compared(tmp_path, evaluations):
    for which, message in (
        ([], "evaluations is empty"),
        ([evaluations[0]] * 2, r"the titles \['truth', 'truth'\]; expected different ones"),
        ([evaluations[0], evaluate(middle, Subset(DATA, [0]), "one")], "evaluation 'one' is of other samples than 'truth'"),
    ):
        with pytest.raises(ValueError, match=message):
            write_evaluations(tmp_path / "out", which)
    assert not (tmp_path / "out").exists()


def test_pictures(tmp_path, evaluations):
    write_picture(tmp_path, DATA[0], evaluations, 0)
    strip = iio.imread(tmp_path / "pictures" / "000.png")
    assert strip.shape == (32, 7 * 32 + 6 * 4, 3)
    parts = [strip[:, k * 36 : k * 36 + 32] for k in range(7)]
    truth = DATA[0].disparity[0].numpy()
    assert np.array_equal(parts[2], heat(truth))
    assert np.array_equal(parts[3], parts[2])  # what knows the truth
    assert np.array_equal(parts[4], heat(np.zeros((32, 32))))  # and makes no error
    assert np.array_equal(parts[6], heat(4 * np.abs(truth - 0.5) / 3))


def test_colours_get_lighter():
    shades = heat(np.linspace(-0.5, 1.5, 41)[None])[0].astype(float).sum(1)
    assert (np.diff(shades) >= 0).all()
    assert (np.diff(shades[10:31]) > 0).all()
