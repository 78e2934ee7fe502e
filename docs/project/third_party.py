"""Write the table of THIRD_PARTY.md again: `python docs/project/third_party.py`, where all extras are installed.

Names come from pyproject.toml, versions and licences from what each installed package says of itself.
"""

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageMetadata, metadata
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "THIRD_PARTY.md"
HEAD = "| package | needed by | licence | version looked at | home |\n|---|---|---|---|---|\n"
#: Where a package states its licence nowhere but in the text of a file.
READ_BY_HAND = {"OpenEXR": "BSD-3-Clause"}  # its LICENSE.md
_CLASSIFIER = "License :: OSI Approved :: "


def required() -> dict[str, list[str]]:
    """The packages that pyproject.toml names, and what needs each: the package itself, or its extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {"taichi-bokeh": project["dependencies"], **project["optional-dependencies"]}
    found: dict[str, list[str]] = {}
    for group, requirements in groups.items():
        for name in map(_name, requirements):
            if name != "taichi-bokeh":
                found.setdefault(name, []).append(group)
    return found


def licence(package: PackageMetadata) -> str:
    """What a package says of its licence: an SPDX expression, else its classifiers, else a line of text."""
    if package["Name"] in READ_BY_HAND:
        return READ_BY_HAND[package["Name"]]
    if expression := package["License-Expression"]:
        return expression
    text = (package["License"] or "").strip()
    if text and "\n" not in text and len(text) < 60:
        return text
    classifiers = [
        each.removeprefix(_CLASSIFIER) for each in package.get_all("Classifier") or () if each.startswith(_CLASSIFIER)
    ]
    if not classifiers:
        raise ValueError(f"{package['Name']} states no licence; expected an entry in READ_BY_HAND")
    return ", ".join(classifiers)


def home(package: PackageMetadata) -> str:
    """Where a package lives."""
    links = dict(re.split(r"\s*,\s*", each, maxsplit=1) for each in package.get_all("Project-URL") or ())
    for wanted in ("homepage", "home", "repository", "source", "source code", "github"):
        for label, address in links.items():
            if label.lower() == wanted:
                return address
    return package["Home-page"] or f"https://pypi.org/project/{package['Name']}/"


def rows() -> Iterator[str]:
    """The table's rows."""
    for name, groups in sorted(required().items(), key=lambda item: item[0].lower()):
        package = metadata(name)
        version = package["Version"].split("+")[0]
        yield f"| {name} | {', '.join(groups)} | {licence(package)} | {version} | <{home(package)}> |\n"


def _name(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None
    return match[0]


def main() -> None:
    """Put the table into the page."""
    before, _, _ = PAGE.read_text(encoding="utf-8").partition(HEAD)
    PAGE.write_text(before + HEAD + "".join(rows()), encoding="utf-8")


if __name__ == "__main__":
    main()
