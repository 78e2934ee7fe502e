"""The exact scatter renderer against the naive gather, in one run: CPU time, wall time, backward, memory.

The naive gather is what the model's equation says: for every pixel, every source of the full window, with exp and tanh. It
is a Taichi kernel too, takes its rows from the same scene, and is timed on every k-th row (--naive-every k) and scaled.

    python benchmarks/scatter.py [--size 1920x1080] [--radius 35] [--profile disc|soft] [--naive-every 16]
"""

import argparse
import platform

import numpy as np
import torch
from measuring import measure, peak_growth

import taichi_bokeh as tb
from taichi_bokeh._runtime import launch, ti

_TORCH_LIKE = ti.types.ndarray(dtype=ti.f32, ndim=3)


@ti.kernel
def naive_gather(source: _TORCH_LIKE, out: _TORCH_LIKE, blur: ti.f32, radius: ti.i32, every: ti.i32):
    """Dr.Bokeh's sums over the full window for every `every`-th row; source [5, H, W] = rgb, alpha, signed disparity."""
    height, width = source.shape[1], source.shape[2]
    ti.loop_config(block_dim=16)
    for j, x in ti.ndrange(out.shape[1], width):
        y = j * every
        total = ti.Vector([0.0, 0.0, 0.0, 0.0])
        d_x = source[4, y, x]
        in_focus = ti.exp(-3.0 * (blur * d_x) ** 2)
        for dy, dx in ti.ndrange((-radius, radius + 1), (-radius, radius + 1)):
            squared = dy * dy + dx * dx
            if squared < radius * radius:
                row, column = ti.math.clamp(y + dy, 0, height - 1), ti.math.clamp(x + dx, 0, width - 1)
                d_y = source[4, row, column]
                r = blur * ti.abs(d_y) + 1.0
                weight = 1.0 / (1.0 + 10.0 * ti.exp(3.0 * (ti.sqrt(ti.cast(squared, ti.f32)) - r))) / (r * r)
                if squared > 0:
                    weight *= 1.0 + in_focus * (0.5 * ti.tanh(10.0 * (d_y - d_x - 0.1)) - 0.5)
                weight *= source[3, row, column]
                for c in ti.static(range(3)):
                    total[c] += weight * source[c, row, column]
                total[3] += weight
        for c in ti.static(range(4)):
            out[c, j, x] = total[c]


def scene(height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """An HDR picture [H, W, 3] and its signed disparity [H, W] in [−1, 1].

    A sharp subject, a ground plane through the focus, a slanted far wall, a near object, and point lights of up to 50.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    u, v, aspect = x / width, y / height, width / height
    waves = [0.5 + 0.3 * np.sin(23 * u + 5 * v), 0.45 + 0.3 * np.cos(17 * v - 9 * u), 0.4 + 0.25 * np.sin(31 * u * v)]
    rgb = np.clip(np.stack(waves, -1) + 0.3 * rng.random((height, width, 1), dtype=np.float32) - 0.15, 0, 1)
    d = -0.95 + 0.3 * u + 0.2 * v
    ground = v > 0.6
    d[ground] = (-0.8 + (v[ground] - 0.6) / 0.4 * 1.6).astype(np.float32)
    subject = ((u - 0.35) * aspect) ** 2 + (v - 0.45) ** 2 < 0.05
    d[subject], rgb[subject] = 0.0, rgb[subject] * [1.2, 0.5, 0.5]
    near = ((u - 0.8) * aspect) ** 2 + (v - 0.7) ** 2 < 0.03
    d[near], rgb[near] = 0.9, rgb[near] * [0.3, 0.5, 1.3]
    lights = max(6, height * width // 15000)
    rgb[rng.integers(0, height, lights), rng.integers(0, width, lights)] = rng.uniform(3, 50, (lights, 1))
    return np.ascontiguousarray(rgb, dtype=np.float32), d.astype(np.float32)


def compare_naive(flat: torch.Tensor, radius: int, every: int) -> float:
    """Time the naive gather on every `every`-th row; CPU seconds for all rows."""
    _, height, width = flat.shape
    rows = -(-height // every)
    sums = torch.empty(4, rows, width)
    cpu, wall = measure(lambda: launch(naive_gather, flat, sums, float(radius), radius, every), 1)
    scale = height / rows
    print(f"| naive gather (1 row in {every}, scaled) | CPU {cpu * scale:7.1f} s | wall {wall * scale:6.1f} s |")
    return cpu * scale


def compare_exact(inputs: list[torch.Tensor], radius: int, profile: str, naive: float) -> None:
    """Time forward and backward of the exact renderer, and what memory they take."""
    lens = tb.ThinLens(float(radius), 1.0)
    pixels = inputs[0].shape[-1] * inputs[0].shape[-2]

    def forward() -> torch.Tensor:
        return tb.render(tb.Layers(*inputs), lens, profile=profile)

    with torch.no_grad():
        ahead = measure(forward)
        grown = peak_growth(forward) - 12 * pixels  # less the picture
    picture = forward()
    cotangent = torch.rand_like(picture)
    back = measure(lambda: torch.autograd.grad(picture, inputs, cotangent, retain_graph=True))
    held = peak_growth(lambda: torch.autograd.grad(forward(), inputs, cotangent)) - 32 * pixels  # less picture, gradients
    for name, (cpu, wall), ratio, memory in (
        ("forward", ahead, f"1/{naive / ahead[0]:.1f} of naive", grown),
        ("backward", back, f"{back[0] / ahead[0]:.2f}x forward", held),
    ):
        times = f"CPU {cpu:7.1f} s | wall {wall:6.1f} s"
        print(f"| exact, {profile}, {name} | {times} | {ratio} | {memory / pixels:.0f} B/px beyond inputs and outputs |")


def main() -> None:
    """Run the comparison that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1920x1080", help="width x height (default: %(default)s)")
    parser.add_argument("--radius", type=int, default=35, help="largest blur radius, px (default: %(default)s)")
    parser.add_argument("--profile", choices=("disc", "soft"), nargs="*", default=("disc", "soft"))
    parser.add_argument("--naive-every", type=int, default=27, help="time the naive gather on every k-th row")
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    picture, signed = scene(height, width)
    rgb = torch.from_numpy(picture).permute(2, 0, 1)[None, None].contiguous()
    disparity = torch.from_numpy(signed)[None, None, None] + 1  # focus on 1: disparity stays positive
    alpha = torch.ones_like(disparity)
    print(f"{platform.machine()}, {torch.get_num_threads()} threads; {width}x{height}, R = {arguments.radius} px")
    flat = torch.cat([rgb[0, 0], alpha[0, 0], torch.from_numpy(signed)[None]])
    naive = compare_naive(flat, arguments.radius, arguments.naive_every)
    for profile in arguments.profile:
        compare_exact([t.clone().requires_grad_() for t in (rgb, alpha, disparity)], arguments.radius, profile, naive)


if __name__ == "__main__":
    main()
