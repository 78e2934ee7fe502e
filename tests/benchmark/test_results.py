"""Records come back as they were kept, and add up the same in any order."""

import itertools
import json
import math

import pytest

from taichi_bokeh.benchmark import results
from taichi_bokeh.benchmark.metrics import KEYS
from tests.benchmark.records import record


@pytest.fixture
def folder(tmp_path):
    (tmp_path / results.FOLDER).mkdir()
    return tmp_path


@pytest.mark.parametrize(
    "kept",
    [
        record(psnr=math.pi),
        record(scale_best=None, at_best=None, evaluations=0, wall_s=None, cpu_s=None),
        record(method="a.method-with_dots", at_true={**dict.fromkeys(KEYS, 0.1), "linear.band.psnr": None}),
    ],
)
def test_a_record_comes_back_to_the_last_digit(folder, kept):
    results.save(folder, kept)
    assert results.load_all(folder) == [kept]
    assert [path.name for path in (folder / results.FOLDER).iterdir()] == [f"000.{kept.method}.json"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: "null",
        lambda text: text.replace('"evaluations": 7', '"evaluations": "7"'),
        lambda text: text.replace('"band_share": 0.25', '"band_share": "wide"'),
        lambda text: text.replace('"title"', '"titel"'),
        lambda text: text.replace('"scene": "000"', '"scene": "001"'),
        lambda text: text.replace('"linear.frame.psnr": 30.0,', ""),
    ],
)
def test_a_damaged_file_is_named(folder, damage):
    results.save(folder, record())
    path = results.unit_path(folder, "000", "classical")
    before = path.read_text()
    path.write_text(damage(before))
    assert path.read_text() != before
    with pytest.raises(ValueError, match=r"000\.classical\.json is damaged"):
        results.load_all(folder)


def test_a_file_of_another_format_is_refused(folder):
    results.save(folder, record())
    path = results.unit_path(folder, "000", "classical")
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    with pytest.raises(ValueError, match="format 99, and must have format 1"):
        results.load(path)


def test_what_a_killed_process_left_half_written_is_no_result(folder):
    results.save(folder, record())
    (folder / results.FOLDER / ".001.classical.json.x7").write_text("{")
    assert results.load_all(folder) == [record()]


def test_the_worst_is_the_smallest_and_of_an_rmse_the_largest():
    values = [3.0, 1.0, 2.0, 10.0]
    assert results.aggregate("linear.frame.psnr", values) == results.Aggregate(4.0, 2.5, 1.0)
    assert results.aggregate("srgb.band.rmse_s", values) == results.Aggregate(4.0, 2.5, 10.0)


def test_methods_are_ranked_by_their_mean_and_no_order_changes_a_bit():
    psnrs = {"weak": (20.1, 0.3, 10.7), "strong": (50.1, 50.2, 50.3)}
    records = [record(f"{i:03d}", name, psnr) for name, values in psnrs.items() for i, psnr in enumerate(values)]
    expected = results.summarise(records)
    assert [(summary.method, summary.scenes) for summary in expected] == [("weak", 3), ("strong", 3)]
    assert expected[0].psnr == math.fsum(psnrs["weak"]) / 3
    assert expected[0].at_best["linear.frame.psnr"].worst == 1.3
    for order in itertools.permutations(records):
        assert results.summarise(order) == expected


def test_what_a_method_has_nowhere_is_not_averaged():
    without_band = {**dict.fromkeys(KEYS, 40.0), "linear.band.psnr": None}
    unsearched = {"scale_best": None, "at_best": None, "wall_s": None, "cpu_s": None}
    mixed = [record("000", at_true=without_band), record("001", psnr=20.0)]
    assert results.summarise(mixed)[0].at_true["linear.band.psnr"].mean == 20.0
    [summary] = results.summarise([record("000", at_true=without_band, **unsearched)])
    assert summary.at_true["linear.band.psnr"] is None
    assert (summary.at_best, summary.scale_best, summary.wall_s, summary.cpu_s) == (None, None, None, None)


def test_parts_are_merged_and_must_not_disagree():
    first, second = [record("000"), record("002")], [record("001"), record("000", wall_s=99.0)]
    assert results.merge([first, second]) == [record("000"), record("001"), record("002")]
    with pytest.raises(ValueError, match="scene 000, method classical"):
        results.merge([first, [record("000", psnr=30.000001)]])
