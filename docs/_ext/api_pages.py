"""Pages of the API: one for each public module, found by looking, so that none is forgotten."""

from collections.abc import Iterator
from importlib import import_module
from inspect import isclass, isfunction
from pathlib import Path
from pkgutil import walk_packages
from types import ModuleType
from typing import Any

ROOT = "taichi_bokeh"
PACKAGES = ("photo", "io", "optics", "dfd", "benchmark")


def write_pages(app: Any) -> None:
    """Write the pages, as a package's names are imported: what ``__all__`` gives out is documented there, and only there."""
    folder = Path(app.srcdir) / "api" / "generated"
    folder.mkdir(parents=True, exist_ok=True)
    before = set(folder.glob("*.rst"))
    packages = [import_module(f"{ROOT}.{name}") for name in PACKAGES]
    for package in (import_module(ROOT), *packages):
        for name in getattr(package, "__all__", ()):
            thing = getattr(package, name)  # some are imported on first use
            if hasattr(thing, "__module__"):
                thing.__module__ = package.__name__
    written = {_write(folder, ROOT, [])}
    for package in packages:
        modules = list(_modules(package))
        written |= {_write(folder, package.__name__, modules), *(_write(folder, module, []) for module in modules)}
    for page in before - written:
        page.unlink()


def _modules(package: ModuleType) -> Iterator[str]:
    """The public modules of a package that define something which the package does not give out itself."""
    for found in walk_packages(package.__path__, package.__name__ + "."):
        if "._" not in found.name and any(_own(import_module(found.name))):
            yield found.name


def _own(module: ModuleType) -> Iterator[object]:
    for name, thing in vars(module).items():
        if not name.startswith("_") and (isclass(thing) or isfunction(thing)) and thing.__module__ == module.__name__:
            yield thing


def _write(folder: Path, module: str, below: list[str]) -> Path:
    title = module.replace("_", r"\_")
    text = f"{title}\n{'=' * len(title)}\n\n.. automodule:: {module}\n"
    if below:
        text += "\n.. toctree::\n   :maxdepth: 1\n\n" + "".join(f"   {name}\n" for name in below)
    page = folder / f"{module}.rst"
    if not page.is_file() or page.read_text(encoding="utf-8") != text:  # a page that is touched is read again
        page.write_text(text, encoding="utf-8")
    return page


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True}
