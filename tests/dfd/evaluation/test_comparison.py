"""The comparison of defocus layers: its rows, its ratios, and that it goes on where it was stopped."""

import csv
import json
from dataclasses import replace

import pytest
import torch

from taichi_bokeh.dfd.estimate.optimize import OptimizeSettings, optimize
from taichi_bokeh.dfd.estimate.plane_sweep import plane_sweep
from taichi_bokeh.dfd.evaluation.comparison import (
    METHODS,
    RUN,
    SWEEP,
    CompareSettings,
    Entrant,
    compare,
    constant_start,
    methods_named,
    ratios,
)
from taichi_bokeh.dfd.evaluation.comparison_page import RATIOS, REPORT, ratios_markdown, write_comparison
from taichi_bokeh.dfd.evaluation.evaluate import METRICS, Evaluation, Result
from taichi_bokeh.dfd.observation import collate
from tests.dfd.pairs import Pairs, make_pair

DATA = Pairs(2)
QUICK = CompareSettings(steps=2, rays=16)
ROWS = ("disc", "sweep", "ours-two-layers")


@pytest.fixture(scope="module")
def found():
    return compare(methods_named(ROWS), DATA, QUICK)


def evaluation(title, values, metric="rmse_px"):
    empty = dict.fromkeys(METRICS)
    return Evaluation(
        title, [Result(str(k), {**empty, metric: value}, 1.0, torch.zeros(1, 1, 1)) for k, value in enumerate(values)]
    )


def test_every_row_is_what_its_settings_say(found):
    assert [each.title for each in found] == [METHODS[name].title for name in ROWS]
    sample = DATA[0]
    seen, _ = collate([sample])
    start = plane_sweep(seen)
    assert torch.equal(found[1].results[0].disparity, start.disparity[0])
    by_hand = optimize(seen, METHODS["ours-two-layers"].new_layer(), OptimizeSettings(steps=2, layers=2), initial=start)
    assert torch.equal(found[2].results[0].disparity, by_hand.disparity[0])
    assert found[1].results[0].metrics["own_psnr_db"] is None  # the sweep has no layer
    assert all(result.metrics["retrace_psnr_db"] > 10 for each in found for result in each.results)


def test_the_layers_are_compared_without_what_is_ours():
    for method in METHODS.values():
        settings = method.settings(3)
        assert (settings.evidence > 0) == settings.snap == method.is_ours
        assert settings.steps == 3
    assert METHODS["soft-hssim"].settings(3).objective.ssim > 0
    assert len({method.title for method in METHODS.values()}) == len(METHODS)


@pytest.mark.parametrize(("focus", "expected"), [(0.0, 0.5), (1.0, 0.5), (0.25, 0.75), (0.75, 0.25)])
def test_a_constant_start_is_blurred_by_2_px_on_the_longer_side_of_the_focus(focus, expected):
    seen, _ = collate([replace(DATA[0], focus=torch.tensor([focus])), replace(DATA[1], focus=torch.tensor([focus]))])
    start = constant_start(seen)
    assert torch.equal(start.disparity, torch.full_like(seen.all_in_focus[:, :1], expected))
    assert not start.confidence.any()


def test_a_constant_start_stays_within_the_range():
    seen, _ = collate([replace(DATA[0], blur=torch.tensor([1.0]))])
    assert torch.equal(constant_start(seen).disparity, torch.ones_like(seen.all_in_focus[:, :1]))


def test_rows_from_a_constant_know_nothing_of_the_sweep(monkeypatch):
    monkeypatch.setattr("taichi_bokeh.dfd.evaluation.comparison.plane_sweep", None)  # a call would fail
    (row,) = compare(methods_named(["gausspsf-constant"]), DATA, QUICK)
    seen, _ = collate([DATA[0]])
    method = METHODS["gausspsf-constant"]
    by_hand = optimize(seen, method.new_layer(), method.settings(2), initial=constant_start(seen))
    assert torch.equal(row.results[0].disparity, by_hand.disparity[0])


