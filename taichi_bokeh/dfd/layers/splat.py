"""Defocus with visibility: a source is thrown through points of the lens, and hides what lies behind it there."""

import torch
from torch import Tensor

from taichi_bokeh._autocast import in_full_precision
from taichi_bokeh._checks import refuse_forward_mode, require_integer, require_number, require_type
from taichi_bokeh.dfd.layers.base import DefocusLayer, single_layer
from taichi_bokeh.layers import Layers
from taichi_bokeh.models.base import blur_radius
from taichi_bokeh.ops.dfd.splat import splat
from taichi_bokeh.optics.thin_lens import ThinLens

_REMEMBERED_CALLS = 4096  # of which a backward pass may still want a recomputation


class SplatDefocus(DefocusLayer):
    """Splats through lens points onto soft z-buffers (kernels/dfd/splat.py gives the equations).

    The picture is the mean of the views through the lens points. In each view every pixel, continued beyond the border by
    replication, is splatted where the lens point sees it, weighted by alpha·exp(sharpness·radius): the nearer hides the
    farther. Where the near ones cover a pixel only in part, what is behind them fills the rest. Where the splats of a view
    leave a hole, as at depth edges, the view counts less.

    In training mode a new call sees through other points of the same opening: those of `Aperture.samples` with the next seed,
    which for a disc is a rotation. In the mean over calls this leaves no pattern of points; a sequence of calls is
    reproducible. In eval mode the points are fixed. A call that `torch.utils.checkpoint` makes again in a backward pass sees
    through the points of the first time, and does not count: each call draws a random number from torch, as dropout does, and
    is known again by it, as checkpoint restores torch's random state.

    An alpha between 0 and 1 lets the nearest of what is behind through, to within 0.04 of its share, and where that is
    translucent too or there are more surfaces behind, the mean of all of them by alpha. A near surface that slopes by a px of
    radius per px lets a little of what it hides through, as lens points see it stretched: at 0.1 px per px, 1.5 %.

    Args:
        points: how many lens points; time and noise follow from them.
        sharpness: of the z-buffer, per px of signed radius, ≥ 0: sources that differ by 1/sharpness in radius still mix.
        hole: the coverage, in sources per pixel, below which a view counts less; > 0. It counts by 1 − exp(−coverage/hole).
        rotate: whether training mode changes the points from call to call.
        seed: of the lens points.

    Raises:
        TypeError, ValueError: an argument is not what it must be; the message names it.
        RuntimeError: from `forward` and `surfaces`, in training mode: a call within a backward pass repeats none that is known.
    """

    def __init__(
        self, points: int = 24, sharpness: float = 3.0, hole: float = 0.25, rotate: bool = True, seed: int = 0
    ) -> None:
        super().__init__()
        require_integer("points", points, at_least=1)
        require_number("sharpness", sharpness, at_least=0.0)
        require_number("hole", hole, above=0.0)
        require_type("rotate", rotate, bool, "a bool")
        require_integer("seed", seed)
        self.points, self.sharpness, self.hole, self.rotate, self.seed = points, sharpness, hole, rotate, seed
        self.title = f"Splat, {points} lens point{'s' * (points > 1)}"
        self._calls = 0
        self._call_of_draw: dict[int, int] = {}

    @in_full_precision
    def forward(self, all_in_focus: Tensor, disparity: Tensor, lens: ThinLens) -> Tensor:
        """See `DefocusLayer`."""
        return self._picture(single_layer(all_in_focus, disparity), lens)

    @in_full_precision
    def surfaces(self, rgb: Tensor, alpha: Tensor, disparity: Tensor, lens: ThinLens) -> Tensor:
        """The blurred picture [B, 3, H, W] of S surfaces, such as the visible one and, at depth edges, a hidden one behind it.

        All go onto the same z-buffers, so their order does not matter, and they may cross.

        Args:
            rgb: [B, S, 3, H, W], straight linear light, ≥ 0; float32 or float64. Where nothing is seen of any surface, the
                picture is that of the first.
            alpha: [B, S, 1, H, W], in [0, 1]: 0 where a surface is not.
            disparity: [B, S, 1, H, W].
            lens: blur in px per unit of disparity, and focus; numbers, [] or [B].

        Raises:
            TypeError, ValueError: an argument is not what it must be; the message names it.
        """
        return self._picture(Layers(rgb, alpha, disparity), lens)

    def _picture(self, layers: Layers, lens: ThinLens) -> Tensor:
        require_type("lens", lens, ThinLens, "a ThinLens")
        if lens.aperture.cat_eye != 0:
            raise ValueError(
                f"aperture.cat_eye is {lens.aperture.cat_eye!r}; expected 0, as splats see the whole picture through the same "
                "lens points"
            )
        blur, focus = lens.per_image(layers)
        refuse_forward_mode(layers.rgb, layers.alpha, layers.disparity, blur, focus)
        radius = blur_radius(layers, blur, focus).reshape(layers.shape)
        points, weights = lens.aperture.samples(self.points, self._next_seed())
        lens_points = points.to(layers.device), weights.to(layers.device)
        picture, _ = splat(layers.rgb, layers.alpha[:, :, 0], radius, radius, *lens_points, self.sharpness, self.hole)
        return picture

    def get_extra_state(self) -> dict[str, int]:
        """How many calls were made in training mode, so that a resumed training goes on with the same points."""
        return {"calls": self._calls}

    def set_extra_state(self, state: dict[str, int]) -> None:
        """Go on from there."""
        self._calls = state["calls"]

    def _next_seed(self) -> int:
        if not (self.rotate and self.training):
            return self.seed
        if torch.compiler.is_compiling():  # which has a way of its own to compute calls again
            self._calls += 1
            return self.seed + self._calls
        draw = int(torch.randint(1 << 62, (), device="cpu"))
        is_backward = torch._C._current_graph_task_id() != -1  # not part of torch's public interface
        if is_backward and self._call_of_draw:
            return self.seed + self._call_again(draw)
        self._calls += 1
        if is_backward:  # of a layer that the call that is computed again has made
            return self.seed + self._calls
        self._call_of_draw[draw] = self._calls
        if len(self._call_of_draw) > _REMEMBERED_CALLS:
            del self._call_of_draw[next(iter(self._call_of_draw))]
        return self.seed + self._calls

    def _call_again(self, draw: int) -> int:
        """The number of the call that is computed again for its gradient."""
        if draw not in self._call_of_draw:
            raise RuntimeError(
                "SplatDefocus is called in a backward pass, where it must see through the lens points of the call that is "
                "computed again, but knows no call with this state of torch's random numbers; expected checkpoint(..., "
                "preserve_rng_state=True), or rotate=False"
            )
        return self._call_of_draw[draw]
