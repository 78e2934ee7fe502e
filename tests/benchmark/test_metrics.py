"""The metrics, on pictures whose numbers are known."""

import json
import math

import pytest
import torch
from skimage.metrics import structural_similarity

from taichi_bokeh.benchmark.metrics import KEYS, frame_rmse, measure, occlusion_band
from tests.benchmark.billboards import grey, make_scene, right_of, texture

TRUTH = texture(48, 56, 3)
EVERYWHERE = torch.ones(48, 56, dtype=torch.bool)
LEFT = torch.arange(56).expand(48, 56) < 14  # a quarter of the frame


def test_equal_pictures():
    values = measure(TRUTH, TRUTH.clone(), LEFT)
    assert tuple(values) == KEYS
    for key, value in values.items():
        best = {"rmse": 0, "rmse_s": 0, "psnr": 200, "ssim": 1, "zncc": 1}[key.split(".")[-1]]
        assert value == pytest.approx(best, abs=1e-9), key


def test_a_constant_error():
    values = measure(grey(0.5), grey(0.4), LEFT)
    for region in ("frame", "band"):
        assert values[f"linear.{region}.rmse"] == pytest.approx(0.1, rel=1e-6)
        assert values[f"linear.{region}.psnr"] == pytest.approx(20, rel=1e-6)
        assert values[f"linear.{region}.rmse_s"] == pytest.approx(0, abs=1e-9)
        assert values[f"srgb.{region}.rmse"] == pytest.approx(0.735357 - 0.665185, abs=2e-6)  # the sRGB curve's values
        # Without structure, SSIM compares means alone, with its constant (0.01)².
        assert values[f"linear.{region}.ssim"] == pytest.approx((2 * 0.2 + 1e-4) / (0.25 + 0.16 + 1e-4), rel=1e-5)
        assert values[f"linear.{region}.zncc"] == 1


def test_a_wrong_exposure_is_forgiven_by_the_scaled_error_and_the_correlation():
    values = measure(0.5 * TRUTH, TRUTH, LEFT)
    assert values["linear.frame.rmse"] == pytest.approx(0.5 * TRUTH.square().mean().sqrt().item(), rel=1e-5)
    assert values["linear.frame.rmse_s"] == pytest.approx(0, abs=1e-7)
    assert values["linear.frame.zncc"] == pytest.approx(1, abs=1e-6)


def test_the_scaled_error_is_the_least_over_all_scales():
    picture = texture(48, 56, 4)
    least = min(((s / 1000 * picture - TRUTH) ** 2).mean().sqrt().item() for s in range(2000))
    values = measure(picture, TRUTH, EVERYWHERE)
    assert values["linear.frame.rmse_s"] == pytest.approx(least, abs=1e-5)
    assert values["linear.band.rmse_s"] == pytest.approx(least, abs=1e-5)


def test_correlation_of_a_negative_and_of_constant_pictures():
    assert measure(1 - TRUTH, TRUTH, LEFT)["linear.frame.zncc"] == pytest.approx(-1, abs=1e-6)
    assert measure(grey(0.5), TRUTH, LEFT)["linear.frame.zncc"] == 0
    assert measure(TRUTH, grey(0.5), LEFT)["srgb.band.zncc"] == 0


def test_a_black_picture_has_finite_metrics():
    values = measure(grey(0), TRUTH, LEFT)
    assert values["linear.frame.rmse_s"] == values["linear.frame.rmse"]
    assert all(math.isfinite(value) for value in values.values())


def test_what_a_display_clips_is_no_error():
    lights, dimmer = TRUTH.clone(), TRUTH.clone()
    lights[:, :20], dimmer[:, :20] = 50, 1.5
    lights[:, 40:], dimmer[:, 40:] = -0.1, 0
    assert measure(lights, dimmer, EVERYWHERE) == measure(dimmer, dimmer, EVERYWHERE)
    assert frame_rmse(lights, dimmer) == 0


def test_the_band_counts_its_own_pixels_only():
    picture = (TRUTH * 0.5 + 0.2).clone()
    truth = picture.clone()
    picture[:, LEFT] += 0.1
    values = measure(picture, truth, LEFT)
    assert values["linear.band.rmse"] == pytest.approx(0.1, rel=1e-5)
    assert values["linear.frame.rmse"] == pytest.approx(0.05, rel=1e-5)
    assert values["linear.band.ssim"] < values["linear.frame.ssim"]
    outside = measure(picture, truth, ~LEFT)
    assert outside["linear.band.rmse"] == 0
    assert outside["linear.band.psnr"] == 200


