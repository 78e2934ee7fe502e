"""How ``taichi-bokeh render`` is told what the numbers of a map are: each way gives the picture of the true disparity."""

import numpy as np
import OpenEXR
import pytest
from PIL import Image

from taichi_bokeh.apps.cli import main
from taichi_bokeh.apps.options.photo import PhotoRequest
from taichi_bokeh.apps.options.preview import scene_words
from taichi_bokeh.io import write_image, write_map

HEIGHT, WIDTH = 28, 42
FOCAL_LENGTH = 1.2  # in widths
NEAR = np.zeros((HEIGHT, WIDTH), bool)
NEAR[8:22, 14:30] = True
DEPTH = np.where(NEAR, 1.0, 4.0).astype(np.float32)
PHOTO = np.random.default_rng(0).random((HEIGHT, WIDTH, 3)).astype(np.float32)
CALIBRATION = f"cam0=[100 0 0; 0 100 0; 0 0 1]\nbaseline=200\ndoffs=1\nwidth={WIDTH}\n"
ALONG_RAY = DEPTH * np.sqrt(
    1
    + ((np.arange(WIDTH) + 0.5 - WIDTH / 2) / (FOCAL_LENGTH * WIDTH)) ** 2
    + ((np.arange(HEIGHT)[:, None] + 0.5 - HEIGHT / 2) / (FOCAL_LENGTH * WIDTH)) ** 2
)
FIELD_OF_VIEW = str(2 * np.degrees(np.arctan(0.5 / FOCAL_LENGTH)))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_image("photo.png", PHOTO)
    (tmp_path / "calib.txt").write_text(CALIBRATION, encoding="utf-8")
    return tmp_path


def render(*words: str, photo: str = "photo.png") -> np.ndarray | None:
    lens = ("--blur", "4", "--focus", "1", "--model", "scatter", "-o", "out.npy", "--overwrite")
    return None if main(["render", photo, *words, *lens]) else np.load("out.npy")


