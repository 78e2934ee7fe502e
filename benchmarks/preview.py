"""How fast the preview answers, and whether it stays as it is: frame times with drafts, and random events for some minutes.

The picture is noise with structure, in three layers, of the number of megapixels that is asked for. While a control moves,
frames with drafts are timed from the action to the composed frame (wall seconds, and CPU seconds of all threads, which another
program's load changes less); then the pictures that follow, and how long the work is away from the window at most (the gaps
between two looks). Say what else ran on the machine.

    python benchmarks/preview.py [--megapixels 12] [--size 1280x800] [--frames 60] [--move highlights]
    python benchmarks/preview.py --minutes 30 --megapixels 1     (random events of --seed instead; prints memory every minute)
"""

import argparse
import contextlib
import ctypes
import random
import resource
import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import torch
from torch.nn.functional import interpolate

from taichi_bokeh.layers import Layers
from taichi_bokeh.viewer.keys import KEYS
from taichi_bokeh.viewer.scene import Scene
from taichi_bokeh.viewer.session import Session
from taichi_bokeh.viewer.state import Change, Control

_UNTIMED = 12  # the first drafts find their size, and compile


def noise(channels: int, height: int, width: int, cells: int, generator: torch.Generator) -> torch.Tensor:
    """Smooth noise in [0, 1], [1, channels, height, width]."""
    coarse = torch.rand(1, channels, cells, cells * 3 // 2, generator=generator)
    return interpolate(coarse, (height, width), mode="bilinear")


def scene_of(megapixels: float) -> Scene:
    """Three layers, the first two with holes, all with disparity that varies."""
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    width = round(1.5 * height)
    generator = torch.Generator().manual_seed(1)
    parts = []
    for layer in range(3):
        alpha = (
            ((noise(1, height, width, 6, generator) - 0.5) * 40).clamp(0, 1) if layer < 2 else torch.ones(1, 1, height, width)
        )
        disparity = 0.8 - 0.3 * layer + 0.1 * noise(1, height, width, 4, generator)
        parts.append((noise(3, height, width, 60, generator), alpha, disparity))
    return Scene.of_layers(Layers(*(torch.stack(values, 1) for values in zip(*parts, strict=True))))


def act(session: Session, generator: random.Random) -> bool:
    """One random event of the kinds that a window and a script have; whether it was refused."""
    kind = generator.choice(("point", "key", "set", "release", "resize", "work", "work", "frame"))
    try:
        if kind == "point":
            session.point(generator.uniform(-0.1, 1.1), generator.uniform(-0.1, 1.1))
        elif kind == "key":
            session.key(generator.choice([*KEYS, "?"]))
        elif kind == "set":
            control = generator.choice(list(session.controls.values()))
            session.change(Change("set", control.name, random_value(control, generator)))
        elif kind == "release":
            session.release()
        elif kind == "resize":
            session.resize((generator.randint(1, 900), generator.randint(1, 700)))
        elif kind == "work":
            session.advance(_interrupting(session, generator))
        else:
            session.frame()
            session.shown()
    except ValueError:
        return True
    return False


def random_value(control: Control, generator: random.Random) -> object:
    """A value of a control, or one a little beyond its end."""
    if control.choices:
        return generator.choice(control.choices)
    if control.step == 0:
        return generator.random() < 0.5
    value = generator.uniform(control.low, control.high * 1.1)
    return round(value) if control.is_whole else value


def _interrupting(session: Session, generator: random.Random) -> Callable[[], None]:
    """A watch that moves the focus at some time."""
    looks = generator.randint(1, 60)

    def watch() -> None:
        nonlocal looks
        looks -= 1
        if looks == 0:
            session.change(Change("step", "focus", generator.choice((-1, 1))))

    return watch


def resident_mib() -> float:
    """What the process has in memory, once the allocator has given back what is free (where it can be told to)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * resource.getpagesize() / 2**20


def play(session: Session, minutes: float, seed: int) -> None:
    """Random events, and what they leave."""
    generator = random.Random(seed)
    start = time.perf_counter()
    next_line, events, refused = 0.0, 0, 0
    while (passed := time.perf_counter() - start) < 60 * minutes:
        if passed >= next_line:
            print(f"{passed / 60:5.1f} min: {events} events, {refused} refused, {resident_mib():.0f} MiB", flush=True)
            next_line = 60 * (passed // 60 + 1)
        refused += act(session, generator)
        events += 1
    print(f"{minutes:5.1f} min: {events} events, {refused} refused, {resident_mib():.0f} MiB, no exception")


def measure(session: Session, frames: int, moved: str) -> None:
    """Times of drafts while a control moves, and of what follows them."""
    control = session.controls[moved]
    seconds = []
    busy = 0.0
    for frame in range(frames + _UNTIMED):
        if frame == _UNTIMED:
            busy = time.process_time()
        value = control.low + (0.2 + 0.6 * (frame % 30) / 30) * (control.high - control.low)
        session.change(Change("set", moved, value))
        session.advance()
        session.frame()
        session.shown()
        seconds.append(session.latency_s or 0.0)
    busy = (time.process_time() - busy) / frames
    seconds = seconds[_UNTIMED:]
    print(
        f"{session.label}: median {1e3 * statistics.median(seconds):.0f} ms, one of ten takes "
        f"{1e3 * statistics.quantiles(seconds, n=10)[-1]:.0f} ms or more, {1 / statistics.mean(seconds):.1f} frames/s; "
        f"{1e3 * busy:.0f} ms of CPU time a frame",
        flush=True,
    )
    looks = [time.perf_counter()]
    while not session.is_idle:
        session.advance(lambda: looks.append(time.perf_counter()))
        if session.rendered is not None:
            print(f"{session.label}: {session.rendered.seconds:.2f} s")
    gaps = sorted(1e3 * (b - a) for a, b in pairwise(looks))
    print(f"between two looks at the window: at most {gaps[-1]:.0f} ms, 19 of 20 within {gaps[len(gaps) * 19 // 20]:.0f} ms")


def main() -> None:
    """Print the times, or what the random events leave."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megapixels", type=float, default=12.0)
    parser.add_argument("--size", default="1280x800", help="of the frames")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--move", default="focus", help="the control that moves, one of real numbers")
    parser.add_argument("--threads", type=int, default=1, help="of torch; Taichi takes all cores")
    parser.add_argument("--minutes", type=float, help="of random events instead")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    scene = scene_of(arguments.megapixels)
    width, height = (int(side) for side in arguments.size.split("x"))
    session = Session(scene, (width, height))
    print(f"{scene.size[0]} x {scene.size[1]} px, {scene.layers.count} layers", flush=True)
    if arguments.minutes is None:
        measure(session, arguments.frames, arguments.move)
    else:
        play(session, arguments.minutes, arguments.seed)
    print(f"in memory at most: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10:.0f} MiB")


if __name__ == "__main__":
    main()
