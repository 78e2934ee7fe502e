"""Model "scatter" beside the naive gather, in one run: time, memory, accuracy, and how they grow.

Rows of the table: the naive gather (a Taichi kernel that evaluates the equation over the full window, with exp and tanh; every
k-th row, scaled), the same as a user would write it in torch (a crop, scaled), and `tb.render` by every weight ("exact"), by
rows ("fast") and as a draft. One opaque layer, HDR, part of it in focus, radii from 0 to R. CPU seconds are of all threads.

    python benchmarks/scatter.py [--sizes 512x512 1920x1080] [--radii 10 35 100] [--profile disc soft] [--device cuda]
    python benchmarks/scatter.py --quick        a run of under a minute
    python benchmarks/scatter.py --check        the naive kernels against autograd
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date

import naive
import numpy as np
import torch
from measuring import bandwidth, machine, measure, peak_growth

import taichi_bokeh as tb
from taichi_bokeh._runtime import launch

NAIVE_SECONDS = 4.0  # that a timing of the naive gather takes, by the rows left out
TORCH_PIXELS = 1 << 14  # of the crop that torch gathers
FLOOR_BYTES = 32  # that a layer must at least read and write a pixel


class Case:
    """One size and radius: the scene, and what was measured by name, (CPU or device seconds, wall seconds, bytes)."""

    def __init__(self, size: tuple[int, int], radius: int, device: str) -> None:
        width, height = size
        picture, signed = scene(height, width)
        self.radius, self.pixels = radius, width * height
        rgb = torch.from_numpy(picture).permute(2, 0, 1)[None, None].contiguous()
        disparity = torch.from_numpy(signed)[None, None, None] + 1  # focus on 1: disparity stays positive
        self.inputs = [value.to(device) for value in (rgb, torch.ones_like(disparity), disparity)]
        self.flat = torch.cat([rgb[0, 0], torch.ones_like(disparity)[0, 0], torch.from_numpy(signed)[None]]).to(device)
        self.seconds: dict[str, tuple[float, float]] = {}

    def row(self, name: str, seconds: tuple[float, float], note: str = "") -> None:
        """Print and keep one measurement."""
        self.seconds[name] = seconds
        ratios = []
        way, step = name.rsplit(", ", 1)
        for base in ("naive", "exact disc"):
            other = self.seconds.get(f"{base}, {step}")
            ratios.append("" if other is None or way == base else f"{other[0] / seconds[0]:.1f}")
        print(f"| {name} | {seconds[0]:.3f} | {seconds[1]:.3f} | {' | '.join(ratios)} | {note} |", flush=True)


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


def rows_apart(case: Case, once: Callable[[int], None]) -> tuple[int, float]:
    """Every how many rows to take, so that the naive gather takes about NAIVE_SECONDS, and by what to multiply its time."""
    height = case.flat.shape[1]
    few = height // 4
    once(few)  # compiles
    start = time.perf_counter()
    once(few)
    a_row = (time.perf_counter() - start) / -(-height // few)
    every = max(1, min(few, round(height * a_row / NAIVE_SECONDS)))
    return every, height / -(-height // every)


def time_naive(case: Case) -> None:
    """The naive gather and its gradient."""
    blur, source, kernels = float(case.radius), case.flat, naive.kernels_for(case.flat)
    _, height, width = source.shape
    every, scale = rows_apart(case, lambda k: naive.gathered(source, blur, case.radius, k))
    forward = measure(lambda: naive.gathered(source, blur, case.radius, every), 1, case.flat.device)
    case.row("naive, forward", (forward[0] * scale, forward[1] * scale), f"1 row in {every}, scaled")
    d_sums = torch.rand_like(source[:4])

    def pull(k: int) -> None:
        d_padded = source.new_empty(5, -(-height // k), width + 2 * case.radius)
        launch(kernels.pull, source, d_sums, d_padded, blur, case.radius, k, case.radius)

    every, scale = rows_apart(case, pull)
    backward = measure(lambda: pull(every), 1, case.flat.device)
    case.row("naive, backward", (backward[0] * scale, backward[1] * scale), f"1 row in {every}, scaled; border copies left out")
    both = tuple(case.seconds["naive, forward"][k] + case.seconds["naive, backward"][k] for k in (0, 1))
    case.row("naive, both", both, "")


def time_torch(case: Case) -> None:
    """The naive gather in torch, on a crop."""
    radius, width = case.radius, case.flat.shape[2]
    rows = max(1, min(case.flat.shape[1] - 2 * radius, TORCH_PIXELS // width))
    if case.flat.shape[1] <= 2 * radius:
        return
    leaf = naive.padded(case.flat, radius)[:, : rows + 2 * radius].clone().requires_grad_()
    scale = case.flat.shape[1] / rows
    with torch.no_grad():
        forward = measure(lambda: naive.torch_gather(leaf, float(radius), radius), 1, leaf.device, warm_up=False)
    case.row("torch, forward", (forward[0] * scale, forward[1] * scale), f"{rows} rows, scaled")

    def both() -> None:
        torch.autograd.grad(naive.torch_gather(leaf, float(radius), radius, checkpointed=True).sum(), leaf)

    if radius <= 35:
        taken = measure(both, 1, leaf.device, warm_up=False)
        case.row("torch, both", (taken[0] * scale, taken[1] * scale), f"{rows} rows, scaled; autograd, checkpointed")


Rendered = tuple[torch.Tensor, tuple[torch.Tensor, ...]]


def time_render(case: Case, name: str, repeats: int, exact: Rendered | None, **how: str) -> Rendered:
    """Forward, backward and both; the picture and its gradients."""
    everything = "quality" not in how  # a draft is differentiable in rgb and alpha
    inputs = [value.clone().requires_grad_(everything or k < 2) for k, value in enumerate(case.inputs)]
    lens = [torch.tensor(value, device=inputs[0].device, requires_grad=everything) for value in (float(case.radius), 1.0)]
    leaves = [value for value in (*inputs, *lens) if value.requires_grad]

    def forward(crop: slice = slice(None)) -> torch.Tensor:
        return tb.render(tb.Layers(*(value[..., crop, crop] for value in inputs)), tb.ThinLens(*lens), "scatter", **how)

    device = inputs[0].device
    forward(slice(128)).sum().backward()  # compiles
    cotangent = torch.rand(case.inputs[0].shape[-3:], generator=torch.Generator().manual_seed(1)).to(device)[None]
    results: list[torch.Tensor] = []
    ahead, back = [], []
    grown = held = 0
    for _ in range(repeats):
        results.clear()
        grown = max(grown, peak_growth(lambda: ahead.append(measure(lambda: results.append(forward()), 1, device, False))))
        picture = results.pop()

        def backward(picture: torch.Tensor = picture) -> None:
            results.extend(torch.autograd.grad(picture, leaves, cotangent))

        held = max(held, peak_growth(lambda run=backward: back.append(measure(run, 1, device, False))))
    seconds = min(ahead), min(back)
    memory = [max(0, grown / case.pixels - 12), max(0, held / case.pixels - 20)]  # less the picture, and the gradients
    rendered = picture.detach(), tuple(results)
    errors = ("", "") if exact is None else compare(rendered, exact)
    case.row(f"{name}, forward", seconds[0], f"{memory[0]:.0f} B/px, what the backward pass needs included{errors[0]}")
    case.row(f"{name}, backward", seconds[1], f"{seconds[1][0] / seconds[0][0]:.2f} × forward; {memory[1]:.0f} B/px{errors[1]}")
    both = seconds[0][0] + seconds[1][0], seconds[0][1] + seconds[1][1]
    case.row(f"{name}, both", both)
    return rendered


def compare(ours: Rendered, exact: Rendered) -> tuple[str, str]:
    """PSNR of the picture, and the worst cosine and relative L2 error among the gradients."""
    psnr = -10 * torch.log10((ours[0] - exact[0]).double().square().mean()).item()
    pairs = [(a.double().flatten(), b.double().flatten()) for a, b in zip(ours[1], exact[1], strict=False)]
    cosine = min(float(a @ b / (a.norm() * b.norm())) for a, b in pairs)
    error = max(float((a - b).norm() / b.norm()) for a, b in pairs)
    return f"; {psnr:.1f} dB to exact", f"; to exact: cosine ≥ {cosine:.7f}, relative L2 ≤ {error:.1e}"


def run_case(case: Case, arguments: argparse.Namespace) -> None:
    """All rows of one size and radius."""
    print("| | CPU s | wall s | naive over it | exact disc over it | |\n|---|---|---|---|---|---|")
    if "naive" not in arguments.skip:
        time_naive(case)
    if "torch" not in arguments.skip:
        time_torch(case)
    for profile in arguments.profile:
        exact = None
        if "exact" not in arguments.skip:
            exact = time_render(case, f"exact {profile}", 1, None, profile=profile, algorithm="exact")
        time_render(case, f"fast {profile}", arguments.repeats, exact, profile=profile, algorithm="fast")
        if "draft" not in arguments.skip:
            time_render(case, f"draft {profile}", arguments.repeats, exact, profile=profile, quality="draft")


def exponent(points: dict[int, float]) -> float:
    """Of a power law through the points."""
    return float(np.polyfit(np.log(list(points)), np.log(list(points.values())), 1)[0])


def summarise(cases: list[Case], floor: float) -> None:
    """Exponents in R and in the number of pixels, and the distance from the memory floor."""
    names = dict.fromkeys(name for case in cases for name in case.seconds)
    for name in names:
        here = [case for case in cases if name in case.seconds]
        for pixels in sorted({case.pixels for case in here}):
            points = {c.radius: c.seconds[name][0] for c in here if c.pixels == pixels and 10 <= c.radius <= 100}
            if len(points) >= 3:
                print(f"{name}, {pixels} px: CPU time grows as R^{exponent(points):.2f} for R = {min(points)} … {max(points)}")
        for radius in sorted({case.radius for case in here}):
            points = {c.pixels: c.seconds[name][0] for c in here if c.radius == radius}
            if len(points) >= 2:
                print(f"{name}, R = {radius}: CPU time grows as pixels^{exponent(points):.2f}")
    for case in cases:
        wall = case.seconds["fast disc, forward"][1] if "fast disc, forward" in case.seconds else None
        if wall is not None:
            least = FLOOR_BYTES * case.pixels / floor
            print(f"R = {case.radius}, {case.pixels} px: fast forward takes {wall / least:.0f} × the memory floor")


_FIRST_CALL = """
import time, torch, taichi_bokeh as tb
rgb, ones = torch.rand(1, 1, 3, 64, 64), torch.ones(1, 1, 1, 64, 64)
layers = tb.Layers(rgb, ones, torch.rand(1, 1, 1, 64, 64))
for value in (layers.rgb, layers.disparity):
    value.requires_grad_()
