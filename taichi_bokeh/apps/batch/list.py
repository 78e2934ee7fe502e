"""Which photographs a batch has, and what belongs to each."""

import argparse
import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from taichi_bokeh.apps.options.arguments import finite, not_negative, pixel
from taichi_bokeh.apps.sequence.footage import natural_order
from taichi_bokeh.io.arrays import IMAGE_SUFFIXES
from taichi_bokeh.io.candidates import is_candidate

_ENDINGS = ("_disparity", ".disparity")  # of the stem of a disparity that lies beside its photograph
_CONVERT = {"focus": finite, "focus_at": pixel, "blur": not_negative}
_TEXTS = ("photo", "disparity", "alpha", "name")
_COLUMNS = (*_TEXTS, *_CONVERT)
_COMMENT = "#"
_BLANKS = " \t\r\n\N{NO-BREAK SPACE}"  # round a value; other white space may be part of a name
_LINE_ENDS = re.compile(r"\r\n|\n|\r")  # and no others, as str.splitlines has: these, too, may be part of a name


class Item(NamedTuple):
    """A photograph.

    Attributes:
        name: of its result, without a suffix.
        photo: its file.
        disparity: its file; None where none was found.
        alpha: the file of its matte, if any.
        options: of the lens that are its own: focus, focus_at, blur.
        problem: why no disparity was found; else empty.
    """

    name: str
    photo: Path
    disparity: Path | None
    alpha: Path | None
    options: dict[str, Any]
    problem: str = ""


def read_items(source: Path, disparity_folder: Path | None) -> list[Item]:
    """The photographs of a folder or a list, each with what belongs to it.

    Args:
        source: the folder, or the list.
        disparity_folder: where disparities lie that the list does not name; None: beside the photographs.

    Raises:
        FileNotFoundError: there is no such list or folder.
        ValueError: the list is not as it must be, or two results would have one name.
    """
    if disparity_folder is not None and not disparity_folder.is_dir():
        raise FileNotFoundError(f"--disparity-dir {disparity_folder} is no folder")
    source, companions = source.absolute(), _Companions(None if disparity_folder is None else disparity_folder.absolute())
    if source.is_dir():
        items = [_item({"photo": str(path)}, source, companions) for path in _photos(source)]
    elif source.is_file():
        items = [_listed(source, line, row, companions) for line, row in _rows(source)]
    else:
        raise FileNotFoundError(f"{source} does not exist")
    if not items:
        raise ValueError(f"{source} holds no photographs ({', '.join(IMAGE_SUFFIXES)})")
    by_name: dict[str, Item] = {}
    for item in items:
        other = by_name.setdefault(item.name.lower(), item)  # some file systems take names of either case for one
        if other is not item:
            raise ValueError(f"{other.photo} and {item.photo} would both become {item.name}; give them names in a list")
    return items


