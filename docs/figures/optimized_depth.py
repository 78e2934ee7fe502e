"""Draw docs/figures/optimized-depth.jpg: `python docs/figures/optimized_depth.py FOLDER [output]`.

FOLDER holds the files of the tutorial on depth from defocus, section "One pair". Prints the map's error as well.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from taichi_bokeh.io import read_disparity, read_image, srgb_encode
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
    shown = [np.rint(255 * srgb_encode(np.minimum(picture, 1))).astype(np.uint8) for picture in pictures]
    shown += [heat(truth), heat(found)]
    height, width = truth.shape
    sheet = Image.new("RGB", (2 * width + GAP, 2 * height + GAP), "white")
    for place, picture in enumerate(shown):
        sheet.paste(Image.fromarray(picture), (place % 2 * (width + GAP), place // 2 * (height + GAP)))
    sheet.save(path, quality=88, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).with_name("optimized-depth.jpg"))
