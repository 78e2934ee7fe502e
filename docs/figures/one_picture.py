"""Draw docs/figures/one-picture.jpg: `python docs/figures/one_picture.py [output]`, with the extra photo installed.

The stereo photograph that comes with scikit-image (Middlebury 2014, "Motorcycle"): all in focus, its disparity, and what
`taichi-bokeh demo` makes of it.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image, ImageDraw, ImageFont

from taichi_bokeh.apps.options.demo import DemoRequest
from taichi_bokeh.apps.photo.demo import demo

PANELS = {
    "input": "a photograph, all in focus",
    "disparity": "its disparity: nearer is brighter",
    "near": "focus on the motorcycle",
    "far": "focus on the shelf",
}
PANEL = (480, 324)
GAP, LINE = 8, 26


def main(path: Path) -> None:
    """Run the demo and put its pictures together."""
    (width, height), font = PANEL, ImageFont.load_default(15)
    sheet = Image.new("RGB", (2 * width + 3 * GAP, 2 * (height + LINE) + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    with TemporaryDirectory() as folder:
        demo(DemoRequest(Path(folder), quiet=True))
        for place, (name, title) in enumerate(PANELS.items()):
            left, top = GAP + place % 2 * (width + GAP), GAP + place // 2 * (height + LINE)
            with Image.open(Path(folder) / f"{name}.png") as picture:
                sheet.paste(picture.convert("RGB").resize(PANEL, Image.Resampling.LANCZOS), (left, top))
            draw.text((left, top + height + 3), title, "black", font)
    sheet.save(path, quality=88, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("one-picture.jpg"))
