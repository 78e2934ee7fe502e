"""The defocus layers by the names that the command line knows."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from taichi_bokeh._checks import require_choice
from taichi_bokeh.dfd.layers.base import DefocusLayer, RenderedDefocus
from taichi_bokeh.dfd.layers.gaussian import GaussPSF
from taichi_bokeh.dfd.layers.planes import CompositionalPlanes
from taichi_bokeh.dfd.layers.splat import SplatDefocus
from taichi_bokeh.models import Scatter, SubAperture

#: What makes each layer, with its default settings.
LAYERS: Mapping[str, Callable[[], DefocusLayer]] = MappingProxyType(
    {
        "gaussian": lambda: GaussPSF(calibrated=True),
        "gausspsf": GaussPSF,
        "planes": CompositionalPlanes,
        "scatter": lambda: RenderedDefocus(Scatter()),
        "scatter-no-occlusion": lambda: RenderedDefocus(Scatter(occlusion=False)),
        "scatter-soft": lambda: RenderedDefocus(Scatter("soft")),
        "scatter-soft-no-occlusion": lambda: RenderedDefocus(Scatter("soft", occlusion=False)),
        "splat": SplatDefocus,
        "subaperture": lambda: RenderedDefocus(SubAperture(4)),
    }
)


def layer_named(name: str) -> DefocusLayer:
    """A new layer.

    Raises:
        ValueError: there is none of this name.
    """
    require_choice("layer", name, LAYERS)
    return LAYERS[name]()
