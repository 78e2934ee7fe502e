"""Rays through the lens, as straight lines in the space of texture position and disparity.

A ray that leaves the lens towards the scene meets depth z = 1/d at a point whose position in the image is affine in d:

    p(d) = base + slope·d                     p in px, pixel centres at whole numbers
    thin lens, lens point u:                  base = x − u·K·F,   slope = u·K       so that p = x + u·r, r = K·(d − F)
    cat-eye: the aperture seen from the image's corner is cut by the other rim: a point u passes where
                                              |u + 2·cat_eye·f| ≤ 1, f = the pixel's position from the centre, corner = 1

`blocked` rays carry nothing. The biconvex lens is in biconvex_ray.py.
"""

from functools import cache
from typing import Any

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL

#: Where they stand in the lens's parameters.
BLUR, FOCUS, CAT_EYE = range(3)


@cache
def thin_lens_ray(dtype: str) -> Any:
    """Make the func (lens [B, 3], scene, pixel, image size, lens point, channel) -> base, slope, alive."""
    real = REAL[dtype]
    vec2 = ti.types.vector(2, real)

    @ti.func
    def ray(lens: ti.template(), scene, pixel, size, point, channel):
        blur, focus, cat_eye = lens[scene, BLUR], lens[scene, FOCUS], lens[scene, CAT_EYE]
        from_centre = (pixel - (size - 1) / 2) / (size.norm() / 2)
        seen = point + 2 * cat_eye * from_centre
        alive = real(1.0)
        if cat_eye > 0 and seen.norm_sqr() > 1:
            alive = real(0.0)
        return vec2(pixel - point * blur * focus), vec2(point * blur), alive

    return ray
