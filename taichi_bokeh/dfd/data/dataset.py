"""Read a data set: samples by number, from tars and npz files, also in the worker processes of a DataLoader.

Nothing here starts Taichi, and no file stays open, so that a data set may be pickled, forked and spawned.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch.utils.data import Dataset

from taichi_bokeh._checks import require_choice, require_integer, require_number
from taichi_bokeh._render import ProgressCallback
from taichi_bokeh.dfd.data import samples
from taichi_bokeh.dfd.data.augment import Noise, with_noise
from taichi_bokeh.dfd.observation import Sample

Split = Literal["all", "train", "validation"]

VALIDATION_SHARE = 0.1


class DefocusDataset(Dataset[Sample]):
    """Samples of a data set by number; see `taichi_bokeh.dfd.observation.collate` for how to batch them.

    Args:
        source: a folder that `generate` made, or files of such folders, tar or npz.
        split: "all", or one of two parts, by a hash of the samples' names, of which "validation" has a tenth.
        on_error: what to do about a damaged file or sample: "raise", or "skip" it and list it in `skipped`. What can be told
            from the files' headers is found at once, the rest by `validate`, which is for that reason to be called first
            with "skip": a sample's number must not be one that turns out to be damaged later.
        noise: to be added to every sample, the same at each reading.
        seed: of that noise.
        transform: is given each sample that is read, noise included, and returns what comes out; such as an `Augmentation`.

    Attributes:
        skipped: file, and what is wrong with it or with a sample in it; empty with "raise".

    Raises:
        FileNotFoundError: the source does not exist, or a folder holds no such file.
        ValueError: an argument is not what it must be, two samples have one name, or a file is damaged and errors are raised.
    """

    def __init__(
        self,
        source: str | Path | Sequence[str | Path],
        split: Split = "all",
        *,
        on_error: Literal["raise", "skip"] = "raise",
        noise: Noise | None = None,
        seed: int = 0,
        transform: Callable[[Sample], Sample] | None = None,
    ) -> None:
        require_choice("split", split, Split)
        require_choice("on_error", on_error, ("raise", "skip"))
        require_integer("seed", seed, at_least=0)
        self._on_error = on_error
        self._noise, self._seed = noise, seed
        self._transform = transform
        self.skipped: list[tuple[Path, str]] = []
        entries = [entry for path in files_of(source) for entry in self._index(path)]
        _require_unique(entries)
        if split != "all":
            chosen = set(split_names([entry.name for entry in entries])[split == "validation"])
            entries = [entry for entry in entries if entry.name in chosen]
        self._entries = entries

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, number: int) -> Sample:
        """A sample, float32.

        Raises:
            IndexError: there is no such number.
            ValueError: it is damaged; the message names the file.
            OSError: the file cannot be read.
        """
        if not -len(self) <= number < len(self):
            raise IndexError(f"sample {number} of {len(self)}")
        sample = samples.read(self._entries[number])
        if self._noise is not None:
            sample = with_noise(sample, self._noise, torch.Generator().manual_seed(derived_seed(self._seed, sample.name)))
        return sample if self._transform is None else self._transform(sample)

    @property
    def names(self) -> list[str]:
        """The samples' names, in their order."""
        return [entry.name for entry in self._entries]

    def validate(self, progress: ProgressCallback | None = None) -> None:
        """Read every sample. With "skip", the damaged ones are left out from now on, and listed in `skipped`.

        Args:
            progress: called with (done, total) samples.

        Raises:
            ValueError: one is damaged and errors are raised; the message names file and sample.
        """
        whole = []
        for done, entry in enumerate(self._entries, 1):
            try:
                samples.read(entry)
                whole.append(entry)
            except (ValueError, OSError) as error:
                self._report(entry.path, str(error).removeprefix(f"{entry.path}: "))
            if progress is not None:
                progress(done, len(self._entries))
        self._entries = whole

    def _index(self, path: Path) -> list[samples.Entry]:
        entries, problems = samples.index(path)
        for problem in problems:
            self._report(path, problem)
        return entries

    def _report(self, path: Path, problem: str) -> None:
        if self._on_error == "raise":
            raise ValueError(f"{path}: {problem}")
        self.skipped.append((path, problem))


def files_of(source: str | Path | Sequence[str | Path]) -> list[Path]:
    """The files of samples in a folder, sorted by name; or the files that were given.

    Raises:
        FileNotFoundError: one does not exist, or a folder holds none.
    """
    if not isinstance(source, str | Path):
        paths = [Path(path) for path in source]
    elif Path(source).is_dir():
        paths = sorted(path for pattern in (samples.TAR_PATTERN, samples.NPZ_PATTERN) for path in Path(source).glob(pattern))
    else:
        paths = [Path(source)]
    if not paths:
        raise FileNotFoundError(f"{source} holds no samples; expected files {samples.TAR_PATTERN} or {samples.NPZ_PATTERN}")
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"{path} is no file; expected a folder of samples, or files")
    return paths


def split_names(
    names: Collection[str], validation_share: float = VALIDATION_SHARE, seed: int = 0
) -> tuple[list[str], list[str]]:
    """Divide names in two: training, and validation. A name's side depends on nothing but itself and the seed.

    Args:
        names: of samples.
        validation_share: the part, from 0 to 1, that goes to validation, on the average.
        seed: another one divides them in another way.

    Raises:
        TypeError, ValueError: the share is no number from 0 to 1, or the seed no integer.
    """
    require_number("validation_share", validation_share, at_least=0.0, at_most=1.0)
    require_integer("seed", seed)
    sides: tuple[list[str], list[str]] = ([], [])
    for name in names:
        sides[place_of(name, seed) < validation_share].append(name)
    return sides


def place_of(name: str, seed: int = 0) -> float:
    """A number in [0, 1) that follows from a name, evenly spread over different names."""
    return derived_seed(seed, name) / 2.0**63


def derived_seed(*parts: int | str) -> int:
    """Derive a seed of 63 bits from numbers and names, such as a seed and a step."""
    return int.from_bytes(hashlib.sha256(":".join(map(str, parts)).encode()).digest()[:8], "big") >> 1


def _require_unique(entries: Iterable[samples.Entry]) -> None:
    seen: dict[str, Path] = {}
    for entry in entries:
        if entry.name in seen:
            raise ValueError(
                f"sample {entry.name} is both in {seen[entry.name]} and in {entry.path}; expected one of each name"
            )
        seen[entry.name] = entry.path
