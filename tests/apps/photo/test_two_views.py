"""--stereo: two views in one file, side by side in one picture, or in two files become disparity."""

import numpy as np
import pytest
from PIL import Image

from taichi_bokeh.apps.cli import main
from taichi_bokeh.io import read_image, srgb_encode
from tests.io.phones.writers import jpeg, several
from tests.photo.test_stereo import SQUARE, two_views

LENS = ("--blur", "0.5", "--focus", "6", "--model", "scatter", "--layers", "2")


@pytest.fixture
def views() -> tuple[np.ndarray, np.ndarray]:
    left, right, _ = two_views()
    return tuple(np.rint(srgb_encode(view) * 255).astype(np.uint8) for view in (left, right))


def render(folder, photo: str, *options: str) -> int:
    return main(["render", str(folder / photo), *LENS, "--stereo", *options, "-o", str(folder / "out.npy"), "--overwrite"])


def assert_square_is_sharp(folder, left: np.ndarray) -> None:
    out = np.rint(srgb_encode(np.load(folder / "out.npy")) * 255)
    assert out.shape == left.shape
    inner = (slice(SQUARE[0].start + 4, SQUARE[0].stop - 4), slice(SQUARE[1].start + 4, SQUARE[1].stop - 4))
    wall = (slice(65, 78), slice(10, 110))
    assert np.abs(out - left)[inner].mean() < 8 < 20 < np.abs(out - left)[wall].mean()


def test_a_second_file_is_the_right_view(tmp_path, capsys, views):
    for name, view in zip(("left.png", "right.png"), views, strict=True):
        Image.fromarray(view).save(tmp_path / name)
    assert render(tmp_path, "left.png", str(tmp_path / "right.png")) == 0
    assert "they agree in" in capsys.readouterr().out
    assert_square_is_sharp(tmp_path, views[0])


@pytest.mark.parametrize("how", [(), ("side-by-side",), ("cross-eyed",)])
def test_two_views_in_one_picture(tmp_path, views, how):
    left, right = views
    Image.fromarray(np.hstack([right, left] if how == ("cross-eyed",) else [left, right])).save(tmp_path / "pair.png")
    assert render(tmp_path, "pair.png", *how) == 0
    assert_square_is_sharp(tmp_path, left)


@pytest.mark.parametrize("kind", [0x020002, 0])
def test_the_pictures_of_a_stereo_camera(tmp_path, capsys, views, kind):
    left, right = views
    (tmp_path / "a.mpo").write_bytes(several(jpeg(left), [(jpeg(right), kind)]))
    assert render(tmp_path, "a.mpo") == 0
    assert ("does not say from which side" in capsys.readouterr().out) == (kind == 0)
    assert_square_is_sharp(tmp_path, srgb_encode(read_image(tmp_path / "a.mpo").rgb) * 255)


def test_what_is_no_pair_is_refused_in_one_line(tmp_path, capsys, views):
    left, right = views
    Image.fromarray(left[:, :80]).save(tmp_path / "one.png")
    assert render(tmp_path, "one.png") == 2
    assert "holds one view" in capsys.readouterr().err
    Image.fromarray(right[:40]).save(tmp_path / "small.png")
    assert render(tmp_path, "one.png", str(tmp_path / "small.png")) == 2
    assert "must be 80×80 as" in capsys.readouterr().err
    noise = np.random.default_rng(1).integers(0, 255, left.shape).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    Image.fromarray(left).save(tmp_path / "left.png")
    assert render(tmp_path, "left.png", str(tmp_path / "noise.png")) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "hardly two views of one scene" in error or "nothing in common" in error
    assert not (tmp_path / "out.npy").exists()