class _Companions:
    """Finds the disparity of a photograph; looks into each folder once."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._stems: dict[Path, dict[str, list[Path]]] = {}

    def of(self, photo: Path) -> tuple[Path | None, str]:
        """The file, or what is wrong where there is not one and only one that may be it."""
        folder = self._folder or photo.parent
        stems = self._in(folder)
        wanted = [photo.stem] if self._folder is not None else [photo.stem + ending for ending in _ENDINGS]
        found = [path for stem in wanted for path in stems.get(stem, []) if is_candidate(path)]
        if len(found) == 1:
            return found[0], ""
        if not found:
            return None, f"{folder} has no disparity for {photo.name}"
        return None, f"{folder} has several files for {photo.name}: {' and '.join(sorted(path.name for path in found))}"

    def _in(self, folder: Path) -> dict[str, list[Path]]:
        if folder not in self._stems:
            stems: dict[str, list[Path]] = {}
            for path in folder.iterdir() if folder.is_dir() else ():
                stems.setdefault(path.stem, []).append(path)
            self._stems[folder] = stems
        return self._stems[folder]


def _photos(folder: Path) -> list[Path]:
    paths = [path for path in folder.iterdir() if is_candidate(path) and path.suffix.lower() in IMAGE_SUFFIXES]
    return sorted((path for path in paths if not path.stem.endswith(_ENDINGS)), key=natural_order)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a list that are neither blank nor comments, with the numbers of their lines."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no text in UTF-8, and must be a list (CSV, JSON lines or text) or a folder") from None
    if path.suffix.lower() == ".csv":
        yield from _csv_rows(path, text)
        return
    for number, line in enumerate(_LINE_ENDS.split(text), 1):
        if not line.strip() or line.lstrip().startswith(_COMMENT):
            continue
        if path.suffix.lower() in (".json", ".jsonl", ".ndjson"):
            yield number, _json_row(path, number, line)
        else:
            values = [value.strip(_BLANKS) for value in line.split("\t")]
            if len(values) > 2:
                raise ValueError(
                    f"{path}, line {number} has {len(values)} values; expected a photo and, after a tab, its disparity"
                )
            yield number, dict(zip(("photo", "disparity"), values, strict=False))


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows by the names in the first one; a column without a name must be empty, as spreadsheets leave them."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    names: list[str] | None = None
    try:
        for row in reader:
            values = [value.strip(_BLANKS) for value in row]
            if not any(values) or values[0].startswith(_COMMENT):
                continue
            if names is None:
                names = values
                if twice := sorted({name for name in names if name and names.count(name) > 1}):
                    raise ValueError(f"{path}, line {reader.line_num} names {', '.join(twice)} twice")
                continue
            if any(values[len(names) :]):
                raise ValueError(f"{path}, line {reader.line_num} has {len(values)} values for {len(names)} columns")
            pairs = zip(names, values, strict=False)
            yield reader.line_num, {name: value for name, value in pairs if name or value}
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: {error}") from None


def _json_row(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}, line {number} is not JSON: {error}") from None
    if not isinstance(row, dict):
        raise ValueError(f'{path}, line {number} is not an object, as {{"photo": …}}')
    for name in _TEXTS:
        if not isinstance(row.get(name, ""), str | None):
            raise ValueError(f"{path}, line {number}: {name} is {json.dumps(row[name])}, and must be a text")
    return row


def _listed(source: Path, line: int, row: dict[str, Any], companions: _Companions) -> Item:
    unknown = [name or f"{value} in a column without a name" for name, value in row.items() if name not in _COLUMNS]
    if unknown:
        raise ValueError(f"{source}, line {line} has {', '.join(unknown)}; expected {', '.join(_COLUMNS)}")
    given = {name: _text(value) for name, value in row.items() if value not in (None, "")}
    if "photo" not in given:
        raise ValueError(f"{source}, line {line} names no photo")
    try:
        return _item(given, source.parent, companions)
    except (argparse.ArgumentTypeError, ValueError) as error:
        raise ValueError(f"{source}, line {line}: {error}") from None


def _text(value: Any) -> str:
    """A value of JSON as it would be written on the command line: [640, 360] as 640,360."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _item(given: dict[str, str], folder: Path, companions: _Companions) -> Item:
    paths = {name: (folder / given[name]).absolute() for name in ("photo", "disparity", "alpha") if name in given}
    photo = paths["photo"]
    name = given.get("name", photo.stem)
    if Path(name).name != name or name.startswith("."):
        raise ValueError(f"name {name!r} is no plain file name")
    options = {option: convert(given[option]) for option, convert in _CONVERT.items() if option in given}
    if "focus" in options and "focus_at" in options:
        raise ValueError("focus and focus_at are both given; expected one of them")
    disparity, problem = (paths["disparity"], "") if "disparity" in paths else companions.of(photo)
    return Item(name, photo, disparity, paths.get("alpha"), options, problem)
