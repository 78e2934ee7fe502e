"""Samples as files: four members each, in a WebDataset tar with others, or in a zip NAME.npz of its own.

``NAME.all_in_focus.npy``  [3, H, W], linear light, float16 or float32
``NAME.blurred.npy``       [S, 3, H, W], of the same type
``NAME.disparity.npy``     [1, H, W], float32
``NAME.json``              blur and focus of each picture, near and far, and how the sample was made

Such a tar can be read by any program that knows WebDataset, and such an npz, whose members go without NAME, by numpy.
"""

import io
import json
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from taichi_bokeh.dfd.observation import Sample, require_sample
from taichi_bokeh.io.formats.numpy_files import encode as encode_npy

PICTURES = ("all_in_focus", "blurred")
META = "json"
#: What a sample is made of, by the ends of its members' names.
MEMBERS = ("all_in_focus.npy", "blurred.npy", "disparity.npy", META)
TAR_PATTERN, NPZ_PATTERN = "shard-*.tar", "*.npz"

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first that zip knows
_END_OF_TAR = 2 * tarfile.BLOCKSIZE  # zeros
_DAMAGED = (ValueError, TypeError, KeyError, EOFError, OverflowError)


class Member(NamedTuple):
    """Where in a file the bytes of a member lie."""

    offset: int
    size: int


class Entry(NamedTuple):
    """A sample in a file.

    Attributes:
        name: of the sample.
        path: of the file.
        members: by the ends of their names, as in `MEMBERS`.
    """

    name: str
    path: Path
    members: Mapping[str, Member]


def encode(sample: Sample, dtype: str, facts: Mapping[str, Any]) -> dict[str, bytes]:
    """The members of a sample, by the ends of their names.

    Args:
        sample: with its disparity.
        dtype: of the pictures, "float16" or "float32".
        facts: how it was made, as JSON can hold it.

    Raises:
        ValueError: a picture is not finite in that type, or the disparity is missing.
    """
    if sample.disparity is None:
        raise ValueError(f"sample {sample.name} has no disparity; expected one to write")
    members = {}
    for name in PICTURES:
        values = getattr(sample, name).cpu().numpy()
        with np.errstate(over="ignore"):  # is refused in the next line
            values = values.astype(dtype)
        if not np.isfinite(values).all():
            raise ValueError(f"sample {sample.name}: {name} holds values that {dtype} cannot; expected finite ones")
        members[f"{name}.npy"] = encode_npy(np.ascontiguousarray(values))
    members["disparity.npy"] = encode_npy(np.ascontiguousarray(sample.disparity.cpu().numpy(), np.float32))
    meta = {
        "name": sample.name,
        "blur": sample.blur.tolist(),
        "focus": sample.focus.tolist(),
        "near": sample.near,
        "far": sample.far,
        **facts,
    }
    members[META] = (json.dumps(meta, allow_nan=False) + "\n").encode()
    return members


def tar_of(samples: Iterable[tuple[str, Mapping[str, bytes]]]) -> bytes:
    """A tar of samples, by name and members; the same for the same content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, members in samples:
            for end in MEMBERS:
                info = tarfile.TarInfo(f"{name}.{end}")
                info.size = len(members[end])
                tar.addfile(info, io.BytesIO(members[end]))
    return buffer.getvalue()


def npz_of(members: Mapping[str, bytes]) -> bytes:
    """A zip, not compressed, of one sample; the same for the same content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for end in MEMBERS:
            archive.writestr(zipfile.ZipInfo(end, _EPOCH), members[end])
    return buffer.getvalue()


def index(path: Path) -> tuple[list[Entry], list[str]]:
    """The whole samples of a tar or npz file in their order, and what is wrong with the file, if anything."""
    members = _of_npz if path.suffix == ".npz" else _of_tar
    found: dict[str, dict[str, Member]] = {}
    problems: list[str] = []
    try:
        for full_name, member in members(path):
            name, _, end = Path(full_name).name.partition(".")  # as WebDataset parts them
            found.setdefault(name, {})[end] = member
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, ValueError) as error:
        problems.append(f"is truncated or damaged ({error})")
    entries = []
    for name, parts in found.items():
        missing = [end for end in MEMBERS if end not in parts]
        if missing:
            problems.append(f"sample {name} has no {', '.join(missing)}")
        else:
            entries.append(Entry(name, path, parts))
    if not found and not problems:
        problems.append("holds no samples")
    return entries, problems


def read(entry: Entry) -> Sample:
    """A sample, float32, checked.

    Raises:
        ValueError: it is damaged, or its arrays do not fit; the message names the file, the sample and what is wrong.
        OSError: the file cannot be read.
    """
    with entry.path.open("rb") as file:
        parts = {}
        for end in MEMBERS:
            file.seek(entry.members[end].offset)
            parts[end] = file.read(entry.members[end].size)
    try:
        return _decode(entry.name, parts)
    except _DAMAGED as error:
        text = f"has no {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{entry.path}: sample {entry.name}: {text}") from None


def _of_tar(path: Path) -> Iterator[tuple[str, Member]]:
    size = path.stat().st_size
    with tarfile.open(path, "r:") as tar:
        for info in tar:
            if info.offset_data + info.size > size:
                raise EOFError(f"{info.name} goes on beyond the end of the file")
            if info.isfile():
                yield info.name, Member(info.offset_data, info.size)
    with path.open("rb") as file:
        file.seek(max(0, size - _END_OF_TAR))
        if file.read() != bytes(_END_OF_TAR):
            raise EOFError("its end is missing")


def _of_npz(path: Path) -> Iterator[tuple[str, Member]]:
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        for info in archive.infolist():
            if info.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"{info.filename} is compressed; expected it stored")
            # The data follow a local header, whose name and extra field may be longer than those of the directory.
            file.seek(info.header_offset + 26)
            name_bytes, extra_bytes = np.frombuffer(file.read(4), "<u2").tolist()
            offset = info.header_offset + 30 + name_bytes + extra_bytes
            yield f"{path.stem}.{info.filename}", Member(offset, info.file_size)


def _decode(name: str, parts: Mapping[str, bytes]) -> Sample:
    meta = json.loads(parts[META])
    tensors = {end[: -len(".npy")]: _array(end, parts[end]) for end in MEMBERS if end != META}
    for key in ("blur", "focus"):
        tensors[key] = torch.from_numpy(np.array(meta[key], np.float32))
    sample = Sample(name=name, near=float(meta["near"]), far=float(meta["far"]), **tensors)
    require_sample(sample)
    return sample


def _array(end: str, content: bytes) -> Tensor:
    try:
        array: NDArray[Any] = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, SyntaxError, MemoryError) as error:
        raise ValueError(f"{end} is damaged ({error})") from None
    if array.dtype not in (np.float16, np.float32):
        raise ValueError(f"{end} holds {array.dtype}; expected float16 or float32")
    return torch.from_numpy(array.astype(np.float32))
