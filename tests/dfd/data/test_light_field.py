"""A light field is read back as it was written, and its mean is the picture of a lens."""

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from torch import Tensor

import taichi_bokeh as tb
from taichi_bokeh.dfd.data.light_field import (
    TEST_FILES,
    TRAIN_FILES,
    LightFieldDataset,
    LightFieldFormat,
    light_field_lens,
    light_field_sample,
    middle,
    read_light_field,
    refocus,
    split_of,
    view_weights,
)
from taichi_bokeh.io.formats import png
from tests.benchmark.billboards import texture

HEIGHT, WIDTH = 40, 48
SLOPES = 1.0, 0.0  # of a foreground and a background, px a view: whole, so that no view is interpolated
LAYOUT = LightFieldFormat(height_px=HEIGHT, width_px=WIDTH)


def layers() -> tb.Layers:
    """A disc before a background."""
    rows, columns = torch.meshgrid(torch.arange(HEIGHT) + 0.5, torch.arange(WIDTH) + 0.5, indexing="ij")
    disc = (12.5 - torch.hypot(rows - 19, columns - 23)).clamp(0, 1)
    alpha = torch.stack([disc, torch.ones_like(disc)])[None, :, None]
    rgb = torch.stack([texture(HEIGHT, WIDTH, seed) for seed in (1, 2)])[None]
    return tb.Layers(rgb, alpha, torch.tensor(SLOPES)[None, :, None, None, None].expand_as(alpha).contiguous())


def read_at(picture: Tensor, right: float, down: float) -> Tensor:
    """[C, H, W] at x + (right, down), bilinear, the border repeated; by torch's own sampler."""
    height, width = picture.shape[-2:]
    rows, columns = torch.meshgrid(
        torch.arange(height).double() + 0.5 + down, torch.arange(width).double() + 0.5 + right, indexing="ij"
    )
    grid = torch.stack([2 * columns / width - 1, 2 * rows / height - 1], -1)
    return torch.nn.functional.grid_sample(
        picture[None].double(), grid[None], mode="bilinear", padding_mode="border", align_corners=False
    )[0].float()


def pinhole_views(count: int = 14) -> Tensor:
    """[V, V, 3, H, W]: each layer where the definition of the slope says that it is."""
    scene = layers()
    views = torch.zeros(count, count, 3, HEIGHT, WIDTH)
    for row in range(count):
        for column in range(count):
            for layer, slope in reversed(list(enumerate(SLOPES))):
                u, v = column - count // 2, row - count // 2
                cover = scene.alpha[0, layer]
                premultiplied = read_at(torch.cat([scene.rgb[0, layer] * cover, cover]), u * slope, v * slope)
                views[row, column] = premultiplied[:3] + (1 - premultiplied[3]) * views[row, column]
    return views


def write(path, views: Tensor, bits: int) -> None:
    """Interleaved, with some lenslets more than are read, as cameras have."""
    count, _, _, height, width = views.shape
    lenslets = torch.zeros(height + 2, count, width + 1, count, 3)
    lenslets[:height, :, :width] = views.permute(3, 0, 4, 1, 2)
    flat = lenslets.reshape((height + 2) * count, (width + 1) * count, 3).numpy()
    if bits == 16:
        path.write_bytes(png.encode((flat * 65535 + 0.5).astype(np.uint16)))
    else:
        iio.imwrite(path, (flat * 255 + 0.5).astype(np.uint8))


@pytest.fixture(scope="module")
def views() -> Tensor:
    return pinhole_views()


@pytest.mark.parametrize("bits", [8, 16])
def test_views_are_read_as_they_were_written(views, tmp_path, bits):
    write(tmp_path / "a_eslf.png", views, bits)
    read = read_light_field(tmp_path / "a_eslf.png", LAYOUT)
    assert read.shape == (12, 12, 3, HEIGHT, WIDTH)
    assert (read - views[1:13, 1:13]).abs().max() <= 0.51 / (2**bits - 1)
    assert torch.equal(middle(read), read[6, 6])
    reversed_ = read_light_field(tmp_path / "a_eslf.png", LightFieldFormat(14, 14, HEIGHT, WIDTH, reverse=True))
    assert torch.equal(reversed_[1:13, 1:13].flip(0, 1), read)
    brightened = read_light_field(tmp_path / "a_eslf.png", LightFieldFormat(14, 12, HEIGHT, WIDTH, exponent=0.4))
    torch.testing.assert_close(brightened, read**0.4)


