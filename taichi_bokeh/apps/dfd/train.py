"""``taichi-bokeh dfd train`` and ``dfd eval``: train a network for depth from defocus, and measure what it found."""

import os
import sys
from collections.abc import Sequence
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taichi_bokeh.apps.options.aperture import ApertureRequest
from taichi_bokeh.apps.options.arguments import not_negative, positive, whole, whole_from_0
from taichi_bokeh.apps.options.model import device_of
from taichi_bokeh.apps.options.requests import opt

if TYPE_CHECKING:
    import torch

    from taichi_bokeh.dfd.data.dataset import DefocusDataset
    from taichi_bokeh.dfd.evaluation.evaluate import Evaluation
    from taichi_bokeh.dfd.training.log import TrainStep
    from taichi_bokeh.dfd.training.settings import TrainSettings

_SPEED_OVER_S = 60.0

_TRAIN_EXAMPLES = """\
examples:
  taichi-bokeh dfd train --data pairs --supervised --out depth
  taichi-bokeh dfd train --data pairs --layer scatter --steps 20000 --out reblur --validate-on-rest --workers 4
  taichi-bokeh dfd train --data pairs --layer scatter --steps 20000 --out reblur --validate-on-rest --workers 4 --resume
  taichi-bokeh dfd train --data pairs --layer planes --objective l1+tv --out aperture-supervision
  torchrun --standalone --nproc-per-node 4 -m taichi_bokeh dfd train --data pairs --layer splat --batch 32 --out reblur

Ctrl-C stops after the step under way, which a checkpoint then has; killed, a training loses the steps since its last one. The
same command with --resume goes on, on the CPU to the same numbers. With --layer no depth is needed: the all-in-focus picture is
blurred by the network's disparity and compared with the observed one; with --layer planes it is the composite of planes, by the
probability that the network gives to each. Under torchrun each process takes its share of the batch, and a GPU of its own if
there are any.
"""

_EVAL_EXAMPLES = """\
examples:
  taichi-bokeh dfd eval --data pairs --training depth --out results
  taichi-bokeh dfd eval --data pairs --training depth reblur --layer scatter --rays 2048 --split validation --out results

Errors are in pixels of the radius of the circle of confusion. The plane sweep, which needs no training, has a row as well.
Pictures: all-in-focus, blurred, true disparity; then for each row its disparity, and its error from 0 (dark) to 3 px.
"""


TRAIN_TEXTS = {
    "help": "train a network, by known depth or by blurring again",
    "description": "Train a network for depth from defocus.",
    "epilog": _TRAIN_EXAMPLES,
}
EVAL_TEXTS = {
    "help": "measure trained networks, and the plane sweep, on a data set",
    "description": "Measure estimates of depth from defocus against the truth.",
    "epilog": _EVAL_EXAMPLES,
}


@dataclass(frozen=True, kw_only=True)
class DataRequest:
    """A data set, a network for it, and where that computes."""

    data: Path = opt("data set, as dfd generate makes it", "DIR", Path, default=MISSING, required=True)
    skip_damaged: bool = opt("read all of it first, and leave damaged samples out", default=False)
    network: str = opt("unet, or package.module:function of your own (%(default)s)", "NAME", default="unet")
    device: str | None = opt("where to compute (a GPU if there is one)", choices=("cpu", "cuda"))
    quiet: bool = opt("print nothing, show no progress", default=False)


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """A training."""

    uses: DataRequest
    out: Path = opt("folder for the checkpoint and the log, made if need be", "DIR", Path, default=MISSING, required=True)
    validate_on_rest: bool = opt("train on nine tenths of it, and measure by the rest", default=False)
    supervised: bool = opt("learn from the true disparity", default=False, one_of="given", needed=True)
    layer: str | None = opt("learn by blurring again with this layer: scatter, splat, …", "NAME", one_of="given", needed=True)
    objective: str | None = opt("of --layer: l1+g, l1+g+ssim, l1+g+hssim, l1+tv, gausspsf (l1+g)", "NAME")
    border: int | None = opt("of --layer: at each side, left out of the loss (8)", "PX", whole_from_0)
    steps: int | None = opt("how many (2000)", "N", whole, group="training")
    batch: int | None = opt("samples a step, of all processes together (4)", "N", whole, group="training")
    crop: int | None = opt("side of the random crops, 0 for whole pictures (96)", "PX", whole_from_0, group="training")
    no_flips: bool = opt("do not flip and transpose the samples at random", default=False, group="training")
    noise: float | None = opt("of a sensor, added anew: deviation in the dark, white is 1", "S", not_negative, group="training")
    photons: float | None = opt("the noise of so many photons in a pixel at white, too", "N", positive, group="training")
    lr: float | None = opt("the largest learning rate (0.002)", "RATE", positive, group="training")
    schedule: str | None = opt("of the learning rate (one-cycle)", choices=("one-cycle", "cosine"), group="training")
    amp: str | None = opt(
        "the network's arithmetic; float16 needs a GPU (float32)", choices=("bfloat16", "float16"), group="training"
    )
    seed: int = opt("of all that is random (%(default)s)", "N", whole_from_0, default=0, group="training")
    aperture: ApertureRequest = ApertureRequest()
    resume: bool = opt("go on from the checkpoint in DIR", default=False, group="work")
    checkpoint_every: int | None = opt("steps between two checkpoints (200)", "N", whole, group="work")
    workers: int = opt("processes that read samples (%(default)s)", "N", whole_from_0, default=0, group="work")
    tensorboard: bool = opt("also write events for TensorBoard into DIR/tensorboard", default=False, group="work")


