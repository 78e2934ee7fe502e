import re
import subprocess
import tomllib
from importlib import resources
from pathlib import Path

import pytest

import taichi_bokeh
from taichi_bokeh._version import __version__

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
