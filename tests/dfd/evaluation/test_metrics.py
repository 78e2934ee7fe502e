"""The metrics of depth, on maps whose errors are known."""

import pytest
import torch

import taichi_bokeh as tb
from taichi_bokeh.dfd.evaluation.metrics import (
    DepthMetrics,
    MeanStd,
    edge_band,
    measure_depth,
    regions,
    retrace_layers,
    score_picture,
    summarise,
)
from taichi_bokeh.dfd.layers.base import single_layer

HEIGHT, WIDTH = 40, 48
LENS = tb.ThinLens(8.0, 0.25)
CHECKS = (torch.arange(HEIGHT)[:, None] + torch.arange(WIDTH)) % 2 * 0.5 + 0.1  # a texture at every pixel
PICTURE = CHECKS.expand(3, HEIGHT, WIDTH)
FLAT = torch.full((1, HEIGHT, WIDTH), 0.5)


def step(left: float, right: float, column: int = 24) -> torch.Tensor:
    """Two disparities, side by side."""
    return torch.where(torch.arange(WIDTH) < column, left, right).expand(1, HEIGHT, WIDTH).contiguous()


def test_the_truth_has_no_error():
    found = measure_depth(FLAT, FLAT, LENS, PICTURE)
    assert found == DepthMetrics(
        rmse_px=0,
        mae_px=0,
        within_1_px=1,
        within_half_px=1,
        abs_rel=0,
        disparity_rel=0,
        delta_1=1,
        edge_mae_px=None,
        off_edge_mae_px=0,
        border_mae_px=0,
        textured_within_1_px=1,
        textured_share=(HEIGHT - 20) * (WIDTH - 20) / (HEIGHT * WIDTH),
        sign_accuracy=1,
    )


def test_errors_are_pixels_of_the_circle_of_confusion():
    # A quarter of the frame is off by 0.3 of disparity, 2.4 px at a blur of 8 px; the rest by 0.1, 0.8 px.
    found = measure_depth(FLAT + step(0.3, 0.1, 12), FLAT, LENS, PICTURE)
    assert found.mae_px == pytest.approx(0.25 * 2.4 + 0.75 * 0.8, rel=1e-6)
    assert found.rmse_px == pytest.approx((0.25 * 2.4**2 + 0.75 * 0.8**2) ** 0.5, rel=1e-6)
    assert found.within_1_px == 0.75
    assert found.within_half_px == 0
    assert found.disparity_rel == pytest.approx((0.25 * 0.3 + 0.75 * 0.1) / 0.5, rel=1e-6)
    assert found.textured_within_1_px == pytest.approx(26 / 28)  # of columns 10 to 37, two are among the first twelve


def test_relative_errors_are_those_of_depth():
    assert measure_depth(FLAT * 1.2, FLAT, LENS, PICTURE).abs_rel == pytest.approx(1 - 1 / 1.2, rel=1e-6)
    # Right of the middle, z = 4 and ẑ = 5 is cut to it; left of it, z = 2 and ẑ = 2.5.
    assert measure_depth(step(0.4, 0.2), step(0.5, 0.25), LENS, PICTURE).abs_rel == pytest.approx(0.5 * 0.25, rel=1e-6)
    for factor, share in ((0.79, 0), (0.81, 1), (1.24, 1), (1.26, 0)):
        assert measure_depth(FLAT * factor, FLAT, LENS, PICTURE).delta_1 == share


def test_an_estimate_beyond_all_depths_is_an_error_and_a_truth_there_has_none():
    found = measure_depth(step(0.5, -0.1), step(0.5, 0.25), LENS, PICTURE)
    assert found.abs_rel == 0
    assert found.delta_1 == 0.5
    for far in (-0.1, 0.0, 1e-9):
        found = measure_depth(FLAT, step(0.5, far), LENS, PICTURE)
        assert found.abs_rel is None
        assert found.delta_1 is None
        assert found.disparity_rel == pytest.approx((0.5 - far) / (0.5 + abs(far)))


def test_the_edge_band_is_four_pixels_on_either_side():
    truth = step(0.25, 0.5)
    found = measure_depth(truth + step(0.1, 0.0), truth, LENS, PICTURE)
    assert found.edge_mae_px == pytest.approx(0.4, rel=1e-5)  # half of the band, columns 20 to 23, has 0.8 px
    assert found.off_edge_mae_px == pytest.approx(0.8 * 20 / 40, rel=1e-5)
    band = edge_band(8 * truth[0])
    assert band.any(0).nonzero()[:, 0].tolist() == list(range(20, 28))
    assert torch.equal(band, edge_band(8 * truth[0].flip(1)).flip(1))
    assert torch.equal(edge_band(8 * truth[0].T), band.T)


def test_a_slope_is_no_edge_and_neither_is_a_step_of_a_pixel():
    assert not edge_band(torch.linspace(0, 40, WIDTH).expand(HEIGHT, WIDTH)).any()
    assert not edge_band(step(0.0, 1.0)[0]).any()
    assert edge_band(step(0.0, 1.001)[0]).any()


def test_the_border_is_ten_pixels_wide():
    error = torch.full_like(FLAT, 0.2)
    error[:, 10:-10, 10:-10] = 0
    found = measure_depth(FLAT + error, FLAT, LENS, PICTURE)
    assert found.border_mae_px == pytest.approx(1.6, rel=1e-5)
    assert found.textured_within_1_px == 1


