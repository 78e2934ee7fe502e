"""What is written, and where. Imports nothing that is slow."""

import argparse
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class OutputRequest:
    """The file of the image, and what is written and said beside it. Fields are the options of the same names."""

    output: Path
    bits: int | None = None
    save_layers: Path | None = None
    overwrite: bool = False
    quiet: bool = False


def add_output(command: argparse.ArgumentParser) -> None:
    """Add the group that says what to write."""
    output = command.add_argument_group("output")
    output.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        type=Path,
        required=True,
        help="PNG or JPEG (sRGB); OpenEXR, TIFF, PFM or npy (linear float)",
    )
    add_bits(output)
    output.add_argument("--save-layers", metavar="DIR", type=Path, help="also write each layer: RGBA PNG and disparity npy")
    output.add_argument("--overwrite", action="store_true", help="replace files that exist")
    add_quiet(output)


def add_bits(output: argparse._ArgumentGroup) -> None:
    """Add how fine the colours of an image are that is written."""
    output.add_argument(
        "--bits", type=int, choices=(8, 16, 32), help="a channel: 8 or 16 of a PNG (8), 16 or 32 of OpenEXR (32)"
    )


def add_quiet(output: argparse._ActionsContainer) -> None:
    """Add that nothing is said."""
    output.add_argument("--quiet", action="store_true", help="print nothing, show no progress")


def add_cache(command: argparse.ArgumentParser) -> None:
    """Add where layers are kept."""
    command.add_argument("--cache", metavar="DIR", type=Path, help="keep the layers of each photograph there")