def test_it_goes_on_where_it_was_stopped(tmp_path, found):
    class Stopped(Exception):
        pass

    def stop(done, total):
        assert total == 6
        if done == 4:
            raise Stopped

    with pytest.raises(Stopped):
        compare(methods_named(ROWS), DATA, QUICK, folder=tmp_path / "run", progress=stop)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*.pt")}
    assert len(kept) == 4
    again = compare(methods_named(ROWS), DATA, QUICK, folder=tmp_path / "run")
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    for one, other in zip(again, found, strict=True):
        for a, b in zip(one.results, other.results, strict=True):
            assert a.metrics == b.metrics
            assert torch.equal(a.disparity, b.disparity)


def test_results_of_something_else_are_not_taken(tmp_path):
    compare([SWEEP], DATA, QUICK, folder=tmp_path / "run")
    with pytest.raises(ValueError, match=r"run is of another comparison.*: rays is 16 there, and 8 here"):
        compare([SWEEP], DATA, replace(QUICK, rays=8), folder=tmp_path / "run")
    other = [replace(make_pair(5), name="000")]
    with pytest.raises(ValueError, match=r"is of another method or sample.*: sample is not the same"):
        compare([SWEEP], other, QUICK, folder=tmp_path / "run")
    path = tmp_path / "run" / "found" / "sweep" / "000.pt"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ValueError, match=r"000\.pt is damaged .*; remove it"):
        compare([SWEEP], DATA, QUICK, folder=tmp_path / "run")
    (tmp_path / "run" / RUN).write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        compare([SWEEP], DATA, QUICK, folder=tmp_path / "run")


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="something else"):
        compare([SWEEP], DATA, QUICK, folder=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_other_estimators_have_rows_too():
    class Middle(torch.nn.Module):
        def forward(self, seen):
            return torch.full_like(seen.all_in_focus[:, :1], 0.5)

    rows = compare([], DATA, QUICK, entrants=[Entrant("middle", "knows nothing", Middle())])
    assert [each.title for each in rows] == ["knows nothing"]
    assert float(rows[0].results[0].disparity.mean()) == 0.5
    with pytest.raises(ValueError, match="different names"):
        compare([SWEEP], DATA, QUICK, entrants=[Entrant("sweep", "another", Middle())])


def test_ratios_are_of_means_and_of_samples():
    rows = [evaluation("a", [1.0, 4.0]), evaluation("b", [2.0, 2.0]), evaluation("c", [None, 1.0])]
    assert ratios(rows, "rmse_px", "b") == {"a": (1.25, 1.25, pytest.approx(1.0606601717798212))}
    with pytest.raises(ValueError, match="to is 'd'; expected one of 'a', 'b', 'c'"):
        ratios(rows, "rmse_px", "d")


def test_names():
    assert [method.name for method in methods_named(["sweep", "planes"])] == ["planes", "sweep"]
    assert len(methods_named(None)) == len(METHODS)
    with pytest.raises(ValueError, match="method is 'no'; expected one of 'planes'"):
        methods_named(["no"])
    with pytest.raises(ValueError, match="methods is empty"):
        methods_named([])


def test_files(tmp_path, found):
    write_comparison(tmp_path, found, DATA, [1])
    for name in (*RATIOS, REPORT, "summary.md", "results.csv"):
        assert (tmp_path / name).stat().st_size > 100
    rows = list(csv.DictReader((tmp_path / RATIOS[0]).read_text().splitlines()))
    assert {row["over"] for row in rows} == {SWEEP.title}
    rmse = {each.title: each.summary()["rmse_px"].mean for each in found}
    ours = METHODS["ours-two-layers"].title
    row = next(row for row in rows if (row["metric"], row["estimator"]) == ("rmse_px", ours))
    assert float(row["ratio of means"]) == pytest.approx(rmse[ours] / rmse[SWEEP.title])
    page = (tmp_path / REPORT).read_text()
    assert page.count("<svg") == 2
    assert page.count("data:image/png") == 3 + 2 * len(found)
    assert json.loads((tmp_path / "results.json").read_text())[0]["estimator"] == METHODS["disc"].title


def test_without_a_baseline_there_are_no_ratios():
    assert ratios_markdown([evaluation("a", [1.0]), evaluation("b", [2.0])]) == ""
