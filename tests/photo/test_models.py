"""Networks are loaded from a function, a TorchScript file and a transformers folder; colours reach them as sRGB."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from taichi_bokeh.io import srgb_encode
from taichi_bokeh.photo import load_model

RGB = np.random.default_rng(0).random((20, 30, 3)).astype(np.float32)


class Grey(nn.Module):
    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        return rgb.mean(dim=1, keepdim=True)


class Fill(nn.Module):
    def forward(self, rgb: torch.Tensor, hole: torch.Tensor) -> torch.Tensor:
        return rgb * (1 - hole) + 0.25 * hole


class Pair(nn.Module):
    def forward(self, rgb: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return rgb, rgb


def _torchscript(path: Path, module: nn.Module) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's, of its own TorchScript
        torch.jit.save(torch.jit.script(module), str(path))
    return str(path)


@pytest.mark.parametrize("purpose", ["depth", "matte"])
def test_a_torchscript_file_sees_srgb_of_the_pictures_size(tmp_path, purpose):
    grey = load_model(_torchscript(tmp_path / "grey.pt", Grey()), purpose)(RGB)
    assert grey.dtype == np.float32
    np.testing.assert_allclose(grey, srgb_encode(RGB).mean(axis=2), atol=1e-6)


def test_a_torchscript_file_fills_the_hole_only(tmp_path):
    known = np.ones((20, 30), bool)
    known[5:9, 6:12] = False
    bright = 3 * RGB  # highlights above white
    filled = load_model(_torchscript(tmp_path / "fill.ts", Fill()), "inpaint")(bright, known)
    np.testing.assert_array_equal(filled[known], bright[known])
    np.testing.assert_allclose(srgb_encode(filled[~known]), 0.25, atol=1e-6)


def test_a_file_of_python_is_loaded_by_its_path(tmp_path):
    (tmp_path / "mine.py").write_text("def depth(rgb):\n    return rgb[..., 0]\n")
    np.testing.assert_allclose(load_model(f"{tmp_path / 'mine.py'}:depth", "depth")(RGB), srgb_encode(RGB[..., 0]), atol=1e-6)


@pytest.fixture(scope="module")
def transformers_folder(tmp_path_factory) -> Path:
    """Tiny networks with random weights, saved as transformers saves them: depth, and mattes of one label and of three."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("networks")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 16}
    necks = {"neck_hidden_sizes": [4, 4, 8, 8], "fusion_hidden_size": 8, "reassemble_factors": [4, 2, 1, 0.5]}
    depth = transformers.DPTConfig(image_size=32, patch_size=8, backbone_out_indices=[0, 1, 2, 3], **sizes, **necks)
    transformers.DPTForDepthEstimation(depth).save_pretrained(folder / "depth")
    blocks = {"num_encoder_blocks": 2, "depths": [1, 1], "sr_ratios": [2, 1], "hidden_sizes": [8, 8], "decoder_hidden_size": 8}
    heads = {"patch_sizes": [3, 3], "strides": [2, 2], "num_attention_heads": [1, 1], "mlp_ratios": [1, 1]}
    for name, labels in (("one", ["hair"]), ("voc", ["background", "cat", "dog"]), ("other", ["wall", "cat", "dog"])):
        segments = transformers.SegformerConfig(**blocks, **heads, id2label=dict(enumerate(labels)))
        transformers.SegformerForSemanticSegmentation(segments).save_pretrained(folder / name)
    for name in ("depth", "one", "voc", "other"):
        kind = transformers.DPTImageProcessor if name == "depth" else transformers.SegformerImageProcessor
        kind(size={"height": 32, "width": 32}).save_pretrained(folder / name)
    return folder


def test_a_transformers_folder_estimates_depth(transformers_folder, capfd):
    depth = load_model(str(transformers_folder / "depth"), "depth")
    assert capfd.readouterr() == ("", "")
    assert depth(RGB).shape == (20, 30)
    assert depth(RGB).std() > 0


@pytest.mark.parametrize("name", ["one", "voc"])
def test_a_transformers_folder_segments_a_foreground(transformers_folder, name):
    matte = load_model(str(transformers_folder / name), "matte")(RGB)
    assert matte.shape == (20, 30)
    assert 0 < matte.min() <= matte.max() < 1


def _empty(path: Path) -> str:
    path.write_bytes(b"")
    return str(path)


@pytest.mark.parametrize(
    ("spec", "purpose", "message"),
    [
        (lambda folder: "math:pi", "depth", "of type float; expected a function"),
        (lambda folder: "depth", "depth", "is no model"),
        (lambda folder: "numpy:mean", "sound", "purpose is 'sound'"),
        (lambda folder: f"{folder}/missing.py:f", "depth", "there is no file"),
        (lambda folder: str(folder), "depth", "cannot be loaded as a transformers model"),
        (lambda folder: str(folder), "inpaint", "can hold a model for depth or a matte"),
        (lambda folder: _empty(folder / "empty.pt"), "matte", "cannot be read as TorchScript"),
    ],
)
def test_what_is_no_network_is_refused(tmp_path, spec, purpose, message):
    with pytest.raises(ValueError, match=message):
        load_model(spec(tmp_path), purpose)


def test_labels_that_name_no_background_make_no_matte(transformers_folder):
    with pytest.raises(ValueError, match="'wall', not 'background'"):
        load_model(str(transformers_folder / "other"), "matte")


def test_what_a_network_returns_is_checked(tmp_path):
    with pytest.raises(ValueError, match=r"returned shape \(1, 3, 20, 30\); expected \(20, 30\)"):
        load_model(_torchscript(tmp_path / "fill.pt", nn.Identity()), "depth")(RGB)
    with pytest.raises(ValueError, match="it returned tuple; expected one tensor"):
        load_model(_torchscript(tmp_path / "pair.pt", Pair()), "depth")(RGB)
