"""Networks on the Hugging Face hub whose output is known: what near is, in which unit, and under which licence they come."""

from typing import Any, Literal, NamedTuple

#: What a network for depth gives: depth in metres, or disparity up to scale and shift.
Output = Literal["metres", "relative disparity"]

_APACHE, _OTHER = "Apache-2.0", "one of its own, see its page"


class KnownModel(NamedTuple):
    """A network on the hub.

    Attributes:
        name: OWNER/NAME.
        purpose: "depth" or "matte".
        output: what it gives, in words or as `Output`.
        licence: of its weights.
        size_mb: to be downloaded, roughly.
        brings_code: it is no part of transformers, and runs code of its owner's.
    """

    name: str
    purpose: Literal["depth", "matte"]
    output: str
    licence: str
    size_mb: int
    brings_code: bool = False


_DEPTH_ANYTHING = "depth-anything/Depth-Anything-V2"

#: The first of a purpose is what "auto" takes.
KNOWN: tuple[KnownModel, ...] = (
    KnownModel(f"{_DEPTH_ANYTHING}-Small-hf", "depth", "relative disparity", _APACHE, 100),
    KnownModel(f"{_DEPTH_ANYTHING}-Base-hf", "depth", "relative disparity", "CC-BY-NC-4.0", 390),
    KnownModel(f"{_DEPTH_ANYTHING}-Large-hf", "depth", "relative disparity", "CC-BY-NC-4.0", 1340),
    KnownModel(f"{_DEPTH_ANYTHING}-Metric-Indoor-Small-hf", "depth", "metres", _APACHE, 100),
    KnownModel(f"{_DEPTH_ANYTHING}-Metric-Outdoor-Small-hf", "depth", "metres", _APACHE, 100),
    KnownModel("Intel/dpt-large", "depth", "relative disparity", _APACHE, 1370),
    KnownModel("Intel/zoedepth-nyu-kitti", "depth", "metres", "MIT", 1380),
    KnownModel("apple/DepthPro-hf", "depth", "metres", _OTHER, 1900),
    KnownModel("google/deeplabv3_mobilenet_v2_1.0_513", "matte", "people, animals, vehicles and furniture", _OTHER, 10),
    KnownModel("mattmdjaga/segformer_b2_clothes", "matte", "people with their clothes", _OTHER, 110),
    KnownModel("ZhengPeng7/BiRefNet", "matte", "what is salient", "MIT", 890, brings_code=True),
    KnownModel("ZhengPeng7/BiRefNet-portrait", "matte", "people", "MIT", 890, brings_code=True),
    KnownModel("ZhengPeng7/BiRefNet-matting", "matte", "what is salient, with hair", "MIT", 890, brings_code=True),
)

_METRIC_TYPES = ("depth_pro", "glpn", "prompt_depth_anything", "zoedepth")
_METRIC_DATA = ("nyu", "kitti", "metric")  # in the name of a network that was trained on metres


def known(name: str) -> KnownModel | None:
    """Look a name up."""
    return next((model for model in KNOWN if model.name.lower() == name.lower()), None)


def default_of(purpose: str) -> KnownModel:
    """Take what "auto" means for a purpose."""
    return next(model for model in KNOWN if model.purpose == purpose)


def depth_output(name: str, config: Any) -> Output:
    """Tell what a network for depth gives, by its name or else by its configuration."""
    model = known(name)
    if model is not None:
        return "metres" if model.output == "metres" else "relative disparity"
    kind = str(getattr(config, "model_type", ""))
    if kind == "depth_anything":
        return "metres" if getattr(config, "depth_estimation_type", "relative") == "metric" else "relative disparity"
    if kind in _METRIC_TYPES or any(word in name.lower() for word in _METRIC_DATA):
        return "metres"
    return "relative disparity"
