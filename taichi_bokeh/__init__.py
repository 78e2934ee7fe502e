"""Lens blur from layered images, rendered and differentiated. See README.md; conventions in docs/conventions.md.

What is named here is imported on first use: the command line answers ``--help`` without torch.
"""

from typing import TYPE_CHECKING

from taichi_bokeh import _forks as _forks  # watches from now on
from taichi_bokeh._doors.lazy import lazily
from taichi_bokeh._version import __version__

if TYPE_CHECKING:
    from taichi_bokeh import dfd as dfd
    from taichi_bokeh import io as io
    from taichi_bokeh import photo as photo
    from taichi_bokeh._checks import checks
    from taichi_bokeh._doors.blur import blur
    from taichi_bokeh._doors.focal_stack import focal_stack
    from taichi_bokeh._doors.refocus import refocus
    from taichi_bokeh._render import explain, render
    from taichi_bokeh._trace import TraceState, trace, trace_progressively
    from taichi_bokeh.layers import Layers
    from taichi_bokeh.models import Explanation, LayerPlan, OfficialScatter, Scatter, SubAperture
    from taichi_bokeh.nn import BokehRenderer
    from taichi_bokeh.optics.aperture import Aperture
    from taichi_bokeh.optics.biconvex_lens import BiconvexLens
    from taichi_bokeh.optics.thin_lens import ThinLens
    from taichi_bokeh.viewer import preview

__all__ = [
    "Aperture",
    "BiconvexLens",
    "BokehRenderer",
    "Explanation",
    "LayerPlan",
    "Layers",
    "OfficialScatter",
    "Scatter",
    "SubAperture",
    "ThinLens",
    "TraceState",
    "__version__",
    "blur",
    "checks",
    "explain",
    "focal_stack",
    "preview",
    "refocus",
    "render",
    "trace",
    "trace_progressively",
]

_HOMES = {
    "dfd": ("dfd",),
    "io": ("io",),
    "photo": ("photo",),
    "_checks": ("checks",),
    "_doors.blur": ("blur",),
    "_doors.focal_stack": ("focal_stack",),
    "_doors.refocus": ("refocus",),
    "_render": ("explain", "render"),
    "_trace": ("TraceState", "trace", "trace_progressively"),
    "layers": ("Layers",),
    "models": ("Explanation", "LayerPlan", "OfficialScatter", "Scatter", "SubAperture"),
    "nn": ("BokehRenderer",),
    "optics.aperture": ("Aperture",),
    "optics.biconvex_lens": ("BiconvexLens",),
    "optics.thin_lens": ("ThinLens",),
    "viewer": ("preview",),
}

__getattr__ = lazily(__name__, {name: f"{__name__}.{module}" for module, names in _HOMES.items() for name in names}, {})


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "dfd", "io", "photo"})
