"""``taichi-bokeh benchmark``: its options. Imports nothing that is slow."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taichi_bokeh.apps.options.arguments import shard, whole, whole_from_0
from taichi_bokeh.apps.options.requests import add_command, opt

_EXAMPLES = """\
examples:
  taichi-bokeh benchmark --out results
  taichi-bokeh benchmark --scenes 10 --methods classical,scatter-disc,rays-64 --external mine=pictures --out results
  taichi-bokeh benchmark --shard 1/2 --out first  (and --shard 2/2 --out second elsewhere), then
  taichi-bokeh benchmark --merge first second --out results

Stopped at any time, the same command goes on from where it was; with more --scenes or other --methods it adds them. The
results of a scene and method are in DIR/results, the tables and report.html in DIR. Images of another program are named
after the scenes (000.png); its scenes are those in DIR/scenes. To have a method measured again, delete its results.
"""

_TEXTS = {
    "help": "measure the renderers against ray-traced truth on random scenes",
    "description": "Measure renderers of lens blur against ray-traced truth, on random scenes that follow from a seed.",
    "epilog": _EXAMPLES,
}


@dataclass(frozen=True)
class RunRequest:
    """What is measured; None is as the library has it."""

    scenes: int | None = opt("how many (100)", "N", whole, group="scenes")
    seed: int | None = opt("of all that is random in them (0)", "N", whole_from_0, group="scenes")
    size: int | None = opt("width and height (384)", "PX", whole, group="scenes")
    hdr: bool | None = opt(
        "put small lights on the backgrounds, 5 to 200 × white", default=None, action="store_true", group="scenes"
    )
    rays: int | None = opt("rays a pixel of the truth (2048)", "N", whole, group="scenes")
    foregrounds: Path | None = opt("cut-outs: images with alpha, or folders of images and mattes", "DIR", Path, group="scenes")
    backgrounds: Path | None = opt("images for the last layer (those that scikit-image brings)", "DIR", Path, group="scenes")
    methods: str | None = opt("their names (all that --list-methods prints)", "A,B,…", group="methods")
    external: Sequence[str] | None = opt("images that another program made", "NAME=DIR", action="append", group="methods")
    shard: tuple[int, int] | None = opt("do part I of N of the scenes only, I from 1", "I/N", shard, group="work")
    workers: int | None = opt(
        "processes at the same time; times are then those of a part of the cores (1)", "N", whole, group="work"
    )


@dataclass(frozen=True)
class BenchmarkRequest:
    """A benchmark to be run, merged, or told of."""

    out: Path | None = opt("folder of the results: new, empty, or that of an earlier run", "DIR", Path)
    merge: Sequence[Path] | None = opt("put the results of these folders into --out", "DIR", Path, nargs="+", one_of="instead")
    report_only: bool = opt("only write the tables and the report of --out again", default=False, one_of="instead")
    list_methods: bool = opt("print the methods that --methods knows", default=False, one_of="instead")
    measured: RunRequest = RunRequest()
    quiet: bool = opt("print nothing, show no progress", default=False, group="work")


def add_benchmark(commands: Any) -> None:
    """Add the command to those of ``taichi-bokeh``."""
    add_command(commands, "benchmark", BenchmarkRequest, "taichi_bokeh.apps.benchmark:benchmark", texts=_TEXTS)
