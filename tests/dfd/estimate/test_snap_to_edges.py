"""Jumps of an estimated disparity are moved to edges of the picture."""

import pytest
import torch

from taichi_bokeh.dfd.estimate.snap_to_edges import snap_to_edges
from taichi_bokeh.dfd.observation import Observation

SIZE = 64


def view(edge: int = 32, colours: tuple[float, float] = (0.2, 0.7)) -> Observation:
    """Two smooth surfaces that meet at a column of the picture; radii from 0 to 8 px."""
    ramp = 0.02 * torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    left, right = colours
    picture = torch.where(torch.arange(SIZE) < edge, left, right) + ramp
    blur, focus = torch.tensor([[8.0]]), torch.tensor([[0.0]])
    return Observation(picture, picture[:, None], blur, focus, 1.0, 0.0)


def step(at: int, near: float = 0.8, far: float = 0.1) -> torch.Tensor:
    """Near on the left of a column."""
    return torch.where(torch.arange(SIZE) < at, near, far).expand(1, 1, SIZE, SIZE).contiguous()


@pytest.mark.parametrize("spread", [0, 2, 4])
def test_a_surface_that_has_spread_over_its_edge_is_taken_back_to_it(spread):
    found, sure = snap_to_edges(view(), step(32 + spread))
    assert torch.allclose(found, step(32), atol=1e-6)
    assert sure[..., :20].all()
    assert sure[..., 40:].all()
    assert not sure[..., 31 + spread].any()


def test_what_is_sure_is_untouched_and_what_is_not_continues_it():
    slope = torch.linspace(0.6, 0.9, SIZE)[:, None].expand(SIZE, SIZE)
    estimate = torch.where(torch.arange(SIZE) < 35, slope, 0.1).expand(1, 1, SIZE, SIZE).contiguous()
    found, sure = snap_to_edges(view(), estimate)
    assert torch.equal(found[sure], estimate[sure])
    assert torch.allclose(found[0, 0, :, :32], slope[:, :32], atol=0.02)
    assert torch.allclose(found[0, 0, :, 32:], torch.tensor(0.1), atol=1e-6)


def test_without_jumps_nothing_changes():
    smooth = torch.linspace(0, 1, SIZE).expand(1, 1, SIZE, SIZE).contiguous()
    found, sure = snap_to_edges(view(), smooth)
    assert torch.equal(found, smooth)
    assert sure.all()


def test_what_stands_on_the_ground_keeps_its_edge():
    """Near and far go over into each other at the bottom, and are one part of the map."""
    wide, true = step(36)[0, 0], step(32)[0, 0]
    level = (torch.arange(SIZE)[:, None] - 24).clamp(min=0) / (SIZE - 25)
    found, _ = snap_to_edges(view(), torch.lerp(wide, torch.tensor(0.45), level)[None, None])
    assert torch.allclose(found[0, 0, :16], true[:16], atol=0.01)


def test_a_thin_object_stays():
    estimate = step(0)
    estimate[..., 26:38] = 0.8  # narrower than the blur: no pixel of it is sure
    picture = view().all_in_focus.clone()
    picture[..., 28:36] = 0.9
    seen = Observation(picture, picture[:, None], torch.tensor([[16.0]]), torch.tensor([[0.0]]), 1.0, 0.0)
    found, _ = snap_to_edges(seen, estimate)
    assert (found[..., 30:34] > 0.7).all()
    assert (found[..., :20] == 0.1).all()


def test_specks_of_the_sweep_go():
    estimate = step(0)
    estimate[..., 30:33, 30:33] = 0.9
    found, _ = snap_to_edges(view(), estimate)
    assert torch.allclose(found, torch.tensor(0.1), atol=1e-6)


def test_a_batch_is_a_loop_and_the_mirror_image_is_mirrored():
    views, estimates = [view(30), view(36)], [step(34), step(37)]
    both = Observation(
        *(torch.cat([getattr(one, name) for one in views]) for name in ("all_in_focus", "blurred", "blur", "focus")), 1.0, 0.0
    )
    found, sure = snap_to_edges(both, torch.cat(estimates))
    for k, (one, estimate) in enumerate(zip(views, estimates, strict=True)):
        alone = snap_to_edges(one, estimate)
        assert torch.equal(found[k], alone.disparity[0])
        assert torch.equal(sure[k], alone.sure[0])
    one = views[0]
    mirrored = Observation(one.all_in_focus.flip(-1), one.blurred.flip(-1), one.blur, one.focus, 1.0, 0.0)
    assert torch.equal(snap_to_edges(mirrored, estimates[0].flip(-1)).disparity.flip(-1), found[:1])


def test_bad_input():
    with pytest.raises(ValueError, match="disparity has shape"):
        snap_to_edges(view(), torch.zeros(2, 1, SIZE, SIZE))
    with pytest.raises(TypeError, match="disparity"):
        snap_to_edges(view(), torch.zeros(1, 1, SIZE, SIZE, dtype=torch.int64))
