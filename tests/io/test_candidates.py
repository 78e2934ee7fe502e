"""Of the files in a folder, those are images or maps that the readers are for; side-cars are passed over."""

import numpy as np
import pytest
from PIL import Image

from taichi_bokeh.io import write_image
from taichi_bokeh.io.candidates import is_candidate

SIDE_CARS = {
    "a.json": b"{}",
    "a.xmp": b"<x:xmpmeta/>",
    "a.txt": b"notes",
    "Thumbs.db": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    ".DS_Store": b"\0\0\0\1Bud1",
    "._a.png": b"\0\5\x16\7\0\2\0\0Mac OS X",
    "a.zip": b"PK\3\4",
    "a.h5": b"\x89HDF\r\n\x1a\n" + bytes(64),
    "a.csv": b"photo,disparity\n",
    "empty": b"",
}


@pytest.mark.parametrize("name", SIDE_CARS)
def test_a_side_car_is_none(tmp_path, name):
    (tmp_path / name).write_bytes(SIDE_CARS[name])
    assert not is_candidate(tmp_path / name)


@pytest.mark.parametrize("name", ["a.png", "a.JPG", "a.exr", "a.pfm", "a.tif", "a.npy"])
def test_an_image_is_one_under_any_name_and_damaged_too(tmp_path, name):
    write_image(tmp_path / name, np.ones((4, 4, 3), np.float32))
    assert is_candidate(tmp_path / name)
    (tmp_path / name).rename(tmp_path / "nameless")
    assert is_candidate(tmp_path / "nameless")
    (tmp_path / name).write_bytes(b"damaged")
    assert is_candidate(tmp_path / name)


def test_what_only_pillow_knows_is_one(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.webp")
    assert is_candidate(tmp_path / "a.webp")


def test_an_archive_of_arrays_is_one_and_a_folder_is_none(tmp_path):
    np.savez(tmp_path / "a.npz", data=np.ones((2, 2)))
    (tmp_path / "b.png").mkdir()
    assert is_candidate(tmp_path / "a.npz")
    assert not is_candidate(tmp_path / "b.png")
    assert not is_candidate(tmp_path / "gone.png")
