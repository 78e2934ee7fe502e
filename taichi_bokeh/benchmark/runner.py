"""The run: every method on every scene, one unit after the other, each kept in a file of its own as soon as it is done."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from taichi_bokeh._checks import require_integer
from taichi_bokeh._render import ProgressCallback
from taichi_bokeh._trace import trace
from taichi_bokeh.benchmark import results, run_file
from taichi_bokeh.benchmark.methods import DEFAULT, Method, build
from taichi_bokeh.benchmark.methods.external import External
from taichi_bokeh.benchmark.metrics import measure, occlusion_band
from taichi_bokeh.benchmark.results import Record
from taichi_bokeh.benchmark.search import best_scale
from taichi_bokeh.benchmark.store import load_scene, load_truth, save_scene, save_truth, scene_folder
from taichi_bokeh.io import write_atomically
from taichi_bokeh.layers import Layers
from taichi_bokeh.report import pictures as report_pictures
from taichi_bokeh.storage.locks import lock_of_folder, sole_run
from taichi_bokeh.storage.workers import Count, do_all
from taichi_bokeh.synthetic.pictures import Pictures, digest_of_folder
from taichi_bokeh.synthetic.scene import Scene
from taichi_bokeh.synthetic.scenes import SceneSettings, describe, make_scene

_WARM_UP_PX = 48
_TRUTH_SEED = 0


class UnitError(ValueError):
    """A unit that could not be done; the message names its scene and method."""


@dataclass(frozen=True)
class Benchmark:
    """What is to be run.

    Attributes:
        scenes: how many, over all shards.
        rays: of the truth, a pixel.
        settings: of the scenes.
        methods: their names.
        external: name and folder of pictures that other programs made.
        foregrounds: folder of cut-outs; None: procedural ones.
        backgrounds: folder of pictures; None: those of scikit-image.
        shard: (i, n), i from 1: only the scenes whose number modulo n is i − 1.

    Raises:
        ValueError: a number is out of range.
    """

    scenes: int
    rays: int = 2048
    settings: SceneSettings = field(default_factory=SceneSettings)
    methods: tuple[str, ...] = DEFAULT
    external: Mapping[str, Path] = field(default_factory=dict)
    foregrounds: Path | None = None
    backgrounds: Path | None = None
    shard: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        for name in ("scenes", "rays"):
            require_integer(name, getattr(self, name), at_least=1)
        part, parts = self.shard
        if not 1 <= part <= parts:
            raise ValueError(f"shard is {part}/{parts}; expected i/n with i from 1 to n")

    @property
    def indices(self) -> range:
        """Numbers of the scenes of this shard."""
        part, parts = self.shard
        return range(part - 1, self.scenes, parts)


class SceneJob(NamedTuple):
    """What is left to do for one scene: its number, and the names of the methods."""

    scene: int
    methods: tuple[str, ...]

    def __str__(self) -> str:
        return f"{_where(self.scene)}, methods {', '.join(self.methods)}"


def run(benchmark: Benchmark, folder: Path, processes: int = 1, progress: ProgressCallback | None = None) -> None:
    """Do what the folder does not hold yet. It may be stopped at any time; another call goes on after the last unit.

    Args:
        benchmark: what to run.
        folder: for the results; new, empty, or that of an earlier run with the same settings.
        processes: how many work at the same time, each with its part of the cores.
        progress: called with (done, total) units of the shard.

    Raises:
        ValueError: a setting is wrong or differs from the folder's, a result in it is damaged, or a unit failed.
        OSError: the folder cannot be used, another process is at work in it, or a file cannot be written.
    """
    require_integer("processes", processes, at_least=1)
    settings = run_file.settings_of(_settings(benchmark))
    run_file.check_settings(folder, settings)
    build(benchmark.methods, benchmark.external)  # an unknown method leaves no folder
    folder.mkdir(exist_ok=True)
    with sole_run(lock_of_folder(folder, benchmark.shard), f"the folder {folder}"):
        jobs, counted = _jobs(benchmark, folder)
        machines = (run_file.machine(processes),) if jobs else ()
        run_file.open_run(folder, run_file.RunFile(settings, benchmark.scenes, machines))
        (folder / results.FOLDER).mkdir(exist_ok=True)
        do_all(partial(_Bench, benchmark, folder), jobs, processes, counted, progress)


def count(benchmark: Benchmark, folder: Path) -> Count:
    """How many units of the shard the folder holds.

    Raises:
        ValueError, OSError: `run` would be refused, too.
    """
    run_file.check_settings(folder, run_file.settings_of(_settings(benchmark)))
    return _jobs(benchmark, folder)[1]


def merge(folders: Sequence[Path], folder: Path) -> None:
    """Put what several runs with equal settings hold, such as the shards of one, into one folder.

    Args:
        folders: of the runs; they stay as they are.
        folder: new, empty, or that of another run with these settings, whose files stay.

    Raises:
        ValueError: settings differ, a result is damaged, or two runs have different results for one unit.
        OSError: a folder is none of a run, or a file cannot be read or written.
    """
    sources = [*([folder] if (folder / run_file.NAME).exists() else []), *folders]
    runs = [run_file.read(source) for source in sources]
    for source in (folder, *sources):
        run_file.check_settings(source, runs[0].settings)
    results.merge([results.load_all(source) for source in sources])
    run_file.open_run(folder, reduce(run_file.together, runs))
    for source in sources:
        for part in ("scenes", report_pictures.FOLDER, results.FOLDER):
            _copy(source / part, folder / part)


def _copy(source: Path, target: Path) -> None:
    """Copy the files of a folder and of those in it; one that is there already stays."""
    for file in sorted(path for path in source.rglob("*") if path.is_file() and not path.name.startswith(".")):
        copy = target / file.relative_to(source)
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(copy, file.read_bytes())


def _settings(benchmark: Benchmark) -> dict[str, Any]:
    """All that the accuracy depends on, but the number of scenes and the methods."""
    height, width = benchmark.settings.shape
    return {
        "size": f"{width}×{height}",
        "layers": benchmark.settings.layers,
        "seed": benchmark.settings.seed,
        "hdr": benchmark.settings.hdr,
        "rays": benchmark.rays,
        "foregrounds": digest_of_folder(benchmark.foregrounds),
        "backgrounds": digest_of_folder(benchmark.backgrounds),
    }


def _jobs(benchmark: Benchmark, folder: Path) -> tuple[list[SceneJob], Count]:
    """What is left to do, and how much is done; a result that is there is read, lest it be damaged."""
    names = [method.name for method in build(benchmark.methods, benchmark.external)]
    jobs, done = [], 0
    for index in benchmark.indices:
        paths = {name: results.unit_path(folder, f"{index:03d}", name) for name in names}
        for path in filter(Path.exists, paths.values()):
            results.load(path)
            done += 1
        missing = tuple(name for name, path in paths.items() if not path.exists())
        if missing:
            jobs.append(SceneJob(index, missing))
    return jobs, Count(done, len(benchmark.indices) * len(names))


def _where(index: int) -> str:
    return f"scene {index:03d}"


def _small(scene: Scene) -> Scene:
    """A corner of the scene, for a first picture that makes a method compile what it needs."""
    corner = (slice(None, _WARM_UP_PX), slice(None, _WARM_UP_PX))
    rgb, alpha, disparity = (
        tensor[(..., *corner)].contiguous() for tensor in (scene.layers.rgb, scene.layers.alpha, scene.layers.disparity)
    )
    return replace(scene, layers=Layers(rgb, alpha, disparity))


class _Bench:
    """One process's share of the run."""

    def __init__(self, benchmark: Benchmark, folder: Path) -> None:
        self._benchmark = benchmark
        self._folder = folder
        self._methods = {method.name: method for method in build(benchmark.methods, benchmark.external)}
        self._pictures = Pictures(benchmark.foregrounds, benchmark.backgrounds)
        self._warm: set[str] = set()

    def __call__(self, job: SceneJob) -> Iterator[str]:
        """Do a job; the name of each method when its unit is kept."""
        where = _where(job.scene)
        try:
            scene, truth = self._scene_and_truth(job.scene)
            band = occlusion_band(scene)
            for name in job.methods:
                where = f"{_where(job.scene)}, method {name}"
                results.save(self._folder, self._unit(self._methods[name], scene, truth, band))
                yield name
        except ModuleNotFoundError:
            raise
        except Exception as error:
            kind = "" if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: "
            raise UnitError(f"{where}: {kind}{error}") from error

    def _scene_and_truth(self, index: int) -> tuple[Scene, Tensor]:
        """As kept in the run's folder, or made, traced and kept now."""
        folder = scene_folder(self._folder, f"{index:03d}")
        try:
            scene = load_scene(folder)
        except FileNotFoundError:
            made = make_scene(index, self._benchmark.settings, self._pictures)
            save_scene(folder, made, describe(made))
            scene = made
        truth = load_truth(folder, self._benchmark.rays, _TRUTH_SEED)
        if truth is None:
            truth = trace(scene.layers, scene.lens(), rays=self._benchmark.rays, seed=_TRUTH_SEED)[0]
            save_truth(folder, truth, self._benchmark.rays, _TRUTH_SEED)
        return scene, truth

    def _unit(self, method: Method, scene: Scene, truth: Tensor, band: Tensor) -> Record:
        is_timed = not isinstance(method, External)
        if is_timed and method.name not in self._warm:
            method.render(_small(scene), 1.0)
            self._warm.add(method.name)
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        picture = method.render(scene, 1.0)
        wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
        at_true = measure(picture, truth, band)
        searched = None
        if method.searchable:
            searched = best_scale(lambda scale: picture if scale == 1 else method.render(scene, scale), truth)
        report_pictures.save_picture(self._folder, method.name, scene.name, picture, truth)
        return Record(
            scene=scene.name,
            method=method.name,
            title=method.title,
            focal_plane=scene.focal_plane,
            largest_radius_px=scene.largest_radius_px,
            band_share=float(band.double().mean()),
            at_true=at_true,
            scale_best=None if searched is None else searched.scale,
            at_best=None if searched is None else measure(searched.picture, truth, band),
            evaluations=0 if searched is None else searched.evaluations,
            wall_s=wall_s if is_timed else None,
            cpu_s=cpu_s if is_timed else None,
        )
