"""The defocus layers by the names that the command line knows."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from taichi_bokeh.dfd.layers.base import DefocusLayer, ScatterDefocus, SubapertureDefocus
from taichi_bokeh.dfd.layers.gaussian import GaussPSF
from taichi_bokeh.dfd.layers.planes import CompositionalPlanes
from taichi_bokeh.dfd.layers.splat import SplatDefocus

#: What makes each layer, with its default settings.
LAYERS: Mapping[str, Callable[[], DefocusLayer]] = MappingProxyType(
    {
        "gaussian": lambda: GaussPSF(calibrated=True),
        "gausspsf": GaussPSF,
        "planes": CompositionalPlanes,
        "scatter": ScatterDefocus,
        "scatter-no-occlusion": lambda: ScatterDefocus(occlusion=False),
        "scatter-soft": lambda: ScatterDefocus("soft"),
        "scatter-soft-no-occlusion": lambda: ScatterDefocus("soft", occlusion=False),
        "splat": SplatDefocus,
        "subaperture": SubapertureDefocus,
    }
)


def layer_named(name: str) -> DefocusLayer:
    """A new layer.

    Raises:
        ValueError: there is none of this name.
    """
    if name not in LAYERS:
        raise ValueError(f"layer is {name!r}; expected one of {', '.join(LAYERS)}")
    return LAYERS[name]()
