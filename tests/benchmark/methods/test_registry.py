"""Methods by their names."""

from pathlib import Path

import pytest

from taichi_bokeh.benchmark import methods


def test_the_default_methods_come_in_the_order_of_the_tables():
    built = methods.build(methods.DEFAULT, {})
    assert tuple(method.name for method in built) == methods.DEFAULT
    assert all(method.searchable for method in built)
    assert len({method.title for method in built}) == len(built)


def test_any_number_of_cells_and_rays_is_a_method():
    one, many = methods.build(["rays-1", "subaperture-1024"], {})
    assert (one.name, one.title) == ("rays-1", "Ray tracing, 1 ray")
    assert (many.name, many.title) == ("subaperture-1024", "Sub-aperture, 1024 cells")
    assert {"rays-N", "subaperture-N", "mpi-32"} <= set(methods.names())


@pytest.mark.parametrize("name", ["", "rays", "rays-0", "rays-N", "rays--1", "rays-07", "rays-1.5", "mpi-8", "Classical"])
def test_an_unknown_name_is_answered_with_the_known_ones(name):
    with pytest.raises(ValueError, match=r"expected one of classical, .*rays-N, mine") as caught:
        methods.build(["classical", name], {"mine": Path("pictures")})
    assert repr(name) in str(caught.value)


def test_external_methods_stand_where_they_are_named_and_else_last():
    folders = {"blender": Path("a"), "mine": Path("b")}
    assert [m.name for m in methods.build(["mine", "classical"], folders)] == ["mine", "classical", "blender"]
    assert [m.searchable for m in methods.build(["mine", "classical"], folders)] == [False, True, False]


@pytest.mark.parametrize("name", ["rays-8", "classical", "a/b", "..", "", "a b"])
def test_an_external_method_needs_a_name_of_its_own_that_a_file_can_have(name):
    with pytest.raises(ValueError, match="external method") as caught:
        methods.build([], {name: Path("pictures")})
    assert repr(name) in str(caught.value)


def test_a_method_is_named_once():
    with pytest.raises(ValueError, match="'classical' is named 2 times"):
        methods.build(["classical", "rays-8", "classical"], {})
