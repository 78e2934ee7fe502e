"""The shape of the aperture, which is the shape of every out-of-focus highlight."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from taichi_bokeh._autocast import in_full_precision
from taichi_bokeh._checks import Bounded, require_integer, require_number, require_shape, require_values
from taichi_bokeh.optics import lens_samples
from taichi_bokeh.optics.psf import point_spread


@dataclass(frozen=True, eq=False)
class Aperture:
    """The opening of the lens, within the unit disc (x right, y down); the default is the disc.

    Highlights beyond the focus show it as it is, nearer ones its point mirror. Blades become visible as `roundness` goes
    below 1: `Aperture(blades=6, roundness=0)` is a hexagon.

    Attributes:
        blades: number of blades, at least 3; 0 is a disc.
        rotation: angle of a corner, or of the image, in degrees from x, clockwise as seen in the rendered image.
        roundness: how far the blades bulge, from 0 (a polygon with its corners on the unit circle) to 1 (a disc).
        squeeze: height over width, as an anamorphic lens stretches its highlights; 1 is round. The longer side stays.
        cat_eye: how much the rim of the lens cuts from the aperture towards the corners of the rendered image, from 0 to 1: see
            `taichi_bokeh.optics.lens_samples.cat_eye_transmission`.
        ring: how much brighter the rim of a highlight is than its mean, from −1 (dark) through 0 (even) to 1 (twice as
            bright), as spherical aberration makes it.
        image: brightness of the aperture [H, W] as a numpy array or a torch tensor, in any scale, instead of blades,
            roundness and ring. It spans the square [−1, 1]², row 0 at the top; what is bright in the square's corners
            reaches beyond the unit disc, and blurs that much wider. A float64 copy is kept.

    Raises:
        TypeError: a field is of the wrong type.
        ValueError: a field is out of range, or an image comes with blades, roundness or ring.
    """

    blades: int = 0
    rotation: float = 0.0
    roundness: float = 1.0
    squeeze: float = 1.0
    cat_eye: float = 0.0
    ring: float = 0.0
    image: np.ndarray | Tensor | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        require_integer("blades", self.blades)
        if self.blades != 0 and self.blades < 3:
            raise ValueError(f"blades is {self.blades!r}; expected 0 (a disc) or at least 3")
        require_number("rotation", self.rotation)
        require_number("roundness", self.roundness, at_least=0.0, at_most=1.0)
        require_number("squeeze", self.squeeze, above=0.0)
        require_number("cat_eye", self.cat_eye, at_least=0.0, at_most=1.0)
        require_number("ring", self.ring, at_least=-1.0, at_most=1.0)
        if self.image is not None:
            for name, default in (("blades", 0), ("roundness", 1.0), ("ring", 0.0)):
                if getattr(self, name) != default:
                    raise ValueError(
                        f"{name} is {getattr(self, name)!r}; expected {default!r} with an image, which replaces it"
                    )
            object.__setattr__(self, "image", _checked_image(self.image))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Aperture):
            return NotImplemented
        if self._image is None or other._image is None:
            return self._numbers == other._numbers and self._image is other._image
        return self._numbers == other._numbers and torch.equal(self._image, other._image)

    def __hash__(self) -> int:
        if self._image is not None:
            raise TypeError("an Aperture with an image cannot be hashed, as its image can change")
        return hash(self._numbers)

    @property
    def not_a_disc(self) -> str | None:
        """Name of the first field that makes the aperture anything but the evenly lit disc; None where it is the disc."""
        if self.blades != 0 and self.roundness < 1:
            return "blades"
        if self.squeeze != 1:
            return "squeeze"
        if self.cat_eye != 0:
            return "cat_eye"
        if self.ring != 0:
            return "ring"
        return None if self.image is None else "image"

    @property
    def is_disc(self) -> bool:
        """Whether every highlight is an evenly lit disc, however that is spelled."""
        return self.not_a_disc is None

    @property
    def extent(self) -> float:
        """The largest |u| of the aperture: 1, or that of the farthest corner of a pixel of the image that is not black."""
        if self._image is None:
            return 1.0
        size = torch.tensor(self._image.shape, dtype=torch.float64, device="cpu")
        corners = self._image.nonzero()[:, None] + self._image.new_tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
        u = (2 * corners / size - 1).flip(-1).reshape(-1, 2)
        return float(self._placed(u).norm(dim=-1).max())

    def samples(self, count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Choose lens points and their weights, on the CPU in float64: u [count, 2] (x right, y down), and [count], of sum 1.

        The points cover the aperture evenly, an image as densely as it is bright, and so does every beginning of them; a
        weight other than 1/count comes from `ring` alone. The cat-eye depends on the pixel as well, and is not included.

        Args:
            count: number of points, at least 1.
            seed: any integer; other seeds give other points of the same aperture.
        """
        require_integer("count", count, at_least=1)
        require_integer("seed", seed)
        if self._image is not None:
            points = lens_samples.image_points(self._image, count, seed)
            return self._placed(points), torch.full((count,), 1 / count, dtype=torch.float64, device="cpu")
        disc = lens_samples.spiral(count, seed)
        points = lens_samples.polygon(disc, self.blades, self.roundness) if self.blades else disc
        return self._placed(points), lens_samples.ring_weights(disc, self.ring) / count

    @in_full_precision
    def transmission(self, points: Tensor) -> Tensor:
        """Compute the brightness at lens points u [..., 2] (x right, y down), ≥ 0, in any one scale, 0 outside; [...].

        That of `samples` is this distribution. The cat-eye depends on the pixel as well, and is not included.
        """
        points = lens_samples.rotate(lens_samples.squeeze(points, self.squeeze, inverse=True), -self.rotation)
        if self._image is not None:
            return lens_samples.image_values(self._image, points)
        if self.blades:
            points = points / lens_samples.polygon_rim(points, self.blades, self.roundness)[..., None]
        inside = points.square().sum(-1) <= 1
        return torch.where(inside, lens_samples.ring_weights(points, self.ring), 0.0)

    def psf(self, radius_px: float | Tensor, size: int | None = None, *, field: tuple[float, float] = (0.0, 0.0)) -> Tensor:
        """Compute the image of a point in the middle of a pixel: the point spread function, differentiable in the radius.

            import taichi_bokeh as tb

            psf = tb.Aperture(blades=6, roundness=0).psf(-12.0)  # a hexagon 12 px in radius, 27 × 27

        It is the aperture at the scale of the radius, averaged over pixels and convolved with the tent of bilinear
        interpolation, as `render` draws a point in a flat layer.

        Args:
            radius_px: signed radius of the circle of confusion, px: below 0, beyond the focus, the aperture as it is; above 0,
                nearer than the focus, its point mirror. Number, or tensor [] of float32 or float64.
            size: height and width, odd; by default what holds all of it.
            field: position in the image from its centre over half the diagonal, x right and y down; matters with a `cat_eye`.

        Returns:
            [size, size], row 0 at the top, ≥ 0; of the dtype and device of the radius, float32 on the CPU for a number. The sum
            is 1, less what falls outside.

        Raises:
            TypeError, ValueError: an argument is not what it must be; the message names it.
        """
        return point_spread(self, radius_px, size, field)

    def _placed(self, points: Tensor) -> Tensor:
        return lens_samples.squeeze(lens_samples.rotate(points, self.rotation), self.squeeze)

    @property
    def _image(self) -> Tensor | None:
        assert not isinstance(self.image, np.ndarray)  # kept as a tensor, see __post_init__
        return self.image

    @property
    def _numbers(self) -> tuple[float, ...]:
        return self.blades, self.rotation, self.roundness, self.squeeze, self.cat_eye, self.ring