@dataclass(frozen=True, kw_only=True)
class EvalRequest:
    """Estimates to be measured."""

    uses: DataRequest
    out: Path = opt("folder for tables and pictures, made if need be", "DIR", Path, default=MISSING, required=True)
    overwrite: bool = opt("replace those of an earlier run", default=False)
    split: str = opt("part of it (%(default)s)", choices=("all", "train", "validation"), default="all")
    training: Sequence[Path] = opt("what dfd train has made, one or several", "DIR", Path, nargs="+", default=())
    no_sweep: bool = opt("without the row of the plane sweep", default=False)
    layer: str | None = opt("also score the pictures of this layer: scatter, splat, …", "NAME")
    rays: int = opt("a pixel, to trace the found depth; 0: do not (%(default)s)", "N", whole_from_0, default=512)
    pictures: int = opt("write those of the first N samples (%(default)s)", "N", whole_from_0, default=8)
    aperture: ApertureRequest = ApertureRequest()


def train_command(request: TrainRequest) -> None:
    """Run the command: see ``taichi-bokeh dfd train --help``, and `apps.dfd.command` for what it raises."""
    from taichi_bokeh.dfd.training.distributed import one_gpu_a_process

    one_gpu_a_process()
    from taichi_bokeh.apps.common import given, speaker
    from taichi_bokeh.apps.interrupt import deferred_interrupt
    from taichi_bokeh.apps.progress import progress_bar
    from taichi_bokeh.dfd.training.settings import Work
    from taichi_bokeh.dfd.training.train import train

    settings = _settings(request)
    layer = _layer(request.layer)
    dataset = _dataset(request.uses, "train" if request.validate_on_rest else "all")
    validation = _dataset(request.uses, "validation") if request.validate_on_rest else None
    network = _network(request.uses, request.seed)
    own = given(request, "checkpoint_every")
    work = Work(workers=request.workers, tensorboard=request.tensorboard, validation=validation, **own)
    is_first = os.environ.get("RANK", "0") == "0"
    is_quiet, folder = request.uses.quiet or not is_first, request.out
    say = speaker(is_quiet)
    try:
        with (
            progress_bar("training", is_quiet, speed_over_s=_SPEED_OVER_S) as progress,
            deferred_interrupt() as raise_if_wanted,
        ):

            def on_step(report: "TrainStep") -> None:
                if progress is not None:
                    progress(report.step, settings.steps)
                if report.step % work.checkpoint_every == 0 or report.step == settings.steps:
                    validation = report.validation_rmse_px
                    found = "" if validation is None else f", validation RMSE {validation:.3f} px"
                    say(f"step {report.step} of {settings.steps}: loss {report.loss:.4f}{found}")
                raise_if_wanted()

            train(settings, network, dataset, layer, folder=folder, resume=request.resume, work=work, on_step=on_step)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_how_to_go_on(folder, settings.steps)) from None
    say(f"written: the network after {settings.steps} steps in {folder}")


def _how_to_go_on(folder: Path, steps: int) -> str:
    from taichi_bokeh.dfd.training.checkpoint import NAME, load_checkpoint

    if not (folder / NAME).exists():
        return "before the first checkpoint; nothing is kept"
    _, state = load_checkpoint(folder)
    return f"{len(state['losses'])} of {steps} steps are in {folder}; the same command with --resume goes on from there"


