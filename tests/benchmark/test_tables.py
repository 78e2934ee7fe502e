"""The tables hold every number once, and times apart from accuracy."""

import csv
import json
from dataclasses import replace

import pytest

from taichi_bokeh.benchmark import tables
from taichi_bokeh.benchmark.metrics import KEYS
from tests.benchmark.records import record

RECORDS = [
    record("000", "poor", 20.0),
    record("001", "poor", 10.125),
    record("000", "good | really", 50.0, scale_best=None, at_best=None, wall_s=None, cpu_s=None),
]


@pytest.fixture
def folder(tmp_path):
    tables.write_tables(tmp_path, RECORDS)
    return tmp_path


def test_each_unit_has_a_row_with_all_metrics_to_the_last_digit(folder):
    with (folder / "accuracy.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["scene"], row["method"]) for row in rows] == [(r.scene, r.method) for r in RECORDS]
    for row, kept in zip(rows, RECORDS, strict=True):
        for key in KEYS:
            assert float(row[f"true.{key}"]) == kept.at_true[key]
            assert row[f"best.{key}"] == ("" if kept.at_best is None else str(kept.at_best[key]))
    assert "wall_s" not in rows[0]
    assert (folder / "timing.csv").read_text().splitlines()[1:] == [
        "000,poor,0.5,0.75",
        "001,poor,0.5,0.75",
        "000,good | really,,",
    ]


def test_markdown_shows_means_and_worst_and_keeps_its_columns(folder):
    lines = (folder / "summary.md").read_text().splitlines()
    heads, _, poor, good = ([cell.strip() for cell in line.replace("\\|", "¦").split("|")[1:-1]] for line in lines)
    assert len(heads) == len(poor) == len(good)
    shown = dict(zip(heads, poor, strict=True))
    assert (shown["method"], shown["scenes"]) == ("Poor", "2")
    assert (shown["PSNR"], shown["worst PSNR"]) == ("15.06", "10.12")
    assert (shown["PSNR at best blur"], shown["worst PSNR at best blur"]) == ("16.06", "11.12")
    assert (shown["best blur"], shown["RMSE"], shown["median s"]) == ("0.900", "15.06250", "0.500")
    shown = dict(zip(heads, good, strict=True))
    assert (shown["method"], shown["PSNR at best blur"], shown["median s"]) == ("Good ¦ Really", "–", "–")


def test_json_and_csv_summaries_agree(folder):
    summary = json.loads((folder / "summary.json").read_text())
    assert [row["method"] for row in summary] == ["poor", "good | really"]
    assert summary[0]["at_true"]["linear.frame.rmse"] == {"mean": 15.0625, "median": 15.0625, "worst": 20.0}
    with (folder / "summary.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["worst PSNR"]) == summary[0]["at_true"]["linear.frame.psnr"]["worst"] == 10.125


def test_accuracy_files_know_nothing_of_times(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    tables.write_tables(other, [replace(r, wall_s=17.0, cpu_s=23.0) for r in RECORDS])
    for suffix in ("csv", "md", "json"):
        assert (folder / f"accuracy.{suffix}").read_bytes() == (other / f"accuracy.{suffix}").read_bytes()
        assert (folder / f"timing.{suffix}").read_bytes() != (other / f"timing.{suffix}").read_bytes()
