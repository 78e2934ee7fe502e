"""Pictures that some other program has made of the benchmark's scenes."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from taichi_bokeh.io import read_image
from taichi_bokeh.synthetic.scene import Scene

_SUFFIXES = (".npy", ".tif", ".tiff", ".png", ".jpg", ".jpeg")  # the exact ones first


@dataclass(frozen=True)
class External:
    """A folder with one picture a scene, named as the scene: "000.png".

    Floats (npy, TIFF) are linear light; 8- and 16-bit integers are sRGB. Where a scene has several pictures, the first suffix
    in the order npy, tif, tiff, png, jpg, jpeg is read. The blur cannot be searched.

    Attributes:
        name: unique among the methods.
        folder: where the pictures are.
    """

    name: str
    folder: Path
    searchable: bool = False

    @property
    def title(self) -> str:
        """For tables: its name."""
        return self.name

    def render(self, scene: Scene, scale: float) -> Tensor:
        """The picture [3, H, W] that was made of the scene.

        Raises:
            FileNotFoundError: there is none.
            ValueError: it cannot be read or has another size than the scene, or `scale` is not 1.
        """
        if scale != 1:
            raise ValueError(f"scale is {scale!r}; expected 1, as the pictures of {self.name!r} exist already")
        path = next((file for suffix in _SUFFIXES if (file := self.folder / f"{scene.name}{suffix}").exists()), None)
        if path is None:
            raise FileNotFoundError(f"{self.folder} holds no picture of scene {scene.name!r} ({', '.join(_SUFFIXES)})")
        rgb = read_image(path).rgb
        expected = (scene.layers.height, scene.layers.width)
        if rgb.shape[:2] != expected:
            sizes = [f"{width}×{height}" for height, width in (rgb.shape[:2], expected)]
            raise ValueError(f"{path} is {sizes[0]} pixels, and must be {sizes[1]} as the scene")
        return torch.from_numpy(rgb).permute(2, 0, 1).contiguous()
