"""Scenes and their ray-traced truths on disk, each scene in a folder of its own.

``scene.json``        what the scene is, with a digest of all its numbers; written first, so that a folder has an owner
``layers.npz``        the layers, float32, bit for bit
``all-in-focus.png``  what a pinhole camera sees, 16-bit sRGB
``depth.npy``         metres, float32 [H, W], of the nearest layer that covers at least half of the pixel
``truth.json``        rays, seed and scene of the truth, and a digest of it
``truth.npy``         the truth, linear light, float32 [3, H, W]; ``truth.png`` shows it

Files appear whole or not at all. What is there already is checked and kept; nothing is overwritten.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from taichi_bokeh._checks import require_float_tensor, require_integer, require_shape
from taichi_bokeh.io import write_atomically, write_image
from taichi_bokeh.io.formats.numpy_files import encode as encode_npy
from taichi_bokeh.layers import Layers
from taichi_bokeh.storage.fingerprint import value_digest
from taichi_bokeh.storage.resumable import DAMAGED, damaged, read_json, require_same, write_json
from taichi_bokeh.synthetic.scene import Scene

_FORMAT = 2  # to be raised when the files change
_SCENE_FILES = ("layers.npz", "all-in-focus.png", "depth.npy")
_LAYERS = ("rgb", "alpha", "disparity")


def scene_folder(directory: Path, name: str) -> Path:
    """Where in a run's folder a scene is kept."""
    return Path(directory) / "scenes" / name


def save_scene(folder: Path, scene: Scene, description: Mapping[str, Any]) -> None:
    """Keep a scene in a folder, which is made if need be; what a former run has left of the same scene stays.

    Args:
        folder: that of the scene.
        scene: to be kept.
        description: of the scene, for the reader of ``scene.json``; as JSON can hold it.

    Raises:
        ValueError: the folder holds another scene, or files of an unknown one, or a damaged one. It is left as it is.
        OSError: the file system refuses.
    """
    folder = Path(folder)
    layers, image, depth = (folder / name for name in _SCENE_FILES)
    found = read_json(folder / "scene.json")
    if found is not None:
        found.pop("description", None)
        require_same(folder, "scene", found, _record(scene))
    else:
        _require_no_strangers(folder, "scene.json", *_SCENE_FILES)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "scene.json", {**_record(scene), "description": dict(description)})
    if layers.exists():
        load_scene(folder)
    else:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **{name: getattr(scene.layers, name).detach().cpu().numpy() for name in _LAYERS})
        write_atomically(layers, buffer.getvalue())
    if not image.exists():
        write_image(image, scene.all_in_focus.permute(1, 2, 0).numpy(), bits=16)
    if not depth.exists():
        write_atomically(depth, encode_npy(np.ascontiguousarray((1 / scene.disparity_map).numpy(), np.float32)))


def load_scene(folder: Path) -> Scene:
    """Read the scene of a folder, bit for bit as it was saved.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged, or its files belong to different scenes.
    """
    folder = Path(folder)
    found, file = _owner(folder), folder / "layers.npz"
    if not file.exists():
        raise FileNotFoundError(f"{folder} holds no scene: there is no layers.npz")
    try:
        with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as arrays:
            layers = Layers(*(torch.from_numpy(arrays[name]) for name in _LAYERS))
        blur, focus = float.fromhex(found["blur"]), float.fromhex(found["focus"])
        scene = Scene(str(found["name"]), layers, blur, focus, str(found["focal_plane"]))
    except DAMAGED:
        raise damaged(file, "no layers of a scene") from None
    if _record(scene)["digest"] != found.get("digest"):
        raise damaged(file, "not the one that scene.json describes")
    return scene


def save_truth(folder: Path, truth: Tensor, rays: int, seed: int) -> None:
    """Keep the truth of the scene in a folder; one that is there already, of as many rays and this seed, stays.

    Args:
        folder: of a scene that was saved.
        truth: [3, H, W], linear light, float32.
        rays: that it was traced with.
        seed: that it was traced with.

    Raises:
        FileNotFoundError: the folder holds no scene.
        TypeError, ValueError: the truth is no image of the scene's size, or the folder holds a truth of other rays, seed or
            scene, or a damaged one. It is left as it is.
        OSError: the file system refuses.
    """
    folder = Path(folder)
    owner = _owner(folder)
    require_float_tensor("truth", truth)
    require_shape("truth", truth, 3, *owner["size"])
    if not bool(torch.isfinite(truth).all()):
        raise ValueError("truth holds NaN or infinite values; expected finite values")
    require_integer("rays", rays, at_least=1)
    require_integer("seed", seed, at_least=0)
    kept = load_truth(folder, rays, seed)
    if kept is None:
        kept = truth.detach().cpu().float().contiguous()
        record = _truth_record(owner, rays, seed)
        write_json(folder / "truth.json", {**record, "digest": value_digest(kept)}, overwrite=True)
        write_atomically(folder / "truth.npy", encode_npy(kept.numpy()))
    if not (folder / "truth.png").exists():
        write_image(folder / "truth.png", kept.permute(1, 2, 0).numpy())


def load_truth(folder: Path, rays: int, seed: int) -> Tensor | None:
    """Read the truth [3, H, W] of the scene in a folder; None where there is none, or none was finished.

    Args:
        folder: of the scene.
        rays: that it must have been traced with.
        seed: that it must have been traced with.

    Raises:
        FileNotFoundError: the folder holds no scene.
        ValueError: it is damaged, or belongs to other rays, another seed or another scene.
    """
    folder = Path(folder)
    owner, found, file = _owner(folder), read_json(folder / "truth.json"), folder / "truth.npy"
    if found is None:
        _require_no_strangers(folder, "truth.json", "truth.npy")
    if found is None or not file.exists():
        return None
    digest = found.pop("digest", None)
    require_same(folder, "truth", found, _truth_record(owner, rays, seed))
    try:
        truth = torch.from_numpy(np.load(io.BytesIO(file.read_bytes()), allow_pickle=False))
    except DAMAGED:
        raise damaged(file, "no array") from None
    if value_digest(truth) != digest:
        raise damaged(file, "not the truth that truth.json describes")
    return truth


def _owner(folder: Path) -> dict[str, Any]:
    """What scene.json holds."""
    found = read_json(folder / "scene.json")
    if found is None:
        raise FileNotFoundError(f"{folder} holds no scene: there is no scene.json")
    require_same(folder, "scene", {"format": found.get("format")}, {"format": _FORMAT})
    return found


def _record(scene: Scene) -> dict[str, Any]:
    layers, lens = scene.layers, {"blur": float(scene.blur).hex(), "focus": float(scene.focus).hex()}  # exact
    return {
        "format": _FORMAT,
        "name": scene.name,
        "size": [layers.height, layers.width],
        "focal_plane": scene.focal_plane,
        **lens,
        "digest": value_digest([scene.name, *lens.values(), scene.focal_plane, layers]),
    }


def _truth_record(owner: Mapping[str, Any], rays: int, seed: int) -> dict[str, Any]:
    return {"format": _FORMAT, "rays": int(rays), "seed": int(seed), "scene": owner.get("digest")}


def _require_no_strangers(folder: Path, owner: str, *names: str) -> None:
    strangers = [name for name in names if (folder / name).exists()]
    if strangers:
        raise ValueError(f"{folder} holds {', '.join(strangers)} but no {owner}, and is left as it is: whose is it?")
