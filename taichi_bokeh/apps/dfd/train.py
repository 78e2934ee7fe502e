"""``taichi-bokeh dfd train`` and ``dfd eval``: train a network for depth from defocus, and measure what it found."""

import argparse
import os
import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taichi_bokeh.apps.options.aperture import ApertureRequest
from taichi_bokeh.apps.options.arguments import not_negative, positive, whole, whole_from_0
from taichi_bokeh.apps.options.model import add_device, device_of
from taichi_bokeh.apps.options.requests import add_options, request_of

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


def add_train(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add ``train`` to the commands of ``taichi-bokeh dfd``."""
    train = commands.add_parser(
        "train",
        help="train a network, by known depth or by blurring again",
        description="Train a network for depth from defocus.",
        epilog=_TRAIN_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    train.add_argument("--out", metavar="DIR", required=True, help="folder for the checkpoint and the log, made if need be")
    _add_data(train)
    train.add_argument("--validate-on-rest", action="store_true", help="train on nine tenths of it, and measure by the rest")
    loss = train.add_mutually_exclusive_group(required=True)
    loss.add_argument("--supervised", action="store_true", help="learn from the true disparity")
    loss.add_argument("--layer", metavar="NAME", help="learn by blurring again with this layer: scatter, splat, …")
    train.add_argument("--objective", metavar="NAME", help="of --layer: l1+g, l1+g+ssim, l1+g+hssim, l1+tv, gausspsf (l1+g)")
    train.add_argument("--border", metavar="PX", type=whole_from_0, help="of --layer: at each side, left out of the loss (8)")
    _add_network(train)
    how = train.add_argument_group("training")
    how.add_argument("--steps", metavar="N", type=whole, help="how many (2000)")
    how.add_argument("--batch", metavar="N", type=whole, help="samples a step, of all processes together (4)")
    how.add_argument("--crop", metavar="PX", type=whole_from_0, help="side of the random crops, 0 for whole pictures (96)")
    how.add_argument("--no-flips", action="store_true", help="do not flip and transpose the samples at random")
    how.add_argument(
        "--noise", metavar="S", type=not_negative, help="of a sensor, added anew: deviation in the dark, white is 1"
    )
    how.add_argument("--photons", metavar="N", type=positive, help="the noise of so many photons in a pixel at white, too")
    how.add_argument("--lr", metavar="RATE", type=positive, help="the largest learning rate (0.002)")
    how.add_argument("--schedule", choices=("one-cycle", "cosine"), help="of the learning rate (one-cycle)")
    how.add_argument("--amp", choices=("bfloat16", "float16"), help="the network's arithmetic; float16 needs a GPU (float32)")
    how.add_argument("--seed", metavar="N", type=whole_from_0, default=0, help="of all that is random (%(default)s)")
    add_options(train, ApertureRequest)
    work = train.add_argument_group("work")
    work.add_argument("--resume", action="store_true", help="go on from the checkpoint in DIR")
    work.add_argument("--checkpoint-every", metavar="N", type=whole, help="steps between two checkpoints (200)")
    work.add_argument("--workers", metavar="N", type=whole_from_0, default=0, help="processes that read samples (%(default)s)")
    work.add_argument("--tensorboard", action="store_true", help="also write events for TensorBoard into DIR/tensorboard")
    add_device(work)
    work.add_argument("--quiet", action="store_true", help="print nothing, show no progress")


def add_eval(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add ``eval`` to the commands of ``taichi-bokeh dfd``."""
    evaluation = commands.add_parser(
        "eval",
        help="measure trained networks, and the plane sweep, on a data set",
        description="Measure estimates of depth from defocus against the truth.",
        epilog=_EVAL_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    evaluation.add_argument("--out", metavar="DIR", required=True, help="folder for tables and pictures, made if need be")
    evaluation.add_argument("--overwrite", action="store_true", help="replace those of an earlier run")
    _add_data(evaluation)
    evaluation.add_argument("--split", choices=("all", "train", "validation"), default="all", help="part of it (%(default)s)")
    evaluation.add_argument("--training", metavar="DIR", nargs="+", default=[], help="what dfd train has made, one or several")
    _add_network(evaluation)
    add_options(evaluation, ApertureRequest)
    evaluation.add_argument("--no-sweep", action="store_true", help="without the row of the plane sweep")
    evaluation.add_argument("--layer", metavar="NAME", help="also score the pictures of this layer: scatter, splat, …")
    evaluation.add_argument(
        "--rays", metavar="N", type=whole_from_0, default=512, help="a pixel, to trace the found depth; 0: do not (%(default)s)"
    )
    evaluation.add_argument(
        "--pictures", metavar="N", type=whole_from_0, default=8, help="write those of the first N samples (%(default)s)"
    )
    add_device(evaluation)
    evaluation.add_argument("--quiet", action="store_true", help="print nothing, show no progress")


def train_command(arguments: Namespace) -> None:
    """Run the command; see ``taichi-bokeh dfd train --help``.

    Raises:
        ValueError, OSError, ModuleNotFoundError: what is wrong, in one line.
        KeyboardInterrupt: with how to go on.
    """
    from taichi_bokeh.dfd.training.distributed import one_gpu_a_process

    one_gpu_a_process()
    from taichi_bokeh.apps.common import given, speaker
    from taichi_bokeh.apps.interrupt import deferred_interrupt
    from taichi_bokeh.apps.progress import progress_bar
    from taichi_bokeh.dfd.training.settings import Work
    from taichi_bokeh.dfd.training.train import train

    settings = _settings(arguments)
    layer = None if arguments.supervised else _layer(arguments.layer)
    dataset = _dataset(arguments, "train" if arguments.validate_on_rest else "all")
    validation = _dataset(arguments, "validation") if arguments.validate_on_rest else None
    network = _network(arguments)
    work = Work(
        workers=arguments.workers,
        tensorboard=arguments.tensorboard,
        validation=validation,
        **given(arguments, "checkpoint_every"),
    )
    is_first = os.environ.get("RANK", "0") == "0"
    is_quiet, folder = arguments.quiet or not is_first, Path(arguments.out)
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
                    say(_line(report, settings.steps))
                raise_if_wanted()

            train(settings, network, dataset, layer, folder=folder, resume=arguments.resume, work=work, on_step=on_step)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_how_to_go_on(folder, settings.steps)) from None
    say(f"written: the network after {settings.steps} steps in {folder}")


def _how_to_go_on(folder: Path, steps: int) -> str:
    from taichi_bokeh.dfd.training.checkpoint import NAME, load_checkpoint

    if not (folder / NAME).exists():
        return "before the first checkpoint; nothing is kept"
    _, state = load_checkpoint(folder)
    return f"{len(state['losses'])} of {steps} steps are in {folder}; the same command with --resume goes on from there"


def eval_command(arguments: Namespace) -> None:
    """Run the command; see ``taichi-bokeh dfd eval --help``.

    Raises:
        ValueError, OSError, ModuleNotFoundError: what is wrong, in one line.
    """
    from taichi_bokeh.apps.common import check_folder, speaker
    from taichi_bokeh.dfd.evaluation.files import PICTURES, TABLES, markdown, picture_of, write_evaluations, write_picture

    say, folder = speaker(arguments.quiet), Path(arguments.out)
    if arguments.no_sweep and not arguments.training:
        raise ValueError("--no-sweep leaves nothing to measure; give --training DIR")
    dataset = _dataset(arguments, arguments.split)
    shown = range(min(arguments.pictures, len(dataset)))
    check_folder(folder, [folder / name for name in TABLES], arguments.overwrite)
    if folder.is_dir():
        check_folder(folder / PICTURES, [picture_of(folder, dataset.names[k]) for k in shown], arguments.overwrite)
    evaluations = _evaluations(arguments, dataset)
    write_evaluations(folder, evaluations)
    for number in shown:
        write_picture(folder, dataset[number], evaluations, number)
    say(markdown(evaluations))
    say(f"written: tables of {len(dataset)} samples in {folder}")


def _evaluations(arguments: Namespace, dataset: "DefocusDataset") -> "list[Evaluation]":
    from taichi_bokeh.apps.photo.lens import aperture_of
    from taichi_bokeh.apps.progress import progress_bar
    from taichi_bokeh.dfd.estimate.plane_sweep import plane_sweep
    from taichi_bokeh.dfd.evaluation.evaluate import Estimator, Reblur, evaluate
    from taichi_bokeh.dfd.training.checkpoint import load_weights

    reblur = Reblur(None if arguments.layer is None else _layer(arguments.layer), arguments.rays)
    device, aperture = device_of(arguments.device), aperture_of(request_of(ApertureRequest, arguments))
    estimators: list[tuple[str, Estimator]] = []
    for training in arguments.training:
        network = _network(arguments)
        steps = load_weights(Path(training), network)
        estimators.append((f"{training}, {steps} steps", network))
    if not arguments.no_sweep:
        estimators.append(("plane sweep", lambda seen: plane_sweep(seen).disparity))
    evaluations = []
    for title, estimator in estimators:
        with progress_bar(title, arguments.quiet) as progress:
            found = evaluate(estimator, dataset, title, reblur, aperture=aperture, device=device, progress=progress)
            evaluations.append(found)
    return evaluations


def _settings(arguments: Namespace) -> "TrainSettings":
    from taichi_bokeh.apps.common import given
    from taichi_bokeh.apps.photo.lens import aperture_of
    from taichi_bokeh.dfd.data.augment import Noise
    from taichi_bokeh.dfd.losses import Objective
    from taichi_bokeh.dfd.training.settings import TrainSettings

    renamed = {"lr": "learning_rate", "amp": "precision", "border": "border_px"}
    values = given(arguments, "steps", "batch", "schedule", **renamed)
    for option in ("objective", "border"):
        if arguments.supervised and getattr(arguments, option) is not None:
            raise ValueError(f"--{option} has no meaning with --supervised, which compares disparities")
    if arguments.objective is not None:
        values["objective"] = Objective.named(arguments.objective)
    if arguments.crop is not None:
        values["crop_px"] = arguments.crop or None
    if arguments.noise is not None or arguments.photons is not None:
        values["noise"] = Noise(arguments.noise or 0.0, arguments.photons)
    aperture = aperture_of(request_of(ApertureRequest, arguments))
    if not (aperture.is_disc or arguments.no_flips):
        raise ValueError(f"the opening is no disc ({aperture.not_a_disc}): give --no-flips, as a flip would flip it, too")
    return TrainSettings(aperture=aperture, flips=not arguments.no_flips, seed=arguments.seed, **values)


def _dataset(arguments: Namespace, split: Any) -> "DefocusDataset":
    from taichi_bokeh.apps.progress import progress_bar
    from taichi_bokeh.dfd.data.dataset import DefocusDataset

    dataset = DefocusDataset(arguments.data, split, on_error="skip" if arguments.skip_damaged else "raise")
    if arguments.skip_damaged:
        with progress_bar("reading", arguments.quiet) as progress:
            dataset.validate(progress)
        for path, problem in dataset.skipped:
            sys.stderr.write(f"left out: {path}: {problem}\n")
        if dataset.skipped:
            sys.stderr.write(f"left out in all: {len(dataset.skipped)}; samples that stay: {len(dataset)}\n")
    if len(dataset) == 0:
        raise ValueError(f"--data {arguments.data} has no samples for {split}")
    return dataset


def _network(arguments: Namespace) -> "torch.nn.Module":
    import torch

    from taichi_bokeh.dfd.training.network import load_network

    if ":" in arguments.network and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # a console script has not the folder in which it was started
    torch.manual_seed(getattr(arguments, "seed", 0))
    return load_network(arguments.network).to(device_of(arguments.device))


def _layer(name: str) -> Any:
    from taichi_bokeh.dfd.layers.registry import layer_named

    return layer_named(name)


def _line(report: "TrainStep", steps: int) -> str:
    validation = report.validation_rmse_px
    found = "" if validation is None else f", validation RMSE {validation:.3f} px"
    return f"step {report.step} of {steps}: loss {report.loss:.4f}{found}"


def _add_data(command: argparse.ArgumentParser) -> None:
    command.add_argument("--data", metavar="DIR", required=True, help="data set, as dfd generate makes it")
    command.add_argument("--skip-damaged", action="store_true", help="read all of it first, and leave damaged samples out")


def _add_network(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--network", metavar="NAME", default="unet", help="unet, or package.module:function of your own (%(default)s)"
    )
