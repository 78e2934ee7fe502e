"""A comparison as files: the tables and pictures of evaluations (files.py), and these beside them.

``ratios.csv``, ``ratios.md``  RMSE and MAE of every row over those of the baselines, with their spread over the samples
``report.html``                one page that needs no other file: table, ratios, two plots, pictures
"""

from collections.abc import Sequence
from pathlib import Path

from torch.utils.data import Dataset

from taichi_bokeh.dfd.evaluation.comparison import METHODS, network_title, ratios
from taichi_bokeh.dfd.evaluation.evaluate import Evaluation
from taichi_bokeh.dfd.evaluation.files import images_of, shown_columns, write_evaluations
from taichi_bokeh.dfd.observation import Sample
from taichi_bokeh.io import write_atomically
from taichi_bokeh.report.page import render_page
from taichi_bokeh.report.pictures import png_url
from taichi_bokeh.report.plot import Axis, Dot, plot
from taichi_bokeh.report.tables import csv_text, markdown_text

REPORT = "report.html"
RATIOS = ("ratios.csv", "ratios.md")

#: Rows that the others are divided by, as far as they are there.
BASELINES = (
    *(
        METHODS[name].title
        for name in ("gausspsf-constant", "gausspsf", "gaussian", "sweep", "disc-no-occlusion", "ours-no-occlusion")
    ),
    network_title(None),
    network_title("gausspsf"),
)
_OF = ("rmse_px", "mae_px")


def write_comparison(folder: Path, evaluations: Sequence[Evaluation], dataset: Dataset[Sample], shown: Sequence[int]) -> None:
    """Write tables and page into a folder, which is made if need be; those of an earlier run are replaced.

    Args:
        folder: for the files.
        evaluations: rows, of the samples of `dataset`.
        dataset: samples by number.
        shown: numbers of the samples whose pictures the page has.

    Raises:
        ValueError: there are no evaluations, two have one title, or they are not of the same samples.
        OSError: the file system refuses.
    """
    write_evaluations(folder, evaluations)
    rows = _ratio_rows(evaluations)
    head = ["metric", "estimator", "over", "ratio of means", "mean of ratios", "deviation of ratios"]
    texts = (
        csv_text(head, rows),
        ratios_markdown(evaluations),
        _page(evaluations, [(number, dataset[number]) for number in shown]),
    )
    for name, text in zip((*RATIOS, REPORT), texts, strict=True):
        write_atomically(Path(folder) / name, text.encode(), overwrite=True)


def ratios_markdown(evaluations: Sequence[Evaluation]) -> str:
    """A row for each estimator, RMSE and MAE over those of each baseline: of the means (mean ± deviation of the samples')."""
    head, rows = _ratio_table(evaluations)
    if not rows:
        return ""
    return markdown_text(head, rows)


def _baselines(evaluations: Sequence[Evaluation]) -> list[str]:
    titles = [each.title for each in evaluations]
    return [title for title in BASELINES if title in titles]


def _ratio_rows(evaluations: Sequence[Evaluation]) -> list[list[object]]:
    return [
        [metric, title, to, *numbers]
        for metric in _OF
        for to in _baselines(evaluations)
        for title, numbers in ratios(evaluations, metric, to).items()
    ]


def _ratio_table(evaluations: Sequence[Evaluation]) -> tuple[list[str], list[list[str]]]:
    texts: dict[tuple[str, str, str], str] = {}
    for metric, title, to, of_means, mean, deviation in _ratio_rows(evaluations):
        texts[str(metric), str(title), str(to)] = f"{of_means:.2f} ({mean:.2f} ± {deviation:.2f})"
    pairs = [(metric, to) for to in _baselines(evaluations) for metric in _OF]
    head = ["estimator", *(f"{metric.removesuffix('_px').upper()} / {to}" for metric, to in pairs)]
    rows = [[each.title, *(texts.get((metric, each.title, to), "–") for metric, to in pairs)] for each in evaluations]
    return head, [row for row in rows if any(cell != "–" for cell in row[1:])]


def _page(evaluations: Sequence[Evaluation], shown: Sequence[tuple[int, Sample]]) -> str:
    head, rows = _ratio_table(evaluations)
    return render_page(
        "comparison.html",
        evaluations=evaluations,
        columns=shown_columns(evaluations),
        ratio_head=head,
        ratio_rows=rows,
        plots=_plots(evaluations),
        shown=[
            (sample.name, [(caption, png_url(image)) for caption, image in images_of(sample, evaluations, number)])
            for number, sample in shown
        ],
    )


def _plots(evaluations: Sequence[Evaluation]) -> list[tuple[str, str]]:
    plots: list[tuple[str, str]] = []
    for metric, title in (("own_psnr_db", "own re-render"), ("retrace_psnr_db", "true-tracer re-render")):
        dots = []
        for each in evaluations:
            summary = each.summary()
            error, score = summary["rmse_px"], summary[metric]
            if error is not None and score is not None:
                dots.append(Dot(each.title, error.mean, score.mean))
        if dots:
            axes = Axis("RMSE of the disparity, px"), Axis(f"{title}, dB")
            plots.append((title, plot(dots, *axes, f"{title} against RMSE")))
    return plots
