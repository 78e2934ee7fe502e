"""Train a network for depth from defocus, with known depth or by blurring again, so that it can stop and go on at any step.

What it makes small is said in losses.py. A step is a function of the network, the optimiser's state, the seed and its own
number. The last two seed torch's random numbers, those of the network and the layer as well; so on the CPU a training that goes
on repeats the uninterrupted one bit for bit.
"""

import hashlib
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from math import isfinite, nan
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import Dataset

from taichi_bokeh._checks import require_type
from taichi_bokeh.dfd.data.dataset import derived_seed
from taichi_bokeh.dfd.layers.base import DefocusLayer
from taichi_bokeh.dfd.layers.planes import CompositionalPlanes
from taichi_bokeh.dfd.observation import Observation, Sample, collate
from taichi_bokeh.dfd.training.batches import Batch, Positions, batch_of, load_batches, to_device
from taichi_bokeh.dfd.training.checkpoint import checkpoint_in
from taichi_bokeh.dfd.training.distributed import Processes, processes
from taichi_bokeh.dfd.training.log import TrainLog, TrainStep
from taichi_bokeh.dfd.training.losses import disparity_loss, error_px, plane_loss
from taichi_bokeh.dfd.training.network import PlaneNetwork
from taichi_bokeh.dfd.training.settings import TrainSettings, Work, count_samples
from taichi_bokeh.models import Model
from taichi_bokeh.storage.locks import lock_of_folder, sole_run
from taichi_bokeh.storage.resumable import Checkpoint

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
    on_step: Callable[[TrainStep], None] | None = None,
) -> list[float]:
    """Train a network in place.

    Under ``torchrun`` every process calls this with the same arguments, each with a device of its own
    (`taichi_bokeh.dfd.training.distributed`); the first writes the files.

    Args:
        settings: of the training.
        network: takes an `Observation` of B views and returns their disparity [B, 1, H, W], see `network.DepthNetwork`; on the
            device that is to be used.
        dataset: samples by number, such as a `DefocusDataset`; supervised, with their disparity.
        layer: that blurs again; None: supervised. What changes in it from call to call must be in its state_dict, which is part
            of the checkpoint. A `CompositionalPlanes` and a network that gives probabilities (`network.PlaneNetwork`) are
            trained by the composite of the network's planes; with other networks it blurs their disparity.
        folder: for the checkpoint and the log; made if need be. None: nothing is written.
        resume: whether to go on from the folder's checkpoint.
        work: how to go about it; None: the defaults.
        on_step: called after every step, in the first process. If it raises, the training ends with a checkpoint of that step.

    Returns:
        The loss of every step, those before the checkpoint included.

    Raises:
        ValueError: the data set is empty or lacks disparities, the checkpoint is of another training, a loss or a gradient is
            not finite (the message names the samples), or an argument does not fit.
        OSError: the folder holds a training and is not to be resumed, or is another's who is at work in it, or cannot be used,
            or the processes cannot meet.
    """
    count_samples("dataset", dataset)
    work = work or Work()
    device = device_of(network)
    if settings.precision == "float16" and device.type != "cuda":
        raise ValueError(f"precision is 'float16' on {device.type}; expected 'float32' or 'bfloat16' there")
    with (
        ExitStack() as stack,
        processes(device) as among,
        torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
    ):
        if settings.batch % among.count:
            raise ValueError(f"batch is {settings.batch}; expected a multiple of the number of processes, {among.count}")
        training = _Training(settings, network, layer, among)
        belongs_to = training.belongs_to | {"samples": _described(dataset)}
        checkpoint = None if folder is None else checkpoint_in(folder, belongs_to)
        if folder is not None and checkpoint is not None:
            _open(Path(folder), training, checkpoint, resume)
            if among.rank == 0:  # which writes
                stack.enter_context(sole_run(lock_of_folder(Path(folder)), f"the folder {Path(folder)}"))
        positions = Positions(dataset, settings.augmentation(), settings.seed)
        steps = range(training.done, settings.steps)
        batches = load_batches(
            positions, partial(batch_of, aperture=settings.aperture), steps, settings.batch, among, work.workers
        )
        if folder is None or checkpoint is None or among.rank:
            _run(training, batches, work, on_step if among.rank == 0 else None)
        else:
            with TrainLog(Path(folder), training.done, work.tensorboard) as log:
                _run(training, batches, work, on_step, log, lambda: checkpoint.save(training.state()))
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
            estimate = _output(network, observation, settings)
        errors.append(error_px(estimate, observation, truth, (sample.name,)).square().mean().sqrt())
    network.train(was_training)
    return float(torch.stack(errors).mean())


