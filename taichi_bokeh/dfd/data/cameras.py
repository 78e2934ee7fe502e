"""Cameras that data sets are taken with: which lenses, how large a picture, and what range of disparity."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor

from taichi_bokeh._checks import require_choice, require_integer, require_number
from taichi_bokeh.layers import Layers
from taichi_bokeh.optics.thin_lens import ThinLens
from taichi_bokeh.synthetic.mattes import Size
from taichi_bokeh.synthetic.scene import Scene


@dataclass(frozen=True, eq=False)
class View:
    """A scene before a camera.

    Attributes:
        layers: B = 1, disparity in the camera's unit.
        lenses: one for each picture that is taken.
        near: the largest disparity that the camera allows for.
        far: the smallest.
        disparity: the truth, [H, W].
    """

    layers: Layers
    lenses: tuple[ThinLens, ...]
    near: float
    far: float
    disparity: Tensor


@dataclass(frozen=True)
class NormalisedCamera:
    """One picture through the lens that comes with a scene; disparities stay in [0, 1].

    Attributes:
        name: in files and on the command line.
        width_px: of its pictures, unless another size is asked for.
        height_px: of them.
    """

    name: str = "normalised"
    width_px: int = 128
    height_px: int = 128

    @property
    def size(self) -> Size:
        """Height and width, px."""
        return self.height_px, self.width_px

    def view(self, scene: Scene) -> View:
        """The scene as it is."""
        return View(scene.layers, (scene.lens(),), 1.0, 0.0, scene.disparity_map)


@dataclass(frozen=True)
class StackCamera:
    """A camera that takes a focal stack, one picture for each distance in focus; disparities are in 1/m.

    Pictures of another size are taken with the same pixels, so that they show more or less of the view.

    Attributes:
        name: in files and on the command line.
        focal_length_m: of the lens.
        f_number: focal length over diameter of the opening.
        pixel_m: width of a pixel.
        focus_distances_m: from the lens to the plane in focus, for each picture.
        nearest_m: depth of the nearest thing in any scene.
        farthest_m: depth of the farthest.
        width_px: of its pictures, unless another size is asked for.
        height_px: of them.

    Raises:
        TypeError: a value is of the wrong type.
        ValueError: a length is not positive, no distance is given, or one is within the focal length.
    """

    name: str
    focal_length_m: float
    f_number: float
    pixel_m: float
    focus_distances_m: tuple[float, ...]
    nearest_m: float
    farthest_m: float
    width_px: int
    height_px: int

    def __post_init__(self) -> None:
        for name in ("width_px", "height_px"):
            require_integer(name, getattr(self, name), at_least=1)
        require_number("nearest_m", self.nearest_m, above=0.0)
        require_number("farthest_m", self.farthest_m, above=self.nearest_m)
        if not self.focus_distances_m:
            raise ValueError("focus_distances_m is empty; expected at least one")
        _ = self.lenses  # refuses what is wrong with the lens

    @property
    def size(self) -> Size:
        """Height and width, px."""
        return self.height_px, self.width_px

    @property
    def lenses(self) -> tuple[ThinLens, ...]:
        """One for each distance in focus. Nearer ones blur a little more, as the sensor is farther from the lens."""
        sensor_width_m = self.pixel_m * self.width_px
        return tuple(
            ThinLens.from_camera(self.focal_length_m, self.f_number, distance_m, sensor_width_m, self.width_px)
            for distance_m in self.focus_distances_m
        )

    @property
    def near(self) -> float:
        """The largest disparity, 1/m."""
        return 1 / self.nearest_m

    @property
    def far(self) -> float:
        """The smallest."""
        return 1 / self.farthest_m

    def view(self, scene: Scene) -> View:
        """A scene of disparities in [0, 1], stretched over the camera's range; its own lens is left aside."""
        span = self.near - self.far
        layers = scene.layers
        stretched = Layers(layers.rgb, layers.alpha, self.far + span * layers.disparity)
        return View(stretched, self.lenses, self.near, self.far, self.far + span * scene.disparity_map)


Camera = NormalisedCamera | StackCamera

NORMALISED = NormalisedCamera()

#: The camera with which the DEReD work (CVPR 2023) makes focal stacks of NYUv2: 50 mm at f/8, 12 µm pixels, focus at 1, 1.5,
#: 2.5, 4 and 6 m, 320 × 240. The range of depth is chosen here: rooms, as NYUv2 shows them, from 0.7 to 10 m.
DERED = StackCamera(
    name="dered",
    focal_length_m=50e-3,
    f_number=8.0,
    pixel_m=12e-6,
    focus_distances_m=(1.0, 1.5, 2.5, 4.0, 6.0),
    nearest_m=0.7,
    farthest_m=10.0,
    width_px=320,
    height_px=240,
)

#: The camera of DefocusNet's synthetic set ("Focus on Defocus", CVPR 2020). Its authors state 2.9 mm at f/1, focus at 0.1,
#: 0.15, 0.3, 0.7 and 1.5 m, depths up to 3 m, 256 × 256. They do not state the pixel: later work on the set takes a sensor
#: 3.1 mm wide, as is done here (12.1 µm), and then f/0.5. The nearest depth, 0.1 m, is that of the nearest focus.
DEFOCUSNET = StackCamera(
    name="defocusnet",
    focal_length_m=2.9e-3,
    f_number=1.0,
    pixel_m=3.1e-3 / 256,
    focus_distances_m=(0.1, 0.15, 0.3, 0.7, 1.5),
    nearest_m=0.1,
    farthest_m=3.0,
    width_px=256,
    height_px=256,
)

#: By their names.
CAMERAS: Mapping[str, Camera] = MappingProxyType({camera.name: camera for camera in (NORMALISED, DERED, DEFOCUSNET)})


def camera_named(name: str) -> Camera:
    """One of `CAMERAS`.

    Raises:
        ValueError: there is none of that name.
    """
    require_choice("camera", name, CAMERAS)
    return CAMERAS[name]
