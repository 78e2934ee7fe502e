"""What is refocused: a photograph, how far things in it are, and how it becomes layers. Imports nothing that is slow."""

import importlib.util
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Literal

from taichi_bokeh.apps.options.arguments import whole
from taichi_bokeh.apps.options.requests import opt, option

#: How the views of `PhotoRequest.stereo` lie, where it is no file.
STEREO_IN_FILE, SIDE_BY_SIDE, CROSS_EYED = "in file", "side-by-side", "cross-eyed"


def _stereo(text: str) -> Path | str:
    """The file of the right view, or how two views lie in one picture."""
    return text if text in (STEREO_IN_FILE, SIDE_BY_SIDE, CROSS_EYED) else Path(text)


@dataclass(frozen=True)
class Network:
    """A network of the user's own.

    Attributes:
        spec: as of `photo.load_model`.
    """

    spec: str

    def __str__(self) -> str:
        return self.spec

    def content(self) -> tuple[str, Path | None]:
        """Return what it depends on: its name, and the file or folder in which it is. What that imports is not looked at."""
        module, colon, _ = self.spec.rpartition(":")
        if Path(self.spec).exists():
            return "", Path(self.spec)
        if not colon:
            return self.spec, None  # a name on the hub
        if Path(module).is_file():
            return self.spec, Path(module)
        try:
            found = importlib.util.find_spec(module)
        except (ImportError, ValueError):
            return self.spec, None
        return self.spec, None if found is None or found.origin is None else Path(found.origin)

    def absolute(self) -> "Network":
        """The same, as it is found from any folder; the name of a module stays."""
        if Path(self.spec).exists():
            return Network(str(Path(self.spec).absolute()))
        path, colon, function = self.spec.rpartition(":")
        return Network(f"{Path(path).absolute()}:{function}") if colon and Path(path).is_file() else self


@dataclass(frozen=True)
class PhotoRequest:
    """A photograph, and all that its layers depend on.

    Attributes:
        cuts: disparities at which to cut, found for all images of a sequence; None: those of the photograph itself.
    """

    GROUP = "scene"
    ABOUT = (
        "MODEL is module:function, file.py:function, a TorchScript file, the folder of a transformers model, or its name "
        "OWNER/NAME on the Hugging Face hub (downloaded once, after its licence is said); auto is a small default."
    )

    photo: Path = opt(
        "the image, sharp everywhere: PNG, JPEG, HEIC, TIFF, OpenEXR, PFM or npy",
        "PHOTO",
        Path,
        default=MISSING,
        names=["photo"],
        group="",
    )
    disparity: Path | None = opt(
        "its disparity (in PHOTO itself, as phones keep it): npy, npz ('data'), EXR, PFM, PNG or TIFF",
        "FILE",
        Path,
        one_of="distance",
    )
    alpha: Path | None = opt("matte of the foreground (grey, or an alpha channel)", "FILE", Path, one_of="foreground")
    stereo: Path | str | None = opt(
        "two views tell it, matched: those in PHOTO's own file or side by side in it, or PHOTO and the right view in FILE; "
        f"or say {SIDE_BY_SIDE} or {CROSS_EYED}",
        "FILE",
        _stereo,
        nargs="?",
        const=STEREO_IN_FILE,
        one_of="distance",
    )
    depth_model: Network | None = opt(
        "a network that estimates it (scaled to [0, 1] unless it gives metres)", "MODEL", Network, one_of="distance"
    )
    depth: bool = opt("the file or the network gives depth: take 1/depth", default=False)
    alpha_object: str | None = opt("the object whose matte a Cryptomatte in the EXR file of --alpha holds", "NAME")
    depth_unit: Literal["m", "mm"] | None = opt(
        "of a depth file of integers (scaled to [0, 1]; see inspect)", choices=("m", "mm")
    )
    layer: str | None = opt("which image of an OpenEXR file with several, as ViewLayer.Combined or rgba", "NAME")
    depth_layer: str | None = opt("which map of an OpenEXR file with several, as ViewLayer.Depth", "NAME")
    invert_disparity: bool = opt("the file's white is far: turn it round", default=False)
    turn_depth: bool = opt(
        "turn the disparity as EXIF turns the photograph, where it lies as the camera stored it", default=False
    )
    resize_depth: bool = opt("bring a disparity of another resolution to the image's", default=False)
    matte_model: Network | None = opt("a network that makes the matte", "MODEL", Network, one_of="foreground")
    trust_model_code: bool = opt("run code that a model of the hub brings itself, as BiRefNet does", default=False)
    no_own_matte: bool = opt("leave out the matte of a portrait that PHOTO itself holds", default=False)
    opaque: bool = opt("take a photograph with an alpha channel as if it had none", default=False)
    layers: int | None = opt("layers to split into (as many as depth edges ask for, up to 5)", "N", whole)
    matte: str = opt(
        "edges of layers: as the disparity has them, or for hair found anew by closed-form matting, slower (%(default)s)",
        choices=("outline", "refine"),
        default="outline",
    )
    inpaint: str = opt(
        "how to invent what is hidden (%(default)s)",
        choices=("push-pull", "patchmatch"),
        default="push-pull",
        one_of="hidden",
    )
    inpaint_model: Network | None = opt("a network of yours that invents it", "MODEL", Network, one_of="hidden")
    cuts: tuple[float, ...] | None = None

    def check(self) -> None:
        """Refuse what does not go together.

        Raises:
            ValueError: which option, in one line.
        """
        if self.disparity is None:
            self._check_estimated()
        elif self.depth_unit is not None and not self.depth:
            raise ValueError("--depth-unit is of a depth file: it needs --depth")
        elif self.invert_disparity and self.depth:
            raise ValueError("--invert-disparity is of a disparity file: it does not go with --depth")
        if self.alpha_object is not None and self.alpha is None:
            raise ValueError("--alpha-object says which matte of an EXR file is meant: it needs --alpha FILE")
        if self.has_matte and self.layers == 1:
            given = "--alpha" if self.alpha is not None else "--matte-model"
            raise ValueError(f"--layers 1 leaves no layer behind the foreground of {given}; it must be at least 2")

    def _check_estimated(self) -> None:
        if self.depth_model is None and self.depth and self.photo.suffix.lower() != ".exr":
            raise ValueError("--depth says what a file or a network gives: it needs --disparity or --depth-model")
        if self.resize_depth:
            raise ValueError("--resize-depth is for --disparity: all else has the image's own size")
        for name in ("depth_unit", "invert_disparity"):
            if getattr(self, name):
                raise ValueError(f"{option(name)} says how a file is read: it needs --disparity")

    @property
    def is_own_depth(self) -> bool:
        """Whether the photograph's own file is to hold depth, as nothing else is given."""
        return self.disparity is None and self.depth_model is None and self.stereo is None

    @property
    def has_matte(self) -> bool:
        """Whether the foreground has a layer of its own."""
        return self.alpha is not None or self.matte_model is not None
