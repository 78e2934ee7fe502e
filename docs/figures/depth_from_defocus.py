"""Draw docs/figures/depth-from-defocus.jpg: `python docs/figures/depth_from_defocus.py RESULTS [output]`.

RESULTS is what the tutorial's `dfd eval` has written. Its first three pictures, with a title over each column.
"""

import csv
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

GIVEN = ("all in focus", "blurred", "true disparity")
SCALE = 0.82
LINE = 22
PICTURES = 3


def main(results: Path, path: Path) -> None:
    """Put the pictures together."""
    with (results / "results.csv").open(encoding="utf-8", newline="") as table:
        estimators = list(dict.fromkeys(row["estimator"].partition(",")[0] for row in csv.DictReader(table)))
    titles = [*GIVEN, *(title for name in estimators for title in (name, "its error"))]
    files = sorted((results / "pictures").glob("*.png"))[:PICTURES]
    rows = [Image.open(file).convert("RGB") for file in files]
    rows = [row.resize((round(row.width * SCALE), round(row.height * SCALE)), Image.Resampling.LANCZOS) for row in rows]
    sheet = Image.new("RGB", (rows[0].width, LINE + sum(row.height for row in rows)), "white")
    draw, font, top = ImageDraw.Draw(sheet), ImageFont.load_default(13), LINE
    for place, title in enumerate(titles):
        draw.text((place * sheet.width / len(titles) + 3, 3), title, "black", font)
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    sheet.save(path, quality=90, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).with_name("depth-from-defocus.jpg"))
