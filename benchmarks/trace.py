"""The ray tracer against vectorised torch, in one run: rays · layers · pixels a second.

Two scenes of five 384 × 384 layers: flat billboards, and the same with disparity that varies from pixel to pixel. The peers are
what a torch user would write, a lens point at a time over whole pictures. For billboards: shift each padded layer by slices,
interpolate with lerp, composite; or the same in numpy. For height fields:
grid_sample, with eight fixed-point steps to the crossing, which is
right only where slopes are gentle, as they are here. Each pair must show the same picture (its PSNR is printed).

    python benchmarks/trace.py [--size 384] [--rays 256] [--peer-rays 32] [--device cpu|cuda]
"""

import argparse
import math
import platform
import resource
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

import taichi_bokeh as tb


def scene(size: int, device: str) -> tb.Layers:
    """Five layers: four discs of noise with mattes soft by a pixel at different places, and an opaque background."""
    torch.manual_seed(0)
    y, x = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size), indexing="ij")
    rgb = torch.rand(1, 5, 3, size, size)
    places = ((-0.4, -0.3), (0.5, -0.2), (-0.2, 0.5), (0.4, 0.4))
    discs = [((0.45 - torch.hypot(x - a, y - b)) * size / 2).clamp(0, 1) for a, b in places]
    alpha = torch.stack([*discs, torch.ones_like(x)])[None, :, None]
    disparity = torch.tensor([0.9, 0.7, 0.5, 0.3, 0.1]).view(1, 5, 1, 1, 1).expand(1, 5, 1, size, size)
    return tb.Layers(rgb, alpha, disparity.contiguous()).to(device)


def sloped(layers: tb.Layers) -> tb.Layers:
    """The scene with every layer bent, by at most 0.05 of disparity either way."""
    size = layers.width
    y, x = torch.meshgrid(torch.linspace(0, 1, size), torch.linspace(0, 1, size), indexing="ij")
    bend = 0.05 * torch.sin(4 * x + 3 * y).to(layers.disparity)
    return tb.Layers(layers.rgb, layers.alpha, layers.disparity + bend)


def torch_billboards(layers: tb.Layers, lens: tb.ThinLens, rays: int) -> Tensor:
    """The same picture in vectorised torch, flat layers only."""
    points, weights = lens.aperture.samples(rays)
    radii = (lens.blur * (layers.disparity[0, :, 0, 0, 0] - lens.focus)).tolist()
    pad = math.ceil(max(map(abs, radii))) + 2
    textures = torch.cat([layers.alpha * layers.rgb, layers.alpha], 2)[0]
    textures = torch.nn.functional.pad(textures, (pad,) * 4, mode="replicate")
    height, width = layers.height, layers.width
    total = torch.zeros_like(layers.rgb[0, 0])
    for (u, v), weight in zip(points.tolist(), weights.tolist(), strict=True):
        transmittance = torch.full_like(total[0], weight)
        for texture, radius in zip(textures, radii, strict=True):
            x, y = pad + u * radius, pad + v * radius
            column, row = math.floor(x), math.floor(y)
            fx, fy = x - column, y - row
            window = texture[:, row : row + height + 1, column : column + width + 1]
            window = torch.lerp(window[:, :-1], window[:, 1:], fy)
            sample = torch.lerp(window[..., :-1], window[..., 1:], fx)
            total += transmittance * sample[:3]
            transmittance = transmittance * (1 - sample[3])
    return total[None]


def numpy_billboards(layers: tb.Layers, lens: tb.ThinLens, rays: int) -> Tensor:
    """The same picture in vectorised numpy, flat layers only."""
    points, weights = (value.numpy() for value in lens.aperture.samples(rays))
    radii = (lens.blur * (layers.disparity[0, :, 0, 0, 0] - lens.focus)).numpy()
    pad = math.ceil(np.abs(radii).max()) + 2
    textures = torch.cat([layers.alpha * layers.rgb, layers.alpha], 2)[0].numpy()
    textures = np.pad(textures, ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode="edge")
    height, width = layers.height, layers.width
    total = np.zeros((3, height, width), np.float32)
    for point, weight in zip(points, weights, strict=True):
        transmittance = np.full((height, width), weight, np.float32)
        for texture, radius in zip(textures, radii, strict=True):
            column, row = (math.floor(pad + u * radius) for u in point)
            fx, fy = (np.float32(pad + u * radius - start) for u, start in zip(point, (column, row), strict=True))
            window = texture[:, row : row + height + 1, column : column + width + 1]
            window = window[:, :-1] + fy * (window[:, 1:] - window[:, :-1])
            sample = window[..., :-1] + fx * (window[..., 1:] - window[..., :-1])
            total += transmittance * sample[:3]
            transmittance *= 1 - sample[3]
    return torch.from_numpy(total)[None]


