"""Networks that transformers loads: from a folder, or by a name on the Hugging Face hub, into its own cache."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from taichi_bokeh._extras import how_to_install
from taichi_bokeh.photo.known_models import Output, default_of, depth_output, known

Array = NDArray[np.float32]
Say = Callable[[str], None]

AUTO = "auto"
_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_LOADING = (OSError, ValueError, KeyError, ImportError, RuntimeError, AttributeError, TypeError)  # what transformers raises
_WAIT_S = 10
_CODE_PX = 1024  # side of what networks with code of their own see
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Loaded(NamedTuple):
    """A network.

    Attributes:
        run: takes sRGB [H, W, 3] in [0, 1], returns [1, 1, H, W].
        output: what a network for depth gives; None for others.
    """

    run: Callable[[Array], Tensor]
    output: Output | None = None


def is_hub_name(spec: str) -> bool:
    """Tell whether it reads as OWNER/NAME or "auto", and is no file or folder."""
    return (spec == AUTO or _NAME.fullmatch(spec) is not None) and not Path(spec).exists()


def load_transformers(spec: str, purpose: str, say: Say, trust_code: bool = False) -> Loaded:
    """Load a folder or a name on the hub; what is not in the cache yet is downloaded, if HF_HUB_OFFLINE does not forbid it.

    Args:
        spec: the folder, OWNER/NAME, or "auto" for the default.
        purpose: "depth" or "matte".
        say: is told before anything is downloaded, with its licence.
        trust_code: run code that the model brings itself.

    Raises:
        ValueError: it cannot be had, or is no network for this purpose; one line says what to do.
    """
    try:
        import transformers
    except ModuleNotFoundError:
        raise ValueError(f"{spec} needs transformers ({how_to_install('transformers')})") from None
    name = default_of(purpose).name if spec == AUTO else spec
    brought = known(name)
    if brought is not None and brought.brings_code and not trust_code:
        raise ValueError(f"{name} runs code of its own from the hub: --trust-model-code allows it, if you trust its owner")

    try:
        with _silent(transformers):
            return _load(transformers, name, purpose, trust_code, is_local=True)
    except _LOADING as error:
        if Path(name).exists():
            raise ValueError(f"{name} cannot be loaded as a transformers model for {purpose}: {_said(error)}") from error
    _require_hub(name)
    say(_announced(name))
    try:
        return _load(transformers, name, purpose, trust_code, is_local=False)
    except _LOADING as error:
        raise ValueError(f"{name} cannot be loaded as a transformers model for {purpose}: {_said(error)}") from error


def _announced(name: str) -> str:
    model = known(name)
    size = f", some {model.size_mb} MB" if model is not None else ""
    licence = f"its licence is {model.licence}" if model is not None else f"its licence is on https://huggingface.co/{name}"
    return f"downloading {name} from the Hugging Face hub to the cache of transformers{size}; {licence}"


def _require_hub(name: str) -> None:
    """Refuse where nothing can be downloaded; transformers itself would try for minutes."""
    import huggingface_hub
    from huggingface_hub import constants

    remedy = f"on a machine with one, `hf download {name} --local-dir DIR` makes a folder DIR that can be given instead"
    if constants.HF_HUB_OFFLINE:  # read from the environment when it is imported
        raise ValueError(f"{name} is not in the cache of transformers, and HF_HUB_OFFLINE forbids to download it: {remedy}")
    try:
        answer = huggingface_hub.get_session().head(f"{constants.ENDPOINT}/api/models/{name}", timeout=_WAIT_S)
    except Exception as error:  # of whichever library it uses for requests
        told = f"{name} is not in the cache of transformers, and no network to download it ({type(error).__name__})"
        raise ValueError(f"{told}: {remedy}") from None
    if answer.status_code in (401, 403, 404):
        raise ValueError(f"{name} is not on the Hugging Face hub, or not open to you (`hf auth login`)")


def _load(transformers: Any, name: str, purpose: str, trust_code: bool, is_local: bool) -> Loaded:
    options: dict[str, Any] = {"local_files_only": is_local}
    config = transformers.AutoConfig.from_pretrained(name, trust_remote_code=trust_code, **options)
    if "AutoModelForImageSegmentation" in (getattr(config, "auto_map", None) or {}):
        if not trust_code:
            raise ValueError("it brings code of its own; --trust-model-code runs it, if you trust its owner")
        networks = transformers.AutoModelForImageSegmentation
        return Loaded(_with_own_code(networks.from_pretrained(name, trust_remote_code=True, **options).eval()))
    processor = transformers.AutoImageProcessor.from_pretrained(name, **options)
    if purpose == "depth":
        network = transformers.AutoModelForDepthEstimation.from_pretrained(name, **options).eval()
        return Loaded(_depth(processor, network), depth_output(name, config))
    network = transformers.AutoModelForSemanticSegmentation.from_pretrained(name, **options).eval()
    _require_background(name, network.config.id2label)
    return Loaded(_foreground(processor, network))


def _require_background(name: str, labels: dict[int, str]) -> None:
    if len(labels) > 1 and str(labels[0]).lower() != "background":
        raise ValueError(f"{name} tells {len(labels)} labels apart, of which the first is {labels[0]!r}, not 'background'")


def _seen(processor: Any, rgb: Array) -> Any:
    return processor(images=np.rint(rgb * 255).astype(np.uint8), return_tensors="pt")


def _depth(processor: Any, network: Any) -> Callable[[Array], Tensor]:
    """Depth as the network's own processor makes it of what comes out: some give it by the field of view."""

    def run(rgb: Array) -> Tensor:
        outputs, size = network(**_seen(processor, rgb)), rgb.shape[:2]
        if not hasattr(processor, "post_process_depth_estimation"):
            return functional.interpolate(outputs.predicted_depth[:, None], size, mode="bilinear", align_corners=False)
        more = {"source_sizes": [size]} if "zoedepth" in type(processor).__name__.lower() else {}
        (found,) = processor.post_process_depth_estimation(outputs, target_sizes=[size], **more)
        return found["predicted_depth"][None, None]

    return run


def _foreground(processor: Any, network: Any) -> Callable[[Array], Tensor]:
    def run(rgb: Array) -> Tensor:
        logits = network(**_seen(processor, rgb)).logits
        result = logits.sigmoid() if logits.shape[1] == 1 else 1 - logits.softmax(1)[:, :1]
        return functional.interpolate(result, rgb.shape[:2], mode="bilinear", align_corners=False)

    return run


def _with_own_code(network: Any) -> Callable[[Array], Tensor]:
    """Run networks such as BiRefNet: a square picture in, logits of the foreground out, the finest of several last."""

    def run(rgb: Array) -> Tensor:
        picture = torch.from_numpy(rgb)
        picture = (picture - picture.new_tensor(_MEAN)) / picture.new_tensor(_STD)
        square = functional.interpolate(picture.permute(2, 0, 1)[None].float(), (_CODE_PX, _CODE_PX), mode="bilinear")
        result = network(square)
        result = result[-1] if isinstance(result, list | tuple) else result
        return functional.interpolate(result.sigmoid(), rgb.shape[:2], mode="bilinear", align_corners=False)

    return run


@contextmanager
def _silent(transformers: Any) -> Iterator[None]:
    """No progress bars or notes of transformers' own."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
