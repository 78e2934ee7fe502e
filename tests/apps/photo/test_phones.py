"""Photographs of phones go in as they are: depth and matte of their own, listed by inspect, written by extract."""

import numpy as np
import pytest

from taichi_bokeh.apps.cli import main
from taichi_bokeh.io import read_alpha, read_disparity, read_image, srgb_encode
from tests.io.phones.writers import container, gdepth, heic, jpeg, packet, picture, several, with_auxiliary

SQUARE = np.zeros((48, 64), bool)
SQUARE[12:36, 20:44] = True
PHOTO = np.where(SQUARE[..., None], 200, np.kron(np.indices((12, 16)).sum(0) % 2 * 80, np.ones((4, 4)))[..., None])
PHOTO = np.repeat(PHOTO, 3, axis=2).astype(np.uint8)
BLACK_NEAR = np.where(SQUARE, 0, 255).astype(np.uint8)
INVERSE = {"Format": "RangeInverse", "Near": 0.5, "Far": 4.0, "Units": "m"}
LENS = ("--blur", "4", "--focus", "2", "--model", "scatter", "--layers", "2")


def render(folder, photo: str, *options: str, output: str = "out.npy") -> int:
    return main(["render", str(folder / photo), *LENS, *options, "-o", str(folder / output), "--overwrite"])


def test_a_jpeg_with_depth_needs_no_disparity(tmp_path, capsys):
    (tmp_path / "a.jpg").write_bytes(gdepth(PHOTO, BLACK_NEAR, **INVERSE))
    assert render(tmp_path, "a.jpg") == 0
    assert "disparity: 0.25 to 2, in focus: 2" in capsys.readouterr().out
    np.save(tmp_path / "true.npy", np.where(SQUARE, 2, 0.25).astype(np.float32))
    assert render(tmp_path, "a.jpg", "--disparity", str(tmp_path / "true.npy"), output="true_out.npy") == 0
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), np.load(tmp_path / "true_out.npy"))


def test_a_portrait_with_its_matte(tmp_path, capsys):
    pytest.importorskip("pillow_heif")
    told = packet(apdi__FloatMinValue=0.25, apdi__FloatMaxValue=2, apdi__AuxiliaryImageType="disparity")
    small, matte = (255 - BLACK_NEAR)[::2, ::2].copy(), (255 - BLACK_NEAR)
    content = with_auxiliary(heic([(PHOTO, {}), (small, {"xmp": told}), (matte, {})]), 1, "urn:mpeg:hevc:2015:auxid:2")
    content = with_auxiliary(content, 2, "urn:com:apple:photo:2018:aux:portraiteffectsmatte")
    (tmp_path / "a.HEIC").write_bytes(content)
    assert render(tmp_path, "a.HEIC") == 0
    said = capsys.readouterr().out
    assert "depth from the photograph's own file: disparity 0.25 to 2" in said
    assert "matte of the foreground from the same file" in said
    sharp = srgb_encode(np.load(tmp_path / "out.npy"))[SQUARE]
    np.testing.assert_allclose(sharp, 200 / 255, atol=0.02)
    assert render(tmp_path, "a.HEIC", "--no-own-matte") == 0
    assert "matte of" not in capsys.readouterr().out
    assert main(["inspect", str(tmp_path / "a.HEIC")]) == 0
    said = capsys.readouterr().out
    assert "beside it: depth, disparity 0.25 to 2" in said
    assert "beside it: matte, 64×48 pixels" in said
    assert "render needs no --disparity" in said


def test_the_sharp_original_is_blurred_instead_of_what_the_phone_has_blurred(tmp_path, capsys):
    items = [("Original", picture(PHOTO)), ("Depth", picture(BLACK_NEAR))]
    (tmp_path / "a.jpg").write_bytes(container(np.full_like(PHOTO, 90), items, **INVERSE))
    assert render(tmp_path, "a.jpg", "--blur", "0") == 0
    assert "the phone has blurred" in capsys.readouterr().out
    np.testing.assert_allclose(srgb_encode(np.load(tmp_path / "out.npy")), PHOTO / 255, atol=2e-3)


def test_extract_writes_each_part_and_replaces_nothing(tmp_path, capsys):
    matte = packet(apdi__AuxiliaryImageType="urn:com:apple:photo:2018:aux:portraiteffectsmatte")
    grey = np.full((48, 64), 128, np.uint8)
    others = [
        (jpeg(PHOTO[:, ::-1].copy()), 0x020002),
        (jpeg(grey, xmp=matte), 0),
        (jpeg(grey, xmp=packet(hdrgm__Version="1")), 0),
    ]
    (tmp_path / "a.jpg").write_bytes(several(gdepth(PHOTO, BLACK_NEAR, **INVERSE), others))
    command = ["extract", str(tmp_path / "a.jpg"), "-o", str(tmp_path / "parts")]
    assert main(command) == 0
    parts = {path.name for path in (tmp_path / "parts").iterdir()}
    assert parts == {"depth.tif", "view_2.png", "matte_portrait.png", "gain_map.png"}
    np.testing.assert_allclose(read_disparity(tmp_path / "parts/depth.tif"), np.where(SQUARE, 2, 0.25), rtol=1e-5)
    np.testing.assert_allclose(read_alpha(tmp_path / "parts/matte_portrait.png"), 0.5, atol=0.01)
    assert read_image(tmp_path / "parts/view_2.png").rgb.shape == (48, 64, 3)
    capsys.readouterr()
    assert main(command) == 2
    assert "--overwrite replaces it" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0


def test_a_photograph_without_depth_is_refused_in_one_line(tmp_path, capsys):
    (tmp_path / "a.jpg").write_bytes(jpeg(PHOTO))
    assert render(tmp_path, "a.jpg") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "a.jpg holds none: --disparity FILE takes" in error
    assert main(["extract", str(tmp_path / "a.jpg"), "-o", str(tmp_path / "parts")]) == 2
    assert not (tmp_path / "parts").exists()
    assert "holds no depth, matte, other view or gain map" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (gdepth(PHOTO, BLACK_NEAR[:20], **INVERSE), "it is not of the whole picture"),
        (gdepth(PHOTO, BLACK_NEAR, **INVERSE | {"Format": "Secret"}), "expected RangeInverse or RangeLinear"),
        (jpeg(PHOTO, xmp=packet(GDepth__Data="AAAA", **{f"GDepth__{k}": v for k, v in INVERSE.items()})), "damaged"),
        (jpeg(PHOTO, xmp=b"<a><b></a>"), "its XMP cannot be read"),
    ],
)
def test_depth_that_cannot_be_used_is_refused_in_one_line(tmp_path, capsys, content, words):
    (tmp_path / "a.jpg").write_bytes(content)
    assert render(tmp_path, "a.jpg") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert words in error
    assert not (tmp_path / "out.npy").exists()


def test_a_batch_takes_the_depth_of_the_photographs_themselves(tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.jpg").write_bytes(gdepth(PHOTO, BLACK_NEAR, **INVERSE))
    (tmp_path / "photos/b.jpg").write_bytes(jpeg(PHOTO))
    assert main(["render-batch", str(tmp_path / "photos"), *LENS, "--out", str(tmp_path / "out")]) == 1
    assert [path.name for path in (tmp_path / "out").glob("*.png")] == ["a.png"]
    assert "has no disparity for b.jpg" in (tmp_path / "out/report.json").read_text() + capsys.readouterr().err
