import ast
import subprocess
import sys
from pathlib import Path

import pytest

import taichi_bokeh as tb
from taichi_bokeh import dfd

DFD = Path(dfd.__file__)


def test_the_rooms_are_there_on_first_use_and_not_before():
    code = (
        "import sys, taichi_bokeh as tb; rooms = [f'taichi_bokeh.{name}' for name in ('dfd', 'photo', 'io')];"
        "print([room in sys.modules for room in rooms]);"
        "print(tb.dfd.Observation.__name__, tb.photo.to_layers.__name__, tb.io.read_image.__name__);"
        "print('taichi_bokeh.dfd.training' in sys.modules, {'dfd', 'io', 'photo'} <= set(dir(tb)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[False, False, False]", "Observation to_layers read_image", "False True"]


@pytest.mark.parametrize("room", ["dfd", "photo", "io"])
def test_a_room_has_all_that_it_offers(room):
    package = getattr(tb, room)
    assert all(hasattr(package, name) for name in package.__all__)
    assert set(package.__all__) <= set(dir(package))


def test_type_checkers_are_told_the_names_that_are_loaded_on_first_use():
    imports = [node for node in ast.walk(ast.parse(DFD.read_text())) if isinstance(node, ast.ImportFrom)]
    told = {alias.name: node.module for node in imports for alias in node.names if node.module.startswith("taichi_bokeh.dfd.")}
    assert set(told) == set(dfd.__all__)
    assert {name: f"taichi_bokeh.dfd.{module}" for module, names in dfd._HOMES.items() for name in names} == told


@pytest.mark.parametrize(("old", "new"), [("defocus", "taichi_bokeh.dfd.layers.base"), *dfd._MOVED.items()])
def test_a_name_that_has_moved_says_where(old, new):
    with pytest.raises(AttributeError, match=f"taichi_bokeh.dfd.{old} is gone; write {new}"):
        getattr(dfd, old)
    assert (DFD.parents[2] / (new.replace(".", "/") + ".py")).is_file()


def test_a_name_that_never_was_is_refused_as_of_any_module():
    with pytest.raises(AttributeError, match="module 'taichi_bokeh' has no attribute 'bokeh'"):
        tb.bokeh  # noqa: B018
