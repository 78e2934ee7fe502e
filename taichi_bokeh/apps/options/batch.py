"""``taichi-bokeh render-batch``: its options. Imports nothing that is slow."""

from argparse import Namespace
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any

from taichi_bokeh.apps.options.arguments import shard, whole
from taichi_bokeh.apps.options.lens import GLASS
from taichi_bokeh.apps.options.render import RenderRequest
from taichi_bokeh.apps.options.requests import add_command, opt, request_of

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

_TEXTS = {
    "help": "refocus all photographs of a folder or a list, on one machine or many",
    "description": "Refocus all photographs of a folder or a list.",
    "epilog": _EXAMPLES,
}
_OF_ONE = ("photo", "disparity", "alpha", "output", "save_layers", "show_focus", "explain")
_OF_A_SERIES = ("frames", "ease", "fps", "frame_numbers")
_CHANGED = {"overwrite": {"help": "replace results of other files or options"}}


@dataclass(frozen=True, kw_only=True)
class BatchRequest:
    """Photographs to be rendered alike.

    Attributes:
        each: what is done with each; its photograph and output stand for those of the list.
    """

    source: Path = opt(
        "a folder of photographs, or a list: CSV, JSON lines or text", "LIST_OR_DIR", Path, default=MISSING, names=["source"]
    )
    each: RenderRequest
    disparity_dir: Path | None = opt(
        "the folder of the disparities, named as the photographs", "DIR", Path, group="scene", one_of="distance"
    )
    shard: tuple[int, int] | None = opt("do part I of N of the photographs only, I from 1", "I/N", shard, group="work")
    workers: int | None = opt("processes at the same time (1)", "N", whole, group="work", one_of="where")
    dask: str | None = opt(
        "a Dask scheduler, or N workers of Dask on this machine", "ADDRESS|local:N", group="work", one_of="where"
    )
    out: Path = opt(
        "folder of the results: new, or that of an earlier run", "DIR", Path, default=MISSING, required=True, group="output"
    )
    format: str = opt("png, jpg, tif, npy … (%(default)s)", "SUFFIX", default="png", group="output")

    @classmethod
    def of(cls, arguments: Namespace) -> "BatchRequest":
        """Make it of parsed arguments."""
        return request_of(cls, Namespace(**vars(arguments), photo=arguments.source, output=arguments.out))


def add_render_batch(commands: Any) -> None:
    """Add the command to those of ``taichi-bokeh``."""
    run, without = "taichi_bokeh.apps.batch.run:render_batch", (*GLASS, *_OF_ONE, *_OF_A_SERIES)
    add_command(commands, "render-batch", BatchRequest, run, texts=_TEXTS, without=without, changed=_CHANGED)
