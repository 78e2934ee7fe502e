"""A small scene on disk, and the command ``render`` on it, for the tests of what the command line can do."""

from pathlib import Path

import numpy as np

from taichi_bokeh.apps import cli
from taichi_bokeh.io import write_image

HEIGHT, WIDTH = 36, 48


def square_before_grid(top: int = 10, bright: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Colours [H, W, 3] and disparity [H, W]: a square at 0.8 that starts at a row, before a grid at 0.2 with a lamp."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    square = (abs(x - 24) < 8) & (abs(y - top - 8) < 8)
    grey = np.where(square, 0.6, np.where((x + y) % 4 < 2, 0.05, 0.3))
    grey[30:33, 4:7] = bright
    rgb = np.stack([grey, 0.8 * grey, 0.5 * grey + 0.4 * square], axis=2).astype(np.float32)
    disparity = np.where(square, 0.8, 0.2).astype(np.float32)
    disparity[y > 31] = 0.5  # a floor: the focus may lie between near and far
    return rgb, disparity


def write_scene(folder: Path) -> Path:
    """photo.png, disparity.npy and opening.npy (a picture of an opening) in a folder."""
    rgb, disparity = square_before_grid()
    write_image(folder / "photo.png", rgb)
    np.save(folder / "disparity.npy", disparity)
    np.save(folder / "opening.npy", np.eye(4, dtype=np.float32))
    return folder


def words(folder: Path, command: str = "render", **options: object) -> list[str]:
    """The words of the command in that folder; options are as in Python, None drops one, True is a flag."""
    usual: dict[str, object] = {"disparity": "disparity.npy", "blur": 10, "focus": 0.5, "cells": 4, "quiet": True}
    usual |= {"photo": "photo.png", "output": "out.npy"}
    given = usual | options
    result = [command, str(folder / str(given.pop("photo")))]
    for name, value in given.items():
        if value is None or value is False:
            continue
        result.append(f"--{name.replace('_', '-')}")
        if value is not True:
            is_file = name in ("disparity", "output", "alpha", "aperture_image", "show_focus", "cache", "save_layers")
            result.append(str(folder / str(value)) if is_file else str(value))
    return result


def picture(folder: Path, **options: object) -> np.ndarray:
    """What the command writes, [H, W, 3], linear."""
    assert cli.main(words(folder, overwrite=True, **options)) == 0
    return np.load(folder / "out.npy")
