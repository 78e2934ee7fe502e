"""Draw docs/figures/before-after.jpg: `python docs/figures/before_after.py [output]`, with the extra photo installed.

The photograph of `taichi-bokeh demo` before and after, and below both at edges, magnified four times: a lever in focus
before what is blurred, and a fender out of focus through which one sees the shelf.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import imageio.v3 as iio
import numpy as np

GAP = 8
TIMES = 4
#: Of which image of the demo, and the first row and column of the part that is magnified.
EDGES = (("input", 60, 492), ("near", 60, 492), ("input", 262, 560), ("far", 262, 560))


def main(path: Path) -> None:
    """Run the demo and put its images together."""
    with TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "taichi_bokeh", "demo", "-o", folder, "--quiet"], check=True)
        images = {name: iio.imread(Path(folder) / f"{name}.png")[..., :3] for name in ("input", "near", "far")}
    height, width = images["input"].shape[:2]
    sheet = np.full((height + 2 * GAP + 100 * TIMES, 2 * width + GAP, 3), 255, np.uint8)
    sheet[:height, :width], sheet[:height, width + GAP :] = images["input"], images["near"]
    part_width = (sheet.shape[1] - 3 * GAP) // 4
    for k, (name, top, left) in enumerate(EDGES):
        part = images[name][top : top + 100, left : left + -(-part_width // TIMES)]
        large = part.repeat(TIMES, 0).repeat(TIMES, 1)[:, :part_width]
        column = k * (part_width + GAP)
        sheet[height + 2 * GAP :, column : column + part_width] = large
    iio.imwrite(path, sheet, quality=88, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("before-after.jpg"))
