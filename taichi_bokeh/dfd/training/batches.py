"""The batches of a training, which follow from the seed and the number of the step alone.

Position p = step·batch + k of the training is the sample at place p mod n of the order of epoch ⌊p/n⌋, cropped and flipped by
random numbers of its own. So neither the number of workers nor that of processes has an influence, and a training that goes on
needs to know nothing but its step.
"""

import signal
from collections.abc import Callable, Iterable, Sequence, Sized
from dataclasses import replace
from typing import NamedTuple, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from taichi_bokeh.dfd.data.augment import Augmentation
from taichi_bokeh.dfd.data.dataset import derived_seed
from taichi_bokeh.dfd.observation import Observation, Sample, collate
from taichi_bokeh.dfd.training.distributed import Processes
from taichi_bokeh.optics.aperture import Aperture


class Batch(NamedTuple):
    """What a step sees.

    Attributes:
        observation: of the views.
        disparity: [B, 1, H, W], or None where it is not known.
        names: of the samples.
    """

    observation: Observation
    disparity: Tensor | None
    names: tuple[str, ...]


def to_device(observation: Observation, disparity: Tensor | None, device: torch.device) -> tuple[Observation, Tensor | None]:
    """The same on another device."""
    if observation.all_in_focus.device != device:
        names = ("all_in_focus", "blurred", "blur", "focus")
        observation = replace(observation, **{name: getattr(observation, name).to(device) for name in names})
    return observation, None if disparity is None else disparity.to(device)


def batch_of(samples: Sequence[Sample], aperture: Aperture) -> Batch:
    """Put samples of one size, taken with an aperture, into a batch. See `taichi_bokeh.dfd.observation.collate`.

    Raises:
        ValueError: the samples' sizes or ranges differ.
    """
    return Batch(*collate(samples, aperture), tuple(sample.name for sample in samples))


class Positions(Dataset[Sample]):
    """The endless sequence of samples that a training sees, by position.

    Args:
        dataset: at least one sample.
        augmentation: done to every sample.
        seed: of the order and of the augmentation.
    """

    def __init__(self, dataset: Dataset[Sample], augmentation: Augmentation, seed: int) -> None:
        self._dataset, self._augmentation, self._seed = dataset, augmentation, seed
        self._count = len(cast(Sized, dataset))
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64, device="cpu")

    def __getitem__(self, position: int) -> Sample:
        epoch, place = divmod(position, self._count)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(derived_seed(self._seed, 0, epoch))
            self._epoch, self._order = epoch, torch.randperm(self._count, generator=generator, device="cpu")
        sample = self._dataset[int(self._order[place])]
        size_px, (height, width) = self._augmentation.size_px, sample.all_in_focus.shape[-2:]
        if size_px is not None and size_px > min(height, width):
            raise ValueError(f"crop_px is {size_px}; expected at most the size of sample {sample.name}, {width}×{height} px")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(self._seed, 1, position))
            return self._augmentation(sample)


def _leave_interrupts(worker: int) -> None:
    """Of a terminal, Ctrl-C comes to all processes; it is for this one's parent to say when to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def load_batches(
    positions: Positions,
    collate: Callable[[Sequence[Sample]], Batch],
    steps: range,
    batch: int,
    among: Processes,
    workers: int = 0,
) -> DataLoader[Batch]:
    """The batches of this process, one for each of the steps.

    Args:
        positions: the samples.
        collate: makes a batch of them.
        steps: their numbers.
        batch: of all processes together; a multiple of their number.
        among: this process and the others.
        workers: processes that read samples; 0: this one does.
    """
    own = batch // among.count
    starts = (step * batch + among.rank * own for step in steps)
    return DataLoader(
        cast(Dataset[Batch], positions),
        batch_sampler=cast(Iterable[list[int]], [range(start, start + own) for start in starts]),
        num_workers=workers,
        collate_fn=collate,
        # A worker that is forked from a process with Taichi in it could hang.
        multiprocessing_context="spawn" if workers else None,
        worker_init_fn=_leave_interrupts,
        generator=torch.Generator().manual_seed(0),  # lest the loader draw from the training's random numbers
    )
