"""A ray from the sensor through a biconvex lens: two spheres, and Snell's law at each.

z runs along the axis towards the scene, x to the right and y down in the image. A lens point u in the unit disc is the
point R_a·u of the plane in which the spheres meet, and the ray sets out from the sensor towards it. The image is upside
down: a pixel that lies X to the right of the centre of the image is at −X on the sensor. At each surface, with its vertex
as origin, its curvature c (1/R_c at the back, −1/R_c at the front), a ray through (x, y, 0) along the unit vector s, and μ
the refractive index before the surface over the one behind:

    F = c·(x² + y²),    G = s_z − c·(x·s_x + y·s_y),    cos i = √(G² − F·c)
    q = (x, y, 0) + s·F/(G + cos i)                                              where the ray meets the sphere
    cos i′ = √(1 − μ²·(1 − cos² i)),    s′ = μ·s + (cos i′ − μ·cos i)·ν          Snell, with the normal ν = (0, 0, 1) − c·q

No step takes the difference of nearly equal lengths, as the textbook quadratic for a sphere far from the ray's origin
does; float32 is good for it. The front surface sends the ray through (X₀, Y₀) on the front principal plane with the slopes
m = (s_x, s_y)/s_z, so that it meets depth z at X₀ + m_x·z. Seen from the centre of that plane in units of pixels, this is
affine in the disparity d = 1/z, as for the thin lens (thin_lens_ray.py):

    p(d) = base + slope·d,    base = centre of the image + (D_I/p)·m,    slope = (D_I/p)·(X₀, Y₀)

A ray is blocked if it misses a sphere, meets one beyond the rim, or is reflected totally; the image is the mean over
those that pass. No adjoint is needed: base and slope depend on neither colour nor coverage.
"""

from functools import cache
from typing import Any

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL

#: Where they stand in the lens's parameters: R_c, R_a, t, D_I, δ and p, in metres, and the index of the first channel.
CURVATURE_RADIUS, APERTURE_RADIUS, THICKNESS, SENSOR_DISTANCE, PRINCIPAL_PLANE, PIXEL_PITCH, REFRACTIVE_INDEX = range(7)
PARAMETERS = REFRACTIVE_INDEX + 3
#: The rim belongs to the aperture, whatever the rounding: a ray may pass this much of R_a beyond.
RIM_TOLERANCE = 1e-6
_LEAST = 1e-6  # a divisor this small is that of a blocked ray, whose numbers it keeps finite


@cache
def through_lens(dtype: str) -> Any:
    """Make the func (lens [B, 9], scene, sensor position, lens point, index) -> position on the front plane, slope, alive."""
    real = REAL[dtype]
    vec2, vec3 = ti.types.vector(2, real), ti.types.vector(3, real)

    @ti.func
    def refract(x, y, direction, curvature, ratio):
        """Refract at one surface: find where the ray meets it, its direction behind, and whether it gets there."""
        f = curvature * (x * x + y * y)
        g = direction[2] - curvature * (x * direction[0] + y * direction[1])
        cosine_squared = g * g - curvature * f
        cosine = ti.sqrt(ti.max(cosine_squared, real(0.0)))
        meets = cosine_squared >= 0 and g + cosine > real(_LEAST)
        along = ti.select(meets, f / ti.max(g + cosine, real(_LEAST)), real(0.0))
        met = vec3(x, y, 0.0) + along * direction
        normal = vec3(-curvature * met[0], -curvature * met[1], 1 - curvature * met[2])
        bent_squared = 1 - ratio * ratio * (1 - cosine_squared)
        bent = ti.sqrt(ti.max(bent_squared, real(0.0)))
        behind = ratio * direction + (bent - ratio * cosine) * normal
        return met, behind, meets and bent_squared >= 0

    @ti.func
    def through_lens(lens: ti.template(), scene, position, point, index):
        curvature = 1 / lens[scene, CURVATURE_RADIUS]
        thickness, inset = lens[scene, THICKNESS], lens[scene, PRINCIPAL_PLANE]
        rim = thickness / 2 + real(RIM_TOLERANCE) * lens[scene, APERTURE_RADIUS]  # its distance from either vertex
        aim = point * lens[scene, APERTURE_RADIUS]
        # A name for each vector: of one that is assigned twice, Taichi 1.7 has passed old components to refract.
        to_rim = (aim - position) / (lens[scene, SENSOR_DISTANCE] - inset + thickness / 2)
        at_back = aim - to_rim * (thickness / 2)  # on the plane that touches the back vertex
        direction = vec3(to_rim[0], to_rim[1], 1.0) / ti.sqrt(1 + to_rim.norm_sqr())
        back, inside, enters = refract(at_back[0], at_back[1], direction, curvature, 1 / index)

        within = vec2(inside[0], inside[1]) / ti.max(inside[2], real(_LEAST))
        at_front = vec2(back[0], back[1]) + within * (thickness - back[2])  # on the plane that touches the front vertex
        front, outside, leaves = refract(at_front[0], at_front[1], inside, -curvature, index)

        passes = enters and leaves and back[2] <= rim and front[2] >= -rim and outside[2] > 0
        alive = ti.select(passes, real(1.0), real(0.0))
        slope = alive * vec2(outside[0], outside[1]) / ti.max(outside[2], real(_LEAST))
        return alive * vec2(front[0], front[1]) - slope * (front[2] + inset), slope, alive

    return through_lens


@cache
def biconvex_ray(dtype: str) -> Any:
    """Make the func (lens [B, 9], scene, pixel, image size, lens point, channel) -> base, slope, alive; pixel centres whole."""
    through = through_lens(dtype)

    @ti.func
    def ray(lens: ti.template(), scene, pixel, size, point, channel):
        centre = (size - 1) / 2
        position = (centre - pixel) * lens[scene, PIXEL_PITCH]
        height, tangent, alive = through(lens, scene, position, point, lens[scene, REFRACTIVE_INDEX + channel])
        scale = lens[scene, SENSOR_DISTANCE] / lens[scene, PIXEL_PITCH]
        return centre + scale * tangent, scale * height, alive

    return ray
