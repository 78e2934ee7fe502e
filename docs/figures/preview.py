"""Draw docs/figures/preview.jpg: `python docs/figures/preview.py FRAMES [output]`, with the frames of the tutorial."""

import sys
from pathlib import Path

from PIL import Image

GAP = 6
SHOWN = (4, 6)  # the full picture, and what is in focus under the list of keys


def main(folder: Path, path: Path) -> None:
    """Put two frames side by side."""
    frames = [Image.open(folder / f"{number:04d}.png").convert("RGB") for number in SHOWN]
    width, height = frames[0].size
    sheet = Image.new("RGB", (len(frames) * (width + GAP) - GAP, height), "white")
    for place, frame in enumerate(frames):
        sheet.paste(frame, (place * (width + GAP), 0))
    sheet.save(path, quality=86, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).with_name("preview.jpg"))
