"""Killed at any moment, a command is finished by the same command: to the same bits, and nothing is left over.

TAICHI_BOKEH_KILLS says how often each batch is killed; by default a few times.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from taichi_bokeh.io import write_image
from taichi_bokeh.storage.locks import holder
from tests.apps.small_scene import square_before_grid

COUNT = 6
KILLS = int(os.environ.get("TAICHI_BOKEH_KILLS", "6"))
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
BATCH = "render-batch in --blur 6 --focus 0.5 --cells 4 --out {out}"
pytestmark = pytest.mark.slow

#: Other commands that may be stopped and go on, and which of their files are the same in every run.
OTHERS = {
    "generate": ("dfd generate --scenes 6 --size 32 --rays 64 --per-file 1 --quiet --out {out}", "*"),
    "benchmark": ("benchmark --scenes 3 --size 48 --rays 16 --methods classical,rays-4 --quiet --out {out}", "accuracy.*"),
    "cache": (
        "render in/0.png --disparity in/0_disparity.npy --blur 6 --focus 0.5 --quiet --cache {out} -o {out}/0.png --overwrite",
        "*",
    ),
    "trace": (
        "trace in/0.png --disparity in/0_disparity.npy --blur 6 --focus 0.5 --rays 512 --checkpoint {out}/state "
        "--checkpoint-every 0 --quiet -o {out}/0.npy --overwrite",
        "*",
    ),
}

# Importing takes longer than all else: a process that has imported everything forks one for each run. It reads lines of
# "output file, tab, words" and answers with the number of the process, whose end it tells after an empty line.
FORKING = """
import os, shlex, signal, sys
import torch
from taichi_bokeh.apps import benchmark, cli, render
from taichi_bokeh.apps.batch import run
from taichi_bokeh.apps.photo import trace
from taichi_bokeh.dfd.data import generate

for line in sys.stdin:
    if not line.strip():
        print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
        continue
    said, words = line.rstrip().split("\\t")
    child = os.fork()
    if child == 0:
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, signal.default_int_handler if name == signal.SIGINT else signal.SIG_DFL)
        handle = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        torch.set_num_threads(1)
        os._exit(cli.main(shlex.split(words)))
    print(child, flush=True)
"""


class Runs:
    """Runs of the command line in a folder, each in a process of its own that begins at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-c", FORKING], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def begin(self, words: str, said: str = "said.txt") -> int:
        return self._ask(f"{said}\t{words}")

    def end(self) -> int:
        """Wait for a run; its exit code."""
        return self._ask("")

    def run(self, words: str) -> None:
        self.begin(words)
        assert self.end() == 0, (self.folder / "said.txt").read_text()

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()

    def _ask(self, line: str) -> int:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """In a folder with the folder ``in``, of some photographs with their disparities."""
    folder = tmp_path_factory.mktemp("killed")
    (folder / "in").mkdir()
    for number in range(COUNT):
        rgb, disparity = square_before_grid(2 + number)
        write_image(folder / "in" / f"{number}.png", rgb)
        np.save(folder / "in" / f"{number}_disparity.npy", disparity)
    runs = Runs(folder)
    yield runs
    runs.close()


@pytest.fixture(scope="module")
def whole(runs: Runs) -> tuple[dict[str, bytes], float]:
    """What a batch that was left in peace has made, and how many seconds it took."""
    runs.run(BATCH.format(out="first"))  # compiles what the others take from the cache
    start = time.monotonic()
    runs.run(BATCH.format(out="whole"))
    return _pictures(runs.folder / "whole"), time.monotonic() - start


