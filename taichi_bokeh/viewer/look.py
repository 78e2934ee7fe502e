"""What no lens does: highlights raised, and blur of its own on either side of the focus."""

from dataclasses import replace

import torch
from torch import Tensor

from taichi_bokeh import _runtime
from taichi_bokeh.layers import Layers
from taichi_bokeh.photo.highlights import boost_highlights
from taichi_bokeh.photo.near_far import scale_near_and_far
from taichi_bokeh.viewer.scene import Scene, Size, averaged
from taichi_bokeh.viewer.state import State

_BAND_PX = 1 << 19  # of all layers together, between two looks at the window


def with_look(layers: Layers, focus: float, state: State) -> Layers:
    """Layers in full size as they are to be rendered; the same ones where the look is off.

    Args:
        layers: of the scene.
        focus: the disparity in focus.
        state: the look.
    """
    if state.highlights > 1:
        layers = replace(layers, rgb=boost_highlights(layers.rgb, state.highlights, state.highlight_threshold))
    return _deepened(layers, focus, state)


class Look:
    """The look of a scene in smaller sizes.

    What highlights gain is found in the scene's full size and then averaged: the other way round a lamp of few pixels would be
    lost. It is proportional to the gain less 1, so it is kept for all gains, as long as neither threshold nor frame changes.

    Args:
        scene: in full size.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._key: tuple[float, Size] | None = None
        self._gains: dict[Size, Tensor] = {}

    def exact(self, shown: Size, size: Size, focus: float, state: State) -> Layers:
        """The layers of an image in this size, for a frame that shows it in size `shown`.

        Between two bands of the full size it looks in, as a launch does.
        """
        key = state.highlight_threshold, shown
        if state.highlights > 1 and key != self._key:
            gain = self._averaged_gain(*key)
            self._key, self._gains = key, {shown: gain}
        return self.draft(shown, size, focus, state)

    def draft(self, shown: Size, size: Size, focus: float, state: State) -> Layers:
        """The same at once: what highlights gain is that of colours averaged before, until `exact` has found it."""
        scene = self._scene.scaled(shown).scaled(size)
        layers = scene.layers
        if state.highlights > 1:
            if self._key != (state.highlight_threshold, shown):
                gain = _gain(layers.rgb, state.highlight_threshold)
            else:
                gain = self._kept(shown, size, layers.alpha)
            layers = replace(layers, rgb=layers.rgb + (state.highlights - 1) * gain)
        return _deepened(layers, focus, state)

    def _kept(self, shown: Size, size: Size, cover: Tensor) -> Tensor:
        if size not in self._gains:
            alpha = self._scene.scaled(shown).layers.alpha
            self._gains[size] = averaged((alpha * self._gains[shown])[0], size)[None] / _not_zero(cover)
        return self._gains[size]

    def _averaged_gain(self, threshold: float, size: Size) -> Tensor:
        """[1, L, 3, h, w]: straight colours, averaged first within rows, band by band, then over them."""
        layers = self._scene.layers
        rows = max(1, _BAND_PX // (layers.width * layers.count))
        narrow = []
        for top in range(0, layers.height, rows):
            _runtime.look_in()
            rgb, alpha = (value[:, :, :, top : top + rows] for value in (layers.rgb, layers.alpha))
            gained = (alpha * _gain(rgb, threshold))[0]
            narrow.append(averaged(gained, (size[0], gained.shape[2])))
        return averaged(torch.cat(narrow, 2), size)[None] / _not_zero(self._scene.scaled(size).layers.alpha)


def _gain(rgb: Tensor, threshold: float) -> Tensor:
    """What a gain of 2 adds to colours."""
    return boost_highlights(rgb, 2.0, threshold) - rgb


def _deepened(layers: Layers, focus: float, state: State) -> Layers:
    if state.near_blur == state.far_blur == 1:
        return layers
    return replace(layers, disparity=scale_near_and_far(layers.disparity, focus, state.near_blur, state.far_blur))


def _not_zero(cover: Tensor) -> Tensor:
    return cover.clamp(min=torch.finfo(cover.dtype).tiny)