def test_a_picture_of_nothing_but_border():
    small = FLAT[:, :15, :15]
    found = measure_depth(small, small, LENS, PICTURE[:, :15, :15])
    assert found.border_mae_px == 0
    assert found.textured_within_1_px is None
    assert found.textured_share == 0


def test_texture_is_contrast_nearby_in_gamma_space():
    picture = PICTURE.clone()
    picture[:, :, 24:] = 0.3
    textured = regions(8 * FLAT[0], picture).textured
    assert textured[12:-12, 10:24].all()
    assert not textured[:, 27:].any()  # beyond the windows that reach the checks
    faint = 0.3 + 0.02 * (picture - 0.3)  # the ±0.005 of linear light around 0.3 are ±0.005 of gamma value
    assert not regions(8 * FLAT[0], faint).textured.any()


def test_signs_count_where_the_blur_is_seen():
    truth = step(0.0, 0.5)  # radii of −2 and 2 px
    truth[:, :20] = 0.3  # 0.4 px: no sign to speak of
    assert measure_depth(truth, truth, LENS, PICTURE).sign_accuracy == 1
    assert measure_depth(torch.full_like(truth, 0.4), truth, LENS, PICTURE).sign_accuracy == 0.5
    in_focus = torch.full_like(truth, 0.25)
    assert measure_depth(truth, in_focus, LENS, PICTURE).sign_accuracy is None


def test_lens_and_dtype_may_be_tensors_and_double():
    lens = tb.ThinLens(torch.tensor([8.0]), torch.tensor(0.25))
    found = measure_depth((FLAT + 0.1).double(), FLAT.double(), lens, PICTURE.double())
    assert found.mae_px == pytest.approx(0.8, rel=1e-6)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"estimate": FLAT[:, :-1]}, ValueError, r"estimate has shape \[1, 39, 48\]; expected \[1, 40, 48\]"),
        ({"estimate": FLAT[0]}, ValueError, r"estimate has shape \[40, 48\]; expected \[1, 40, 48\]"),
        ({"truth": FLAT.int()}, TypeError, "truth has dtype torch.int32"),
        ({"estimate": FLAT * float("nan")}, ValueError, "estimate holds NaN"),
        ({"all_in_focus": PICTURE[:1]}, ValueError, r"all_in_focus has shape \[1, 40, 48\]; expected \[3, 40, 48\]"),
        ({"lens": tb.ThinLens(torch.ones(2), 0.0)}, ValueError, r"lens.blur has shape \[2\]; expected a number"),
    ],
)
def test_what_cannot_be_compared_is_refused(change, error, message):
    arguments = {"estimate": FLAT, "truth": FLAT, "lens": LENS, "all_in_focus": PICTURE} | change
    with pytest.raises(error, match=message):
        measure_depth(**arguments)


def test_the_true_depth_of_a_plane_explains_its_picture_and_a_wrong_one_does_not():
    picture = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    disparity = torch.full((1, 1, 24, 24), 0.5)
    target = retrace_layers(single_layer(picture, disparity), LENS, rays=64, seed=0)
    again = retrace_layers(single_layer(picture, disparity), LENS, rays=64)
    assert not torch.equal(again, target)  # not with the noise of the target
    wrong = retrace_layers(single_layer(picture, disparity + 0.1), LENS, rays=64)
    scores = [score_picture(x[0], target[0]) for x in (again, wrong)]
    assert scores[0].psnr > scores[1].psnr + 6
    assert scores[0].ssim > scores[1].ssim
    assert scores[0].edge_psnr is None


def test_several_layers_show_what_one_cannot():
    # A sharp near half before a far plane: through the edge a lens sees the plane go on behind it.
    near = (torch.arange(32) < 16).expand(32, 32).float()
    rgb = torch.stack([torch.full((3, 32, 32), 0.9), torch.full((3, 32, 32), 0.1)])[None]
    alpha = torch.stack([near, torch.ones(32, 32)])[None, :, None]
    disparity = torch.stack([torch.full((1, 32, 32), 0.5), torch.zeros(1, 32, 32)])[None]
    layers, lens = tb.Layers(rgb, alpha, disparity), tb.ThinLens(8.0, 0.5)
    target = retrace_layers(layers, lens, rays=256, seed=0)[0]
    flat_picture = torch.where(near > 0, 0.9, 0.1).expand(1, 3, 32, 32)
    flat = single_layer(flat_picture, torch.where(near > 0, 0.5, 0.0).expand(1, 1, 32, 32))
    single = retrace_layers(flat, lens, rays=256)[0]
    edge = edge_band(lens.blur * torch.where(near > 0, 0.5, 0.0))
    of_layers = score_picture(retrace_layers(layers, lens, rays=256)[0], target, edge)
    of_single = score_picture(single, target, edge)
    assert of_layers.edge_psnr > of_single.edge_psnr + 10


def test_means_and_deviations_leave_out_what_is_missing():
    found = summarise([{"a": 1.0, "b": None, "c": None}, {"a": 3.0, "b": 5.0, "c": None}])
    assert found == {"a": MeanStd(2.0, 2**0.5, 2), "b": MeanStd(5.0, 0.0, 1), "c": None}


def test_summaries_need_scenes_with_the_same_metrics():
    with pytest.raises(ValueError, match="results is empty"):
        summarise([])
    with pytest.raises(ValueError, match=r"results\[1\] has the metrics \['b'\]; expected \['a'\]"):
        summarise([{"a": 1.0}, {"b": 1.0}])
