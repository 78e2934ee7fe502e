"""``taichi-bokeh benchmark``: methods against ray-traced truth."""

import sys
from collections.abc import Sequence
from pathlib import Path

from taichi_bokeh.apps.common import Say, existing_folder, given, speaker
from taichi_bokeh.apps.options.benchmark import BenchmarkRequest, RunRequest
from taichi_bokeh.apps.options.requests import given_options, option
from taichi_bokeh.apps.progress import progress_bar
from taichi_bokeh.apps.terminal import console_of, print_result
from taichi_bokeh.benchmark import methods, report, runner, tables
from taichi_bokeh.benchmark.results import Summary, load_all, summarise
from taichi_bokeh.benchmark.runner import Benchmark
from taichi_bokeh.report.page import require_report
from taichi_bokeh.synthetic.scenes import SceneSettings

_SPEED_OVER_S = 900.0  # a unit may take minutes
_ALL_COLUMNS_FROM = 180  # characters a line
_FIRST_COLUMNS = ("PSNR", "worst PSNR", "PSNR at best blur", "best blur")


def benchmark(request: BenchmarkRequest) -> None:
    """Run the command; see ``taichi-bokeh benchmark --help``.

    Raises:
        ValueError, OSError, ModuleNotFoundError: what is wrong, in one line.
        KeyboardInterrupt: with what was done, and how to go on.
    """
    say = speaker(request.quiet)
    if request.merge or request.report_only or request.list_methods:
        _refuse_options_of_a_run(request)
    if request.list_methods:
        _list_methods()
        return
    if request.out is None:
        raise ValueError("--out DIR is missing: the folder of the results")
    require_report()
    folder = request.out
    if request.merge:
        runner.merge(request.merge, folder)
    elif not request.report_only:
        _run(request.measured, folder, request.quiet, say)
    page = report.write_report(folder)
    if not request.quiet:
        _print_summary(summarise(load_all(folder)))
    say(f"written: {page}, and tables beside it")


def _run(request: RunRequest, folder: Path, is_quiet: bool, say: Say) -> None:
    asked = _benchmark(request)
    processes = request.workers or 1
    before = runner.count(asked, folder)
    if before.done:
        say(f"going on in {folder}: {before.done} of {before.total} units are done")
    try:
        with progress_bar("benchmark", is_quiet, speed_over_s=_SPEED_OVER_S) as progress:
            runner.run(asked, folder, processes, progress)
    except KeyboardInterrupt:
        done, total = runner.count(asked, folder)
        raise KeyboardInterrupt(f"{done} of {total} units are in {folder}; the same command goes on from there") from None


def _benchmark(request: RunRequest) -> Benchmark:
    chosen = methods.DEFAULT if request.methods is None else tuple(filter(None, request.methods.split(",")))
    if not chosen:
        raise ValueError("--methods names none; give names with commas between them, see --list-methods")
    return Benchmark(
        scenes=request.scenes or 100,
        settings=SceneSettings(**given(request, "size", "seed", "hdr")),
        methods=chosen,
        external=_external(request.external or []),
        foregrounds=existing_folder("--foregrounds", request.foregrounds),
        backgrounds=existing_folder("--backgrounds", request.backgrounds),
        shard=request.shard or (1, 1),
        **given(request, "rays"),
    )


def _refuse_options_of_a_run(request: BenchmarkRequest) -> None:
    instead = "--list-methods" if request.list_methods else "--report-only" if request.report_only else "--merge"
    for name in given_options(request.measured):
        raise ValueError(f"{option(name)} has no meaning with {instead}, which runs nothing")


def _external(texts: Sequence[str]) -> dict[str, Path]:
    folders: dict[str, Path] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise ValueError(f"--external {text!r} is not NAME=DIR")
        if name in folders:
            raise ValueError(f"--external names {name!r} twice")
        folder = existing_folder("--external", Path(path))
        assert folder is not None  # it was given
        folders[name] = folder
    return folders


def _list_methods() -> None:
    listed = methods.build(methods.DEFAULT, {})
    width = max(len(method.name) for method in listed) + 2
    lines = [f"{method.name:{width}}{method.title}\n" for method in listed]
    families = [name for name in methods.names() if name.endswith("-N")]
    print_result("".join(lines) + f"also with other numbers N: {', '.join(families)}\n")


def _print_summary(summaries: Sequence[Summary]) -> None:
    from rich.table import Table
    from rich.text import Text

    is_terminal = sys.stdout.isatty()
    console = console_of(stderr=False, width=None if is_terminal else _ALL_COLUMNS_FROM)
    has_room = console.width >= _ALL_COLUMNS_FROM
    columns = [column for column in tables.ACCURACY if has_room or column.title in _FIRST_COLUMNS] + [tables.TIMING[0]]
    table = Table()
    table.add_column("method", no_wrap=has_room)
    for title in ("scenes", *(column.short for column in columns)):
        table.add_column(title, justify="right", no_wrap=True)
    for summary in summaries:
        table.add_row(Text(summary.title), str(summary.scenes), *(column.text(summary) for column in columns))
    console.print(table)
