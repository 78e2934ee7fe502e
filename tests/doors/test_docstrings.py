import re

import pytest

import taichi_bokeh as tb

DOORS = (
    tb.refocus,
    tb.blur,
    tb.focal_stack,
    tb.Layers.from_rgbd,
    tb.Aperture.psf,
    tb.ThinLens.psf,
    tb.BiconvexLens.psf,
    tb.checks,
)


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__qualname__)
def test_the_example_in_the_docstring_of_a_door_runs(door, capsys):
    lines = re.search(r"\n\n(( +)(?:import|from) .*\n(?:\2.*\n|\n)*)", door.__doc__)
    program = "\n".join(line.removeprefix(lines[2]) for line in lines[1].splitlines())
    program = program[: program.index("\nArgs:")] if "\nArgs:" in program else program
    assert "tb." in program
    exec(program, {})
