"""SteReFo's refocusing (Busam et al., 2019), from its description."""

from dataclasses import dataclass

from torch import Tensor

from taichi_bokeh.benchmark.blur_kernels import blur
from taichi_bokeh.benchmark.methods._rgbd import slices
from taichi_bokeh.synthetic.scene import Scene


@dataclass(frozen=True)
class SteReFo:
    """Layered blur of one picture with depth, alpha-normalised.

    The all-in-focus picture is cut by its disparity map into slices with binary masks. A slice and its mask are blurred by
    the same disc and laid over the slices behind; what the masks leave open is divided out at the end:

        C ← C·(1 − m_l) + c_l,   A ← A·(1 − m_l) + m_l   from back to front,   B = C/A

    Nothing is known of what a slice hides: behind a blurred edge the background is stretched.
    """

    name: str = "sterefo"
    title: str = "SteReFo"
    searchable: bool = True

    def render(self, scene: Scene, scale: float) -> Tensor:
        """The picture [3, H, W] with `scale` times the true blur."""
        total = scene.layers.rgb.new_zeros(4, scene.layers.height, scene.layers.width)
        for pixels, radius_px in reversed(list(slices(scene, scale))):
            blurred = blur(pixels, radius_px)
            total = total * (1 - blurred[3:]) + blurred
        return total[:3] / total[3:]
