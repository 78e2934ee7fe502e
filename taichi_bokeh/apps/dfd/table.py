"""``taichi-bokeh dfd table``: the whole comparison of defocus layers, from scenes to tables, plots and pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from taichi_bokeh.apps.options.arguments import whole, whole_from_0
from taichi_bokeh.apps.options.requests import opt
from taichi_bokeh.apps.terminal import print_result

if TYPE_CHECKING:
    from taichi_bokeh.apps.common import Say
    from taichi_bokeh.dfd.data.dataset import DefocusDataset
    from taichi_bokeh.dfd.evaluation.comparison import CompareSettings, Entrant, Method
    from taichi_bokeh.dfd.evaluation.evaluate import Evaluation
    from taichi_bokeh.dfd.training.log import TrainStep

_EXAMPLES = """\
examples:
  taichi-bokeh dfd table --out table
  taichi-bokeh dfd table --out near --focus-plane near --methods disc,disc-no-occlusion,sweep,ours
  taichi-bokeh dfd table --out table --network-steps 450
  taichi-bokeh dfd table --data pairs --out table

Stopped at any time, the same command goes on from there; with other --methods it adds to what is there. The scenes lie in
DIR/scenes, each result in DIR/found, the tables, pictures and report.html in DIR. To have a method measured again, delete its
folder in DIR/found. The rows are those of Table 2 of Dr.Bokeh with the true depth, and ours: --list-methods.
"""

_PLANES: tuple[Literal["near", "far"], ...] = ("near", "far")
_SEED = 2026
_NETWORKS = (
    ("supervised", None, "l1+g"),
    ("scatter", "scatter", "l1+g"),
    ("planes", "planes", "l1+tv"),
    ("gausspsf", "gausspsf", "gausspsf"),
)
_TRAINING_SEED_AFTER = 1_000_000  # the training scenes' seed follows the held-out ones' at this distance


TEXTS = {
    "help": "compare defocus layers, ablations, the sweep and ours on held-out scenes",
    "description": "Compare strategies of depth from defocus on the same ray-traced pairs.",
    "epilog": _EXAMPLES,
}


@dataclass(frozen=True)
class TableRequest:
    """A comparison."""

    out: Path | None = opt("folder of the comparison: new, empty, or that of an earlier run", "DIR", Path)
    list_methods: bool = opt("print the methods that --methods knows", default=False)
    methods: str | None = opt("their names (all that --list-methods prints)", "A,B,…")
    steps: int | None = opt("of each optimisation (120)", "N", whole)
    retrace_rays: int | None = opt("a pixel, to trace what was found; 0: do not (2048)", "N", whole_from_0)
    data: Path | None = opt("a data set of dfd generate, instead of scenes made for this", "DIR", Path, group="scenes")
    scenes: int | None = opt("how many, of each plane in focus (5)", "N", whole, group="scenes")
    seed: int | None = opt("of all that is random in them (2026)", "N", whole_from_0, group="scenes")
    size: int | None = opt("width and height (128)", "PX", whole, group="scenes")
    rays: int | None = opt("rays a pixel of each blurred picture (2048)", "N", whole, group="scenes")
    focus_plane: str | None = opt("where the focus lies (both)", choices=("far", "near"), group="scenes")
    network_steps: int = opt(
        "also train networks for N steps each: by known depth, through scatter, planes and GaussPSF (%(default)s)",
        "N",
        whole_from_0,
        default=0,
        group="networks",
    )
    training_scenes: int = opt("of other seeds, of each plane (%(default)s)", "N", whole, default=50, group="networks")
    training_rays: int = opt("rays a pixel of these (%(default)s)", "N", whole, default=256, group="networks")
    pictures: int = opt("show those of N scenes (%(default)s)", "N", whole_from_0, default=4, group="output")
    quiet: bool = opt("print nothing, show no progress", default=False, group="output")


def table_command(request: TableRequest) -> None:
    """Run the command: see ``taichi-bokeh dfd table --help``, and `apps.dfd.command` for what it raises."""
    from taichi_bokeh.apps.common import check_folder, given, speaker
    from taichi_bokeh.dfd.evaluation.comparison import METHODS, CompareSettings, methods_named, open_folder
    from taichi_bokeh.report.page import require_report
    from taichi_bokeh.storage.locks import lock_of_folder, sole_run

    if request.list_methods:
        print_result("".join(f"{method.name:20} {method.title}\n" for method in METHODS.values()))
        return
    if request.out is None:
        raise ValueError("--out is missing; give the folder of the comparison")
    require_report()
    say, folder = speaker(request.quiet), request.out
    methods = methods_named(None if request.methods is None else [n for n in request.methods.split(",") if n])
    settings = CompareSettings(**given(request, "steps", retrace_rays="rays"))
    check_folder(folder, [], overwrite=False)
    open_folder(folder, settings)
    with sole_run(lock_of_folder(folder), f"--out {folder}"):
        _compare(methods, settings, request, folder, say)


def _compare(methods: "Sequence[Method]", settings: "CompareSettings", request: TableRequest, folder: Path, say: "Say") -> None:
    from taichi_bokeh.apps.progress import progress_bar
    from taichi_bokeh.dfd.evaluation.comparison import compare
    from taichi_bokeh.dfd.evaluation.comparison_page import ratios_markdown
    from taichi_bokeh.dfd.evaluation.files import markdown

    done = total = 0
    try:
        dataset = _scenes(request, folder)
        entrants = _networks(request, folder, say)
        with progress_bar("comparison", request.quiet, speed_over_s=300.0) as progress:

            def on_result(now: int, of: int) -> None:
                nonlocal done, total
                done, total = now, of
                if progress is not None:
                    progress(now, of)

            evaluations = compare(methods, dataset, settings, entrants=entrants, folder=folder, progress=on_result)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"{done} of {total} results are in {folder}; the same command goes on from there") from None
    _write(folder, evaluations, dataset, request.pictures)
    say(f"{markdown(evaluations)}\n{ratios_markdown(evaluations)}")
    say(f"written: tables, pictures and report.html of {len(dataset)} scenes in {folder}")


def _scenes(request: TableRequest, folder: Path) -> "DefocusDataset":
    from taichi_bokeh.dfd.data.dataset import DefocusDataset

    own = {name: getattr(request, name) for name in ("scenes", "seed", "size", "rays", "focus_plane")}
    if request.data is not None:
        for name, value in own.items():
            if value is not None:
                raise ValueError(f"--{name.replace('_', '-')} has no meaning with --data, whose scenes are made")
        return DefocusDataset(request.data)
    return _generated(request, folder / "scenes", own["scenes"] or 5, own["rays"] or 2048, 0, "scenes")


def _networks(request: TableRequest, folder: Path, say: "Say") -> "list[Entrant]":
    """Train them, or load those that are there."""
    if not request.network_steps:
        return []
    import torch

    from taichi_bokeh.apps.progress import progress_bar
    from taichi_bokeh.dfd.evaluation.comparison import Entrant, network_title
    from taichi_bokeh.dfd.layers.registry import layer_named
    from taichi_bokeh.dfd.losses import Objective
    from taichi_bokeh.dfd.training.network import load_network
    from taichi_bokeh.dfd.training.settings import TrainSettings
    from taichi_bokeh.dfd.training.train import train

    count, rays, steps = request.training_scenes, request.training_rays, request.network_steps
    dataset = _generated(request, folder / "training", count, rays, _TRAINING_SEED_AFTER, "training scenes")
    entrants = []
    for name, layer, objective in _NETWORKS:
        where = folder / "networks" / f"{name}-{steps}"
        where.parent.mkdir(exist_ok=True)
        settings = TrainSettings(steps=steps, objective=Objective.named(objective))
        torch.manual_seed(0)
        network = load_network("unet")
        with progress_bar(f"network, {name}", request.quiet, speed_over_s=60.0) as progress:
            train(
                settings,
                network,
                dataset,
                None if layer is None else layer_named(layer),
                folder=where,
                resume=where.exists(),
                on_step=_shown(progress, steps),
            )
        network.eval()
        entrants.append(Entrant(f"network-{where.name}", network_title(layer), network))
        say(f"{entrants[-1].title}: {steps} steps, in {where}")
    return entrants


def _shown(progress: "Callable[[int, int], None] | None", steps: int) -> "Callable[[TrainStep], None] | None":
    return None if progress is None else lambda report: progress(report.step, steps)


def _generated(request: TableRequest, folder: Path, count: int, rays: int, seed_after: int, title: str) -> "DefocusDataset":
    """Make the scenes that are not there yet, of each plane in focus a folder of them."""
    from taichi_bokeh.apps.progress import progress_bar
    from taichi_bokeh.dfd.data.dataset import DefocusDataset, files_of
    from taichi_bokeh.dfd.data.generate import GenerateSettings, generate
    from taichi_bokeh.dfd.data.scenes import DefocusSceneSettings

    first = _SEED if request.seed is None else request.seed
    size = 128 if request.size is None else request.size
    folder.mkdir(exist_ok=True)
    files = []
    for number, plane in enumerate(_PLANES):
        if request.focus_plane not in (None, plane):
            continue
        scene = DefocusSceneSettings(size=size, seed=first + seed_after + number, focal_plane=plane)
        with progress_bar(f"{title}, focused {plane}", request.quiet, speed_over_s=300.0) as progress:
            generate(GenerateSettings(count, scene, rays=rays, file_format="folder"), folder / plane, progress)
        files += files_of(folder / plane)
    return DefocusDataset(files)


def _write(folder: Path, evaluations: "Sequence[Evaluation]", dataset: "DefocusDataset", pictures: int) -> None:
    from taichi_bokeh.dfd.evaluation.comparison_page import write_comparison
    from taichi_bokeh.dfd.evaluation.files import write_picture

    # Of both planes, where there are two: the scenes of one come after those of the other.
    shown = sorted({round(k * (len(dataset) - 1) / max(1, pictures - 1)) for k in range(pictures)})
    write_comparison(folder, evaluations, dataset, shown)
    for number in shown:
        write_picture(folder, dataset[number], evaluations, number)
