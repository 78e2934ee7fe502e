"""What a training depends on, and how it is carried out."""

from collections.abc import Sized
from dataclasses import dataclass, field, fields
from math import cos, pi
from typing import Literal

from torch.utils.data import Dataset

from taichi_bokeh._checks import require_choice, require_integer, require_number, require_type
from taichi_bokeh.dfd.data.augment import Augmentation, Noise
from taichi_bokeh.dfd.losses import Objective
from taichi_bokeh.dfd.observation import Sample
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.storage.fingerprint import value_digest

Schedule = Literal["one-cycle", "cosine"]
Precision = Literal["float32", "bfloat16", "float16"]

_WARM_UP = 0.1  # of the steps, with "one-cycle"


@dataclass(frozen=True)
class TrainSettings:
    """All that a training depends on, but for the network, the data and the layer.

    Attributes:
        steps: how many.
        batch: samples a step, of all processes together.
        crop_px: side of a random crop; None: whole pictures.
        flips: also flip and transpose at random; for the disc only.
        noise: of a sensor, fresh at every step, or None.
        learning_rate: the largest.
        schedule: "one-cycle" rises to it for a tenth of the steps and falls towards 0 as a cosine; "cosine" only falls.
        weight_decay: of AdamW.
        clip_norm: a gradient of a larger norm is scaled down to it.
        precision: the network's arithmetic, by autocast: "bfloat16", or "float16" on CUDA only. Layers and losses always
            compute in the samples' float32.
        objective: of the self-supervised loss.
        border_px: so much at each side of a crop is left out of that loss: there the blur comes from beyond the crop.
        aperture: that the samples were taken with.
        seed: of all that is random.

    Raises:
        TypeError, ValueError: a value is not what it must be.
    """

    steps: int = 2000
    batch: int = 4
    crop_px: int | None = 96
    flips: bool = True
    noise: Noise | None = None
    learning_rate: float = 2e-3
    schedule: Schedule = "one-cycle"
    weight_decay: float = 1e-4
    clip_norm: float = 1.0
    precision: Precision = "float32"
    objective: Objective = field(default_factory=Objective)
    border_px: int = 8
    aperture: Aperture = field(default_factory=Aperture)
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("batch", 1), ("border_px", 0), ("seed", 0)):
            require_integer(name, getattr(self, name), at_least=least)
        for name in ("learning_rate", "clip_norm"):
            require_number(name, getattr(self, name), above=0.0)
        require_number("weight_decay", self.weight_decay, at_least=0.0)
        for name, known in (("schedule", Schedule), ("precision", Precision)):
            require_choice(name, getattr(self, name), known)
        if self.crop_px is not None:
            require_integer("crop_px", self.crop_px, at_least=1)
            if self.crop_px <= 2 * self.border_px:
                raise ValueError(f"crop_px is {self.crop_px}; expected more than the two borders of {self.border_px} px")
        require_type("objective", self.objective, Objective, "an Objective")
        self.augmentation()

    def augmentation(self) -> Augmentation:
        """What is done to each sample."""
        return Augmentation(self.crop_px, self.flips, self.noise, self.aperture)

    def rate_at(self, step: int) -> float:
        """The learning rate of a step, from 0."""
        warm_up = _WARM_UP * self.steps if self.schedule == "one-cycle" else 0.0
        if step < warm_up:
            return self.learning_rate * (step + 1) / (warm_up + 1)
        return self.learning_rate * 0.5 * (1 + cos(pi * (step - warm_up) / (self.steps - warm_up)))

    def described(self) -> dict[str, str]:
        """Every setting as a text; equal texts are equal settings."""
        texts = {part.name: repr(getattr(self, part.name)) for part in fields(self)}
        if self.aperture.image is not None:
            texts["aperture"] += f" of an image {value_digest(self.aperture.image)[:12]}"
        return texts


@dataclass(frozen=True)
class Work:
    """How a training is carried out; nothing here has an influence on its result.

    Attributes:
        workers: processes that read samples; 0: this one does.
        checkpoint_every: steps between two checkpoints; the last step has one, too.
        log_every: steps between two lines of the log.
        tensorboard: whether to write events for TensorBoard.
        validation: samples with depth, by which the network is measured whenever a checkpoint is due.

    Raises:
        TypeError, ValueError: a value is not what it must be.
    """

    workers: int = 0
    checkpoint_every: int = 200
    log_every: int = 10
    tensorboard: bool = False
    validation: Dataset[Sample] | None = None

    def __post_init__(self) -> None:
        for name, least in (("workers", 0), ("checkpoint_every", 1), ("log_every", 1)):
            require_integer(name, getattr(self, name), at_least=least)
        if self.validation is not None:
            count_samples("validation", self.validation)


def count_samples(name: str, dataset: Dataset[Sample]) -> int:
    """How many samples a data set has.

    Raises:
        TypeError: it has no length.
        ValueError: it has none.
    """
    if not isinstance(dataset, Sized):
        raise TypeError(f"{name} is of type {type(dataset).__name__}, which has no length; expected samples by number")
    if len(dataset) == 0:
        raise ValueError(f"{name} is empty; expected at least one sample")
    return len(dataset)