def eval_command(request: EvalRequest) -> None:
    """Run the command: see ``taichi-bokeh dfd eval --help``, and `apps.dfd.command` for what it raises."""
    from taichi_bokeh.apps.common import check_folder, speaker
    from taichi_bokeh.dfd.evaluation.files import PICTURES, TABLES, markdown, picture_of, write_evaluations, write_picture

    say, folder = speaker(request.uses.quiet), request.out
    if request.no_sweep and not request.training:
        raise ValueError("--no-sweep leaves nothing to measure; give --training DIR")
    dataset = _dataset(request.uses, request.split)
    shown = range(min(request.pictures, len(dataset)))
    check_folder(folder, [folder / name for name in TABLES], request.overwrite)
    if folder.is_dir():
        check_folder(folder / PICTURES, [picture_of(folder, dataset.names[k]) for k in shown], request.overwrite)
    evaluations = _evaluations(request, dataset)
    write_evaluations(folder, evaluations)
    for number in shown:
        write_picture(folder, dataset[number], evaluations, number)
    say(markdown(evaluations))
    say(f"written: tables of {len(dataset)} samples in {folder}")


def _evaluations(request: EvalRequest, dataset: "DefocusDataset") -> "list[Evaluation]":
    from taichi_bokeh.apps.photo.lens import aperture_of
    from taichi_bokeh.apps.progress import progress_bar
    from taichi_bokeh.dfd.estimate.plane_sweep import plane_sweep
    from taichi_bokeh.dfd.evaluation.evaluate import Estimator, Reblur, evaluate
    from taichi_bokeh.dfd.training.checkpoint import load_weights

    reblur = Reblur(_layer(request.layer), request.rays)
    device, aperture = device_of(request.uses.device), aperture_of(request.aperture)
    estimators: list[tuple[str, Estimator]] = []
    for training in request.training:
        network = _network(request.uses)
        steps = load_weights(training, network)
        estimators.append((f"{training}, {steps} steps", network))
    if not request.no_sweep:
        estimators.append(("plane sweep", lambda seen: plane_sweep(seen).disparity))
    evaluations = []
    for title, estimator in estimators:
        with progress_bar(title, request.uses.quiet) as progress:
            found = evaluate(estimator, dataset, title, reblur, aperture=aperture, device=device, progress=progress)
            evaluations.append(found)
    return evaluations


def _settings(request: TrainRequest) -> "TrainSettings":
    from taichi_bokeh.apps.common import given
    from taichi_bokeh.apps.photo.lens import aperture_of
    from taichi_bokeh.dfd.data.augment import Noise
    from taichi_bokeh.dfd.losses import Objective
    from taichi_bokeh.dfd.training.settings import TrainSettings

    renamed = {"lr": "learning_rate", "amp": "precision", "border": "border_px"}
    values = given(request, "steps", "batch", "schedule", **renamed)
    for option in ("objective", "border"):
        if request.supervised and getattr(request, option) is not None:
            raise ValueError(f"--{option} has no meaning with --supervised, which compares disparities")
    if request.objective is not None:
        values["objective"] = Objective.named(request.objective)
    if request.crop is not None:
        values["crop_px"] = request.crop or None
    if request.noise is not None or request.photons is not None:
        values["noise"] = Noise(request.noise or 0.0, request.photons)
    aperture = aperture_of(request.aperture)
    if not (aperture.is_disc or request.no_flips):
        raise ValueError(f"the opening is no disc ({aperture.not_a_disc}): give --no-flips, as a flip would flip it, too")
    return TrainSettings(aperture=aperture, flips=not request.no_flips, seed=request.seed, **values)


def _dataset(request: DataRequest, split: Any) -> "DefocusDataset":
    from taichi_bokeh.apps.progress import progress_bar
    from taichi_bokeh.dfd.data.dataset import DefocusDataset

    dataset = DefocusDataset(request.data, split, on_error="skip" if request.skip_damaged else "raise")
    if request.skip_damaged:
        with progress_bar("reading", request.quiet) as progress:
            dataset.validate(progress)
        for path, problem in dataset.skipped:
            sys.stderr.write(f"left out: {path}: {problem}\n")
        if dataset.skipped:
            sys.stderr.write(f"left out in all: {len(dataset.skipped)}; samples that stay: {len(dataset)}\n")
    if len(dataset) == 0:
        raise ValueError(f"--data {request.data} has no samples for {split}")
    return dataset


def _network(request: DataRequest, seed: int = 0) -> "torch.nn.Module":
    import torch

    from taichi_bokeh.dfd.training.network import load_network

    if ":" in request.network and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # a console script has not the folder in which it was started
    torch.manual_seed(seed)
    return load_network(request.network).to(device_of(request.device))


def _layer(name: str | None) -> Any:
    from taichi_bokeh.dfd.layers.registry import layer_named

    return None if name is None else layer_named(name)