def _pictures(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.png"))}


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("seed", range(max(1, KILLS // 5)))
def test_a_batch_that_is_killed_at_random_is_finished_to_the_bit(runs, whole, seed):
    chance = random.Random(seed)
    pictures, seconds = whole
    out = runs.folder / f"out{seed}"
    for _ in range(min(5, KILLS)):
        process = runs.begin(BATCH.format(out=out.name))
        time.sleep(chance.uniform(0.2, 0.8) * seconds)
        os.kill(process, chance.choice(SIGNALS))
        runs.end()
        made = _pictures(out)
        assert made == {name: pictures[name] for name in made}, "a picture is half-written, or a wrong one"
        for name in chance.sample(sorted(made), len(made) // 2):  # so that there is something left to do
            (out / name).unlink()
    (out / ".taichi-bokeh.txt").write_text("of the user, whatever its name")
    runs.run(BATCH.format(out=out.name))
    assert _pictures(out) == pictures
    (out / ".taichi-bokeh.txt").unlink()
    assert _names(out) == _names(runs.folder / "whole")


def test_two_batches_at_once_share_a_folder_and_say_so(runs, whole):
    pictures, _ = whole
    for said in ("one.txt", "other.txt"):
        runs.begin(BATCH.format(out="both"), said)
    assert [runs.end(), runs.end()] == [0, 0]
    assert _pictures(runs.folder / "both") == pictures
    assert _names(runs.folder / "both") == _names(runs.folder / "whole")
    said = [(runs.folder / name).read_text() for name in ("one.txt", "other.txt")]
    assert sum("another run (process " in text for text in said) == 1
    made = sum(int(text.partition("rendered: ")[2].partition(",")[0]) for text in said)
    assert made == COUNT, "a picture was made twice"


def test_a_batch_whose_parent_or_worker_is_killed(runs, whole):
    pictures, _ = whole
    words = [sys.executable, "-m", "taichi_bokeh", *BATCH.format(out="workers").split(), "--workers", "2", "--quiet"]
    out = runs.folder / "workers"
    with subprocess.Popen(words, cwd=runs.folder) as process:
        _wait_for_a_picture(out, process)
        process.kill()  # the parent alone: its workers must not go on
    runs.run(BATCH.format(out="workers"))
    assert _pictures(out) == pictures
    assert _names(out) == _names(runs.folder / "whole")

    shutil.rmtree(out)
    with subprocess.Popen(words, cwd=runs.folder) as process:
        _wait_for_a_picture(out, process)
        os.kill(_worker_at_work(out, process), signal.SIGKILL)
    assert process.returncode == 0
    assert _pictures(out) == pictures
    assert _names(out) == _names(runs.folder / "whole")


def _wait_for_a_picture(folder: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while not any(folder.glob("*.png")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)


def _worker_at_work(folder: Path, process: subprocess.Popen[bytes]) -> int:
    """Who holds the lock of a picture."""
    while True:
        assert process.poll() is None
        for path in (folder / "records").glob(".taichi-bokeh-*.lock"):
            if found := re.match("process ([0-9]+) on ", holder(path)):
                return int(found[1])


@pytest.mark.parametrize("command", OTHERS)
def test_another_command_that_is_killed_goes_on(runs, command):
    words, same = OTHERS[command]
    chance = random.Random(command)
    whole, out = runs.folder / f"{command}-whole", runs.folder / command
    for folder in (whole, out):
        if "/" in words.partition("{out}")[2]:  # its outputs are files
            folder.mkdir()
    start = time.monotonic()
    runs.run(words.format(out=whole.name))
    seconds = time.monotonic() - start
    for _ in range(max(2, KILLS // 10)):
        process = runs.begin(words.format(out=out.name))
        time.sleep(chance.uniform(0.1, 1.0) * seconds)
        os.kill(process, signal.SIGKILL)
        runs.end()
    runs.run(words.format(out=out.name))
    assert _names(out) == _names(whole)
    for path in whole.glob(same):
        assert path.is_dir() or (out / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_second_run_in_a_folder_is_told_of_the_first(runs):
    words = "dfd generate --scenes 40 --size 32 --rays 4096 --per-file 1 --out busy"
    process = runs.begin(words)
    while not (runs.folder / "busy" / "dataset.json").exists():
        time.sleep(0.002)
    runs.begin(words, "second.txt")
    assert runs.end() == 2
    said = (runs.folder / "second.txt").read_text()
    assert said.startswith(f"taichi-bokeh: error: the folder busy is in use by another run (process {process} on ")
    assert said.count("\n") == 1
    os.kill(process, signal.SIGKILL)
    runs.end()
