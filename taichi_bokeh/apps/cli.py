"""The command ``taichi-bokeh``: arguments in, exit code out. What a command needs is imported when it runs."""

import argparse
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

from taichi_bokeh._version import __version__
from taichi_bokeh.apps.batch.command import add_render_batch
from taichi_bokeh.apps.dfd.command import add_dfd
from taichi_bokeh.apps.errors import begin_writing, is_out_of_memory, one_line, with_option, written_before
from taichi_bokeh.apps.options.arguments import (
    BLUR_HELP,
    add_aperture,
    add_output,
    add_scene,
    not_negative,
    shard,
    whole,
    whole_from_0,
)
from taichi_bokeh.apps.options.preview_arguments import add_preview
from taichi_bokeh.apps.options.render_arguments import add_lens, add_render
from taichi_bokeh.apps.photo.inspect import add_inspect
from taichi_bokeh.apps.terminal import any_terminal, print_result

_PROG = "taichi-bokeh"


class _UsageError(ValueError):
    """The arguments are wrong."""


#: How numbers, ranges and lists of them begin that begin with a minus: -1, -.5, -1:0, -5,-5,20,20, -inf; no option does.
_NEGATIVE = re.compile(r"-(?:\.?[0-9]|inf|nan)", re.IGNORECASE)


class _Parser(argparse.ArgumentParser):
    """One that takes every word that begins as a negative number does for a value, and prints on any terminal."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._negative_number_matcher = _NEGATIVE

    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{message} (try {self.prog} --help)")

    def _print_message(self, message: str, file: Any = None) -> None:
        if message:  # help or the version: `error` has the rest
            print_result(message)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the arguments without the program's name; default: those of the process.

    Returns:
        0 when it worked, whether or not what it said could be printed; 1 when it did its work but some of it failed, as told
        (render-batch); 2, with one line on stderr, when an argument or a file is not as it must be, or what was asked for is
        text (inspect, --help) and the disk behind stdout is full; 130 after Ctrl-C.
    """
    with any_terminal():
        return _run(argv)


