"""Scenes and their ray-traced truths on disk, each scene in a folder of its own.

``scene.json``        what the scene is, with a digest of all its numbers; written first, so that a folder has an owner
``layers.npz``        the layers, float32, bit for bit
``all-in-focus.png``  what a pinhole camera sees, 16-bit sRGB
``depth.npy``         metres, float32 [H, W], of the nearest layer that covers at least half of the pixel
``truth.json``        rays, seed and scene of the truth, and a digest of it
``truth.npy``         the truth, linear light, float32 [3, H, W]; ``truth.png`` shows it

Files appear whole or not at all. What is there already is checked and kept; nothing is overwritten.
"""

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from taichi_bokeh._checks import require_float_tensor, require_integer, require_shape
from taichi_bokeh._render import ProgressCallback
from taichi_bokeh._trace import trace
from taichi_bokeh.io import write_atomically, write_image
from taichi_bokeh.layers import Layers
from taichi_bokeh.synthetic.scene import Scene

TRUTH_RAYS = 2048
_FORMAT = 1  # to be raised when the files change
_DAMAGED = (OSError, ValueError, TypeError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


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
    found = _read_json(folder / "scene.json")
    if found is None:
        strangers = sorted(path.name for path in _scene_files(folder) if path.exists())
        if strangers:
            raise ValueError(f"{folder} holds {', '.join(strangers)} but no scene.json, and is left as it is: whose is it?")
        folder.mkdir(parents=True, exist_ok=True)
        _write_json(folder / "scene.json", {**_identity(scene), "description": dict(description)})
    else:
        _require_same_scene(folder, found, scene)
    layers, picture, depth = _scene_files(folder)
    if layers.exists():
        load_scene(folder)
    else:
        tensors = {name: getattr(scene.layers, name).detach().cpu().numpy() for name in ("rgb", "alpha", "disparity")}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **tensors)
        write_atomically(layers, buffer.getvalue())
    if not picture.exists():
        write_image(picture, scene.all_in_focus.permute(1, 2, 0).numpy(), bits=16)
    if not depth.exists():
        _write_npy(depth, (1 / scene.disparity_map).numpy())


def load_scene(folder: Path) -> Scene:
    """The scene of a folder, bit for bit as it was saved.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged, or its files belong to different scenes.
    """
    folder = Path(folder)
    found = _read_json(folder / "scene.json")
    if found is None or not (folder / "layers.npz").exists():
        missing = "scene.json" if found is None else "layers.npz"
        raise FileNotFoundError(f"{folder} holds no scene: there is no {missing}")
    try:
        with np.load(io.BytesIO((folder / "layers.npz").read_bytes()), allow_pickle=False) as file:
            layers = Layers(*(torch.from_numpy(file[name]) for name in ("rgb", "alpha", "disparity")))
        blur, focus = float.fromhex(found["blur"]), float.fromhex(found["focus"])
        scene = Scene(str(found["name"]), layers, blur, focus, str(found["focal_plane"]))
    except _DAMAGED as error:
        raise ValueError(f"{folder} holds a damaged scene: {error}; remove the folder to make it again") from None
    if _digest(scene) != found.get("digest"):
        raise ValueError(f"{folder} holds a damaged scene: layers.npz is not the one that scene.json describes")
    return scene


def trace_truth(scene: Scene, rays: int = TRUTH_RAYS, seed: int = 0, progress: ProgressCallback | None = None) -> Tensor:
    """Trace a scene through its lens: the truth [3, H, W], linear light.

    Args:
        scene: to be traced.
        rays: a pixel.
        seed: of the lens samples; other than those of a method that is measured, lest it share the truth's noise.
        progress: called with (done, total) rays.
    """
    return trace(scene.layers, scene.lens(), rays=rays, seed=seed, progress=progress)[0]


