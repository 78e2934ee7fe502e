"""The sub-aperture model: cost against the radius, memory, and the released Dr.Bokeh's variant beside it, in one run.

Five flat layers whose radii spread evenly from −R to R; every model renders the same scene. CPU seconds of all threads and wall
seconds, least of two runs after one to compile.

    python benchmarks/subaperture.py [--size 1920x1080] [--radii 5,20,40,80] [--cells 16] [--backward]
"""

import argparse
import platform

import torch
from measuring import measure, peak_growth

import taichi_bokeh as tb


def scene(height: int, width: int, radius_px: float) -> tuple[tb.Layers, tb.ThinLens]:
    """Noise-textured billboards with blobs of coverage; the focus lies on the middle one."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(5, 4, height // 8 + 2, width // 8 + 2, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")
    alpha = ((fine[:, 3:] - 0.5) * 20 + 0.5).clamp(0, 1)
    alpha[-1] = 1
    disparity = torch.linspace(1, -1, 5)[:, None, None, None].expand(5, 1, height, width).contiguous()
    return tb.Layers(fine[None, :, :3].contiguous(), alpha[None].contiguous(), disparity[None]), tb.ThinLens(radius_px, 0.0)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--radii", default="5,20,40,80", help="largest radius of each scene, px")
    parser.add_argument("--cells", type=int, default=16)
    parser.add_argument("--backward", action="store_true", help="also the gradient with respect to colour and coverage")
    parser.add_argument("--compare-size", default="384x384", help="size for the comparison with scatter-official")
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    print(f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"\n{width}×{height}, five flat layers, {arguments.cells} cells")
    for radius_px in map(float, arguments.radii.split(",")):
        layers, lens = scene(height, width, radius_px)

        def forward(layers: tb.Layers = layers, lens: tb.ThinLens = lens) -> torch.Tensor:
            return tb.render(layers, lens, model="subaperture", cells=arguments.cells)

        cpu, wall = measure(forward, 1)
        memory = peak_growth(forward)
        line = f"R = {radius_px:3.0f} px: forward {cpu:6.1f} CPU s, {wall:6.1f} s, {memory / width / height:4.0f} B a pixel"
        if arguments.backward:
            leaves = tb.Layers(layers.rgb.requires_grad_(), layers.alpha.requires_grad_(), layers.disparity)
            picture = forward(leaves, lens)
            cpu_backward, wall_backward = measure(lambda p=picture: p.sum().backward(retain_graph=True), 1)
            line += f"; backward {cpu_backward:6.1f} CPU s ({cpu_backward / cpu:.1f} × forward), {wall_backward:6.1f} s"
        print(line, flush=True)
    width, height = map(int, arguments.compare_size.split("x"))
    print(f"\n{width}×{height}, five flat layers, beside the released variant")
    for radius_px in (20.0, 40.0):
        compare(*scene(height, width, radius_px), radius_px)


def compare(layers: tb.Layers, lens: tb.ThinLens, radius_px: float) -> None:
    """Print the times of the released variant and of the sub-aperture model."""
    official = measure(lambda: tb.render(layers, lens, model="scatter-official"))
    print(f"R = {radius_px:.0f} px, scatter-official: {official[0]:5.2f} CPU s, {official[1]:5.2f} s")
    for cells in (4, 16, 64):
        ours = measure(lambda cells=cells: tb.render(layers, lens, model="subaperture", cells=cells))
        ratios = f"{official[0] / ours[0]:.2f} (CPU) and {official[1] / ours[1]:.2f} (wall) times as fast"
        print(f"R = {radius_px:.0f} px, {cells:2d} cells: {ours[0]:5.2f} CPU s, {ours[1]:5.2f} s; {ratios}", flush=True)


if __name__ == "__main__":
    main()
