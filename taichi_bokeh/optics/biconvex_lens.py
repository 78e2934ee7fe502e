"""The biconvex lens: one piece of glass between two equal spheres that meet in its rim. Figures in docs/ray-tracing.md.

With curvature radius R_c, rim radius R_a, refractive index n and the plane in focus at z_f:

    t = 2·(R_c − √(R_c² − R_a²))                          thickness on the axis
    1/f = (n − 1)·(2/R_c − (n − 1)·t/(n·R_c²))            focal length, by the lensmaker's equation of a thick lens
    δ = (n − 1)·f·t/(n·R_c)                               each principal plane lies δ inside its vertex
    1/D_I = 1/f − 1/z_f                                   the sensor, from the back principal plane

Source: Dr.Bokeh, supplement 4.1, with its thickness and its sign corrected.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Any, Self

import torch
from torch import Tensor

from taichi_bokeh._checks import require_float_tensor, require_integer, require_number, require_shape, require_type
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.biconvex_ray import biconvex_rays
from taichi_bokeh.optics.psf import require_odd_size, splat
from taichi_bokeh.optics.thin_lens import ThinLens

_D_LINE_NM, _F_LINE_NM, _C_LINE_NM = 587.5618, 486.1327, 656.2725
_PSF_RAYS = 1 << 16
_RGB_NM = (610.0, 546.0, 465.0)  # near the centroids of the sRGB primaries' spectra in common displays and cameras


def from_abbe(n_d: float, v_d: float) -> tuple[float, float, float]:
    """Compute the refractive indices of a glass at 610, 546 and 465 nm, for red, green and blue.

    By Cauchy's equation n(λ) = A + B/λ², through n_d at the d line (587.6 nm) and with the dispersion between the F and C
    lines (486.1 and 656.3 nm) that the Abbe number states: v_d = (n_d − 1)/(n_F − n_C). The catalogue value of common crown
    glass is n_d = 1.517, v_d = 64; of dense flint, 1.62 and 36.

    Raises:
        TypeError: an argument is not a number.
        ValueError: n_d is not finite and above 1, or v_d not finite and at least 1.
    """
    require_number("n_d", n_d, above=1.0)
    require_number("v_d", v_d, at_least=1.0)
    b = (n_d - 1) / v_d / (_F_LINE_NM**-2 - _C_LINE_NM**-2)
    red, green, blue = (n_d + b * (wavelength**-2 - _D_LINE_NM**-2) for wavelength in _RGB_NM)
    return red, green, blue


@dataclass(frozen=True)
class BiconvexLens:
    """A symmetric lens of two spherical surfaces, the rim its stop, with a sensor behind it. Disparity is in 1/m.

    Depths, `focus_distance` among them, are measured from the front principal plane. The sensor stands where paraxial rays
    of the middle refractive index from `focus_distance` meet; it is not moved to make up for aberrations.

    Attributes:
        curvature_radius: R_c of both spheres, in metres.
        aperture_diameter: of the rim, in metres; less than 2·R_c.
        refractive_index: of the glass in air, above 1: one number, or three, for red, green and blue (`from_abbe`).
        focus_distance: z_f, in metres; more than the focal length.
        sensor_width: in metres.
        image_width: in pixels, across `sensor_width`.
        aperture: its shape within the rim; its `cat_eye` is 0, as that takes two rims.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: a number is not finite and positive, the refractive index is not above 1, the aperture is wider than
            the spheres, the lens is so thick that parallel light meets inside the glass, or the focus is within the
            focal length.
    """

    curvature_radius: float
    aperture_diameter: float
    refractive_index: float | tuple[float, float, float]
    focus_distance: float
    sensor_width: float
    image_width: float
    aperture: Aperture = Aperture()

    def __post_init__(self) -> None:
        for name in ("curvature_radius", "aperture_diameter", "focus_distance", "sensor_width", "image_width"):
            require_number(name, getattr(self, name), above=0.0)
        object.__setattr__(self, "refractive_index", _checked_refractive_index(self.refractive_index))
        require_type("aperture", self.aperture, Aperture, "an Aperture")
        if self.aperture.cat_eye:
            raise ValueError(
                f"aperture has cat_eye={self.aperture.cat_eye!r}; expected 0: that takes two rims, and this lens has one"
            )
        if self.aperture_diameter >= 2 * self.curvature_radius:
            raise ValueError(
                f"aperture_diameter is {self.aperture_diameter!r} m; expected less than 2·curvature_radius, "
                f"{2 * self.curvature_radius!r} m, the width of the spheres"
            )
        highest = max(self.refractive_indices)
        if self.thickness * (highest - 1) >= highest * self.curvature_radius:
            raise ValueError(
                f"aperture_diameter is {self.aperture_diameter!r} m; expected less: a lens {self.thickness:.6g} m thick, "
                f"with a refractive_index of {highest!r}, brings parallel light together inside the glass"
            )
        if self.focus_distance <= self.focal_length:
            raise ValueError(
                f"focus_distance is {self.focus_distance!r} m; expected more than the focal length, {self.focal_length!r} m, "
                "within which no lens forms an image"
            )

    @classmethod
    def from_focal_length(
        cls,
        focal_length: float,
        f_number: float,
        refractive_index: float | tuple[float, float, float],
        focus_distance: float,
        sensor_width: float,
        image_width: float,
        aperture: Aperture = Aperture(),
    ) -> Self:
        """Grind the lens that has `focal_length` at `f_number`: aperture_diameter = f/N, curvature_radius to 1e-12.

        Where two lenses have it, a flat one and one close to a ball, this is the flat one. `focal_length` is that of the
        middle refractive index; the other arguments are the attributes of the class.

        Raises:
            TypeError: an argument is of the wrong type.
            ValueError: as for the class; or the f-number is lower than that of any biconvex lens of this refractive index.
        """
        require_number("focal_length", focal_length, above=0.0)
        require_number("f_number", f_number, above=0.0)
        refractive_index = _checked_refractive_index(refractive_index)
        aperture_radius_m = focal_length / f_number / 2
        curvature_radius_m = _solve_curvature_radius(focal_length, aperture_radius_m, _middle(refractive_index))
        return cls(
            curvature_radius_m, 2 * aperture_radius_m, refractive_index, focus_distance, sensor_width, image_width, aperture
        )

    @property
    def refractive_indices(self) -> tuple[float, float, float]:
        """Of red, green and blue; three times the same for one number."""
        if isinstance(self.refractive_index, tuple):
            return self.refractive_index
        return (self.refractive_index,) * 3

    @property
    def aperture_radius(self) -> float:
        """R_a, the radius of the rim, in metres."""
        return self.aperture_diameter / 2

    @property
    def thickness(self) -> float:
        """t, from vertex to vertex, in metres."""
        return _thickness(self.curvature_radius, self.aperture_radius)

    @property
    def focal_length(self) -> float:
        """f, for the middle refractive index, in metres."""
        return _focal_length(self.curvature_radius, self.aperture_radius, _middle(self.refractive_index))

    @property
    def principal_plane_offset(self) -> float:
        """δ, how far inside its vertex each principal plane lies, in metres."""
        n = _middle(self.refractive_index)
        return (n - 1) * self.focal_length * self.thickness / (n * self.curvature_radius)

    @property
    def sensor_distance(self) -> float:
        """D_I, from the back principal plane to the sensor, in metres."""
        return self.focal_length * self.focus_distance / (self.focus_distance - self.focal_length)

    @property
    def pixel_pitch(self) -> float:
        """p, the width of a pixel on the sensor, in metres."""
        return self.sensor_width / self.image_width

    @property
    def blur(self) -> float:
        """Of the ideal lens in its place: R_a·D_I/p, in pixels per 1/m of disparity."""
        return self.aperture_radius * self.sensor_distance / self.pixel_pitch

    @property
    def focus(self) -> float:
        """The disparity in focus, 1/z_f, in 1/m."""
        return 1 / self.focus_distance

    @property
    def is_dispersive(self) -> bool:
        """Whether red, green and blue are refracted differently."""
        return len(set(self.refractive_indices)) > 1

    def kernel_parameters(self) -> tuple[float, ...]:
        """Give (R_c, R_a, t, D_I, δ, p, n_red, n_green, n_blue), lengths in metres: all that a ray needs to know."""
        return (
            float(self.curvature_radius),
            self.aperture_radius,
            self.thickness,
            self.sensor_distance,
            self.principal_plane_offset,
            self.pixel_pitch,
            *self.refractive_indices,
        )

    def psf(self, disparity: float | Tensor, size: int = 65, channel: int | None = None) -> Tensor:
        """Compute the image of a point on the axis at this disparity, by rays; differentiable in the disparity.

            import taichi_bokeh as tb
            from taichi_bokeh.optics.biconvex_lens import from_abbe

            glass = from_abbe(1.517, 64)
            lens = tb.BiconvexLens.from_focal_length(0.05, 2.0, glass, 2.0, sensor_width=0.036, image_width=1920)
            red, blue = lens.psf(1 / 8, channel=0), lens.psf(1 / 8, channel=2)

        Args:
            disparity: in 1/m, > 0; number, or tensor [] of float32 or float64.
            size: height and width in px, odd.
            channel: 0, 1 or 2, red, green or blue; None for their mean.

        Returns:
            [size, size], row 0 at the top; float32 on the CPU for a number. The sum is 1, less what falls outside. It is the
            mean over the rays that pass the lens.

        Raises:
            TypeError, ValueError: an argument is not what it must be; the message names it.
        """
        if not isinstance(disparity, Tensor):
            require_number("disparity", disparity, above=0.0)
            disparity = torch.tensor(disparity, dtype=torch.float32, device="cpu")
        require_float_tensor("disparity", disparity)
        require_shape("disparity", disparity)
        require_odd_size(size)
        if channel is not None:
            require_integer("channel", channel, at_least=0)
            if channel > 2:
                raise ValueError(f"channel is {channel}; expected 0, 1 or 2, red, green or blue, or None for their mean")
        indices = self.refractive_indices if channel is None else (self.refractive_indices[channel],)
        if not self.is_dispersive:
            indices = indices[:1]
        parts = [self._point_seen(index, disparity, size) for index in indices]
        return torch.stack(parts).mean(0).to(disparity.dtype)

    def _point_seen(self, index: float, disparity: Tensor, size: int) -> Tensor:
        """Add up where the pixels lie that see a point at the origin, through each lens point: [size, size], float64.

        A pixel x sees p(x) ≈ p(0) + J·x, so that x = −J⁻¹·p(0), and in so small an area as 1/|det J|.
        """
        points, weights = (value.to(disparity.device) for value in self.aperture.samples(_PSF_RAYS))
        pixels = points.new_tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        rays = biconvex_rays(self, pixels[:, None], (1, 1), points, index)
        seen = rays.base + rays.slope * disparity.double()
        alive = rays.alive.all(0)
        seen, weights = seen[:, alive], weights[alive]
        jacobian = torch.stack([seen[1] - seen[0], seen[2] - seen[0]], -1)
        weights = weights / torch.linalg.det(jacobian).abs()
        return splat(-torch.linalg.solve(jacobian, seen[0]), weights / weights.sum(), size)

    def thin_lens(self) -> ThinLens:
        """Make the ideal lens of the same aperture, focal length and focus: this one without aberrations and thickness."""
        return ThinLens(self.blur, self.focus, self.aperture)


def _checked_refractive_index(value: Any) -> float | tuple[float, float, float]:
    if not isinstance(value, tuple | list):
        require_number("refractive_index", value, above=1.0)
        return float(value)
    if len(value) != 3:
        raise ValueError(f"refractive_index has {len(value)} numbers; expected one, or three for red, green and blue")
    for channel, number in enumerate(value):
        require_number(f"refractive_index[{channel}]", number, above=1.0)
    red, green, blue = map(float, value)
    return red, green, blue


def _middle(refractive_index: float | tuple[float, float, float]) -> float:
    return refractive_index if isinstance(refractive_index, float) else refractive_index[1]


def _thickness(curvature_radius_m: float, aperture_radius_m: float) -> float:
    # R_c − √(R_c² − R_a²) without the difference, of which little is left for a flat lens
    centre = sqrt((curvature_radius_m - aperture_radius_m) * (curvature_radius_m + aperture_radius_m))
    return 2 * aperture_radius_m**2 / (curvature_radius_m + centre)


def _focal_length(curvature_radius_m: float, aperture_radius_m: float, n: float) -> float:
    bulge = (n - 1) * _thickness(curvature_radius_m, aperture_radius_m) / (n * curvature_radius_m)
    return curvature_radius_m / ((n - 1) * (2 - bulge))


def _solve_curvature_radius(focal_length_m: float, aperture_radius_m: float, n: float) -> float:
    """Find the larger R_c for which the lens has this focal length, by bisection.

    With sin θ = R_a/R_c the focal length is n·R_a/(2(n − 1)·sin θ·(1 + (n − 1)·cos θ)). It is least where cos θ +
    (n − 1)·cos 2θ = 0, and for flatter lenses it grows with R_c. A thin lens has R_c = 2(n − 1)·f, and no lens more.
    """
    cosine = (sqrt(1 + 8 * (n - 1) ** 2) - 1) / (4 * (n - 1))
    low, high = aperture_radius_m / sqrt(1 - cosine**2), 2 * (n - 1) * focal_length_m * (1 + 1e-15)
    shortest_m = _focal_length(low, aperture_radius_m, n)
    if focal_length_m < shortest_m:
        raise ValueError(
            f"f_number is {focal_length_m / (2 * aperture_radius_m):.6g}; expected at least "
            f"{shortest_m / (2 * aperture_radius_m):.6g}, the fastest biconvex lens of refractive_index {n!r}"
        )
    while low < (middle := (low + high) / 2) < high:
        if _focal_length(middle, aperture_radius_m, n) < focal_length_m:
            low = middle
        else:
            high = middle
    return middle