start = time.perf_counter()
picture = tb.render(layers, tb.ThinLens(35.0, 0.5), "scatter", algorithm="fast")
middle = time.perf_counter()
picture.sum().backward()
print(f"forward {middle - start:.1f} s, backward {time.perf_counter() - middle:.1f} s")
"""


def first_calls() -> None:
    """Time of the first calls in a process, without Taichi's cache of compiled kernels and with it."""
    for name, cached in (("nothing cached", "0"), ("filling the cache", "1"), ("from the cache", "1")):
        environment = {**os.environ, "TI_OFFLINE_CACHE": cached}
        done = subprocess.run([sys.executable, "-c", _FIRST_CALL], env=environment, capture_output=True, text=True)
        if name != "filling the cache":
            print(f"first call, {name}: {done.stdout.strip() or done.stderr.strip().splitlines()[-1]}")


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["1920x1080"], help="width x height (default: %(default)s)")
    parser.add_argument("--radii", nargs="+", type=int, default=[10, 35, 100], help="largest radii, px (default: %(default)s)")
    parser.add_argument("--profile", choices=("disc", "soft"), nargs="+", default=["disc"])
    parser.add_argument("--skip", choices=("naive", "torch", "exact", "draft"), nargs="*", default=[])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cuda: seconds are the device's, by events")
    parser.add_argument("--repeats", type=int, default=2, help="of which the best counts (exact: 1)")
    parser.add_argument("--quick", action="store_true", help="small and soon done")
    parser.add_argument("--check", action="store_true", help="check the naive kernels, and measure nothing")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch finds no CUDA device")
    if arguments.quick:
        arguments.sizes, arguments.radii = ["320x180", "480x270"], [5, 10, 15, 20]
    return arguments


def main() -> None:
    """Run the comparison that the command line asks for."""
    arguments = parsed()
    if arguments.check:
        sys.exit(not naive.check())
    print(f"{machine(arguments.device)}; {date.today()}")
    floor = bandwidth(arguments.device)
    print(f"memory: {floor / 1e9:.1f} GB/s (triad)")
    first_calls()
    cases = []
    for size in arguments.sizes:
        width, height = map(int, size.split("x"))
        for radius in arguments.radii:
            print(f"\n{size}, R = {radius} px\n")
            cases.append(Case((width, height), radius, arguments.device))
            run_case(cases[-1], arguments)
    print()
    summarise(cases, floor)


if __name__ == "__main__":
    main()
