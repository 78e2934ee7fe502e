"""Draw docs/figures/preview.webp: `python docs/figures/preview.py [output]`, with the extra photo installed.

Records the session that docs/tutorials/preview.md prints, on the demo's photograph, and puts its frames into one picture that
moves.
"""

import json
import os
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import imageio.v3 as iio

from taichi_bokeh.apps.cli import main as taichi_bokeh

TUTORIAL = Path(__file__).parents[1] / "tutorials" / "preview.md"
SIZE = "600x449"
DRAFT_MS, FRAME_MS, LAST_MS = 500, 1500, 3500


def record(folder: Path) -> list[tuple[Path, int]]:
    """Frames, and for how many milliseconds each is to be seen."""
    script = re.search(r"^```json\n(.*?)^```", TUTORIAL.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert script is not None
    (folder / "actions.json").write_text(script[1], encoding="utf-8")
    os.chdir(folder)  # where the script saves to
    words = ["preview", "--offscreen", "--script", "actions.json", "-o", "frames", "--size", SIZE]
    if taichi_bokeh([*words, "--quiet"]) != 0:
        raise SystemExit(1)
    told = json.loads((folder / "frames" / "state.json").read_text(encoding="utf-8"))["frames"]
    lasts = [DRAFT_MS if frame["shows"].startswith("draft") else FRAME_MS for frame in told]
    return [(folder / "frames" / frame["frame"], last) for frame, last in zip(told, lasts, strict=True)]


def main(path: Path) -> None:
    """Record the session and write the picture."""
    with TemporaryDirectory() as folder:
        recorded = record(Path(folder))
        frames = [iio.imread(frame) for frame, _ in recorded]
    durations = [last for _, last in recorded[:-1]] + [LAST_MS]
    iio.imwrite(path, frames, duration=durations, loop=0, quality=70, method=6)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("preview.webp")).absolute())
