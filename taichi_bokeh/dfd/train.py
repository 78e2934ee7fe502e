"""Train a network for depth from defocus, with known depth or by blurring again, so that it can stop and go on at any step.

    supervised:       mean of K·|d̂ − d|, px of the circle of confusion (K: the largest blur of a view)
    self-supervised:  the `Objective` of layer(all-in-focus, d̂) against the picture that was observed

A step is a function of the network, the optimiser's state, the seed and its own number. The last two seed torch's random
numbers, those of the network and the layer as well; so on the CPU a training that goes on repeats the uninterrupted one bit for
bit.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from math import isfinite, nan
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import Dataset

from taichi_bokeh.dfd.batches import Batch, Collate, Positions, derived_seed, load_batches, to_device
from taichi_bokeh.dfd.checkpoint import NAME, load_checkpoint, require_same, save_checkpoint
from taichi_bokeh.dfd.defocus import DefocusLayer
from taichi_bokeh.dfd.distributed import Processes, processes
from taichi_bokeh.dfd.observation import Observation, Sample, collate
from taichi_bokeh.dfd.train_log import Report, TrainLog
from taichi_bokeh.dfd.train_settings import TrainSettings, Work, count_samples

_AUTOCAST = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}


def train(
    settings: TrainSettings,
    network: torch.nn.Module,
    dataset: Dataset[Sample],
    layer: DefocusLayer | None = None,
    *,
    folder: Path | None = None,
    resume: bool = False,
    work: Work | None = None,
    on_step: Callable[[Report], None] | None = None,
) -> list[float]:
    """Train a network in place.

    Under ``torchrun`` every process calls this with the same arguments, each with a device of its own
    (`taichi_bokeh.dfd.distributed`); the first writes the files.

    Args:
        settings: of the training.
        network: takes an `Observation` of B views and returns their disparity [B, 1, H, W], see `network.DepthNetwork`; on the
            device that is to be used.
        dataset: samples by number, such as a `DefocusDataset`; supervised, with their disparity.
        layer: that blurs again; None: supervised. What changes in it from call to call must be in its state_dict, which is part
            of the checkpoint.
        folder: for the checkpoint and the log; made if need be. None: nothing is written.
        resume: whether to go on from the folder's checkpoint.
        work: how to go about it; None: the defaults.
        on_step: called after every step, in the first process.

    Returns:
        The loss of every step, those before the checkpoint included.

    Raises:
        ValueError: the data set is empty or lacks disparities, the checkpoint is of another training, a loss or a gradient is
            not finite (the message names the samples), or an argument does not fit.
        OSError: the folder holds a training and is not to be resumed, or cannot be used, or the processes cannot meet.
    """
    count_samples("dataset", dataset)
    work = work or Work()
    device = device_of(network)
    if settings.precision == "float16" and device.type != "cuda":
        raise ValueError(f"precision is 'float16' on {device.type}; expected 'float32' or 'bfloat16' there")
    with processes(device) as among, torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        if settings.batch % among.count:
            raise ValueError(f"batch is {settings.batch}; expected a multiple of the number of processes, {among.count}")
        training = _Training(settings, network, layer, among)
        belongs_to = training.belongs_to | {"samples": _described(dataset)}
        if folder is not None:
            _open(Path(folder), training, belongs_to, resume)
        positions = Positions(dataset, settings.augmentation(), settings.seed)
        steps = range(training.done, settings.steps)
        batches = load_batches(positions, Collate(settings.aperture), steps, settings.batch, among, work.workers)
        if folder is None or among.rank:
            _run(training, batches, work, on_step if among.rank == 0 else None)
        else:
            with TrainLog(Path(folder), training.done, work.tensorboard) as log:
                _run(training, batches, work, on_step, log, lambda: save_checkpoint(Path(folder), belongs_to, training.state()))
    return training.losses


def validation_rmse(network: torch.nn.Module, dataset: Dataset[Sample], settings: TrainSettings) -> float:
    """Root mean squared error of the disparity, px of the circle of confusion: the mean over the samples.

    Args:
        network: as of `train`; in evaluation mode meanwhile.
        dataset: samples with disparity.
        settings: those of the training.

    Raises:
        ValueError: the data set is empty or lacks disparities.
    """
    device, was_training = device_of(network), network.training
    network.eval()
    errors = []
    for number in range(count_samples("dataset", dataset)):
        sample = dataset[number]
        observation, truth = to_device(*collate([sample], settings.aperture), device)
        with torch.no_grad():
            estimate = _estimate(network, observation, settings)
        errors.append(_error_px(estimate, observation, truth, (sample.name,)).square().mean().sqrt())
    network.train(was_training)
    return float(torch.stack(errors).mean())


def device_of(network: torch.nn.Module) -> torch.device:
    """Where the network is.

    Raises:
        TypeError: it is no torch module.
        ValueError: it has no parameters.
    """
    if not isinstance(network, torch.nn.Module):
        raise TypeError(f"network is of type {type(network).__name__}; expected a torch.nn.Module")
    parameters = list(network.parameters())
    if not parameters:
        raise ValueError("network has no parameters; expected some to train")
    return parameters[0].device


class _Training:
    """A network with all that changes while it is trained."""

    def __init__(self, settings: TrainSettings, network: torch.nn.Module, layer: DefocusLayer | None, among: Processes) -> None:
        self.settings, self.network, self.layer, self.among = settings, network.train(), layer, among
        self.losses: list[float] = []
        self.device = device_of(network)
        self._model = DistributedDataParallel(network) if among.count > 1 else network
        self._optimizer = torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=settings.precision == "float16")
        if layer is not None:
            layer.to(self.device).train()

    @property
    def done(self) -> int:
        """How many steps."""
        return len(self.losses)

    @property
    def belongs_to(self) -> dict[str, str]:
        """What another training must have in common with this one to go on from its checkpoint."""
        shapes = [(name, tuple(value.shape), value.dtype) for name, value in self.network.state_dict().items()]
        structure = hashlib.sha256(f"{self.network!r} {shapes}".encode()).hexdigest()[:12]
        network = f"{type(self.network).__module__}.{type(self.network).__qualname__} of the structure {structure}"
        return {"network": network, "layer": _layer_text(self.layer), **self.settings.described()}

    def state(self) -> dict[str, Any]:
        """All that the next step depends on, for a checkpoint."""
        return {
            "losses": self.losses,
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "layer": {} if self.layer is None else self.layer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a state."""
        self.losses = list(state["losses"])
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
        if self.layer is not None:
            self.layer.load_state_dict(state["layer"])

    def step(self, batch: Batch) -> Report:
        """Improve the network by a batch."""
        rate = self.settings.rate_at(self.done)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        torch.manual_seed(derived_seed(self.settings.seed, 2, self.done, self.among.rank))
        loss = self._loss(batch)
        mean = float(self.among.mean(loss.detach()))
        if not isfinite(mean):
            raise ValueError(f"the loss of step {self.done + 1} is {mean}; {self._samples(batch)}")
        self._optimizer.zero_grad()
        self._scaler.scale(loss).backward()
        self._scaler.unscale_(self._optimizer)
        norm = float(torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip_norm))
        if not isfinite(norm) and not self._scaler.is_enabled():
            raise ValueError(f"the gradient of step {self.done + 1} has the norm {norm}; {self._samples(batch)}")
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self.losses.append(mean)
        return Report(self.done, mean, rate, norm if isfinite(norm) else None)

    def _loss(self, batch: Batch) -> Tensor:
        observation, truth = to_device(batch.observation, batch.disparity, self.device)
        estimate = _estimate(self._model, observation, self.settings)
        if not bool(torch.isfinite(estimate).all()):
            return estimate.new_full((), nan)  # which stops all processes together
        if self.layer is None:
            return _error_px(estimate, observation, truth, batch.names).mean()
        return _reblurred_loss(self.layer, estimate, observation, self.settings)

    def _samples(self, batch: Batch) -> str:
        where = f" of process {self.among.rank}" if self.among.count > 1 else ""
        return f"the samples{where} were {', '.join(batch.names)}"


