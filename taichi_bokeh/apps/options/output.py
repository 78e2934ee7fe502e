"""What is written, and where. Imports nothing that is slow."""

from dataclasses import MISSING, dataclass
from pathlib import Path

from taichi_bokeh.apps.options.requests import opt


@dataclass(frozen=True)
class OutputRequest:
    """The file of the image, and what is written and said beside it."""

    GROUP = "output"

    output: Path = opt(
        "PNG, JPEG, AVIF or HEIC (sRGB); OpenEXR, TIFF, PFM or npy (linear float)",
        "OUT",
        Path,
        default=MISSING,
        required=True,
        names=["-o", "--output"],
    )
    bits: int | None = opt("a channel: 8 or 16 of a PNG (8), 16 or 32 of OpenEXR (32)", type=int, choices=(8, 16, 32))
    save_layers: Path | None = opt("also write each layer: RGBA PNG and disparity npy", "DIR", Path)
    overwrite: bool = opt("replace files that exist", default=False)
    quiet: bool = opt("print nothing, show no progress", default=False)
