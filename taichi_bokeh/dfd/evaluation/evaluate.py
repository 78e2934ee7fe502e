"""Measure an estimator of disparity on a data set: against the true depth, and by the pictures that its depth explains."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from statistics import fmean, median

import torch
from torch import Tensor
from torch.utils.data import Dataset

from taichi_bokeh._checks import Bounded, require_float_tensor, require_integer, require_shape, require_values
from taichi_bokeh._render import ProgressCallback
from taichi_bokeh.dfd.estimate.optimize import Optimized
from taichi_bokeh.dfd.estimate.variables import require_two
from taichi_bokeh.dfd.evaluation.metrics import (
    DepthMetrics,
    MeanStd,
    PictureScores,
    edge_band,
    measure_depth,
    retrace_layers,
    score_picture,
    summarise,
)
from taichi_bokeh.dfd.layers.base import DefocusLayer, single_layer
from taichi_bokeh.dfd.observation import Observation, Sample, collate
from taichi_bokeh.dfd.training.batches import to_device
from taichi_bokeh.dfd.training.settings import count_samples
from taichi_bokeh.dfd.training.train import device_of
from taichi_bokeh.layers import Layers
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.thin_lens import ThinLens

#: Takes the observation of one view to its disparity [1, 1, H, W], or to what an optimisation has found.
Estimator = Callable[[Observation], Tensor | Optimized]

DEPTH_METRICS = tuple(part.name for part in fields(DepthMetrics))
PICTURE_METRICS = ("own_psnr_db", "own_ssim", "retrace_psnr_db", "retrace_ssim", "retrace_edge_psnr_db")
#: What is measured of every sample: errors of depth, then how well the layer's and the ray tracer's pictures fit.
METRICS = (*DEPTH_METRICS, *PICTURE_METRICS)


@dataclass(frozen=True, eq=False)
class Result:
    """What was found on a sample.

    Attributes:
        name: of the sample.
        metrics: by the names in `METRICS`; None where it was not asked for, or needs a depth that is not known.
        seconds: that the estimator took.
        disparity: the estimate, [1, H, W], on the CPU.
    """

    name: str
    metrics: dict[str, float | None]
    seconds: float
    disparity: Tensor


@dataclass(frozen=True, eq=False)
class Evaluation:
    """An estimator's results on a data set.

    Attributes:
        title: what tables call the estimator.
        results: one for each sample, in the set's order.
    """

    title: str
    results: Sequence[Result]

    def summary(self) -> dict[str, MeanStd | None]:
        """Mean and deviation of each metric over the samples that have it."""
        return summarise([result.metrics for result in self.results])

    @property
    def seconds(self) -> float:
        """The median over the samples."""
        return median(result.seconds for result in self.results)


@dataclass(frozen=True)
class Reblur:
    """How estimates are blurred again, to compare the result with the observed pictures; the means are over these.

    Attributes:
        layer: whose own score is measured; None: none. It says how well the layer can explain the picture, by whatever depth.
            For what was found as two layers, it must be one that blurs two.
        rays: a pixel, for the score of `metrics.retrace_layers`, which says how well the depth explains it; 0: none.
            What was found as layers is traced as layers.

    Raises:
        TypeError, ValueError: rays is no integer from 0 up.
    """

    layer: DefocusLayer | None = None
    rays: int = 0

    def __post_init__(self) -> None:
        require_integer("rays", self.rays, at_least=0)


def evaluate(
    estimator: Estimator,
    dataset: Dataset[Sample],
    title: str,
    reblur: Reblur = Reblur(),
    *,
    aperture: Aperture = Aperture(),
    device: torch.device | None = None,
    progress: ProgressCallback | None = None,
) -> Evaluation:
    """Measure an estimator on every sample, one at a time.

    Errors are in pixels of the circle of confusion of that picture of a sample that has the largest blur.

    Args:
        estimator: takes the observation of one view to its disparity [1, 1, H, W], like
            ``lambda seen: plane_sweep(seen).disparity``, or to what `optimize` found. A torch
            module is put into evaluation mode meanwhile, without gradients.
        dataset: samples by number, with their disparity or without.
        title: what tables call the estimator.
        reblur: which pictures to compare, too.
        aperture: that the samples were taken with.
        device: for the observations and the layer; None: that of the module, else the CPU. A process can blur and trace on one
            kind of device only.
        progress: called with (done, total) samples.

    Raises:
        ValueError: the data set is empty, or an estimate has a wrong shape or is not finite; the message names the sample.
    """
    count = count_samples("dataset", dataset)
    module = estimator if isinstance(estimator, torch.nn.Module) else None
    if device is None:
        device = torch.device("cpu") if module is None else device_of(module)
    modules = [part for part in (module, reblur.layer) if part is not None]
    were_training = [part.training for part in modules]
    for part in modules:
        part.eval()
    if reblur.layer is not None:
        reblur.layer.to(device)
    try:
        results = []
        for number in range(count):
            results.append(measure_sample(estimator, dataset[number], reblur, aperture, device))
            if progress is not None:
                progress(number + 1, count)
    finally:
        for part, was_training in zip(modules, were_training, strict=True):
            part.train(was_training)
    return Evaluation(title, results)


def measure_sample(estimator: Estimator, sample: Sample, reblur: Reblur, aperture: Aperture, device: torch.device) -> Result:
    """Measure an estimator on one sample; see `evaluate`, which does so for a whole set.

    Raises:
        ValueError: the estimate has a wrong shape or is not finite; the message names the sample.
    """
    seen, _ = to_device(*collate([sample], aperture), device)
    start = time.perf_counter()
    with torch.set_grad_enabled(not isinstance(estimator, torch.nn.Module)):
        found = estimator(seen)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    seconds = time.perf_counter() - start
    return _measured(found, sample, seen, reblur, seconds)


@torch.no_grad()
def _measured(found: Tensor | Optimized, sample: Sample, seen: Observation, reblur: Reblur, seconds: float) -> Result:
    estimate = found.disparity if isinstance(found, Optimized) else found
    _require_estimate(estimate, sample)
    estimate = estimate.to(seen.all_in_focus)
    layers = found.layers if isinstance(found, Optimized) else single_layer(seen.all_in_focus, estimate)
    metrics: dict[str, float | None] = dict.fromkeys(METRICS)
    edge = None
    if sample.disparity is not None:
        most = int(sample.blur.argmax())
        lens = ThinLens(float(sample.blur[most]), float(sample.focus[most]), seen.aperture)
        metrics |= measure_depth(estimate[0], sample.disparity, lens, sample.all_in_focus).as_dict()
        edge = edge_band(float(lens.blur) * sample.disparity[0])
    layer = reblur.layer
    if layer is not None:
        own = _compare(lambda lens: _blurred(layer, layers, lens), seen, edge)
        metrics |= {"own_psnr_db": own.psnr, "own_ssim": own.ssim}
    if reblur.rays:
        traced = _compare(lambda lens: retrace_layers(layers, lens, reblur.rays), seen, edge)
        metrics |= {"retrace_psnr_db": traced.psnr, "retrace_ssim": traced.ssim, "retrace_edge_psnr_db": traced.edge_psnr}
    return Result(sample.name, metrics, seconds, estimate[0].cpu())


def _blurred(layer: DefocusLayer, layers: Layers, lens: ThinLens) -> Tensor:
    """[B, 3, H, W]."""
    if layers.count == 1:
        picture: Tensor = layer(layers.rgb[:, 0], layers.disparity[:, 0], lens)
        return picture
    return require_two(layer).surfaces(layers.rgb, layers.alpha, layers.disparity, lens)


def _compare(blurred: Callable[[ThinLens], Tensor], observation: Observation, edge: Tensor | None) -> PictureScores:
    """The mean scores over the pictures of one view."""
    scores = [score_picture(blurred(observation.lens(k))[0], observation.blurred[0, k], edge) for k in range(observation.count)]
    at_edges = [score.edge_psnr for score in scores if score.edge_psnr is not None]
    return PictureScores(
        psnr=fmean(score.psnr for score in scores),
        ssim=fmean(score.ssim for score in scores),
        edge_psnr=fmean(at_edges) if at_edges else None,
    )


def _require_estimate(estimate: Tensor, sample: Sample) -> None:
    try:
        require_float_tensor("the estimate", estimate)
        require_shape("the estimate", estimate, 1, 1, *sample.all_in_focus.shape[-2:])
        require_values({"the estimate": Bounded(estimate)})
    except (TypeError, ValueError) as error:
        raise type(error)(f"sample {sample.name}: {error}") from None
