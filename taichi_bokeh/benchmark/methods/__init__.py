"""What the benchmark compares: renderers of lens blur behind one interface."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from torch import Tensor

from taichi_bokeh.benchmark.methods.external import External
from taichi_bokeh.benchmark.methods.mpi import MultiplaneImage
from taichi_bokeh.benchmark.methods.rendered import Rays, Rendered
from taichi_bokeh.benchmark.methods.rgbd import Classical, SteReFo
from taichi_bokeh.benchmark.methods.scatter_no_occlusion import ScatterNoOcclusion
from taichi_bokeh.models import OfficialScatter, Scatter, SubAperture
from taichi_bokeh.synthetic.scene import Scene


class Method(Protocol):
    """A renderer of lens blur."""

    @property
    def name(self) -> str:
        """Unique, and fit for a file name: "subaperture-16"."""

    @property
    def title(self) -> str:
        """What tables call it."""

    @property
    def searchable(self) -> bool:
        """Whether it can render with another blur than the true one."""

    def render(self, scene: Scene, scale: float) -> Tensor:
        """The picture [3, H, W] of `scene` with `scale` times its blur: float32, linear light, on the CPU."""


_FIXED: dict[str, Method] = {
    method.name: method
    for method in (
        Classical(),
        SteReFo(),
        MultiplaneImage(),
        Rendered("scatter-official", OfficialScatter()),
        ScatterNoOcclusion(),
        Rendered("scatter-soft", Scatter("soft")),
        Rendered("scatter-disc", Scatter("disc")),
    )
}
_COUNTED: dict[str, Callable[[int], Method]] = {
    "subaperture": lambda cells: Rendered(f"subaperture-{cells}", SubAperture(cells)),
    "rays": Rays,
}

#: What is compared unless something else is asked for, in the order of the tables.
DEFAULT: tuple[str, ...] = (*_FIXED, "subaperture-4", "subaperture-16", "subaperture-64", "rays-64", "rays-256")


def names() -> tuple[str, ...]:
    """The names that `build` knows; N stands for a number of cells or rays, at least 1."""
    return (*_FIXED, *(f"{family}-N" for family in _COUNTED))


def build(names: Sequence[str], external: Mapping[str, Path]) -> list[Method]:
    """The methods of these names, in their order, and behind them those of `external` that are not among them.

    Args:
        names: as `names()` lists them, or keys of `external`.
        external: a name of its own for each folder of pictures that another program made.

    Raises:
        ValueError: a name is unknown, comes twice, or is one that an external method must not have.
    """
    for name in external:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            raise ValueError(f"external method {name!r}: expected a name of letters, digits, dots, hyphens and underscores")
        if _known(name) is not None:
            raise ValueError(f"external method {name!r} has the name of a built-in method; expected another one")
    chosen = [*names, *(name for name in external if name not in names)]
    for name in chosen:
        if chosen.count(name) > 1:
            raise ValueError(f"method {name!r} is named {chosen.count(name)} times; expected each method once")
    return [External(name, external[name]) if name in external else _require(name, external) for name in chosen]


def _known(name: str) -> Method | None:
    family, _, count = name.rpartition("-")
    if family in _COUNTED and re.fullmatch(r"[1-9][0-9]{0,6}", count):
        return _COUNTED[family](int(count))
    return _FIXED.get(name)


def _require(name: str, external: Mapping[str, Path]) -> Method:
    method = _known(name)
    if method is None:
        raise ValueError(f"method is {name!r}; expected one of {', '.join((*names(), *external))}")
    return method