_SHAPE = ("blades", "rotation", "roundness", "squeeze", "cat_eye", "ring")


def shape_of(aperture: Aperture) -> list[float]:
    """Give the numbers of an aperture, as operators take them, beside its image."""
    return [float(getattr(aperture, name)) for name in _SHAPE]


def aperture_of(shape: list[float], image: Tensor | None) -> Aperture:
    """Make the aperture that `shape_of` was given."""
    blades, rotation, roundness, squeeze, cat_eye, ring = shape
    return Aperture(int(blades), rotation, roundness, squeeze, cat_eye, ring, image)


def _checked_image(image: np.ndarray | Tensor) -> Tensor:
    """Make a float64 copy on the CPU with the maximum 1, so that no sum overflows."""
    if isinstance(image, np.ndarray) and image.dtype.kind in "buif":
        values = torch.from_numpy(image.astype(np.float64))
    elif isinstance(image, Tensor) and not image.is_complex():
        if image.requires_grad:
            raise ValueError("image requires a gradient; expected one without, as lens points have none with respect to it")
        values = image.to("cpu", torch.float64, copy=True)
    else:
        kind = getattr(image, "dtype", type(image).__name__)
        raise TypeError(f"image is of type {kind}; expected a numpy array or a torch tensor of real numbers")
    require_shape("image", values, "H", "W")
    require_values({"image": Bounded(values, at_least=0.0)})
    brightest = values.max()
    if brightest == 0:
        raise ValueError("image has the value 0 everywhere; expected some more than 0")
    return values / brightest
