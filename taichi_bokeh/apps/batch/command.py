"""The arguments of ``taichi-bokeh render-batch``. Imports nothing that is slow."""

import argparse
from typing import Any

from taichi_bokeh.apps.options.arguments import add_aperture, add_bits, add_layering, shard, whole
from taichi_bokeh.apps.options.render_arguments import add_cache, add_lens, add_look, add_model

_EXAMPLES = """\
examples:
  taichi-bokeh render-batch photos --blur 30 --focus-at 640,360 --out bokeh
  taichi-bokeh render-batch photos --disparity-dir disparities --blur 30 --focus 0.8 --workers 4 --out bokeh
  taichi-bokeh render-batch list.csv --blur 30 --shard 2/8 --out bokeh
  taichi-bokeh render-batch list.csv --blur 30 --dask tcp://scheduler:8786 --out bokeh

In a folder, the disparity of x.jpg is x_disparity.* or x.disparity.* beside it, or x.* in --disparity-dir. A list is CSV with a
header, or JSON lines, with the columns photo, and if need be disparity, alpha, focus, focus_at, blur and name (of the
result); or lines of text: a photo, and after a tab its disparity. Paths in it are relative to it. Blank lines, lines that begin
with # and spaces round values do not count.

Stopped at any time, the same command goes on from where it was: what is there already, of the same files and options, is kept,
and a result is whole or not there. Two of it at once get along: neither makes what the other is making. A result of other files
or options is not replaced unless --overwrite says so. What fails is told in DIR/report.json while the rest goes on; the exit
code is then 1. On GPUs, every process of --workers has one of its own. Workers of Dask see the same paths, and have this
package installed.
"""


def add_render_batch(commands: Any) -> None:
    """Add the command to those of ``taichi-bokeh``."""
    batch = commands.add_parser(
        "render-batch",
        help="refocus all photographs of a folder or a list, on one machine or many",
        description="Refocus all photographs of a folder or a list.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    batch.set_defaults(run="taichi_bokeh.apps.batch.run:render_batch")
    batch.add_argument("source", metavar="LIST_OR_DIR", help="a folder of photographs, or a list: CSV, JSON lines or text")
    scene = batch.add_argument_group("scene")
    distance = scene.add_mutually_exclusive_group()
    distance.add_argument("--disparity-dir", metavar="DIR", help="the folder of the disparities, named as the photographs")
    add_layering(scene, distance, scene)
    add_lens(batch)
    add_aperture(batch)
    add_look(batch)
    add_model(batch)
    work = batch.add_argument_group("work")
    work.add_argument("--shard", metavar="I/N", type=shard, help="do part I of N of the photographs only, I from 1")
    where = work.add_mutually_exclusive_group()
    where.add_argument("--workers", metavar="N", type=whole, help="processes at the same time (1)")
    where.add_argument("--dask", metavar="ADDRESS|local:N", help="a Dask scheduler, or N workers of Dask on this machine")
    output = batch.add_argument_group("output")
    output.add_argument("--out", metavar="DIR", required=True, help="folder of the results: new, or that of an earlier run")
    output.add_argument("--format", metavar="SUFFIX", default="png", help="png, jpg, tif, npy … (%(default)s)")
    add_bits(output)
    output.add_argument("--overwrite", action="store_true", help="replace results of other files or options")
    output.add_argument("--quiet", action="store_true", help="print nothing, show no progress")
    add_cache(batch)
