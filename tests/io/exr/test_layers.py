"""Layers and parts as renderers name them: found alone where one is meant, chosen by name where several are."""

from pathlib import Path

import numpy as np
import OpenEXR
import pytest

from taichi_bokeh.apps import cli
from taichi_bokeh.io import describe_depth, read_disparity, read_image

_HEADER = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}


def _plane(value: float) -> np.ndarray:
    return np.full((4, 6), value, np.float32)


def _write(path: Path, **values: float) -> None:
    """Constant channels."""
    OpenEXR.File(_HEADER, {name: _plane(value) for name, value in values.items()}, num_threads=0).write(str(path))


def _colours(prefix: str, value: float, names: str = "RGBA") -> dict[str, float]:
    return dict.fromkeys((f"{prefix}{name}" for name in names), value) | ({f"{prefix}A": 1.0} if "A" in names else {})


def _write_parts(path: Path, **parts: dict[str, float]) -> None:
    made = [OpenEXR.Part(_HEADER | {"name": name}, {k: _plane(v) for k, v in part.items()}) for name, part in parts.items()]
    OpenEXR.File(made, num_threads=0).write(str(path))


@pytest.mark.parametrize(
    ("colours", "depth"),
    [
        ("ViewLayer.Combined.", "ViewLayer.Depth.Z"),
        ("rgba.", "depth.Z"),
        ("", "Z"),
        ("", "depth.Z"),
        ("", "ZDepth.Y"),
        ("Beauty.", "Depth.V"),
        ("left.beauty.", "left.z.z"),
        ("", "depth"),
    ],
)
def test_the_only_image_and_depth_of_a_file_are_found_whatever_their_prefix(tmp_path, colours, depth):
    more = {"N.X": 9.0, "N.Y": 9.0, "N.Z": 9.0, "Vector.X": 9.0, "Vector.Y": 9.0, "Vector.Z": 9.0, "Vector.W": 9.0}
    _write(tmp_path / "a.exr", **_colours(colours, 0.5), **{depth: 4.0}, **more)
    image = read_image(tmp_path / "a.exr")
    assert (image.rgb == 0.5).all()
    assert image.alpha is not None
    assert (read_disparity(tmp_path / "a.exr", depth=True) == 0.25).all()
    assert describe_depth(tmp_path / "a.exr").depth


def test_small_letters_and_words_name_colours(tmp_path):
    _write(tmp_path / "a.exr", r=0.1, g=0.2, b=0.3, a=1.0)
    np.testing.assert_allclose(read_image(tmp_path / "a.exr").rgb[0, 0], [0.1, 0.2, 0.3])
    _write(tmp_path / "b.exr", **{"rgba.red": 0.1, "rgba.green": 0.2, "rgba.blue": 0.3})
    np.testing.assert_allclose(read_image(tmp_path / "b.exr").rgb[0, 0], [0.1, 0.2, 0.3])


def test_the_whole_image_goes_before_its_parts_and_a_name_says_another(tmp_path):
    layers = {"ViewLayer.Combined.": 0.5, "ViewLayer.DiffCol.": 0.25, "ViewLayer.Emit.": 2.0}
    _write(tmp_path / "a.exr", **{k: v for name, value in layers.items() for k, v in _colours(name, value, "RGB").items()})
    assert (read_image(tmp_path / "a.exr").rgb == 0.5).all()
    assert (read_image(tmp_path / "a.exr", layer="viewlayer.emit").rgb == 2).all()
    assert (read_image(tmp_path / "a.exr", layer="DiffCol").rgb == 0.25).all()
    with pytest.raises(ValueError, match=r"a\.exr cannot be read: it has no layer 'Glossy'; it has .*'ViewLayer.Combined'"):
        read_image(tmp_path / "a.exr", layer="Glossy")


