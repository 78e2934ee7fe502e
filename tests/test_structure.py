"""The project is laid out as its page on design says."""

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODEL, KERNEL, ADJOINT, OPERATOR, ORACLE, TEST = range(6)


def models() -> list[list[str]]:
    """Rows of the table of models: their name, and five paths."""
    page = (ROOT / "docs/design.md").read_text(encoding="utf-8")
    section = page.partition("## Where each model is\n")[2].partition("\n## ")[0]
    rows = [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"
    ]
    assert rows[0] == ["model", "kernel", "adjoint", "operator", "oracle", "test"]
    return rows[2:]


def test_the_files_of_each_model_are_where_the_page_on_design_says():
    names = [row[MODEL] for row in models()]
    for word in ("scatter", "sub-aperture", "rays, ideal", "rays, biconvex", "splat", "Gaussian", "semi-global", "released"):
        assert any(word in name for name in names), word
    for row in models():
        ours = [row[column] for column in (KERNEL, ADJOINT, OPERATOR, ORACLE) if row[column] != "–"]
        for path in [*(ROOT / "taichi_bokeh" / name for name in ours), ROOT / row[TEST]]:
            assert path.is_file(), f"{row[MODEL]}: {path}"


def test_no_directory_has_more_than_15_files():
    """Besides its README and what makes it a package."""
    left_out = {"README.md", "__init__.py", "__pycache__", "_build", "generated", "gallery"}  # the last are made, not written
    files = [
        path
        for place in ("taichi_bokeh", "tests", "docs")
        for path in (ROOT / place).rglob("*")
        if path.is_file() and not left_out & set(path.relative_to(ROOT).parts)
    ]
    crowded = {str(place): count for place, count in Counter(path.parent for path in files).items() if count > 15}
    assert crowded == {}


def test_every_directory_of_the_package_says_what_lives_there_and_names_files_that_exist():
    package = ROOT / "taichi_bokeh"
    for place in {path.parent for path in package.rglob("*.py")}:
        page = place / "README.md"
        assert page.is_file(), place
        for name in re.findall(r"`([\w/]+\.py)`", page.read_text(encoding="utf-8")):
            assert any((above / name).is_file() for above in (place, place.parent, package, ROOT)), f"{page}: {name}"
