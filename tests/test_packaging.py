import re
import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path

import pytest

import taichi_bokeh
from taichi_bokeh._extras import EXTRAS
from taichi_bokeh._version import __version__
from taichi_bokeh.apps.errors import one_line

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def readme_command(name: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ROOT / ".ci/readme-command", name], capture_output=True, text=True, check=False)


def test_the_version_is_stated_in_one_place():
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+)?", __version__)
    assert PYPROJECT["project"]["dynamic"] == ["version"]
    assert ROOT / PYPROJECT["tool"]["hatch"]["version"]["path"] == ROOT / "taichi_bokeh/_version.py"
    stating = [path for path in ROOT.glob("taichi_bokeh/**/*.py") if __version__ in path.read_text(encoding="utf-8")]
    assert stating == [ROOT / "taichi_bokeh/_version.py"]
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_the_package_declares_its_types():
    assert resources.files(taichi_bokeh).joinpath("py.typed").is_file()


@pytest.mark.parametrize(("name", "extra", "program"), [("demo", "photo", "taichi-bokeh demo"), ("test", "test", "pytest")])
def test_the_readme_shows_the_command_that_ci_runs(name, extra, program):
    command = readme_command(name).stdout.strip()
    assert command == f'pip install -e ".[{extra}]" && {program}'
    assert extra in PYPROJECT["project"]["optional-dependencies"]


def test_a_command_that_the_readme_lacks_fails_ci():
    missing = readme_command("missing")
    assert missing.returncode != 0
    assert "no command under <!-- command: missing -->" in missing.stderr


def test_ci_pins_only_versions_that_the_package_accepts():
    pins = re.findall(r"^(\w+)==", (ROOT / ".ci/constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    required = {re.match(r"[\w-]+", requirement)[0] for requirement in PYPROJECT["project"]["dependencies"]}
    assert pins
    assert set(pins) <= required


def _requirements() -> dict[str, list[str]]:
    """The groups of requirements, without those of the package itself."""
    project = PYPROJECT["project"]
    groups = {"taichi-bokeh": project["dependencies"], **project["optional-dependencies"]}
    return {group: [one for one in found if not one.startswith("taichi-bokeh")] for group, found in groups.items()}


def test_ci_tests_with_the_oldest_versions_that_the_package_accepts():
    pins = dict(
        re.findall(r"^([\w-]+)==(.+)$", (ROOT / ".ci/minimum-constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    )
    groups = _requirements()
    del groups["dev"], groups["docs"]
    bounds = dict(re.match(r"([\w-]+)(?:\[\w+\])?>=([\d.]+)", one).groups() for found in groups.values() for one in found)
    assert pins.pop("distributed") == pins["dask"]  # which asks for the same version of it
    assert pins.keys() == bounds.keys()
    for name, bound in bounds.items():  # 1.26 is 1.26.0
        assert pins[name].removesuffix(".0") == bound.removesuffix(".0") or pins[name] == f"{bound}.0.0"


_MODULES = {"scikit-image": "skimage", "PyPatchMatch": "patchmatch", "pillow-heif": "pillow_heif"}


def test_what_is_missing_is_told_with_the_extra_that_brings_it():
    groups = _requirements()
    brought = {
        _MODULES.get(name, name): extra
        for extra in ("photo", "patchmatch", "models", "dask", "report", "train")
        for name in (re.match(r"[\w-]+", one)[0] for one in groups[extra])
    }
    assert brought | {"distributed": "dask"} == EXTRAS
    for module, extra in EXTRAS.items():
        missing = ModuleNotFoundError(f"No module named '{module}.part'", name=f"{module}.part")
        assert f"(pip install 'taichi-bokeh[{extra}]')" in one_line(missing)
    other = one_line(ModuleNotFoundError("No module named 'other'", name="other"))
    assert other == "this needs the package other, which is not there"  # "pip install other" may bring a stranger's
    assert one_line(ModuleNotFoundError("no name")) == "no name"


_BARE = """
import importlib, pkgutil, sys
from taichi_bokeh._extras import EXTRAS

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in EXTRAS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
import taichi_bokeh
for module in pkgutil.walk_packages(taichi_bokeh.__path__, "taichi_bokeh."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""


def test_no_module_needs_an_extra_before_it_is_used():
    done = subprocess.run([sys.executable, "-c", _BARE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_importing_the_package_waits_for_nothing_that_only_files_and_commands_need():
    slow = "{'PIL', 'imageio', 'rich', 'scipy', 'skimage'}"
    code = f"import sys, taichi_bokeh as tb; tb.render, tb.Layers; print({slow} & set(sys.modules))"
    assert "set()" in subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    "words", [["--version"], ["--help"], ["render", "--help"], ["dfd", "train", "--help"], ["render"]], ids=str
)
def test_help_is_answered_without_what_computes(words):
    code = (
        f"import sys; sys.argv = ['taichi-bokeh', *{words}]\n"
        "try:\n    from taichi_bokeh.apps.cli import main; main()\nexcept SystemExit:\n    pass\n"
        "print('imported:', {'torch', 'taichi', 'numpy'} & set(sys.modules))"
    )
    assert "imported: set()" in subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_every_public_name_is_found_and_a_package_does_not_hide_one():
    code = (
        "import numpy, taichi_bokeh.viewer.state, taichi_bokeh as tb\n"
        "tb.Layers.from_rgbd(numpy.ones((8, 8, 3), numpy.float32), numpy.ones((8, 8), numpy.float32))\n"
        "assert not [name for name in tb.__all__ if not hasattr(tb, name)]\n"
        "assert set(tb.__all__) <= set(dir(tb))\n"
        "print(type(tb.preview).__name__, type(tb.io).__name__)"
    )
    assert "function module" in subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_every_extra_holds_the_one_before_so_that_the_readmes_commands_build_on_each_other():
    extras = PYPROJECT["project"]["optional-dependencies"]
    assert "taichi-bokeh[photo]" in extras["test"]
    assert "taichi-bokeh[test]" in extras["dev"]


def test_the_table_of_third_party_licences_has_every_requirement_with_what_needs_it():
    needed: dict[str, list[str]] = {}
    project = PYPROJECT["project"]
    for group, requirements in {"taichi-bokeh": project["dependencies"], **project["optional-dependencies"]}.items():
        for requirement in requirements:
            needed.setdefault(re.match(r"[\w.-]+", requirement)[0], []).append(group)
    del needed["taichi-bokeh"]
    page = (ROOT / "THIRD_PARTY.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\w.-]+) \| ([^|]+) \| ([^|]+) \| [\d.]+ \| <https://[^|]+> \|$", page, re.MULTILINE)
    assert {name: groups.split(", ") for name, groups, _ in rows} == needed
    assert all(re.search(r"[A-Z]", licence) for _, _, licence in rows)