def test_several_images_are_not_guessed_among(tmp_path):
    fore, back = _colours("Fore.Combined.", 0.5), _colours("Back.Combined.", 0.25)
    _write(tmp_path / "a.exr", **fore, **back, **{"Fore.Depth.Z": 2.0, "Back.Depth.Z": 8.0, "Back.Mist.Z": 1.0})
    with pytest.raises(ValueError, match=r"several of its layers may be the image: 'Back.Combined', 'Fore.Combined'; --layer"):
        read_image(tmp_path / "a.exr")
    with pytest.raises(ValueError, match=r"several of its layers may be the depth: 'Back.Depth', 'Fore.Depth'; --depth-layer"):
        read_disparity(tmp_path / "a.exr", depth=True)
    assert (read_image(tmp_path / "a.exr", layer="Back").rgb == 0.25).all()
    for beside in ("Back", "Back.Combined", "Back.Depth"):
        assert (read_disparity(tmp_path / "a.exr", depth=True, layer=beside) == 0.125).all()
    assert (read_disparity(tmp_path / "a.exr", depth=True, layer="Mist") == 1).all()


def test_parts_are_layers_with_or_without_their_name_in_the_channels(tmp_path):
    _write_parts(tmp_path / "short.exr", rgba=_colours("", 0.5), depth={"Z": 4.0}, emission=_colours("", 3, "RGB"))
    _write_parts(tmp_path / "long.exr", a=_colours("L.Combined.", 0.5), b={"L.Depth.Z": 4.0}, c=_colours("L.Emit.", 3, "RGB"))
    for name, emission in (("short", "emission"), ("long", "Emit")):
        assert (read_image(tmp_path / f"{name}.exr").rgb == 0.5).all()
        assert (read_disparity(tmp_path / f"{name}.exr", depth=True) == 0.25).all()
        assert (read_image(tmp_path / f"{name}.exr", layer=emission).rgb == 3).all()


def test_two_views_in_parts_have_the_parts_names(tmp_path):
    _write_parts(tmp_path / "a.exr", left=_colours("", 0.5), right=_colours("", 0.25))
    with pytest.raises(ValueError, match=r"'left', 'right'; --layer"):
        read_image(tmp_path / "a.exr")
    assert (read_image(tmp_path / "a.exr", layer="right").rgb == 0.25).all()


def test_a_cryptomatte_is_no_image(tmp_path):
    names = {"ViewLayer.CryptoObject00.": 0.1, "ViewLayer.CryptoObject.": 0.1, "Pass.": 0.5}
    channels = {k: _plane(v) for name, value in names.items() for k, v in _colours(name, value).items()}
    header = _HEADER | {"cryptomatte/1234567/name": "ViewLayer.CryptoObject"}
    OpenEXR.File(header, channels, num_threads=0).write(str(tmp_path / "a.exr"))
    assert (read_image(tmp_path / "a.exr").rgb == 0.5).all()


def test_layers_are_of_exr_files(tmp_path):
    np.save(tmp_path / "a.npy", _plane(1))
    with pytest.raises(ValueError, match=r"a\.npy cannot be read: it is no OpenEXR or npz file, and so has no layer 'L'"):
        read_image(tmp_path / "a.npy", layer="L")


@pytest.mark.parametrize("compression", ["DWAA", "DWAB", "PIZ", "RLE", "ZIPS", "NO"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("kind", ["scanlineimage", "tiledimage"])
def test_every_compression_and_tiling_is_read(tmp_path, compression, dtype, kind):
    ramp = np.linspace(0.2, 0.8, 40 * 70).reshape(40, 70).astype(dtype)
    header = {"compression": getattr(OpenEXR, f"{compression}_COMPRESSION"), "type": getattr(OpenEXR, kind)}
    if kind == "tiledimage":
        header["tiles"] = OpenEXR.TileDescription()
        header["tiles"].xSize = header["tiles"].ySize = 16
    OpenEXR.File(header, dict.fromkeys("RGB", ramp), num_threads=0).write(str(tmp_path / "a.exr"))
    np.testing.assert_allclose(read_image(tmp_path / "a.exr").rgb[..., 1], ramp, atol=2e-2 if "DWA" in compression else 0)


def test_inspect_lists_layers_though_none_is_chosen(tmp_path, capsys):
    fore, back = _colours("Fore.Combined.", 0.5), _colours("Back.Combined.", 0.25)
    _write(tmp_path / "a.exr", **fore, **back, **{"Fore.Depth.Z": 2.0, "Back.Depth.Z": 8.0})
    assert cli.main(["inspect", f"{tmp_path}/a.exr"]) == 0
    said = capsys.readouterr().out
    assert "layers: Back.Combined (A, B, G, R); Back.Depth (Z); Fore.Combined (A, B, G, R); Fore.Depth (Z)" in said
    assert "several of its layers may be the depth" in said
