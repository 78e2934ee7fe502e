"""The report needs no other file, is sound HTML, and shows what was measured."""

import base64
import io
import itertools
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from taichi_bokeh.benchmark import report, results, run_file
from taichi_bokeh.benchmark.runner import Benchmark, run
from taichi_bokeh.report import pictures as report_pictures
from taichi_bokeh.report.plot import Dot, accuracy_against_time
from taichi_bokeh.synthetic.scenes import SceneSettings

VOID = {"meta", "img", "br", "hr", "input", "link"}


class Page(HTMLParser):
    """Checks that tags are balanced, and collects attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    run(Benchmark(3, rays=16, settings=SceneSettings(size=64), methods=("classical", "rays-4")), folder)
    first = results.load_all(folder)[0]
    results.save(folder, replace(first, title="<script>alert('x')</script> & co"))  # as the name of an external method
    return folder


@pytest.fixture(scope="module")
def page(folder):
    return Page(report.write_report(folder).read_text())


def test_tags_are_balanced_and_names_escaped(page):
    assert page.open == []
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert "<script>alert('x')</script> & co" in page.text


def test_nothing_is_loaded_from_elsewhere(folder, page):
    sources = [attributes[name] for _, attributes in page.tags for name in ("src", "href") if name in attributes]
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    assert not re.search(r"https?://|url\((?!#)|@import", (folder / report.NAME).read_text())


def test_every_picture_can_be_read_and_has_the_scenes_size(page):
    sizes = set()
    for tag, attributes in page.tags:
        if tag == "img":
            kind, data = re.fullmatch(r"data:image/(jpeg|png);base64,(.*)", attributes["src"]).groups()
            picture = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
            assert picture.format.lower() == kind
            sizes.add((picture.size, attributes.get("width")))
    assert sizes == {((64, 64), None), ((48, 48), "192")}


def test_it_shows_the_numbers_settings_and_machine(folder, page):
    text = " ".join(page.text)
    for summary in results.summarise(results.load_all(folder)):
        assert f"{summary.psnr:.2f}" in page.text
    assert "Methods: 2. Scenes: 3, of 64×64 pixels, against 16 traced rays a pixel." in text
    assert run_file.machine(1)["processor"] in page.text
    assert "not complete" not in text
    for rank in ("Worst", "Median", "Best"):
        assert len(re.findall(f"{rank} scene", text)) == 2
    assert [attributes.get("id") for _, attributes in page.tags].count("dot") == 2


def test_a_part_of_a_run_says_so(folder, tmp_path):
    settings = run_file.read(folder).settings
    part = Benchmark(4, rays=16, settings=SceneSettings(size=48), methods=("rays-1",), shard=(4, 4))
    run(part, tmp_path)
    assert "The run is not complete: 4 scenes are planned." in report.write_report(tmp_path).read_text()
    assert run_file.read(tmp_path).settings == settings | {"size": "48×48"}


def test_a_folder_without_results_has_no_report(tmp_path):
    with pytest.raises(FileNotFoundError, match="not the folder of a benchmark"):
        report.write_report(tmp_path)
    run_file.open_run(tmp_path, run_file.RunFile({}, 1))
    with pytest.raises(ValueError, match="holds no results yet"):
        report.write_report(tmp_path)


def test_the_zoom_is_where_the_error_is():
    error = np.zeros((100, 130), np.float32)
    error[60:70, 90:95] = 1
    error[5, 5] = 3
    rows, columns = report_pictures.worst_window(error)
    assert (rows.stop - rows.start, columns.stop - columns.start) == (48, 48)
    assert error[rows, columns].sum() == 50
    assert report_pictures.worst_window(error[:20, :30]) == (slice(0, 20), slice(0, 30))


def test_the_error_map_is_logarithmic_between_the_scales_ends():
    low, high = report_pictures.HEAT_RANGE
    middle = np.float32((low * high) ** 0.5)
    colours = report_pictures.heat_map(np.array([[0, low, middle, high]], np.float32))
    first, last = report_pictures.HEAT[0], report_pictures.HEAT[-1]
    half = report_pictures.HEAT[len(report_pictures.HEAT) // 2]
    np.testing.assert_allclose(colours[0].astype(int), [first, first, half, last], atol=1)


def test_dots_lie_where_their_numbers_are_and_labels_do_not_overlap():
    dots = [Dot("slow & good", 10.0, 60.0), Dot("fast", 0.1, 30.0), Dot("also fast", 0.1, 30.1), Dot("between", 1.0, 45.0)]
    svg = accuracy_against_time(dots)
    places = [
        (float(x), float(y)) for x, y in re.findall(r'<use xlink:href="#\w+" x="([\d.]+)" y="([\d.]+)" style="fill: #2', svg)
    ]
    (slow_x, slow_y), (fast_x, fast_y), _, (middle_x, middle_y) = places
    assert middle_x == pytest.approx((slow_x + fast_x) / 2, abs=0.2)
    assert middle_y == pytest.approx((slow_y + fast_y) / 2, abs=0.2)
    assert slow_x > fast_x
    assert slow_y < fast_y
    found = re.findall(r'id="label">.*?text-anchor: (\w+).*?x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]+)<', svg, re.DOTALL)
    labels = [(float(x) - (6 * len(unescape(text)) if end == "end" else 0), y, text) for end, x, y, text in found]
    assert {text for _, _, text in labels} == {"slow &amp; good", "fast", "also fast", "between"}
    for (x, y, text), (other_x, other_y, other) in itertools.combinations(labels, 2):
        left, right = sorted([(float(x), len(unescape(text))), (float(other_x), len(unescape(other)))])
        assert left[0] + 6 * left[1] <= right[0] or abs(float(y) - float(other_y)) >= 10
    assert Page(svg).open == []


def test_one_dot_is_a_plot():
    assert "nan" not in accuracy_against_time([Dot("only", 0.5, 40.0)])
