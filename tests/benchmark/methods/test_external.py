"""Pictures that another program made."""

import numpy as np
import pytest
import torch

from taichi_bokeh.benchmark.methods.external import External
from taichi_bokeh.io import write_image
from tests.benchmark.billboards import make_scene

SCENE = make_scene([3.0, -3.0])
PICTURE = SCENE.all_in_focus.permute(1, 2, 0).numpy()


@pytest.mark.parametrize(("suffix", "tolerance"), [("npy", 0), ("tif", 0), ("tiff", 0), ("png", 0.005), ("jpg", 0.1)])
def test_a_picture_is_read_in_linear_light(tmp_path, suffix, tolerance):
    write_image(tmp_path / f"007.{suffix}", PICTURE)
    picture = External("mine", tmp_path).render(SCENE, 1)
    assert picture.dtype == torch.float32
    torch.testing.assert_close(picture, SCENE.all_in_focus, atol=tolerance, rtol=0)


def test_the_exact_one_of_several_files_is_read(tmp_path):
    write_image(tmp_path / "007.png", 0 * PICTURE)
    write_image(tmp_path / "007.npy", PICTURE)
    assert torch.equal(External("mine", tmp_path).render(SCENE, 1.0), SCENE.all_in_focus)


def test_a_missing_picture_is_told_by_scene_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="'007'") as caught:
        External("mine", tmp_path).render(SCENE, 1)
    assert str(tmp_path) in str(caught.value)


def test_a_picture_of_another_size_is_refused(tmp_path):
    write_image(tmp_path / "007.png", np.zeros((47, 56, 3), np.float32))
    with pytest.raises(ValueError, match=r"007\.png is 56×47 pixels, and must be 56×48"):
        External("mine", tmp_path).render(SCENE, 1)


def test_its_blur_cannot_be_changed(tmp_path):
    method = External("mine", tmp_path)
    assert not method.searchable
    with pytest.raises(ValueError, match=r"scale is 0\.9"):
        method.render(SCENE, 0.9)