def device_of(network: torch.nn.Module) -> torch.device:
    """Where the network is.

    Raises:
        TypeError: it is no torch module.
        ValueError: it has no parameters.
    """
    require_type("network", network, torch.nn.Module, "a torch.nn.Module")
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
        self._planes = _plane_network(network, layer)
        model = network if self._planes is None else _Probabilities(self._planes)
        self._model = DistributedDataParallel(model) if among.count > 1 else model
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
        layer = _layer_text(self.layer) + (", of probabilities" if self._planes is not None else "")
        return {"network": network, "layer": layer, **self.settings.described()}

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

    def step(self, batch: Batch) -> TrainStep:
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
        return TrainStep(self.done, mean, rate, norm if isfinite(norm) else None)

    def _loss(self, batch: Batch) -> Tensor:
        observation, truth = to_device(batch.observation, batch.disparity, self.device)
        channels = 1 if self._planes is None else len(self._planes.disparities(observation))
        found = _output(self._model, observation, self.settings, channels)
        if not bool(torch.isfinite(found).all()):
            return found.new_full((), nan)  # which stops all processes together
        if self.layer is None:
            return error_px(found, observation, truth, batch.names).mean()
        if self._planes is not None:
            return plane_loss(found, self._planes.disparities(observation), observation, self.settings)
        return disparity_loss(self.layer, found, observation, self.settings)

    def _samples(self, batch: Batch) -> str:
        where = f" of process {self.among.rank}" if self.among.count > 1 else ""
        return f"the samples{where} were {', '.join(batch.names)}"


class _Probabilities(torch.nn.Module):
    """A network's probabilities as the output of a module, the only one that several processes share the gradients of."""

    def __init__(self, network: PlaneNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, observation: Observation) -> Tensor:
        return self.network.probabilities(observation)


def _plane_network(network: torch.nn.Module, layer: DefocusLayer | None) -> PlaneNetwork | None:
    """The network, if its planes are what is trained."""
    if not (isinstance(layer, CompositionalPlanes) and isinstance(network, PlaneNetwork)):
        return None
    if layer.planes is not None:
        raise ValueError("layer has planes of its own; expected none, as those of the network are composited")
    return network


def _run(
    training: _Training,
    batches: Iterable[Batch],
    work: Work,
    on_step: Callable[[TrainStep], None] | None,
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
            try:
                on_step(report)
            except BaseException:
                if save is not None and not is_due:
                    save()
                raise


def _open(folder: Path, training: _Training, checkpoint: Checkpoint, resume: bool) -> None:
    """Make the folder, or go on in it."""
    among = training.among
    if resume:
        state = checkpoint.load()
        if state is None:
            raise FileNotFoundError(f"{checkpoint.path} does not exist; there is nothing to go on from")
        training.restore(state)
        return
    if checkpoint.path.exists():
        raise FileExistsError(f"{folder} holds a training already; resume it, or give another folder")
    if among.rank == 0:
        folder.mkdir(exist_ok=True)
    among.wait()


def _output(network: torch.nn.Module, observation: Observation, settings: TrainSettings, channels: int = 1) -> Tensor:
    """What the network gives, [B, channels, H, W], of the observation's dtype."""
    kind = _AUTOCAST[settings.precision]
    pictures = observation.all_in_focus
    with torch.autocast(pictures.device.type, kind, enabled=kind is not None):
        output = network(observation)
    expected = (observation.batch, channels, *pictures.shape[-2:])
    if not isinstance(output, Tensor) or output.shape != expected:
        came = list(output.shape) if isinstance(output, Tensor) else f"a {type(output).__name__}"
        what = "disparity" if channels == 1 else "probabilities"
        raise ValueError(f"network returned {came}; expected the {what}, {list(expected)}")
    return output.to(pictures.dtype)


def _layer_text(layer: DefocusLayer | None) -> str:
    """The layer with its settings."""
    if layer is None:
        return "none, supervised"
    settings = [
        f"{name} {value}"
        for name, value in vars(layer).items()
        if not name.startswith("_")
        and name not in ("training", "title")
        and isinstance(value, bool | int | float | str | tuple | Model)
    ]
    return ", ".join([f"{type(layer).__qualname__} ({layer.title})", *settings])


def _described(dataset: Dataset[Sample]) -> str:
    """How many samples, and, where they have names, a digest of these."""
    names = getattr(dataset, "names", None)
    digest = "" if names is None else f", names {hashlib.sha256(repr(list(names)).encode()).hexdigest()[:12]}"
    return f"{count_samples('dataset', dataset)}{digest}"
