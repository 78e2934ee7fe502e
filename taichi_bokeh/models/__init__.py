"""The models of lens blur: one frozen dataclass each."""

from taichi_bokeh.models.base import Explanation, LayerPlan, Model
from taichi_bokeh.models.named import DEFAULT, FIELDS, MODELS, model_of
from taichi_bokeh.models.official import OfficialScatter
from taichi_bokeh.models.scatter import Scatter
from taichi_bokeh.models.subaperture import SubAperture

__all__ = [
    "DEFAULT",
    "FIELDS",
    "MODELS",
    "Explanation",
    "LayerPlan",
    "Model",
    "OfficialScatter",
    "Scatter",
    "SubAperture",
    "model_of",
]
