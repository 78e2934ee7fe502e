"""Cryptomatte: the matte of an object by its name, by the manifest or by the hash alone."""

import json
from pathlib import Path

import numpy as np
import OpenEXR
import pytest

from taichi_bokeh.apps import cli
from taichi_bokeh.io import read_alpha
from taichi_bokeh.io.exr.cryptomatte import hash_of

_HEIGHT, _WIDTH = 24, 32


def _float(name: str) -> np.float32:
    return np.array([hash_of(name)], np.uint32).view(np.float32)[0]


def _write(path: Path, manifest: bool = True) -> np.ndarray:
    """A ball before a wall: a row of pixels is half of both, and a third rank has the dust's tenth of the first pixel."""
    share = np.zeros((_HEIGHT, _WIDTH), np.float32)
    share[:12], share[12] = 1, 0.5
    rgb = np.random.default_rng(0).random((_HEIGHT, _WIDTH, 3)).astype(np.float32)
    names = ["ball", "wall", "dust, fine"]
    dust = np.zeros_like(share)
    dust[0, 0] = 0.1
    planes = {
        name: np.ascontiguousarray(rgb[..., i]) for i, name in enumerate(("V.Combined.R", "V.Combined.G", "V.Combined.B"))
    }
    planes["V.Depth.Z"] = np.where(share > 0.5, 1, 4).astype(np.float32)
    ranks = [(np.full_like(share, _float(names[i])), one) for i, one in enumerate((share - dust, 1 - share, dust))]
    ranks.append((np.zeros_like(share), np.zeros_like(share)))
    for level in (0, 1):
        for (ids, cover), pair in zip(ranks[2 * level : 2 * level + 2], ("rg", "ba"), strict=True):
            planes[f"V.CryptoObject{level:02d}.{pair[0]}"], planes[f"V.CryptoObject{level:02d}.{pair[1]}"] = ids, cover
    header = {
        "compression": OpenEXR.ZIP_COMPRESSION,
        "type": OpenEXR.scanlineimage,
        "cryptomatte/1a2b3c4/name": "V.CryptoObject",
    }
    if manifest:
        header["cryptomatte/1a2b3c4/manifest"] = json.dumps({name: f"{hash_of(name):08x}" for name in names})
    OpenEXR.File(header, planes, num_threads=0).write(str(path))
    return share


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", 1 << 23),
        ("hello", 0x248BFA47),
        ("hello, world", 0x149BBB7F),
        ("The quick brown fox jumps over the lazy dog", 0x2E4FF723),
    ],
)
def test_names_are_hashed_as_published(name, expected):
    assert hash_of(name) == expected


@pytest.mark.parametrize("manifest", [True, False])
def test_the_matte_of_an_object_is_its_coverage_in_every_rank(tmp_path, manifest):
    share = _write(tmp_path / "a.exr", manifest)
    np.testing.assert_array_equal(read_alpha(tmp_path / "a.exr", object="wall"), 1 - share)
    np.testing.assert_allclose(read_alpha(tmp_path / "a.exr", object="ball, wall")[0, :2], [0.9, 1])
    if manifest:
        assert read_alpha(tmp_path / "a.exr", object="dust, fine")[0, 0] == np.float32(0.1)


def test_what_is_not_there_is_said_with_what_is_near(tmp_path):
    _write(tmp_path / "a.exr")
    with pytest.raises(ValueError, match=r"a\.exr cannot be read: .* no object 'bal'; it holds 'ball', 'wall'"):
        read_alpha(tmp_path / "a.exr", object="bal")
    _write(tmp_path / "b.exr", manifest=False)
    with pytest.raises(ValueError, match=r"no object 'bal'$"):
        read_alpha(tmp_path / "b.exr", object="bal")
    np.save(tmp_path / "c.npy", np.ones((2, 2), np.float32))
    with pytest.raises(ValueError, match=r"c\.npy cannot be read: it is no OpenEXR file"):
        read_alpha(tmp_path / "c.npy", object="ball")


def test_a_rendering_takes_image_depth_and_matte_of_one_file(tmp_path, capsys):
    _write(tmp_path / "a.exr")
    words = ["render", f"{tmp_path}/a.exr", "--blur", "4", "--focus", "1", "-o", f"{tmp_path}/b.npy"]
    assert cli.main([*words, "--alpha", f"{tmp_path}/a.exr", "--alpha-object", "ball"]) == 0
    assert "layers: 2" in capsys.readouterr().out
    assert cli.main([*words, "--overwrite", "--alpha-object", "ball"]) == 2
    assert "it needs --alpha FILE" in capsys.readouterr().err
