"""A comparison as files: the tables and pictures of evaluations (evaluation_files.py), and these beside them.

``ratios.csv``, ``ratios.md``  RMSE and MAE of every row over those of the baselines, with their spread over the samples
``report.html``                one page that needs no other file: table, ratios, two plots, pictures
"""

from collections.abc import Sequence
from pathlib import Path

from torch.utils.data import Dataset

from taichi_bokeh.benchmark.tables import csv_text
from taichi_bokeh.dfd.evaluation.comparison import METHODS, network_title, ratios
from taichi_bokeh.dfd.evaluation.evaluate import Evaluation
from taichi_bokeh.dfd.evaluation.files import COLUMNS, ERROR_RANGE_PX, displayed, heat, write_evaluations
from taichi_bokeh.dfd.observation import Sample
from taichi_bokeh.io import write_atomically
from taichi_bokeh.report.page import Cell, Figure, figures, heading, page, paragraph, table
from taichi_bokeh.report.pictures import png_url
from taichi_bokeh.report.plot import Axis, Dot, plot

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
_ABOUT = (
    "Each method finds the disparity of the same pairs: an all-in-focus picture and one that was ray-traced through a lens. "
    "Errors are in pixels of the radius of the circle of confusion. Optimisations begin with the plane sweep's result, unless "
    "they say that they begin with a constant. "
    "The own re-render is a method's picture, blurred by its own layer, against the observed one, which is what Table 2 of "
    "Dr.Bokeh scores; the true-tracer re-render traces rays through what it found."
)
_LESSON = (
    "Were the own score a measure of depth, the dots of the first plot would fall from left to right: the better the picture, "
    "the smaller the error. The second plot has the ray tracer's score instead."
)


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
    plain = [[cell.replace("|", "\\|") for cell in line] for line in (head, *rows)]
    lines = [plain[0], ["---", *["---:"] * (len(head) - 1)], *plain[1:]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


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
    ratio_table = table([(title, "") for title in head], [[Cell(text) for text in row] for row in rows])
    samples = len(evaluations[0].results)
    parts = [
        paragraph(f"Rows: {len(evaluations)}. Samples: {samples}, held out from whatever was trained."),
        paragraph(_ABOUT),
        heading("Errors, mean ± deviation over the samples"),
        _summary_table(evaluations),
        *([heading("Ratios: of the means (mean ± deviation of the samples')"), ratio_table] if rows else []),
        *_plots(evaluations),
        *(part for number, sample in shown for part in _pictures(sample, evaluations, number)),
    ]
    return page("Depth from defocus, compared", parts)


def _summary_table(evaluations: Sequence[Evaluation]) -> str:
    summaries = [each.summary() for each in evaluations]
    columns = [column for column in COLUMNS if any(summary[column.metric] is not None for summary in summaries)]
    head = [("estimator", ""), *((column.title, column.metric) for column in columns), ("seconds", "median of a sample")]
    rows = []
    for each, summary in zip(evaluations, summaries, strict=True):
        row = [Cell(each.title)]
        for column in columns:
            spread = summary[column.metric]
            row.append(Cell(column.text(spread, len(each.results)), None if spread is None else spread.mean))
        rows.append([*row, Cell(f"{each.seconds:.2g}", each.seconds)])
    return table(head, rows, sortable=True)


def _plots(evaluations: Sequence[Evaluation]) -> list[str]:
    parts = []
    for metric, title in (("own_psnr_db", "own re-render"), ("retrace_psnr_db", "true-tracer re-render")):
        dots = []
        for each in evaluations:
            summary = each.summary()
            error, score = summary["rmse_px"], summary[metric]
            if error is not None and score is not None:
                dots.append(Dot(each.title, error.mean, score.mean))
        if dots:
            axes = Axis("RMSE of the disparity, px"), Axis(f"{title}, dB")
            parts += [heading(f"The {title} against the error of depth"), plot(dots, *axes, f"{title} against RMSE")]
    return [*parts, paragraph(_LESSON, faint=True)] if parts else []


def _pictures(sample: Sample, evaluations: Sequence[Evaluation], number: int) -> list[str]:
    blur, span = float(sample.blur.max()), sample.near - sample.far
    row = [
        Figure(png_url(displayed(sample.all_in_focus.numpy())), "all in focus"),
        Figure(png_url(displayed(sample.blurred[0].numpy())), "observed"),
    ]
    truth = None if sample.disparity is None else sample.disparity[0].numpy()
    if truth is not None:
        row.append(Figure(png_url(heat((truth - sample.far) / span)), "true disparity"))
    for each in evaluations:
        found = each.results[number].disparity[0].numpy()
        row.append(Figure(png_url(heat((found - sample.far) / span)), each.title))
        if truth is not None:
            error = heat(blur * abs(found - truth) / ERROR_RANGE_PX)
            row.append(Figure(png_url(error), f"its error, 0 to {ERROR_RANGE_PX:g} px"))
    return [heading(f"Sample {sample.name}", 3), figures(row)]