def _run(argv: Sequence[str] | None) -> int:
    arguments = argparse.Namespace()
    begin_writing()
    try:
        arguments = _parser().parse_args(argv)
        module, _, command = arguments.run.partition(":")
        return getattr(import_module(module), command)(arguments) or 0
    except KeyboardInterrupt as interruption:
        sys.stderr.write(": ".join(filter(None, (_PROG, "interrupted", str(interruption)))) + "\n")
        return 130
    except (ValueError, TypeError, OSError, MemoryError, ModuleNotFoundError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not is_out_of_memory(error):
            raise
        sys.stderr.write(f"{_PROG}: error: {with_option(one_line(error), vars(arguments))}{written_before()}\n")
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=_PROG,
        description="Render the lens blur that a real camera would have made.",
        epilog="Start with: taichi-bokeh demo",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_demo(commands)
    add_render(commands)
    add_preview(commands)
    add_render_batch(commands)
    add_inspect(commands)
    _add_trace(commands)
    _add_benchmark(commands)
    add_dfd(commands)
    return parser


def _add_demo(commands: "argparse._SubParsersAction[_Parser]") -> None:
    demo = commands.add_parser(
        "demo",
        help="refocus a real photograph that comes with scikit-image",
        description="Refocus a real stereo photograph with measured disparity (Middlebury 2014, from scikit-image):\n"
        "fill the holes of the disparity, split the picture into layers, render a near and a far focus.",
        epilog="example: taichi-bokeh demo -o pictures --blur 45",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    demo.set_defaults(run="taichi_bokeh.apps.photo.demo:demo")
    demo.add_argument(
        "-o", "--output", metavar="DIR", default="taichi-bokeh-demo", help="folder for the pictures (%(default)s)"
    )
    demo.add_argument("--blur", metavar="K", type=not_negative, default=32.0, help=BLUR_HELP + " (%(default)g)")
    demo.add_argument("--overwrite", action="store_true", help="replace pictures of an earlier run")
    demo.add_argument("--quiet", action="store_true", help="print nothing")


_TRACE_EXAMPLES = """\
examples:
  taichi-bokeh trace photo.jpg --disparity photo.png --blur 30 --focus-at 640,360 --blades 6 -o out.png
  taichi-bokeh trace photo.png --disparity metres.npy --depth --f-number 2 --focal-length 50 --sensor-width 36 \\
    --focus-distance 1.5 --lens biconvex --rays 4096 --checkpoint out.checkpoint -o out.tif

The lens is described either by --blur, as of render, or by a camera. For a camera, disparity is in 1/m and depth in m:
take npy or floating-point TIFF, as 8- and 16-bit files are scaled to [0, 1]. Runs with equal arguments give equal pictures.
"""


def _add_trace(commands: "argparse._SubParsersAction[_Parser]") -> None:
    trace = commands.add_parser(
        "trace",
        help="refocus such a photograph by ray tracing, through an ideal or a real lens",
        description="Refocus a photograph by its disparity or depth map, by ray tracing: slower than render, and more exact.",
        epilog=_TRACE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    trace.set_defaults(run="taichi_bokeh.apps.photo.trace:trace_photo")
    add_scene(trace)
    add_lens(trace, glass=True)
    add_aperture(trace)
    work = trace.add_argument_group("work")
    work.add_argument("--rays", metavar="N", type=whole, default=1024, help="rays a pixel (%(default)s)")
    work.add_argument("--seed", metavar="N", type=whole_from_0, default=0, help="turns the pattern of the rays (%(default)s)")
    work.add_argument("--checkpoint", metavar="FILE", help="save there at work and on Ctrl-C; if it exists, go on from it")
    work.add_argument("--checkpoint-every", metavar="SECONDS", type=not_negative, help="how often to save it (10)")
    add_output(trace)


_BENCHMARK_EXAMPLES = """\
examples:
  taichi-bokeh benchmark --out results
  taichi-bokeh benchmark --scenes 10 --methods classical,scatter-disc,rays-64 --external mine=pictures --out results
  taichi-bokeh benchmark --shard 1/2 --out first  (and --shard 2/2 --out second elsewhere), then
  taichi-bokeh benchmark --merge first second --out results

Stopped at any time, the same command goes on from where it was; with more --scenes or other --methods it adds them. The
results of a scene and method are in DIR/results, the tables and report.html in DIR. Pictures of another program are named
after the scenes (000.png); its scenes are those in DIR/scenes. To have a method measured again, delete its results.
"""


def _add_benchmark(commands: "argparse._SubParsersAction[_Parser]") -> None:
    benchmark = commands.add_parser(
        "benchmark",
        help="measure the renderers against ray-traced truth on random scenes",
        description="Measure renderers of lens blur against ray-traced truth, on random scenes that follow from a seed.",
        epilog=_BENCHMARK_EXAMPLES,
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
    scenes.add_argument("--foregrounds", metavar="DIR", help="cut-outs: pictures with alpha, or folders of images and mattes")
    scenes.add_argument("--backgrounds", metavar="DIR", help="pictures for the last layer (those that scikit-image brings)")
    methods = benchmark.add_argument_group("methods")
    methods.add_argument("--methods", metavar="A,B,…", help="their names (all that --list-methods prints)")
    methods.add_argument("--external", metavar="NAME=DIR", action="append", help="pictures that another program made")
    work = benchmark.add_argument_group("work")
    work.add_argument("--shard", metavar="I/N", type=shard, help="do part I of N of the scenes only, I from 1")
    work.add_argument(
        "--workers", metavar="N", type=whole, help="processes at the same time; times are then those of a part of the cores (1)"
    )
    work.add_argument("--quiet", action="store_true", help="print nothing, show no progress")