def _run(
    training: _Training,
    batches: Iterable[Batch],
    work: Work,
    on_step: Callable[[Report], None] | None,
    log: TrainLog | None = None,
    save: Callable[[], None] | None = None,
) -> None:
    """Do the steps; log and save are those of the process that writes."""
    among, last = training.among, training.settings.steps
    for batch in batches:
        report = training.step(batch)
        is_due = report.step % work.checkpoint_every == 0 or report.step == last
        if is_due and work.validation is not None:
            if among.rank == 0:
                error = validation_rmse(training.network, work.validation, training.settings)
                report = replace(report, validation_rmse_px=error)
            among.wait()
        if log is not None and (is_due or report.step % work.log_every == 0):
            log.write(report)
        if save is not None and is_due:
            save()
        if on_step is not None:
            on_step(report)


def _open(folder: Path, training: _Training, belongs_to: dict[str, str], resume: bool) -> None:
    """Make the folder, or go on in it."""
    among = training.among
    if resume:
        found, state = load_checkpoint(folder)
        require_same(folder, found, belongs_to)
        training.restore(state)
        return
    if (folder / NAME).exists():
        raise FileExistsError(f"{folder} holds a training already; resume it, or give another folder")
    if among.rank == 0:
        folder.mkdir(exist_ok=True)
    among.wait()