def torch_height_fields(layers: tb.Layers, lens: tb.ThinLens, rays: int) -> Tensor:
    """The same picture in vectorised torch, for gentle slopes."""
    points, weights = lens.aperture.samples(rays)
    textures = torch.cat([layers.alpha * layers.rgb, layers.alpha], 2)[0]
    maps = layers.disparity[0]
    size = torch.tensor([layers.width, layers.height], device=maps.device)
    y, x = torch.meshgrid(*(torch.arange(n, device=maps.device) for n in (layers.height, layers.width)), indexing="ij")
    pixel = torch.stack([x, y], -1).to(maps.dtype)

    def sample(values: Tensor, d: Tensor, shift: Tensor) -> Tensor:
        place = (pixel + shift * (d - lens.focus)[..., None] + 0.5) * 2 / size - 1
        return torch.nn.functional.grid_sample(values[None], place[None], padding_mode="border", align_corners=False)[0]

    total = torch.zeros_like(textures[0, :3])
    for point, weight in zip(points.to(maps), weights.tolist(), strict=True):
        transmittance = torch.full_like(total[0], weight)
        for texture, disparity in zip(textures, maps, strict=True):
            d = disparity[0]
            for _ in range(8):
                d = sample(disparity, d, point * lens.blur)[0]
            seen = sample(texture, d, point * lens.blur)
            total += transmittance * seen[:3]
            transmittance = transmittance * (1 - seen[3])
    return total[None]


def measure(run: Callable[[], Tensor]) -> tuple[float, float, Tensor]:
    """CPU and wall seconds, the least of three runs after one to compile, and the picture."""
    picture, best = run(), (math.inf, math.inf)
    for _ in range(3):
        before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        picture = run()
        if picture.is_cuda:
            torch.cuda.synchronize()
        after = resource.getrusage(resource.RUSAGE_SELF)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        best = min(best, (cpu, time.perf_counter() - start))
    return *best, picture


def main() -> None:
    """Run the comparison that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--rays", type=int, default=256)
    parser.add_argument("--peer-rays", type=int, default=32, help="rays of the torch peer, scaled to --rays")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    arguments = parser.parse_args()
    layers, lens = scene(arguments.size, arguments.device), tb.ThinLens(40.0, 0.4)
    work = arguments.size**2 * layers.count * arguments.rays
    print(f"{platform.machine()}, {torch.get_num_threads()} threads; {arguments.size}², 5 layers, {arguments.rays} rays")
    billboards, fields = ("billboards", layers), ("height fields", sloped(layers))
    comparisons = (
        (*billboards, "numpy", numpy_billboards, arguments.peer_rays),
        (*billboards, "torch", torch_billboards, arguments.peer_rays),
        (*fields, "torch", torch_height_fields, max(1, arguments.peer_rays // 8)),
    )
    for name, subject, library, peer, peer_rays in comparisons:
        if library == "numpy" and arguments.device != "cpu":
            continue
        scale = arguments.rays / peer_rays
        peer_cpu, peer_wall, theirs = measure(lambda run=peer, it=subject, n=peer_rays: run(it, lens, n))
        cpu, wall, _ = measure(lambda it=subject: tb.trace(it, lens, rays=arguments.rays))
        ours = tb.trace(subject, lens, rays=peer_rays)
        psnr = -10 * math.log10((ours - theirs).square().mean().item())
        times = f"CPU {peer_cpu * scale:6.2f} s | wall {peer_wall * scale:6.2f} s"
        print(f"| {name}, {library} | {times} | {peer_rays} rays, scaled |")
        speed = f"{work / wall / 1e6:.0f} million rays·layers a second"
        print(f"| {name}, ours | CPU {cpu:6.2f} s | wall {wall:6.2f} s | {speed} |")
        print(f"| ratio | {peer_cpu * scale / cpu:.1f} | {peer_wall * scale / wall:.1f} | same picture to {psnr:.0f} dB |")


if __name__ == "__main__":
    main()
