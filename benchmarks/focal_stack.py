"""What a focal stack costs beside renders one by one: ``python benchmarks/focal_stack.py``.

CPU seconds of this process, the two in turn, the least of three runs each; all slices are compared to the bit.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor

import taichi_bokeh as tb

SLICES, LAYERS, BLUR = 8, 3, 16.0


def scene(size: int) -> tb.Layers:
    """Slanted layers, those in front with square holes."""
    generator = torch.Generator().manual_seed(0)
    rgb = torch.rand(1, LAYERS, 3, size, size, generator=generator)
    holes = torch.rand(1, LAYERS, 1, size // 8, size // 8, generator=generator) > 0.5
    alpha = holes.float().repeat_interleave(8, -1).repeat_interleave(8, -2)
    alpha[:, -1] = 1
    depth = torch.linspace(0.9, 0.1, LAYERS)[:, None, None, None] + 0.08 * torch.linspace(-1, 1, size)[:, None]
    return tb.Layers(rgb, alpha, depth.expand(1, LAYERS, 1, size, size).contiguous())


def seconds(function: Callable[[], Tensor]) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    function()
    return time.process_time() - start


def main() -> None:
    """Print a line for each size and model."""
    foci = torch.linspace(0.1, 0.9, SLICES)
    print(f"{SLICES} slices, {LAYERS} layers, radii up to {BLUR:.0f} px, {torch.get_num_threads()} threads")
    for model in ("scatter", "subaperture"):
        for size in (64, 128, 256):
            layers = scene(size)

            def one_by_one(layers: tb.Layers = layers, model: str = model) -> Tensor:
                return torch.stack([tb.render(layers, tb.ThinLens(BLUR, float(f)), model) for f in foci], 1)

            def together(layers: tb.Layers = layers, model: str = model) -> Tensor:
                return tb.focal_stack(layers, tb.ThinLens(BLUR, 0.0), foci, model)

            assert torch.equal(one_by_one(), together())
            pairs = [(seconds(one_by_one), seconds(together)) for _ in range(3)]
            alone, stack = (min(values) for values in zip(*pairs, strict=True))
            print(
                f"{model:12} {size:4}²  one by one {alone:7.3f} s, stack {stack:7.3f} s, ratio {stack / alone:.2f}", flush=True
            )


if __name__ == "__main__":
    main()