def save_truth(folder: Path, truth: Tensor, rays: int, seed: int) -> None:
    """Keep the truth of the scene in a folder; one that is there already, of as many rays and this seed, stays.

    Args:
        folder: of a scene that was saved.
        truth: [3, H, W], linear light, float32.
        rays: that it was traced with.
        seed: that it was traced with.

    Raises:
        FileNotFoundError: the folder holds no scene.
        TypeError, ValueError: the truth is no picture of the scene's size, or the folder holds a truth of other rays, seed or
            scene, or a damaged one. It is left as it is.
        OSError: the file system refuses.
    """
    folder = Path(folder)
    owner = _read_json(folder / "scene.json")
    if owner is None:
        raise FileNotFoundError(f"{folder} holds no scene: there is no scene.json")
    require_float_tensor("truth", truth)
    require_shape("truth", truth, 3, *owner["size"])
    if not bool(torch.isfinite(truth).all()):
        raise ValueError("truth holds NaN or infinite values; expected finite values")
    require_integer("rays", rays, at_least=1)
    require_integer("seed", seed, at_least=0)
    pixels = np.ascontiguousarray(truth.detach().cpu().numpy(), np.float32)
    kept = load_truth(folder, rays, seed)
    if kept is None:
        digest = hashlib.sha256(pixels.tobytes()).hexdigest()
        belongs_to = {"format": _FORMAT, "rays": int(rays), "seed": int(seed), "scene": owner["digest"], "digest": digest}
        _write_json(folder / "truth.json", belongs_to, overwrite=True)
        _write_npy(folder / "truth.npy", pixels)
    else:
        pixels = kept.numpy()
    if not (folder / "truth.png").exists():
        write_image(folder / "truth.png", pixels.transpose(1, 2, 0))


def load_truth(folder: Path, rays: int | None = None, seed: int | None = None) -> Tensor | None:
    """The truth [3, H, W] of the scene in a folder; None where there is none, or none was finished.

    Args:
        folder: of the scene.
        rays: that it must have been traced with; None: any.
        seed: that it must have been traced with; None: any.

    Raises:
        ValueError: it is damaged, or belongs to other rays, another seed or another scene.
    """
    folder = Path(folder)
    found, file = _read_json(folder / "truth.json"), folder / "truth.npy"
    if found is None and file.exists():
        raise ValueError(f"{folder} holds a truth.npy but no truth.json, and is left as it is: whose is it?")
    if found is None or not file.exists():
        return None
    owner = _read_json(folder / "scene.json")
    wanted = {"format": _FORMAT, "rays": rays, "seed": seed, "scene": None if owner is None else owner.get("digest")}
    for name, value in wanted.items():
        if value is not None and found.get(name) != value:
            raise ValueError(
                f"{folder} holds the truth of {name} {found.get(name)}, and is left as it is: {name} {value} was asked for"
            )
    try:
        pixels = np.load(io.BytesIO(file.read_bytes()), allow_pickle=False)
    except _DAMAGED as error:
        raise ValueError(f"{file} is damaged: {error}; remove it to trace it again") from None
    if hashlib.sha256(pixels.tobytes()).hexdigest() != found.get("digest"):
        raise ValueError(f"{file} is damaged: it is not the truth that truth.json describes; remove both to trace it again")
    return torch.from_numpy(pixels)


def _scene_files(folder: Path) -> tuple[Path, Path, Path]:
    return folder / "layers.npz", folder / "all-in-focus.png", folder / "depth.npy"


def _identity(scene: Scene) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "name": scene.name,
        "size": [scene.layers.height, scene.layers.width],
        "focal_plane": scene.focal_plane,
        "blur": float(scene.blur).hex(),  # exact
        "focus": float(scene.focus).hex(),
        "digest": _digest(scene),
    }


def _require_same_scene(folder: Path, found: dict[str, Any], scene: Scene) -> None:
    expected = _identity(scene)
    for name, value in expected.items():
        if found.get(name) != value:
            whose = f"scene {found.get('name')}, {found.get('focal_plane')} focus, size {found.get('size')}"
            raise ValueError(
                f"{folder} holds another scene ({whose}), and is left as it is: its {name} is {found.get(name)}, not {value}"
            )


def _digest(scene: Scene) -> str:
    """Of all that the scene's pictures depend on."""
    digest = hashlib.sha256()
    digest.update(json.dumps([scene.name, float(scene.blur).hex(), float(scene.focus).hex(), scene.focal_plane]).encode())
    for tensor in (scene.layers.rgb, scene.layers.alpha, scene.layers.disparity):
        values = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{values.dtype.str}{values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def _read_json(path: Path) -> dict[str, Any] | None:
    """What the file holds; None where there is none."""
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged, and is left as it is: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path} is damaged, and is left as it is: it holds a {type(found).__name__}, and must hold an object")
    return found


def _write_json(path: Path, content: Mapping[str, Any], overwrite: bool = False) -> None:
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(path, text.encode("utf-8"), overwrite)


def _write_npy(path: Path, array: NDArray[np.float32]) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array, np.float32))
    write_atomically(path, buffer.getvalue())
