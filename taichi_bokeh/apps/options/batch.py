"""``taichi-bokeh render-batch``: its options, and the request that they make. Imports nothing that is slow."""

import argparse
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taichi_bokeh.apps.options.aperture import add_aperture
from taichi_bokeh.apps.options.arguments import shard, whole
from taichi_bokeh.apps.options.lens import add_lens
from taichi_bokeh.apps.options.look import add_look
from taichi_bokeh.apps.options.model import add_model
from taichi_bokeh.apps.options.output import add_bits, add_cache, add_quiet
from taichi_bokeh.apps.options.photo import add_layering
from taichi_bokeh.apps.options.render import RenderRequest
from taichi_bokeh.apps.options.requests import request_of

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


@dataclass(frozen=True)
class BatchRequest:
    """Photographs to be rendered alike. Fields but the first are the options of the same names.

    Attributes:
        each: what is done with each; its photograph and output stand for those of the list.
    """

    each: RenderRequest
    source: Path
    out: Path
    disparity_dir: Path | None = None
    shard: tuple[int, int] | None = None
    workers: int | None = None
    dask: str | None = None
    format: str = "png"

    @classmethod
    def of(cls, arguments: Namespace) -> "BatchRequest":
        """Make it of parsed arguments."""
        return request_of(cls, Namespace(**vars(arguments), photo=arguments.source, output=arguments.out))


def add_render_batch(commands: Any) -> None:
    """Add the command to those of ``taichi-bokeh``."""
    batch = commands.add_parser(
        "render-batch",
        help="refocus all photographs of a folder or a list, on one machine or many",
        description="Refocus all photographs of a folder or a list.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    batch.set_defaults(run="taichi_bokeh.apps.batch.run:render_batch", request=BatchRequest.of)
    batch.add_argument(
        "source", metavar="LIST_OR_DIR", type=Path, help="a folder of photographs, or a CSV, JSON-lines or text list"
    )
    scene = batch.add_argument_group("scene")
    distance = scene.add_mutually_exclusive_group()
    distance.add_argument(
        "--disparity-dir", metavar="DIR", type=Path, help="folder of the disparities, named as the photographs"
    )
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
    output.add_argument(
        "--out", metavar="DIR", type=Path, required=True, help="folder of the results: new, or of an earlier run"
    )
    output.add_argument("--format", metavar="SUFFIX", default=BatchRequest.format, help="png, jpg, tif, npy … (%(default)s)")
    add_bits(output)
    output.add_argument("--overwrite", action="store_true", help="replace results of other files or options")
    add_quiet(output)
    add_cache(batch)