@pytest.mark.parametrize("shape", ["square", "disc"])
@pytest.mark.parametrize("slope", [*SLOPES, 0.7])
def test_the_mean_of_the_views_is_what_the_ray_tracer_sees_through_that_opening(views, shape, slope):
    used = views[1:13, 1:13]
    found = refocus(used, slope, shape)
    truth = tb.trace(layers(), light_field_lens(12, slope, shape), rays=2048)[0]
    elsewhere = tb.trace(layers(), light_field_lens(12, 1.0 - slope, shape), rays=256)[0]
    inner = (slice(None), slice(10, -10), slice(10, -10))
    error = (found - truth)[inner].square().mean().sqrt()
    assert error < 0.002
    assert (found - elsewhere)[inner].square().mean().sqrt() > 0.05


def test_what_has_the_slope_in_focus_is_sharp(views):
    sharp = refocus(views[1:13, 1:13], SLOPES[0])
    inside = (slice(None), slice(15, 24), slice(18, 28))
    torch.testing.assert_close(sharp[inside], layers().rgb[0, 0][inside], atol=1e-5, rtol=0)


def test_the_disc_leaves_three_views_out_of_each_corner():
    weights = view_weights(12, "disc")
    assert weights.sum() == 144 - 12
    assert (weights[0] == 0).nonzero().flatten().tolist() == [0, 1, 10, 11]
    assert torch.equal(weights, weights.T)
    assert torch.equal(weights, weights.flip(0))


def test_an_odd_number_of_views_has_an_opening_round_the_middle():
    lens = light_field_lens(5, 0.0)
    assert lens.blur == 2.5
    points, _ = lens.aperture.samples(4096)
    assert points.mean(0).abs().max() < 1e-2
    even = light_field_lens(4, 0.0)
    assert (even.aperture.samples(4096)[0].mean(0) * even.blur + 0.5).abs().max() < 1e-2


def test_a_folder_gives_samples_that_say_how_they_were_taken(views, tmp_path):
    for name in ("b", "a"):
        write(tmp_path / f"{name}_eslf.png", views, 8)
    dataset = LightFieldDataset(tmp_path, layout=LAYOUT)
    assert len(dataset) == 2
    sample = dataset[1]
    assert sample.name == "b"
    assert sample.disparity is None
    assert sample.blur.tolist() == [6.5, 6.5]
    assert sample.focus.tolist() == [0.0, -1.0]
    read = read_light_field(tmp_path / "b_eslf.png", LAYOUT)
    expected = light_field_sample(read, "b")
    assert torch.equal(sample.blurred, expected.blurred)
    assert torch.equal(sample.blurred[1], refocus(read, -1.0, "disc"))
    parts = [LightFieldDataset(tmp_path, split, LAYOUT) for split in ("train", "test")]
    assert sum(map(len, parts)) == 2
    with pytest.raises(IndexError, match="light field 2 of 2"):
        dataset[2]


def test_the_split_follows_from_the_name_and_has_the_published_proportions():
    sides = [split_of(f"IMG_{number:04d}_eslf.png") for number in range(TRAIN_FILES + TEST_FILES)]
    assert abs(sides.count("test") - TEST_FILES) < 60
    assert split_of("folder/IMG_0001_eslf.png") == split_of("IMG_0001_eslf.png")


def test_bad_input_is_named(views, tmp_path):
    write(tmp_path / "small_eslf.png", views[:, :, :, :20], 8)
    with pytest.raises(ValueError, match=r"small_eslf.png has 308 × 686 px; expected at least 560 × 672"):
        read_light_field(tmp_path / "small_eslf.png", LAYOUT)
    iio.imwrite(tmp_path / "grey_eslf.png", np.zeros((560, 672), np.uint8))
    with pytest.raises(ValueError, match=r"grey_eslf.png has shape \(560, 672\)"):
        read_light_field(tmp_path / "grey_eslf.png", LAYOUT)
    with pytest.raises(FileNotFoundError, match="holds no light fields"):
        LightFieldDataset(tmp_path / "none")
    with pytest.raises(ValueError, match="used is 15; expected at most views, 14"):
        LightFieldFormat(used=15)
    with pytest.raises(ValueError, match="as many down as across"):
        refocus(views[:3], 0.0)
    with pytest.raises(ValueError, match="shape is 'round'"):
        refocus(views, 0.0, "round")
    with pytest.raises(ValueError, match="far is 2"):
        light_field_sample(views, "a", far=2)
