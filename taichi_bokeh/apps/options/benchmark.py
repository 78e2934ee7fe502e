"""The options of ``taichi-bokeh benchmark``. Imports nothing that is slow."""

import argparse
from typing import Any

from taichi_bokeh.apps.options.arguments import shard, whole, whole_from_0

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


def add_benchmark(commands: Any) -> None:
    """Add the command to those of ``taichi-bokeh``."""
    benchmark = commands.add_parser(
        "benchmark",
        help="measure the renderers against ray-traced truth on random scenes",
        description="Measure renderers of lens blur against ray-traced truth, on random scenes that follow from a seed.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    benchmark.set_defaults(run="taichi_bokeh.apps.benchmark:benchmark")
    benchmark.add_argument("--out", metavar="DIR", help="folder of the results: new, empty, or that of an earlier run")
    instead = benchmark.add_mutually_exclusive_group()
    instead.add_argument("--merge", metavar="DIR", nargs="+", help="put the results of these folders into --out")
    instead.add_argument("--report-only", action="store_true", help="only write the tables and the report of --out again")
    instead.add_argument("--list-methods", action="store_true", help="print the methods that --methods knows")
    scenes = benchmark.add_argument_group("scenes")
    scenes.add_argument("--scenes", metavar="N", type=whole, help="how many (100)")
    scenes.add_argument("--seed", metavar="N", type=whole_from_0, help="of all that is random in them (0)")
    scenes.add_argument("--size", metavar="PX", type=whole, help="width and height (384)")
    scenes.add_argument(
        "--hdr", action="store_true", default=None, help="put small lights on the backgrounds, 5 to 200 × white"
    )
    scenes.add_argument("--rays", metavar="N", type=whole, help="rays a pixel of the truth (2048)")
    scenes.add_argument("--foregrounds", metavar="DIR", help="cut-outs: images with alpha, or folders of images and mattes")
    scenes.add_argument("--backgrounds", metavar="DIR", help="images for the last layer (those that scikit-image brings)")
    methods = benchmark.add_argument_group("methods")
    methods.add_argument("--methods", metavar="A,B,…", help="their names (all that --list-methods prints)")
    methods.add_argument("--external", metavar="NAME=DIR", action="append", help="images that another program made")
    work = benchmark.add_argument_group("work")
    work.add_argument("--shard", metavar="I/N", type=shard, help="do part I of N of the scenes only, I from 1")
    work.add_argument(
        "--workers", metavar="N", type=whole, help="processes at the same time; times are then those of a part of the cores (1)"
    )
    work.add_argument("--quiet", action="store_true", help="print nothing, show no progress")
