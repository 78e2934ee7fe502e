"""Depth from defocus: a disparity map from an all-in-focus image and one or more blurred ones. Loaded on first use."""

from typing import TYPE_CHECKING

from taichi_bokeh._doors.lazy import lazily

if TYPE_CHECKING:
    from taichi_bokeh.dfd.data.augment import Augmentation, Noise
    from taichi_bokeh.dfd.data.cameras import NormalisedCamera, StackCamera, camera_named
    from taichi_bokeh.dfd.data.dataset import DefocusDataset, split_names
    from taichi_bokeh.dfd.data.generate import GenerateSettings, generate
    from taichi_bokeh.dfd.data.light_field import LightFieldDataset, read_light_field
    from taichi_bokeh.dfd.data.scenes import DefocusScene, DefocusSceneSettings, make_scene
    from taichi_bokeh.dfd.estimate.optimize import Optimization, Optimized, OptimizeSettings, optimize
    from taichi_bokeh.dfd.estimate.photo_pair import read_photographs
    from taichi_bokeh.dfd.estimate.plane_sweep import Estimate, SweepSettings, plane_sweep
    from taichi_bokeh.dfd.estimate.snap_to_edges import Snapped, snap_to_edges
    from taichi_bokeh.dfd.evaluation.comparison import CompareSettings, compare
    from taichi_bokeh.dfd.evaluation.evaluate import Evaluation, Reblur, evaluate
    from taichi_bokeh.dfd.evaluation.metrics import DepthMetrics, measure_depth
    from taichi_bokeh.dfd.layers.base import DefocusLayer, RenderedDefocus
    from taichi_bokeh.dfd.layers.gaussian import GaussPSF
    from taichi_bokeh.dfd.layers.planes import CompositionalPlanes
    from taichi_bokeh.dfd.layers.registry import LAYERS, layer_named
    from taichi_bokeh.dfd.layers.splat import SplatDefocus
    from taichi_bokeh.dfd.losses import Objective, ssim
    from taichi_bokeh.dfd.observation import Observation, Sample, collate
    from taichi_bokeh.dfd.training.batches import Batch, load_batches
    from taichi_bokeh.dfd.training.checkpoint import load_checkpoint, load_weights
    from taichi_bokeh.dfd.training.losses import disparity_loss
    from taichi_bokeh.dfd.training.network import DepthNetwork, DepthUNet, load_network
    from taichi_bokeh.dfd.training.settings import TrainSettings
    from taichi_bokeh.dfd.training.train import train

__all__ = [
    "LAYERS",
    "Augmentation",
    "Batch",
    "CompareSettings",
    "CompositionalPlanes",
    "DefocusDataset",
    "DefocusLayer",
    "DefocusScene",
    "DefocusSceneSettings",
    "DepthMetrics",
    "DepthNetwork",
    "DepthUNet",
    "Estimate",
    "Evaluation",
    "GaussPSF",
    "GenerateSettings",
    "LightFieldDataset",
    "Noise",
    "NormalisedCamera",
    "Objective",
    "Observation",
    "Optimization",
    "OptimizeSettings",
    "Optimized",
    "Reblur",
    "RenderedDefocus",
    "Sample",
    "Snapped",
    "SplatDefocus",
    "StackCamera",
    "SweepSettings",
    "TrainSettings",
    "camera_named",
    "collate",
    "compare",
    "disparity_loss",
    "evaluate",
    "generate",
    "layer_named",
    "load_batches",
    "load_checkpoint",
    "load_network",
    "load_weights",
    "make_scene",
    "measure_depth",
    "optimize",
    "plane_sweep",
    "read_light_field",
    "read_photographs",
    "snap_to_edges",
    "split_names",
    "ssim",
    "train",
]

_HOMES = {
    "data.augment": ("Augmentation", "Noise"),
    "data.cameras": ("NormalisedCamera", "StackCamera", "camera_named"),
    "data.dataset": ("DefocusDataset", "split_names"),
    "data.generate": ("GenerateSettings", "generate"),
    "data.light_field": ("LightFieldDataset", "read_light_field"),
    "data.scenes": ("DefocusScene", "DefocusSceneSettings", "make_scene"),
    "estimate.optimize": ("Optimization", "OptimizeSettings", "Optimized", "optimize"),
    "estimate.photo_pair": ("read_photographs",),
    "estimate.plane_sweep": ("Estimate", "SweepSettings", "plane_sweep"),
    "estimate.snap_to_edges": ("Snapped", "snap_to_edges"),
    "evaluation.comparison": ("CompareSettings", "compare"),
    "evaluation.evaluate": ("Evaluation", "Reblur", "evaluate"),
    "evaluation.metrics": ("DepthMetrics", "measure_depth"),
    "layers.base": ("DefocusLayer", "RenderedDefocus"),
    "layers.gaussian": ("GaussPSF",),
    "layers.planes": ("CompositionalPlanes",),
    "layers.registry": ("LAYERS", "layer_named"),
    "layers.splat": ("SplatDefocus",),
    "losses": ("Objective", "ssim"),
    "observation": ("Observation", "Sample", "collate"),
    "training.batches": ("Batch", "load_batches"),
    "training.checkpoint": ("load_checkpoint", "load_weights"),
    "training.losses": ("disparity_loss",),
    "training.network": ("DepthNetwork", "DepthUNet", "load_network"),
    "training.settings": ("TrainSettings",),
    "training.train": ("train",),
}
_MOVED = {  # modules before there were rooms
    **{
        module: f"{__name__}.{room}.{module}"
        for room, modules in {
            "data": ("augment", "cameras", "dataset", "light_field", "outlines", "samples", "scenes"),
            "estimate": ("lens_search", "photo_pair", "variables"),
            "evaluation": ("comparison", "comparison_page", "metrics"),
            "layers": ("gaussian", "planes", "splat"),
            "training": ("batches", "checkpoint", "distributed", "network"),
        }.items()
        for module in modules
    },
    "defocus": f"{__name__}.layers.base",
    "edges": f"{__name__}.estimate.snap_to_edges",
    "evaluation_files": f"{__name__}.evaluation.files",
    "named_layers": f"{__name__}.layers.registry",
    "train_log": f"{__name__}.training.log",
    "train_losses": f"{__name__}.training.losses",
    "train_settings": f"{__name__}.training.settings",
}

__getattr__ = lazily(
    __name__,
    {name: f"{__name__}.{module}" for module, names in _HOMES.items() for name in names},
    _MOVED,
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
