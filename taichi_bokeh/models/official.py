"""The variant of the scatter model that Dr.Bokeh's released code computes."""

from dataclasses import dataclass
from typing import Literal

from taichi_bokeh._checks import require_choice
from taichi_bokeh.models.scatter import ScatterModel, Settings
from taichi_bokeh.optics.aperture import Aperture

Algorithm = Literal["auto", "exact", "reference"]


@dataclass(frozen=True)
class OfficialScatter(ScatterModel):
    """What Dr.Bokeh's released code computes, for comparison with published numbers; for the disc only.

    Attributes:
        max_radius: only sources nearer than this, in px, contribute: the released code's window is 2·max_radius + 1. By default
            as far as the largest blur reaches.
        algorithm: "reference", slow readable torch, or "exact", the same weight by weight; "auto" is "exact".
        occlusion: False leaves the occlusion within a layer out, O = 1, as ablations do; that between layers stays.

    Raises:
        TypeError, ValueError: a field is not what it must be; the message names it.
    """

    name = "scatter-official"
    title = "Dr.Bokeh, released code's model"

    max_radius: float | None = None
    algorithm: Algorithm = "auto"
    occlusion: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("algorithm", self.algorithm, Algorithm)

    def require_renderable(self, aperture: Aperture) -> None:
        """Raise a ValueError that names what makes the aperture another shape than the disc."""
        self._require_disc(aperture, f"model {self.name!r}")

    def _settings(self, aperture: Aperture) -> Settings:
        return Settings("official", aperture, self.max_radius or 0.0, self.algorithm, occlusion=self.occlusion)
