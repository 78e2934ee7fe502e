"""What the preview looks at: layers with what goes with them, in any smaller size."""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from taichi_bokeh.layers import Layers
from taichi_bokeh.viewer.state import Camera, Control, State, controls

Array = NDArray[np.float32]
Size = tuple[int, int]

_LARGEST_RADIUS = 0.1  # of the image's width, at the blur control's end
_FIRST_RADIUS = 0.02  # and at first
_SIZES_KEPT = 6


@dataclass(frozen=True, eq=False)
class Scene:
    """One scene.

    Attributes:
        layers: one scene (B = 1) in its own size.
        sharp: all of it in focus, [3, H, W], linear light.
        disparity: of what is seen, [H, W], finite.
        camera: what an f-number means, for disparity in 1/m; None where the disparity has no unit.

    Raises:
        ValueError: there are several scenes, or the sizes differ.
    """

    layers: Layers
    sharp: Tensor
    disparity: Array
    camera: Camera | None = None
    _scaled: dict[Size, "Scene"] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.layers.batch != 1:
            raise ValueError(f"layers holds {self.layers.batch} scenes; expected 1")
        height, width = self.layers.shape[2:]
        if tuple(self.sharp.shape) != (3, height, width):
            raise ValueError(f"sharp has shape {list(self.sharp.shape)}; expected [3, {height}, {width}]")
        if self.disparity.shape != (height, width):
            raise ValueError(f"disparity has shape {list(self.disparity.shape)}; expected [{height}, {width}]")

    @classmethod
    def of_layers(cls, layers: Layers, camera: Camera | None = None) -> "Scene":
        """A scene whose sharp image and disparity are those of its composited layers."""
        layers = layers.detach()
        through = torch.cat([torch.ones_like(layers.alpha[:, :1]), (1 - layers.alpha).cumprod(1)[:, :-1]], 1)
        seen = layers.alpha * through
        sharp = (seen * layers.rgb).sum(1)[0]
        # Where nothing is opaque, the last layer has the rest, so that every pixel has a disparity.
        rest = 1 - seen.sum(1, keepdim=True)
        seen = torch.cat([seen[:, :-1], seen[:, -1:] + rest], 1)
        disparity = (seen * layers.disparity).sum(1)[0, 0]
        return cls(layers, sharp, disparity.cpu().numpy().astype(np.float32), camera)

    @property
    def size(self) -> Size:
        """(width, height)."""
        return self.layers.width, self.layers.height

    def disparity_at(self, x: float, y: float) -> float:
        """Median disparity of the 5×5 pixels round a point, in parts of the width and height from the top left corner.

        Raises:
            ValueError: it lies outside the image.
        """
        column, row = self.pixel_at(x, y)
        around = self.disparity[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3]
        return float(np.median(around))

    def pixel_at(self, x: float, y: float) -> tuple[int, int]:
        """Column and row of such a point; its far edges belong to the last pixels.

        Raises:
            ValueError: it lies outside the image.
        """
        if not (0 <= x <= 1 and 0 <= y <= 1):
            raise ValueError(f"point is ({x:g}, {y:g}); expected numbers from 0 to 1, as parts of the width and height")
        width, height = self.size
        return min(width - 1, int(x * width)), min(height - 1, int(y * height))

    def controls(self, state: State | None = None) -> dict[str, Control]:
        """The controls; their ranges suit the scene, and the focus and the blur of a state to begin with."""
        low, high = self._range()
        largest_blur = _LARGEST_RADIUS * self.size[0] / (high - low)
        if state is not None:
            low, high, largest_blur = min(low, state.focus), max(high, state.focus), max(largest_blur, state.blur)
        return controls((low, high), largest_blur, self.layers.count, self.camera)

    def initial_state(self) -> State:
        """In focus: what is in the middle of the image. The blur: a fiftieth of the width between the two ends, or f/2."""
        among = self.controls()
        focus = among["focus"]
        blur = _FIRST_RADIUS * self.size[0] / (focus.high - focus.low)
        in_focus = min(focus.high, max(focus.low, self.disparity_at(0.5, 0.5)))
        return State(in_focus, blur, 2.0 if self.camera is not None else None)

    def _range(self) -> tuple[float, float]:
        low, high = float(self.disparity.min()), float(self.disparity.max())
        return (low, high) if high > low else (low - 0.5, high + 0.5)

    def scaled(self, size: Size) -> "Scene":
        """The same, smaller: areas averaged, colour and disparity of a layer as far as it covers. Kept for the next time."""
        if size == self.size:
            return self
        if size not in self._scaled:
            while len(self._scaled) >= _SIZES_KEPT:
                self._scaled.pop(next(iter(self._scaled)))
            self._scaled[size] = self._shrunk(size)
        return self._scaled[size]

    def forget_sizes(self) -> None:
        """Free what is kept."""
        self._scaled.clear()

    def _shrunk(self, size: Size) -> "Scene":
        rgb, alpha, disparity = (value[0] for value in (self.layers.rgb, self.layers.alpha, self.layers.disparity))
        cover = averaged(alpha, size)
        weight = cover.clamp(min=torch.finfo(cover.dtype).tiny)
        parts = []
        for value in (rgb, disparity):
            covered = averaged(alpha * value, size) / weight
            parts.append(torch.where(cover > 0, covered, averaged(value, size)))
        layers = Layers(parts[0][None], cover.clamp(0, 1)[None], parts[1][None])
        shown = torch.from_numpy(self.disparity)[None, None]
        return Scene(layers, averaged(self.sharp[None], size)[0], averaged(shown, size)[0, 0].numpy(), self.camera)


def averaged(value: Tensor, size: Size) -> Tensor:
    """[N, C, H, W] in another size, areas averaged."""
    return interpolate(value, (size[1], size[0]), mode="area")
