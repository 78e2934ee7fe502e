"""Draw docs/figures/optimized-depth.jpg: `python docs/figures/optimized_depth.py FOLDER [output]`.

FOLDER holds the files of the tutorial on depth from defocus, section "One pair". Prints the map's error as well.
"""

import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np

from taichi_bokeh.io import read_disparity, read_image, to_srgb8
from taichi_bokeh.report.pictures import heat

BLUR = 8.0
GAP = 6


def main(folder: Path, path: Path) -> None:
    """Put sharp and blurred picture, true and found disparity together."""
    truth, found = read_disparity(folder / "half-disparity.png"), read_disparity(folder / "depth.pfm")
    error_px = BLUR * np.abs(found - truth)
    sys.stdout.write(f"mean error {error_px.mean():.2f} px of the radius, RMSE {np.sqrt((error_px**2).mean()):.2f} px, ")
    sys.stdout.write(f"{(error_px <= 1).mean():.0%} within 1 px\n")
    pictures = [read_image(folder / name).rgb for name in ("half-input.png", "blurred.tif")]
    height, width = truth.shape
    sheet = np.full((2 * height + GAP, 2 * width + GAP, 3), 255, np.uint8)
    for place, picture in enumerate([*map(to_srgb8, pictures), heat(truth), heat(found)]):
        top, left = place // 2 * (height + GAP), place % 2 * (width + GAP)
        sheet[top : top + height, left : left + width] = picture
    iio.imwrite(path, sheet, quality=88, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).with_name("optimized-depth.jpg"))