def _estimate(network: torch.nn.Module, observation: Observation, settings: TrainSettings) -> Tensor:
    """The network's disparity, of the observation's dtype."""
    kind = _AUTOCAST[settings.precision]
    pictures = observation.all_in_focus
    with torch.autocast(pictures.device.type, kind, enabled=kind is not None):
        estimate = network(observation)
    expected = (observation.batch, 1, *pictures.shape[-2:])
    if not isinstance(estimate, Tensor) or estimate.shape != expected:
        came = list(estimate.shape) if isinstance(estimate, Tensor) else f"a {type(estimate).__name__}"
        raise ValueError(f"network returned {came}; expected the disparity, {list(expected)}")
    return estimate.to(pictures.dtype)


def _error_px(estimate: Tensor, observation: Observation, truth: Tensor | None, names: tuple[str, ...]) -> Tensor:
    """K·|d̂ − d|, [B, 1, H, W]."""
    if truth is None:
        raise ValueError(f"a disparity is missing among the samples {', '.join(names)}; expected all, to compare with")
    return observation.blur.amax(1)[:, None, None, None] * (estimate - truth).abs()


def _reblurred_loss(layer: DefocusLayer, estimate: Tensor, observation: Observation, settings: TrainSettings) -> Tensor:
    picture, border = observation.all_in_focus, settings.border_px
    height, width = picture.shape[-2:]
    if min(height, width) <= 2 * border:
        raise ValueError(f"border_px is {border}; expected less than half of the pictures' size, {width}×{height} px")
    blurred = torch.stack([layer(picture, estimate, observation.lens(k)) for k in range(observation.count)], 1)
    inside = (..., slice(border, height - border), slice(border, width - border))
    loss = settings.objective.against(observation.blurred[inside].flatten(0, 1), picture[inside])
    share = (estimate - observation.far) / (observation.near - observation.far)
    return loss(blurred[inside].flatten(0, 1), share[inside]).total


def _layer_text(layer: DefocusLayer | None) -> str:
    """The layer with its settings."""
    if layer is None:
        return "none, supervised"
    settings = [
        f"{name} {value}"
        for name, value in vars(layer).items()
        if not name.startswith("_")
        and name not in ("training", "title")
        and isinstance(value, bool | int | float | str | tuple)
    ]
    return ", ".join([f"{type(layer).__qualname__} ({layer.title})", *settings])


def _described(dataset: Dataset[Sample]) -> str:
    """How many samples, and, where they have names, a digest of these."""
    names = getattr(dataset, "names", None)
    digest = "" if names is None else f", names {hashlib.sha256(repr(list(names)).encode()).hexdigest()[:12]}"
    return f"{count_samples('dataset', dataset)}{digest}"