@pytest.fixture
def truth(folder) -> np.ndarray:
    np.save("true.npy", 1 / DEPTH)
    return render("--disparity", "true.npy")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((DEPTH * 4000).astype(np.uint16), "--depth --depth-unit 0.25mm"),
        ((DEPTH * 5000).astype(np.uint16), "--depth --depth-unit 5000/m"),
        ((DEPTH * 60).astype(np.uint8), "--depth --depth-unit 60/m"),
        ((DEPTH * 1000).astype(np.int32), "--depth --depth-unit mm"),
        (DEPTH[None, ..., None].astype(np.float16), "--depth"),
        (ALONG_RAY, f"--depth --depth-along-ray --field-of-view {FIELD_OF_VIEW}"),
        (np.where(NEAR, 255, 0).astype(np.uint8), "--disparity-range 0.25 1"),
        (np.where(NEAR, 0, 65535).astype(np.uint16), "--disparity-range 0.25:1 --invert-disparity"),
        (np.where(NEAR, 19.0, 4.0), "--calib calib.txt"),
        ((np.where(NEAR, 19.0, 4.0) * 256).astype(np.uint16), "--calib calib.txt --depth-unit 256/px"),
        (np.where(NEAR, 19.0, 4.0) / 100, "--calib calib.txt --disparity-range 0 100"),
        (np.stack([DEPTH * 2, DEPTH]), "--depth --depth-frame 1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_way_gives_the_picture_of_the_true_disparity(truth, values, words):
    np.save("map.npy", values)
    np.testing.assert_allclose(render("--disparity", "map.npy", *words.split()), truth, atol=2e-5)


def test_what_an_exr_calls_depth_may_be_one_over_it(truth):
    write_map("z.exr", 1 / DEPTH, channel="Z")
    np.testing.assert_allclose(render("--disparity", "z.exr", "--inverse-depth"), truth, atol=1e-6)
    assert render("--disparity", "z.exr") is None
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    for name, z in (("own.exr", 1 / DEPTH), ("own_cm.exr", DEPTH * 100)):
        OpenEXR.File(header, {"RGB": PHOTO, "Z": z}).write(name)
    from_own = render("--inverse-depth", photo="own.exr")
    np.testing.assert_allclose(render("--depth-unit", "cm", photo="own_cm.exr"), from_own, atol=2e-5)
    np.testing.assert_allclose(render("--disparity", "true.npy", photo="own.exr"), from_own, atol=1e-6)


def test_holes_may_be_named_several_or_none(truth, capsys):
    depth = (DEPTH * 1000).astype(np.uint16)
    depth[:3], depth[3:5] = 65535, 7777
    Image.fromarray(depth).save("map.png")
    words = ("--disparity", "map.png", "--depth", "--depth-unit", "mm")
    for more, said in (
        ((), "65535 (10.7% of the pixels) is taken for a hole: the largest number of its type"),
        (("--hole", "7777", "--hole", "65535"), "filling the disparity's holes (17.9% of the pixels)"),
        (("--hole", "none"), "disparity: 0.01526 to 1"),
    ):
        assert render(*words, *more) is not None
        assert said in capsys.readouterr().out
    assert render("--disparity", "true.npy", "--hole", "x") is None
    assert "'x' is not a number, nor 'none'" in capsys.readouterr().err


def test_npz_frames_and_arrays_are_named(truth, capsys):
    np.savez("maps.npz", first=np.stack([1 / DEPTH, DEPTH]), second=np.stack([DEPTH, DEPTH]))
    assert render("--disparity", "maps.npz") is None
    assert "several of its arrays may be the disparity: first [2, 28, 42] float32" in capsys.readouterr().err
    assert render("--disparity", "maps.npz", "--depth-layer", "first") is None
    assert "a stack of 2 frames of 42×28 pixels" in capsys.readouterr().err
    found = render("--disparity", "maps.npz", "--depth-layer", "first", "--depth-frame", "0")
    np.testing.assert_array_equal(found, truth)


@pytest.mark.parametrize(
    ("size", "image", "block"),
    [
        ((64, 96), (100, 156), 32),
        ((56, 84), (90, 140), 14),
        ((98, 56), (164, 90), 14),
        ((24, 40), (100, 174), 8),
        ((128, 192), (60, 94), 64),
    ],
)
def test_sides_that_a_network_rounded_are_taken_and_told(folder, capsys, size, image, block):
    height, width = size
    small = np.where(np.arange(width) < width // 2, 1.0, 0.2) * np.ones((height, 1))
    np.save("map.npy", small.astype(np.float32))
    write_image("wide.png", np.full((*image, 3), 0.5, np.float32))
    assert render("--disparity", "map.npy", photo="wide.png") is None
    assert "--resize-depth resizes it" in capsys.readouterr().err
    words = ("--disparity", "map.npy", "--resize-depth", "--layers", "2", "--save-layers", f"parts{width}")
    assert render(*words, photo="wide.png") is not None
    assert f"its sides multiples of {block} as networks round them: it is stretched over" in capsys.readouterr().out
    alpha = np.asarray(Image.open(sorted((folder / f"parts{width}").glob("*.png"))[0]))[image[0] // 2, :, 3]
    assert abs(int((alpha < 128).argmax()) - image[1] / 2) <= 2


def test_a_map_of_another_picture_is_not(folder, capsys):
    np.save("map.npy", np.ones((56, 56), np.float32))
    assert render("--disparity", "map.npy", "--resize-depth") is None
    assert "or of the same aspect ratio" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--depth --depth-unit inch", "unit is 'inch'; expected 'm', 'cm', 'mm'"),
        ("--depth-unit 16/px", "--depth-unit 16/px is of the shift between two images: it needs --calib"),
        ("--depth --depth-along-ray", "--depth-along-ray needs --field-of-view, or --focal-length and --sensor-width"),
        ("--depth-along-ray --field-of-view 60", "--depth-along-ray is of a depth file: it needs --depth"),
        ("--field-of-view 60", "--field-of-view is for --depth-along-ray"),
        ("--depth --depth-along-ray --field-of-view 180", "180 is not below 180 degrees"),
        ("--depth --disparity-range 0 1", "--disparity-range is of a disparity file: it does not go with --depth"),
        ("--disparity-range 1 0", "1 to 0 is not a range: the second number must be larger"),
        ("--disparity-range 1 2 3", "'1 2 3' is not a range: give MIN MAX or MIN:MAX"),
        ("--disparity-range 1:nan", "'1:nan' is not a range"),
        ("--depth --calib calib.txt", "--calib is of a disparity file"),
        ("--calib none.txt", "none.txt does not exist"),
        ("--calib photo.png", "photo.png tells no cam0"),
        ("--calib calib.txt --invert-disparity", "with --calib it needs --disparity-range"),
        ("--depth --inverse-depth", "--inverse-depth is of a disparity file"),
        ("--depth-frame -1", "-1"),
        ("--depth-frame 1", "it has no frame 1"),
        ("--depth-layer a", "it is no OpenEXR or npz file, and so has no layer 'a'"),
    ],
)
def test_what_does_not_fit_is_one_line(folder, capsys, words, message):
    np.save("map.npy", 1 / DEPTH)
    assert render("--disparity", "map.npy", *words.split()) is None
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (folder / "out.npy").exists()


@pytest.mark.parametrize(
    "words", ["--hole 0", "--depth-frame 0", "--calib calib.txt", "--disparity-range 0 1", "--inverse-depth"]
)
def test_how_a_file_is_read_needs_a_file(folder, capsys, words):
    assert render("--depth-model", "a:b", *words.split()) is None
    assert f"{words.split()[0]} says how a file is read: it needs --disparity" in capsys.readouterr().err


def test_a_cameras_numbers_tell_the_field_of_view(truth):
    np.save("rays.npy", ALONG_RAY)
    camera = [
        "--f-number",
        "8",
        "--focal-length",
        "43.2",
        "--sensor-width",
        "36",
        "--focus-distance",
        "1",
        "--model",
        "scatter",
    ]
    ray = ["--depth-along-ray", "--depth-unit", "m"]
    assert main(["render", "photo.png", "--disparity", "rays.npy", "--depth", *ray, *camera, "-o", "a.npy"]) == 0
    assert main(["render", "photo.png", "--disparity", "true.npy", *camera, "-o", "b.npy"]) == 0
    np.testing.assert_allclose(np.load("a.npy"), np.load("b.npy"), atol=1e-5)


def test_the_words_of_a_scene_say_the_same(tmp_path):
    photo = PhotoRequest(photo=tmp_path / "a.png", disparity=tmp_path / "b.png", hole=[0.0, None], disparity_range=(0.5, 2.0))
    words = scene_words(photo)
    assert words[2:] == ["--hole=0.0", "--hole=none", "--disparity-range=0.5:2.0"]


def test_an_array_that_is_called_depth_is_told_to_be_read_as_disparity(truth, capsys):
    np.savez("depth.npz", depth=DEPTH)
    assert render("--disparity", "depth.npz") is not None
    assert (
        "depth.npz: its array 'depth' is read as disparity, larger is nearer (--depth if it is depth)"
        in capsys.readouterr().out
    )
    np.testing.assert_array_equal(render("--disparity", "depth.npz", "--depth"), truth)
    assert "is read as disparity" not in capsys.readouterr().out
