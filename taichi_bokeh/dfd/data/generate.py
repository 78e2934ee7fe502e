"""Make a data set: scenes of known disparity, ray-traced through a camera's lenses, in files that training reads.

``dataset.json``        all that the data depend on
``shard-000000.tar``    so many samples each, a WebDataset; or ``SEED-000000.npz``, one sample each

A sample follows from the settings and its number alone: neither shards nor processes have an influence. Files appear whole or
not at all; one that is there is not made again, so that a run may be stopped at any time.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from taichi_bokeh._checks import require_choice, require_integer, require_type
from taichi_bokeh._render import ProgressCallback
from taichi_bokeh._trace import trace
from taichi_bokeh._version import __version__
from taichi_bokeh.dfd.data import samples
from taichi_bokeh.dfd.data.cameras import NORMALISED, camera_named
from taichi_bokeh.dfd.data.scenes import DefocusScene, DefocusSceneSettings, make_scene, scene_name, weak_texture
from taichi_bokeh.dfd.observation import Sample
from taichi_bokeh.io import write_atomically
from taichi_bokeh.storage.locks import lock_of_folder, sole_run
from taichi_bokeh.storage.resumable import check_record, open_record
from taichi_bokeh.storage.workers import Count, do_all
from taichi_bokeh.synthetic.pictures import Pictures, digest_of_folder

FileFormat = Literal["tar", "folder"]
PictureType = Literal["float16", "float32"]

MANIFEST = "dataset.json"
_FORMAT = 1  # to be raised when the files change


@dataclass(frozen=True)
class GenerateSettings:
    """What a data set depends on.

    Attributes:
        scenes: how many, over all shards.
        scene: of every scene. Its blur and focus are those of the camera "normalised"; other cameras have their own.
        camera: its name, see `taichi_bokeh.dfd.data.cameras`.
        rays: of every blurred picture, a pixel; with 2048 their noise is some 5·10⁻⁵ of white.
        file_format: "tar", WebDataset shards, or "folder", an npz for each sample.
        samples_per_file: in a tar; the last may hold fewer.
        picture_type: "float32", or "float16", half as large; disparities are always float32.
        foregrounds: folder of cut-outs; None: procedural ones.
        backgrounds: folder of pictures; None: those of scikit-image.

    Raises:
        TypeError: a value is of the wrong type.
        ValueError: a number is out of range, or a name is unknown.
    """

    scenes: int
    scene: DefocusSceneSettings = field(default_factory=DefocusSceneSettings)
    camera: str = NORMALISED.name
    rays: int = 2048
    file_format: FileFormat = "tar"
    samples_per_file: int = 32
    picture_type: PictureType = "float32"
    foregrounds: Path | None = None
    backgrounds: Path | None = None

    def __post_init__(self) -> None:
        for name in ("scenes", "rays", "samples_per_file"):
            require_integer(name, getattr(self, name), at_least=1)
        require_type("scene", self.scene, DefocusSceneSettings, "DefocusSceneSettings")
        camera_named(self.camera)
        for name, known in (("file_format", FileFormat), ("picture_type", PictureType)):
            require_choice(name, getattr(self, name), known)


class File(NamedTuple):
    """A file of the set, and the numbers of the scenes in it."""

    name: str
    scenes: range

    def __str__(self) -> str:
        return f"{self.name}, scenes {self.scenes.start} to {self.scenes.stop - 1}"


def generate(
    settings: GenerateSettings,
    folder: Path,
    progress: ProgressCallback | None = None,
    *,
    shard: tuple[int, int] = (1, 1),
    workers: int = 1,
) -> None:
    """Make what the folder does not hold yet. It may be stopped at any time; another call goes on after the last whole file.

    Args:
        settings: of the set.
        folder: for the files; new, empty, or that of an earlier run with the same settings.
        progress: called with (done, total) samples of the shard.
        shard: (i, n), i from 1: only each n-th file, beginning with the i-th. Shards may share a folder.
        workers: how many processes work at the same time, each with its part of the cores.

    Raises:
        ValueError: a setting is wrong or differs from the folder's, or a scene could not be made.
        OSError: the folder cannot be used, another process is at work on this shard of it, or a file cannot be written.
    """
    folder = Path(folder)
    require_integer("workers", workers, at_least=1)
    files = _files(settings, shard)
    check_record(folder, MANIFEST, "data set", _manifest(settings))
    folder.mkdir(exist_ok=True)
    with sole_run(lock_of_folder(folder, shard), f"the folder {folder}"):
        open_record(folder, MANIFEST, "data set", _manifest(settings))
        missing = [file for file in files if not (folder / file.name).exists()]
        do_all(partial(_Maker, settings, folder), missing, workers, count(settings, folder, shard), progress)


def count(settings: GenerateSettings, folder: Path, shard: tuple[int, int] = (1, 1)) -> Count:
    """How many samples of the shard lie in whole files of the folder.

    Raises:
        ValueError, OSError: `generate` would be refused, too.
    """
    files = _files(settings, shard)
    check_record(Path(folder), MANIFEST, "data set", _manifest(settings))
    done = sum(len(file.scenes) for file in files if (Path(folder) / file.name).exists())
    return Count(done, sum(len(file.scenes) for file in files))


def make_sample(index: int, settings: GenerateSettings, pictures: Pictures) -> tuple[Sample, dict[str, Any]]:
    """Make and trace one sample, with the facts of its making, as JSON can hold them.

    Args:
        index: number of its scene, from 0.
        settings: of the set.
        pictures: what its layers are made of.
    """
    scene = make_scene(index, settings.scene, pictures)
    view = camera_named(settings.camera).view(scene)
    # A stream of its own, which the scene's streams do not touch, turns the pattern of the rays in each picture.
    seeds = np.random.default_rng([settings.scene.seed, index, 1]).integers(1 << 31, size=len(view.lenses))
    blurred = [
        trace(view.layers, lens, rays=settings.rays, seed=int(seed))[0] for lens, seed in zip(view.lenses, seeds, strict=True)
    ]
    sample = Sample(
        name=scene.name,
        all_in_focus=scene.all_in_focus,
        blurred=torch.stack(blurred),
        blur=scene.all_in_focus.new_tensor([lens.blur for lens in view.lenses]),
        focus=scene.all_in_focus.new_tensor([lens.focus for lens in view.lenses]),
        near=view.near,
        far=view.far,
        disparity=view.disparity[None],
    )
    return sample, _facts(index, scene, settings)


def _facts(index: int, scene: DefocusScene, settings: GenerateSettings) -> dict[str, Any]:
    facts = {
        "index": index,
        "seed": settings.scene.seed,
        "camera": settings.camera,
        "rays": settings.rays,
        "kind": scene.kind,
        "surfaces": scene.surfaces,
        "sources": scene.sources,
        "weak_texture": float(weak_texture(scene.all_in_focus).double().mean()),
    }
    return facts if settings.camera != NORMALISED.name else {**facts, "focal_plane": scene.focal_plane}


def _files(settings: GenerateSettings, shard: tuple[int, int]) -> list[File]:
    part, parts = shard
    if not 1 <= part <= parts:
        raise ValueError(f"shard is {part}/{parts}; expected i/n with i from 1 to n")
    if settings.file_format == "folder":
        files = [File(f"{scene_name(index, settings.scene)}.npz", range(index, index + 1)) for index in range(settings.scenes)]
    else:
        per_file = settings.samples_per_file
        starts = range(0, settings.scenes, per_file)
        files = [
            File(f"shard-{place:06d}.tar", range(start, min(start + per_file, settings.scenes)))
            for place, start in enumerate(starts)
        ]
    return files[part - 1 :: parts]


class _Maker:
    """One process's share of the work."""

    def __init__(self, settings: GenerateSettings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._pictures = Pictures(settings.foregrounds, settings.backgrounds)

    def __call__(self, file: File) -> Iterator[str]:
        """Make a file; the name of each sample when it is traced, of the last one when the file is written."""
        made: list[tuple[str, dict[str, bytes]]] = []
        for index in file.scenes:
            if made:
                yield made[-1][0]
            try:
                sample, facts = make_sample(index, self._settings, self._pictures)
                made.append((sample.name, samples.encode(sample, self._settings.picture_type, facts)))
            except (ValueError, OSError, RuntimeError) as error:
                raise ValueError(f"scene {index}: {error}") from error
        content = samples.npz_of(made[0][1]) if self._settings.file_format == "folder" else samples.tar_of(made)
        write_atomically(self._folder / file.name, content, overwrite=True)
        yield made[-1][0]


def _manifest(settings: GenerateSettings) -> dict[str, Any]:
    """What dataset.json holds of the settings: all that the data depend on."""
    values = asdict(settings)
    values |= {name: digest_of_folder(getattr(settings, name)) for name in ("foregrounds", "backgrounds")}
    if settings.file_format == "folder":
        del values["samples_per_file"]
    plain: dict[str, Any] = json.loads(json.dumps({"format": _FORMAT, "version": __version__, **values}))
    return plain
