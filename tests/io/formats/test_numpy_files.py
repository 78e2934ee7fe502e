"""Arrays as networks and their scripts write them: names, axes of 1, half floats, stacks, and much beside them."""

import numpy as np
import pytest

from taichi_bokeh.io import read_disparity, read_image
from taichi_bokeh.io.arrays import read_contents, read_stack

HEIGHT, WIDTH = 24, 32
RAMP = np.linspace(0.25, 2, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
COLOURS = np.random.default_rng(0).random((HEIGHT, WIDTH, 3)).astype(np.float32)


@pytest.mark.parametrize("suffix", ["npy", "npz"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 0), (0, 1), (1, 1, 0), (1, 0, 1), (1, 1, 0, 1), (1, 0, 1, 1)])
def test_axes_of_1_do_not_count(tmp_path, suffix, dtype, shape):
    where = shape.index(0)
    values = RAMP.astype(dtype).reshape((1,) * where + RAMP.shape + (1,) * (len(shape) - where - 1))
    path = tmp_path / f"a.{suffix}"
    np.save(path, values) if suffix == "npy" else np.savez(path, anything=values)
    np.testing.assert_array_equal(read_disparity(path), RAMP.astype(dtype))


def test_an_image_may_have_axes_of_1_too(tmp_path):
    np.save(tmp_path / "a.npy", COLOURS[None])
    np.testing.assert_array_equal(read_image(tmp_path / "a.npy").rgb, COLOURS)
    np.save(tmp_path / "row.npy", COLOURS[:1])
    assert read_image(tmp_path / "row.npy").rgb.shape == (1, WIDTH, 3)


@pytest.mark.parametrize("name", ["depth", "depths", "x", "arr_0", "predicted_depth", "Ünïcode", "a.b"])
def test_the_only_map_is_taken_whatever_its_name(tmp_path, name):
    aside = {"intrinsics": np.eye(3), "extrinsics": np.zeros((3, 4)), "names": np.array(["a"]), "scale": np.float32(2)}
    np.savez(tmp_path / "a.npz", **{name: RAMP}, **aside, image=COLOURS, mask=RAMP > 1)
    np.testing.assert_array_equal(read_disparity(tmp_path / "a.npz"), RAMP)
    found = read_contents(tmp_path / "a.npz", "disparity")
    assert (found.format, found.name, found.frames) == ("npz", name, 1)


@pytest.mark.parametrize(
    ("names", "is_depth", "taken"),
    [
        (("depth", "disparity"), False, "disparity"),
        (("disparity", "depth"), True, "depth"),
        (("conf", "depth"), True, "depth"),  # of Depth Anything 3
        (("world_points_conf", "depth_conf", "depth"), True, "depth"),  # of VGGT
        (("uncertainty", "Depth"), False, "Depth"),
        (("a", "data"), False, "data"),
    ],
)
def test_of_several_that_which_is_called_as_the_map_is(tmp_path, names, is_depth, taken):
    arrays = {name: RAMP + number for number, name in enumerate(names)}
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    expected = 1 / arrays[taken] if is_depth else arrays[taken]
    np.testing.assert_allclose(read_disparity(tmp_path / "a.npz", depth=is_depth), expected, rtol=1e-6)


def test_of_several_others_one_has_to_be_named(tmp_path):
    np.savez(tmp_path / "a.npz", a=RAMP, b=2 * RAMP)
    with pytest.raises(
        ValueError, match=r"several of its arrays may be the disparity: a \[24, 32\] float32, b .*--depth-layer"
    ):
        read_disparity(tmp_path / "a.npz")
    np.testing.assert_array_equal(read_disparity(tmp_path / "a.npz", layer="b"), 2 * RAMP)
    with pytest.raises(ValueError, match="it has no array 'c'; its arrays are a"):
        read_disparity(tmp_path / "a.npz", layer="c")
    np.savez(tmp_path / "none.npz", a=np.arange(5), b=np.zeros((24, 32), complex), c=np.float32(1))
    with pytest.raises(ValueError, match=r"none of its arrays is an image or a map: a \[5\]"):
        read_disparity(tmp_path / "none.npz")


@pytest.mark.parametrize("name", ["a.npy", "video.npz", "with_axes.npz"])
def test_a_stack_needs_the_number_of_a_frame(tmp_path, name):
    frames = np.stack([RAMP, 2 * RAMP, 3 * RAMP])
    if name == "a.npy":
        np.save(tmp_path / name, frames)
    else:
        np.savez(tmp_path / name, depths=frames if name == "video.npz" else frames[None, ..., None])
    with pytest.raises(
        ValueError, match=r"it is a stack of 3 frames of 32×24 pixels, .*name one, from 0 to 2 \(--depth-frame\)"
    ):
        read_disparity(tmp_path / name)
    np.testing.assert_array_equal(read_disparity(tmp_path / name, index=2), 3 * RAMP)
    with pytest.raises(ValueError, match="it has no frame 3"):
        read_disparity(tmp_path / name, index=3)
    np.testing.assert_array_equal(list(read_stack(tmp_path / name)), frames)
    assert read_contents(tmp_path / name, index=0).frames == 3


def test_the_first_frame_of_one_image_is_itself(tmp_path):
    np.save(tmp_path / "a.npy", RAMP)
    np.testing.assert_array_equal(read_disparity(tmp_path / "a.npy", index=0), RAMP)
    with pytest.raises(ValueError, match="it has no frame 1"):
        read_disparity(tmp_path / "a.npy", index=1)
    np.testing.assert_array_equal(list(read_stack(tmp_path / "a.npy")), [RAMP])


def test_headers_that_lie_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", depth=RAMP)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    at = content.index(b"'shape': (24")
    content[at + 10 : at + 12] = b"99"
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.npz cannot be read"):
        read_disparity(tmp_path / "a.npz")
    (tmp_path / "b.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(ValueError, match=r"b\.npz cannot be read"):
        read_disparity(tmp_path / "b.npz")
