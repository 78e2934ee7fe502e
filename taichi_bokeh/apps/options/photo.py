"""What is refocused: a photograph, how far things in it are, and how it becomes layers. Imports nothing that is slow."""

import importlib.util
import math
from dataclasses import MISSING, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from taichi_bokeh.apps.options.arguments import SpanAction, field_of_view, hole, whole, whole_from_0
from taichi_bokeh.apps.options.requests import opt, option

if TYPE_CHECKING:
    from taichi_bokeh.io import MapCode

#: How the views of `PhotoRequest.stereo` lie, where it is no file.
STEREO_IN_FILE, SIDE_BY_SIDE, CROSS_EYED = "in file", "side-by-side", "cross-eyed"

_OF_DEPTH = ("depth_unit", "depth_along_ray")
_OF_DISPARITY = ("invert_disparity", "disparity_range", "calib", "inverse_depth")


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
        relative_depth: as of `MapCode`, found for all images of a sequence.
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
        "its disparity (in PHOTO itself, as phones keep it): npy, npz, EXR, PFM, PNG or TIFF",
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
    depth_unit: str | None = opt(
        "of a depth file: m, cm, mm, steps a metre (5000/m) or a step's length (0.25mm), else integers are scaled to [0, 1]; "
        "with --calib: steps a px (KITTI: 256/px)",
        "UNIT",
    )
    depth_along_ray: bool = opt(
        "depth is measured along the rays from the lens; needs --field-of-view, or the focal length of a camera", default=False
    )
    field_of_view: float | None = opt("of the image's width, in degrees, for --depth-along-ray", "DEGREES", field_of_view)
    hole: list[float | None] | None = opt(
        "a number of the file that stands for nothing measured; may be given several times; none: no number does",
        "VALUE",
        hole,
        action="append",
    )
    disparity_range: tuple[float, float] | None = opt(
        "the disparities that black and white (0 and 1 of floats) stand for, in 1/m for a camera (MIN:MAX too)",
        ("MIN", "MAX"),
        nargs="+",
        action=SpanAction,
    )
    calib: Path | None = opt("Middlebury's calib.txt of the two cameras, whose disparity in px becomes 1/m", "FILE", Path)
    inverse_depth: bool = opt("what an EXR file calls depth (Z) is one over it: disparity", default=False)
    layer: str | None = opt("which image of an OpenEXR file with several, as ViewLayer.Combined or rgba", "NAME")
    depth_layer: str | None = opt("which map of an OpenEXR or npz file with several, as ViewLayer.Depth", "NAME")
    depth_frame: int | None = opt("which map of a stack, from 0", "N", whole_from_0)
    invert_disparity: bool = opt("the file's white is far: turn it round", default=False)
    turn_depth: bool = opt(
        "turn the disparity as EXIF turns the photograph, where it lies as the camera stored it", default=False
    )
    resize_depth: bool = opt(
        "bring a disparity of another resolution to the image's, also one whose sides a network has rounded", default=False
    )
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
    relative_depth: bool | None = None

    def check(self) -> None:
        """Refuse what does not go together.

        Raises:
            ValueError: which option, in one line.
        """
        if self.disparity is None and not self.is_own_exr:
            self._check_estimated()
        else:
            self._check_map()
        if self.resize_depth and self.disparity is None:
            raise ValueError("--resize-depth is for --disparity: all else has the image's own size")
        if self.alpha_object is not None and self.alpha is None:
            raise ValueError("--alpha-object says which matte of an EXR file is meant: it needs --alpha FILE")
        if self.has_matte and self.layers == 1:
            given = "--alpha" if self.alpha is not None else "--matte-model"
            raise ValueError(f"--layers 1 leaves no layer behind the foreground of {given}; it must be at least 2")

    def _check_estimated(self) -> None:
        if self.depth_model is None and self.depth:
            raise ValueError("--depth says what a file or a network gives: it needs --disparity or --depth-model")
        for name in (*_OF_DEPTH, *_OF_DISPARITY, "hole", "depth_frame"):
            if not (getattr(self, name) is None or getattr(self, name) is False):
                raise ValueError(f"{option(name)} says how a file is read: it needs --disparity")

    def _check_map(self) -> None:
        is_shift = self.depth_unit is not None and self.depth_unit.endswith("/px")
        if is_shift and self.calib is None:
            raise ValueError(f"--depth-unit {self.depth_unit} is of the shift between two images: it needs --calib")
        for name in _OF_DEPTH:
            if getattr(self, name) and not self.is_depth and not (name == "depth_unit" and is_shift):
                raise ValueError(f"{option(name)} is of a depth file: it needs --depth")
        for name in _OF_DISPARITY:
            if getattr(self, name) and self.is_depth:
                raise ValueError(f"{option(name)} is of a disparity file: it does not go with --depth")
        if self.calib is not None and self.invert_disparity and self.disparity_range is None:
            raise ValueError("--invert-disparity turns a range of disparity round: with --calib it needs --disparity-range")
        if not self.depth_along_ray:
            if self.field_of_view is not None:
                raise ValueError("--field-of-view is for --depth-along-ray")
            return
        if self.field_of_view is None:
            raise ValueError("--depth-along-ray needs --field-of-view, or --focal-length and --sensor-width")
        if self.turn_depth:
            raise ValueError("--depth-along-ray is for maps that lie as the image: it does not go with --turn-depth")

    def seen_by(self, focal_length_mm: float | None, sensor_width_mm: float | None) -> "PhotoRequest":
        """The same, with the field of view of a camera where one is needed and not given."""
        is_needed = self.depth_along_ray and self.field_of_view is None
        if not is_needed or focal_length_mm is None or sensor_width_mm is None:
            return self
        return replace(self, field_of_view=2 * math.degrees(math.atan2(sensor_width_mm / 2, focal_length_mm)))

    def map_code(self) -> "MapCode":
        """What the numbers of the disparity file are.

        Raises:
            ValueError, OSError: an option is none that there is, or the calibration cannot be read, in one line.
        """
        from taichi_bokeh.io import MapCode, read_calibration

        angle = self.field_of_view if self.depth_along_ray else None
        return MapCode(
            depth=self.is_depth,
            unit=self.depth_unit,
            invert=self.invert_disparity,
            holes=None if self.hole is None else tuple(value for value in self.hole if value is not None),
            span=self.disparity_range,
            rig=None if self.calib is None else read_calibration(self.calib),
            focal_length=None if angle is None else 0.5 / math.tan(math.radians(angle) / 2),
            relative=self.relative_depth,
            is_inverse=self.inverse_depth,
        )

    @property
    def is_own_depth(self) -> bool:
        """Whether the photograph's own file is to hold depth, as nothing else is given."""
        return self.disparity is None and self.depth_model is None and self.stereo is None

    @property
    def is_own_exr(self) -> bool:
        """Whether the photograph is an OpenEXR file that is to hold depth, which its options then tell of."""
        return self.is_own_depth and self.photo.suffix.lower() == ".exr"

    @property
    def is_depth(self) -> bool:
        """Whether the map is depth, as that in an OpenEXR file that is image and depth at once."""
        return self.depth or (self.is_own_exr and not self.inverse_depth)

    @property
    def has_matte(self) -> bool:
        """Whether the foreground has a layer of its own."""
        return self.alpha is not None or self.matte_model is not None
