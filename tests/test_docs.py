import ast
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from taichi_bokeh.apps.cli import _parser
from taichi_bokeh.viewer.script import read_script

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted(path for path in ROOT.glob("docs/**/*.md") if "_build" not in path.parts)]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    lines = [line for block in blocks(page, "sh") for line in block.replace("\\\n", " ").splitlines()]
    parts = [part.strip() for line in lines for part in line.split("&&")]
    return [shlex.split(part, comments=True)[1:] for part in parts if part.startswith("taichi-bokeh ")]


SHOWN = [pytest.param(command, id=" ".join(command)[:60]) for page in PAGES for command in commands(page)]


@pytest.mark.parametrize("command", SHOWN)
def test_every_command_in_the_docs_is_one_that_the_command_line_takes(command):
    if command == ["--version"]:
        with pytest.raises(SystemExit) as ended:
            _parser().parse_args(command)
        assert ended.value.code == 0
    else:
        assert _parser().parse_args(command).run.startswith("taichi_bokeh.apps.")


def test_every_script_of_actions_in_the_docs_is_one_that_the_preview_takes(tmp_path):
    scripts = [block for page in PAGES for block in blocks(page, "json") if block.startswith("[")]
    assert scripts
    for script in scripts:
        (tmp_path / "actions.json").write_text(script, encoding="utf-8")
        assert read_script(tmp_path / "actions.json")


def test_every_piece_of_python_in_the_docs_is_whole_and_imports_what_exists():
    pieces = [piece for page in PAGES for piece in blocks(page, "python")]
    assert pieces
    imports = [ast.unparse(node) for piece in pieces for node in ast.walk(ast.parse(piece)) if isinstance(node, ast.ImportFrom)]
    for line in imports:
        exec(line, {})


@pytest.mark.slow
@pytest.mark.parametrize(("piece", "printed"), [(0, ""), (1, "layer 1")])
def test_the_programs_of_the_five_minutes_run(piece, printed, tmp_path):
    command = [sys.executable, "-c", blocks(ROOT / "docs/start.md", "python")[piece]]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert printed in done.stdout
    assert (tmp_path / "bokeh.png").exists() == (piece == 0)


@pytest.mark.slow
@pytest.mark.parametrize(("piece", "printed"), [(0, r"2\.\d\d px"), (1, "epoch 0: 4 batches\nepoch 1: 4 batches")])
def test_the_programs_of_the_page_on_training_run(piece, printed, tmp_path):
    program = tmp_path / "program.py"  # a file, as spawned workers read it again
    program.write_text(blocks(ROOT / "docs/tutorials/training.md", "python")[piece], encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(program)], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(printed, done.stdout.strip())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_between_pages_leads_to_a_file(page):
    links = re.findall(r"\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    made = ("docs/api/generated", "docs/gallery")  # when the site is built
    targets = [(page.parent / link).resolve().relative_to(ROOT) for link in links]
    assert [str(target) for target in targets if not str(target).startswith(made) and not (ROOT / target).exists()] == []


@pytest.mark.parametrize("example", sorted(ROOT.glob("examples/*.py")), ids=lambda path: path.stem)
def test_every_example_begins_with_the_underlined_title_of_its_page_in_the_gallery(example):
    title, underline, blank, text = ast.get_docstring(ast.parse(example.read_text(encoding="utf-8"))).split("\n")[:4]
    assert underline == "=" * len(title)
    assert not blank
    assert text
