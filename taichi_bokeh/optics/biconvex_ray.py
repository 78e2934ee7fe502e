"""Trace rays through a biconvex lens by the definitions: spheres as |q − centre| = R_c, Snell's law as vectors.

Lengths in metres. The origin is the centre of the lens, z runs along the axis towards the scene, x to the right and y down
in the image. The two caps are the sphere round (0, 0, +a), which faces the sensor, and the one round (0, 0, −a), with
a = √(R_c² − R_a²); they meet in the rim, the circle of radius R_a in the plane z = 0. The back cap lies at z ≤ 0 and the
front one at z ≥ 0, so a ray crosses a sphere within the rim where it crosses it on that side.

A lens point u in the unit disc is the point R_a·u in the plane of the rim. A ray sets out from its pixel towards that point
and is refracted where it meets the back cap, on the way. Glass bends it towards the axis, so that every ray through the
disc leaves by the front cap, unless this cap reflects it: the rim alone is the stop. Lens points beyond it are blocked where
they miss a cap. Equal areas of the disc carry equal light, and an image is the mean over the rays that pass: an even scene
stays even, whatever is blocked.
"""

from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from taichi_bokeh.optics.biconvex_lens import BiconvexLens

_RIM_TOLERANCE = 1e-6  # of R_a: the rim itself belongs to the aperture, whatever the rounding


class Rays(NamedTuple):
    """Rays towards the scene; those that are not alive have been blocked, and their numbers mean nothing.

    Attributes:
        origin: [..., 3], in metres.
        direction: [..., 3], of length 1.
        alive: [...], bool.
    """

    origin: Tensor
    direction: Tensor
    alive: Tensor


class TextureRays(NamedTuple):
    """Where rays meet the scene: at the image position base + slope·d, in px, at disparity d.

    Attributes:
        base: [..., 2], in px.
        slope: [..., 2], in px per 1/m.
        alive: [...], bool.
    """

    base: Tensor
    slope: Tensor
    alive: Tensor


def refract(direction: Tensor, normal: Tensor, ratio: float) -> tuple[Tensor, Tensor]:
    """Find, by Snell's law, the unit vector behind a surface [..., 3], and where there is one (no total reflection) [...].

    `normal` is of length 1 and on the side to which the light goes; `ratio` is the refractive index before the surface
    over the one behind it.
    """
    cosine = (direction * normal).sum(-1, keepdim=True)
    across = ratio * (direction - cosine * normal)  # sin i′ = ratio·sin i
    cosine_squared = 1 - across.square().sum(-1, keepdim=True)
    return across + cosine_squared.clamp(min=0).sqrt() * normal, cosine_squared[..., 0] >= 0


def meet_sphere(rays: Rays, centre_z: float, radius: float, leaving: bool) -> tuple[Tensor, Tensor]:
    """Find where rays enter, or leave, a sphere round (0, 0, centre_z): the points [..., 3], and which rays meet it [...]."""
    from_centre = rays.origin - rays.origin.new_tensor([0.0, 0.0, centre_z])
    half_b = (from_centre * rays.direction).sum(-1)
    discriminant = half_b**2 - from_centre.square().sum(-1) + radius**2
    root = discriminant.clamp(min=0).sqrt()
    along = -half_b + (root if leaving else -root)
    return rays.origin + along[..., None] * rays.direction, discriminant >= 0


def through_lens(lens: "BiconvexLens", rays: Rays, refractive_index: float) -> Rays:
    """Find the rays that leave the front surface, from rays that start behind the lens."""
    radius = lens.curvature_radius
    from_rim = sqrt(radius**2 - lens.aperture_radius**2)
    slack = _RIM_TOLERANCE * lens.aperture_radius
    axis = rays.origin.new_tensor([0.0, 0.0, 1.0])

    entry, meets = meet_sphere(rays, from_rim, radius, leaving=False)
    inside, enters = refract(rays.direction, (from_rim * axis - entry) / radius, 1 / refractive_index)
    alive = rays.alive & meets & enters & (entry[..., 2] <= slack)

    exit_point, meets = meet_sphere(Rays(entry, inside, alive), -from_rim, radius, leaving=True)
    outside, leaves = refract(inside, (exit_point + from_rim * axis) / radius, refractive_index)
    alive = alive & meets & leaves & (exit_point[..., 2] >= -slack) & (outside[..., 2] > 0)
    return Rays(exit_point, outside, alive)


def principal_plane(lens: "BiconvexLens") -> float:
    """Compute the z of the front principal plane; that of the back one is its negative."""
    return lens.thickness / 2 - lens.principal_plane_offset


def sensor_rays(lens: "BiconvexLens", pixel: Tensor, size: tuple[int, int], u: Tensor) -> Rays:
    """Make rays from pixels towards lens points.

    Args:
        lens: the lens.
        pixel: [..., 2], x and y with pixel centres at whole numbers.
        size: width and height of the image, in px.
        u: [..., 2], in the unit disc.
    """
    from_centre = pixel - (pixel.new_tensor(size) - 1) / 2
    x_y = -lens.pixel_pitch * from_centre  # the image is upside down
    z = torch.full_like(x_y[..., :1], -principal_plane(lens) - lens.sensor_distance)
    x_y, u = torch.broadcast_tensors(x_y, u)
    origin = torch.cat([x_y, z.expand(*x_y.shape[:-1], 1)], -1)
    target = torch.cat([lens.aperture_radius * u, torch.zeros_like(u[..., :1])], -1)
    direction = torch.nn.functional.normalize(target - origin, dim=-1)
    return Rays(origin, direction, torch.ones_like(origin[..., 0], dtype=torch.bool))


def on_plane(rays: Rays, z: float) -> tuple[Tensor, Tensor]:
    """Find where the rays, taken as whole lines, cross a plane: x and y [..., 2], and dx/dz and dy/dz [..., 2]."""
    tangent = rays.direction[..., :2] / rays.direction[..., 2:]
    return rays.origin[..., :2] + (z - rays.origin[..., 2:]) * tangent, tangent


def biconvex_rays(
    lens: "BiconvexLens", pixel: Tensor, size: tuple[int, int], u: Tensor, refractive_index: float
) -> TextureRays:
    """Find where the rays from pixels through lens points meet the scene; arguments as of `sensor_rays`.

    At depth z from the front principal plane, a ray that crosses this plane at X₀ with the slope m is at X₀ + m·z. The
    texture of depth z is an image seen from the centre of that plane: lateral place X lies X·(D_I/p)/z pixels from the
    image's centre.
    """
    leaving = through_lens(lens, sensor_rays(lens, pixel, size, u), refractive_index)
    height, tangent = on_plane(leaving, principal_plane(lens))
    scale = lens.sensor_distance / lens.pixel_pitch
    centre = (pixel.new_tensor(size) - 1) / 2
    return TextureRays(centre + scale * tangent, scale * height, leaving.alive)