def test_ssim_is_that_of_wang_et_al():
    picture = (TRUTH + 0.1 * texture(48, 56, 4)).clamp(0, 1)
    values = measure(picture, TRUTH, EVERYWHERE)
    options = {"data_range": 1.0, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    channels = [structural_similarity(a.numpy(), b.numpy(), **options) for a, b in zip(picture, TRUTH, strict=True)]
    assert values["linear.frame.ssim"] == pytest.approx(sum(channels) / 3, abs=1e-5)
    inner = torch.zeros_like(EVERYWHERE)
    inner[5:-5, 5:-5] = True
    assert measure(picture, TRUTH, inner)["linear.band.ssim"] == pytest.approx(sum(channels) / 3, abs=1e-5)


def test_an_empty_band_has_no_metrics_and_everything_fits_json():
    values = measure(0.9 * TRUTH, TRUTH, torch.zeros_like(LEFT))
    assert tuple(values) == KEYS
    assert {key.split(".")[1] for key, value in values.items() if value is None} == {"band"}
    assert sum(value is None for value in values.values()) == 10
    assert json.loads(json.dumps(values, allow_nan=False)) == values


def test_frame_rmse_is_the_metric():
    picture = texture(48, 56, 4)
    assert frame_rmse(picture, TRUTH) == measure(picture, TRUTH, LEFT)["linear.frame.rmse"]
    assert frame_rmse(grey(0.6), grey(0.4)) == pytest.approx(0.2, rel=1e-6)


def test_bad_arguments_are_refused_by_name():
    hole = TRUTH.clone()
    hole[0, 3, 4] = math.nan
    for picture, truth, band, message in [
        (hole, TRUTH, LEFT, "picture holds NaN"),
        (TRUTH, hole, LEFT, "truth holds NaN"),
        (TRUTH / 0, TRUTH, LEFT, "picture holds NaN or infinite"),
        (TRUTH[:, 1:], TRUTH, LEFT, r"picture has shape \[3, 47, 56\]; expected \[3, 48, 56\]"),
        (TRUTH, TRUTH[None], LEFT, "truth has shape"),
        (TRUTH, TRUTH, LEFT[1:], "band"),
        (TRUTH, TRUTH, LEFT.float(), "band is torch.float32"),
        (TRUTH[:, :9], TRUTH[:, :9], LEFT[:9], "at least 11×11"),
    ]:
        with pytest.raises(ValueError, match=message):
            measure(picture, truth, band)
    with pytest.raises(ValueError, match="picture holds NaN"):
        frame_rmse(hole, TRUTH)


@pytest.mark.parametrize("radius", [6.0, -6.0])
def test_an_edge_is_seen_through_as_far_as_its_disc_reaches(radius):
    band = occlusion_band(make_scene([radius, 0.0], [right_of(28), torch.ones(48, 56)]))
    assert band.dtype == torch.bool
    columns = band.any(0).nonzero()[:, 0]
    assert torch.equal(band.any(0), band.all(0))
    # 1 % of a disc lies beyond a chord at 0.93 of its radius; the edge itself lies between columns 27 and 28.
    assert columns.tolist() == list(range(22, 34))


def test_neither_a_sharp_edge_nor_the_last_layer_is_seen_through():
    assert not occlusion_band(make_scene([0.0, -9.0], [right_of(28), torch.ones(48, 56)])).any()
    assert not occlusion_band(make_scene([4.0, -9.0], [torch.ones(48, 56), right_of(28)])).any()


def test_every_layer_but_the_last_has_its_band():
    scene = make_scene([3.0, -2.0, -9.0])
    bands = [occlusion_band(make_scene([radius, -9.0], [right_of(edge), torch.ones(48, 56)])) for radius, edge in (
        (3.0, 40), (-2.0, 28))]  # fmt: skip
    assert torch.equal(occlusion_band(scene), bands[0] | bands[1])
    assert bands[0].any()
    assert bands[1].any()


def test_half_transparent_glass_is_a_band_throughout():
    assert occlusion_band(make_scene([2.0, -2.0], [torch.full((48, 56), 0.5), torch.ones(48, 56)])).all()
