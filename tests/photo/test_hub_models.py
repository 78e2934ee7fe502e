"""Networks by a name on the Hugging Face hub: from the cache, without a network, and what their numbers mean."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from taichi_bokeh.apps.cli import main
from taichi_bokeh.io import write_image
from taichi_bokeh.photo import load_model
from taichi_bokeh.photo.known_models import KNOWN, default_of

transformers = pytest.importorskip("transformers")
hub = pytest.importorskip("huggingface_hub")
RGB = np.random.default_rng(0).random((20, 30, 3)).astype(np.float32)
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def metric(tmp_path_factory) -> Path:
    """A tiny network whose configuration says that it gives metres."""
    folder = tmp_path_factory.mktemp("networks") / "metric"
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "patch_size": 8, "image_size": 32}
    stages = {"out_features": ["stage1", "stage2", "stage3", "stage4"], "reshape_hidden_states": False, "apply_layernorm": True}
    backbone = transformers.Dinov2Config(**sizes, **stages)
    necks = {"neck_hidden_sizes": [4, 4, 8, 8], "fusion_hidden_size": 8, "reassemble_hidden_size": 16, "head_hidden_size": 8}
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone, patch_size=8, depth_estimation_type="metric", max_depth=20, **necks
    )
    transformers.DepthAnythingForDepthEstimation(config).save_pretrained(folder)
    transformers.DPTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


@pytest.fixture
def cached(metric, tmp_path, monkeypatch):
    """Puts the network into a cache of the hub under a name, as the hub lays it out."""

    def put(name: str) -> None:
        place = tmp_path / "cache" / f"models--{name.replace('/', '--')}"
        shutil.copytree(metric, place / "snapshots" / "0123")
        (place / "refs").mkdir()
        (place / "refs" / "main").write_text("0123")

    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hub.constants, "ENDPOINT", NOWHERE)
    return put


def test_a_folder_says_that_it_gives_metres(metric):
    model = load_model(str(metric), "depth")
    assert model.output == "metres"
    assert model(RGB).shape == (20, 30)


def test_a_name_is_found_in_the_cache_and_nothing_is_said_or_fetched(cached):
    cached("somebody/depth")
    said: list[str] = []
    assert load_model("somebody/depth", "depth", said.append)(RGB).shape == (20, 30)
    assert said == []


def test_auto_is_the_default_and_its_known_output_counts(cached):
    cached(default_of("depth").name)
    assert load_model("auto", "depth").output == "relative disparity"


def test_without_a_network_one_line_says_what_to_do(cached):
    said: list[str] = []
    with pytest.raises(ValueError, match=r"^somebody/depth is not in the cache .* no network .*`hf download [^\n]*$"):
        load_model("somebody/depth", "depth", said.append)
    assert said == []


def test_offline_mode_is_honoured(cached, monkeypatch):
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match="HF_HUB_OFFLINE forbids to download it: on a machine with one, `hf download"):
        load_model("somebody/depth", "depth")


class _Session:
    def __init__(self, status_code: int) -> None:
        self.status_code = status_code

    def head(self, address: str, timeout: float) -> "_Session":
        return self


def test_what_is_not_on_the_hub_is_told(cached, monkeypatch):
    monkeypatch.setattr(hub, "get_session", lambda: _Session(404))
    with pytest.raises(ValueError, match="somebody/depth is not on the Hugging Face hub, or not open to you"):
        load_model("somebody/depth", "depth")


@pytest.mark.parametrize(("name", "words"), [("auto", "some 100 MB; its licence is Apache-2.0"), ("a/b", "is on https://")])
def test_the_licence_is_said_before_a_download(cached, monkeypatch, name, words):
    monkeypatch.setattr(hub, "get_session", lambda: _Session(200))
    said: list[str] = []

    def stop(name: str, local_files_only: bool, **options: object) -> None:
        raise OSError("none here" if local_files_only else f"after {len(said)} words")

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", stop)
    with pytest.raises(ValueError, match="after 1 words"):
        load_model(name, "depth", said.append)
    assert words in said[0]


def test_code_of_a_models_own_is_run_only_where_it_is_trusted(tmp_path):
    (tmp_path / "config.json").write_text(
        '{"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModelForImageSegmentation": "mine.Model"}}'
    )
    (tmp_path / "mine.py").write_text(
        "import torch\nfrom transformers import PretrainedConfig, PreTrainedModel\n\n\n"
        "class Config(PretrainedConfig):\n    model_type = 'mine'\n\n\n"
        "class Model(PreTrainedModel):\n    config_class = Config\n\n"
        "    def __init__(self, config):\n        super().__init__(config)\n"
        "        self.scale = torch.nn.Parameter(torch.zeros(1))\n        self.post_init()\n\n"
        "    def _init_weights(self, module):\n        pass\n\n"
        "    def forward(self, x):\n        return [None, self.scale * x.mean(1, keepdim=True)]\n"
    )
    torch.save({"scale": torch.ones(1)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="trust"):
        load_model(str(tmp_path), "matte")
    matte = load_model(str(tmp_path), "matte", trust_code=True)(RGB)
    assert matte.shape == (20, 30)
    assert matte.std() > 0.01
    with pytest.raises(ValueError, match="ZhengPeng7/BiRefNet runs code of its own from the hub: --trust-model-code"):
        load_model("ZhengPeng7/BiRefNet", "matte")


def test_the_command_line_takes_metres_for_what_they_are(metric, tmp_path, capsys):
    write_image(tmp_path / "a.png", RGB)
    lens = ("--blur", "1", "--focus", "0.5", "--model", "scatter")
    command = ["render", str(tmp_path / "a.png"), "--depth-model", str(metric), *lens, "-o", str(tmp_path / "out.npy")]
    assert main(command) == 0
    assert "gives metres: disparity is in 1/m" in capsys.readouterr().out
    by_network = np.load(tmp_path / "out.npy")
    assert main([*command, "--depth", "--overwrite"]) == 0
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), by_network)


def test_the_known_models_are_documented_with_what_they_give():
    page = (Path(__file__).parents[2] / "docs/tutorials/photograph.md").read_text(encoding="utf-8")
    for model in KNOWN:
        (row,) = [line for line in page.splitlines() if f"`{model.name}`" in line and line.startswith("|")]
        assert model.output in row
        assert model.licence in row
    assert sum(model.output == "metres" for model in KNOWN) >= 2
    assert len(KNOWN) >= 6
