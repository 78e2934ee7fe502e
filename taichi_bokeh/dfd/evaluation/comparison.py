"""The whole comparison: defocus layers of several papers, the ablations of ours, and a plane sweep, all on the same pairs.

Every method but the sweep itself optimises one disparity map (or two layers), by as many steps at the same speed. All but two
begin with the sweep's result, so that a row tells how the layer refines depth; a layer whose gradients find little then keeps
what the sweep found. Those two begin with a constant, as where there is no sweep: GaussPSF, whose paper has none, and the
scatter layer, to tell what is due to the layer and what to the beginning. Three groups of rows tell three things apart:

- the layers, each by the data term and smoothness of its own paper: which one explains the picture by the right depth;
- the ablations of the scatter layer: SSIM at one window and at several, occlusion;
- the optimisation as `optimize` does it by default, which begins with the sweep's jumps moved to edges of the picture and keeps
  its cost in the loss; that beginning has a row of its own.

Source: the rows are those of Table 2 of Dr.Bokeh (Sheng et al., CVPR 2024), which scores the layer's own picture only, with the
true depth of ray-traced scenes beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import torch
from torch.utils.data import Dataset

from taichi_bokeh._checks import require_choice, require_integer
from taichi_bokeh._render import ProgressCallback
from taichi_bokeh._version import __version__
from taichi_bokeh.dfd.estimate.optimize import Optimized, OptimizeSettings, optimize
from taichi_bokeh.dfd.estimate.plane_sweep import Estimate, plane_sweep
from taichi_bokeh.dfd.estimate.snap_to_edges import snap_to_edges
from taichi_bokeh.dfd.evaluation.evaluate import Estimator, Evaluation, Reblur, Result, measure_sample
from taichi_bokeh.dfd.layers.base import DefocusLayer
from taichi_bokeh.dfd.layers.gaussian import PRINTED_DIAMETERS_PX
from taichi_bokeh.dfd.layers.registry import layer_named
from taichi_bokeh.dfd.losses import Objective
from taichi_bokeh.dfd.observation import Observation, Sample
from taichi_bokeh.dfd.training.settings import count_samples
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.storage.fingerprint import value_digest
from taichi_bokeh.storage.resumable import Checkpoint, open_record

_FORMAT = 2  # to be raised when the files change
RUN, FOUND = "comparison.json", "found"
_CONSTANT_PX = sum(PRINTED_DIAMETERS_PX) / 4  # the radius halfway between those at which GaussPSF as printed loses its gradient


@dataclass(frozen=True)
class Method:
    """A row of the table.

    Attributes:
        name: short, for the command line and for file names.
        title: what tables call it.
        layer: by its name in `named_layers.LAYERS`; None: the plane sweep's result as it is.
        objective: by its name in `losses.PRESETS`; None: that of `OptimizeSettings`.
        is_ours: whether it begins with jumps moved to edges of the picture, and keeps the sweep's cost in the loss.
        layers: 1, or 2 for a foreground over a background.
        start: with what it begins: the "sweep" as above, or a "constant" (`constant_start`).
    """

    name: str
    title: str
    layer: str | None = None
    objective: str | None = None
    is_ours: bool = False
    layers: int = 1
    start: Literal["sweep", "constant"] = "sweep"

    def settings(self, steps: int) -> OptimizeSettings:
        """How it is optimised."""
        given: dict[str, Any] = {} if self.objective is None else {"objective": Objective.named(self.objective)}
        if not self.is_ours:
            given |= {"evidence": 0.0, "snap": False}
        return OptimizeSettings(steps=steps, layers=self.layers, **given)

    def new_layer(self) -> DefocusLayer | None:
        """A layer of its kind."""
        return None if self.layer is None else layer_named(self.layer)


SWEEP = Method("sweep", "plane sweep + SGM")

#: The rows, in the table's order.
METHODS: Mapping[str, Method] = MappingProxyType(
    {
        method.name: method
        for method in (
            Method("planes", "Aperture supervision, planes", "planes", "l1+g"),
            Method("gausspsf-constant", "GaussPSF as printed, from a constant", "gausspsf", "gausspsf", start="constant"),
            Method("gausspsf", "GaussPSF as printed", "gausspsf", "gausspsf"),
            Method("gaussian", "GaussPSF, calibrated", "gaussian", "l1+g"),
            Method("soft-l1-g", "Dr.Bokeh, L1 + G", "scatter-soft", "l1+g"),
            Method("soft-ssim", "Dr.Bokeh, L1 + G + SSIM", "scatter-soft", "l1+g+ssim"),
            Method("soft-no-occlusion", "Dr.Bokeh, no occlusion, L1 + G + HSSIM", "scatter-soft-no-occlusion", "l1+g+hssim"),
            Method("soft-hssim", "Dr.Bokeh, L1 + G + HSSIM", "scatter-soft", "l1+g+hssim"),
            Method("disc-no-occlusion", "scatter, disc, without occlusion, L1 + G", "scatter-no-occlusion", "l1+g"),
            Method("disc-constant", "scatter, disc, L1 + G, from a constant", "scatter", "l1+g", start="constant"),
            Method("disc", "scatter, disc, L1 + G", "scatter", "l1+g"),
            Method("splat-l1-g", "splat, L1 + G", "splat", "l1+g"),
            SWEEP,
            Method("sweep-snapped", "plane sweep + SGM, moved to edges", is_ours=True),
            Method("ours-no-occlusion", "ours, scatter without occlusion", "scatter-no-occlusion", is_ours=True),
            Method("ours", "ours, scatter", "scatter", is_ours=True),
            Method("ours-splat", "ours, splat", "splat", is_ours=True),
            Method("ours-two-layers", "ours, two layers", "splat", is_ours=True, layers=2),
        )
    }
)


def methods_named(names: Sequence[str] | None) -> tuple[Method, ...]:
    """Methods by name, in the table's order; None: all.

    Raises:
        ValueError: there is none of a name, or no name was given.
    """
    if names is None:
        return tuple(METHODS.values())
    for name in names:
        require_choice("method", name, METHODS)
    if not names:
        raise ValueError(f"methods is empty; expected some of {', '.join(METHODS)}")
    return tuple(method for name, method in METHODS.items() if name in names)


@dataclass(frozen=True)
class CompareSettings:
    """How methods are compared.

    Attributes:
        steps: of each optimisation.
        rays: a pixel, with which what was found is traced again; 0: it is not.
        aperture: that the samples were taken with.

    Raises:
        TypeError, ValueError: a value is not what it must be.
    """

    steps: int = 120
    rays: int = 2048
    aperture: Aperture = Aperture()

    def __post_init__(self) -> None:
        require_integer("steps", self.steps, at_least=1)
        require_integer("rays", self.rays, at_least=0)


class Entrant(NamedTuple):
    """A trained network, or any other estimator, beside the methods.

    Attributes:
        name: for file names; it must change with what it finds.
        title: what tables call it.
        estimator: see `evaluate.Estimator`.
        layer: whose own score is measured; None: none.
    """

    name: str
    title: str
    estimator: Estimator
    layer: DefocusLayer | None = None


def network_title(layer: str | None) -> str:
    """What tables call a network trained through a layer, by its name; None: by known depth."""
    return "network, supervised" if layer is None else f"network, self-supervised through {layer}"


def compare(
    methods: Sequence[Method],
    dataset: Dataset[Sample],
    settings: CompareSettings = CompareSettings(),
    *,
    entrants: Sequence[Entrant] = (),
    folder: Path | None = None,
    progress: ProgressCallback | None = None,
) -> list[Evaluation]:
    """Measure methods on every sample. With a folder it may be stopped at any time; another call goes on from there.

    Args:
        methods: rows, see `METHODS`.
        dataset: samples by number, with their disparity.
        settings: how.
        entrants: further rows.
        folder: where each result is kept as soon as it is there, in ``found/METHOD/SAMPLE.pt``; see `open_folder`.
        progress: called with (done, total) results.

    Raises:
        ValueError: the data set is empty, two rows have one name, the folder is of a comparison with other settings, or a file
            in it is damaged.
        OSError: the folder cannot be used.
    """
    samples = count_samples("dataset", dataset)
    rows: list[Method | Entrant] = [*methods, *entrants]
    if len({row.name for row in rows}) < len(rows):
        raise ValueError(f"methods are {', '.join(row.name for row in rows)}; expected different names")
    if folder is not None:
        open_folder(Path(folder), settings)
    results: list[list[Result]] = [[] for _ in rows]
    done = 0
    for number in range(samples):
        pair = _Pair(dataset[number], settings)
        for row, found in zip(rows, results, strict=True):
            found.append(_result(row, pair, folder))
            done += 1
            if progress is not None:
                progress(done, samples * len(rows))
    return [Evaluation(row.title, found) for row, found in zip(rows, results, strict=True)]


def ratios(evaluations: Sequence[Evaluation], metric: str, to: str) -> dict[str, tuple[float, float, float]]:
    """How a metric compares with that of the evaluation with the title `to`, on the same samples, by title.

    Returns:
        The ratio of the means; then the mean and the standard deviation of the samples' own ratios (0 of a single one). Rows
        in which a sample lacks the metric, or in which that of `to` is 0, are left out.

    Raises:
        ValueError: there is no evaluation of this title.
    """
    base = next((each for each in evaluations if each.title == to), None)
    if base is None:
        raise ValueError(f"to is {to!r}; expected one of {', '.join(repr(each.title) for each in evaluations)}")
    found = {}
    below = [result.metrics[metric] for result in base.results]
    for each in evaluations:
        pairs = list(zip([result.metrics[metric] for result in each.results], below, strict=True))
        numbers = [(a, b) for a, b in pairs if a is not None and b]
        if each is base or len(numbers) < len(pairs):
            continue
        own = [a / b for a, b in numbers]
        mean_ratio = fmean(a for a, _ in numbers) / fmean(b for _, b in numbers)
        found[each.title] = (mean_ratio, fmean(own), stdev(own) if len(own) > 1 else 0.0)
    return found


def constant_start(observation: Observation) -> Estimate:
    """The beginning that knows nothing: one disparity for all of a view, by which the first picture is blurred a little.

    The radius is 2 px, halfway between those at which GaussPSF as printed loses its gradient, on the side of the focus where
    the range of disparities is longer. The confidence is 0.
    """
    seen = observation
    focus, blur = seen.focus[:, 0], seen.blur[:, 0]
    side = torch.where(seen.near - focus >= focus - seen.far, 1.0, -1.0)
    disparity = (focus + side * _CONSTANT_PX / blur).clamp(seen.far, seen.near)
    everywhere = torch.ones_like(seen.all_in_focus[:, :1])
    return Estimate(everywhere * disparity[:, None, None, None], torch.zeros_like(everywhere))


class _Pair:
    """A sample, and the sweep's result on it, which most optimisations begin with."""

    def __init__(self, sample: Sample, settings: CompareSettings) -> None:
        self.sample, self.settings = sample, settings
        self._start: Estimate | None = None
        # So that a result is never taken for that of another sample of this name.
        self.digest = value_digest((sample.all_in_focus, sample.blurred, sample.blur, sample.focus))

    def start(self, method: Method, seen: Observation) -> Estimate:
        if method.start == "constant":
            return constant_start(seen)
        if self._start is None:
            self._start = plane_sweep(seen)
        return self._start

    def measure(self, row: Method | Entrant) -> Result:
        if isinstance(row, Entrant):
            estimator, layer = row.estimator, row.layer
        else:
            estimator, layer = self._estimator(row)
        if layer is not None:
            layer.eval()
        reblur = Reblur(layer, self.settings.rays)
        return measure_sample(estimator, self.sample, reblur, self.settings.aperture, torch.device("cpu"))

    def _estimator(self, method: Method) -> tuple[Estimator, DefocusLayer | None]:
        if method.layer is None and method.is_ours:
            return lambda seen: snap_to_edges(seen, plane_sweep(seen).disparity).disparity, None
        if method.layer is None:
            return lambda seen: plane_sweep(seen).disparity, None
        settings = method.settings(self.settings.steps)

        def optimized(seen: Observation) -> Optimized:
            return optimize(seen, method.new_layer(), settings, initial=self.start(method, seen))

        return optimized, method.new_layer()


def _result(row: Method | Entrant, pair: _Pair, folder: Path | None) -> Result:
    """From the folder, or else measured and put there."""
    if folder is None:
        return pair.measure(row)
    belongs_to = {"row": repr(row) if isinstance(row, Method) else row.name, "sample": pair.digest}
    kept = Checkpoint(Path(folder) / FOUND / row.name / f"{pair.sample.name}.pt", "method or sample", belongs_to)
    state = kept.load()
    if state is not None:
        return Result(pair.sample.name, **state)
    result = pair.measure(row)
    kept.path.parent.mkdir(parents=True, exist_ok=True)
    kept.save({"metrics": dict(result.metrics), "seconds": result.seconds, "disparity": result.disparity})
    return result


def open_folder(folder: Path, settings: CompareSettings) -> None:
    """Begin a comparison in a folder that is new or empty, or make sure that the one there has the same settings.

    Raises:
        ValueError: it has others, or its file is damaged.
        OSError: the folder holds something else, is none, or cannot be made.
    """
    record = {"steps": settings.steps, "rays": settings.rays, "aperture": value_digest(settings.aperture)}
    open_record(folder, RUN, "comparison", {"format": _FORMAT, "version": __version__, **record})
