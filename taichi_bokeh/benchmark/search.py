"""The blur at which a method comes closest to the truth: a model whose blur is defined otherwise should not lose by that."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from taichi_bokeh._checks import require_number
from taichi_bokeh.benchmark.metrics import frame_rmse

_FIRST_STEP = 0.1
_MOST_EVALUATIONS = 8


class Searched(NamedTuple):
    """The best of what was rendered.

    Attributes:
        scale: of the blur.
        picture: [3, H, W], rendered with it.
        rmse: of the picture, in linear light over the frame.
        evaluations: how many pictures were rendered.
    """

    scale: float
    picture: Tensor
    rmse: float
    evaluations: int


def best_scale(
    render: Callable[[float], Tensor],
    truth: Tensor,
    *,
    lower: float = 0.5,
    upper: float = 1.5,
    tolerance: float = 0.005,
) -> Searched:
    """Find the scale of the blur at which a picture has the least RMSE in linear light over the frame.

    Scales 1, 0.9 and 1.1 are rendered first, then larger steps downhill until a minimum is enclosed or a bound reached, then
    the vertices of parabolas through the squared errors: 8 pictures at most. Of equals the scale closest to 1 is taken, and
    the result is never worse than scale 1.

    Args:
        render: picture [3, H, W] of a scale.
        truth: [3, H, W], linear light.
        lower: least scale, above 0 and at most 1.
        upper: largest scale, at least 1.
        tolerance: how close to the minimum is close enough; a very skewed error may be left at twice that.

    Raises:
        TypeError: a bound or the tolerance is not a number.
        ValueError: one is out of range, or a picture does not fit the truth or is not finite.
    """
    require_number("lower", lower, above=0.0, at_most=1.0)
    require_number("upper", upper, at_least=1.0)
    require_number("tolerance", tolerance, above=0.0)
    errors: dict[float, float] = {}  # of each scale, squared
    best = _evaluate(render, truth, 1.0, None, errors)
    for scale in (max(lower, 1 - _FIRST_STEP), min(upper, 1 + _FIRST_STEP)):
        if scale not in errors:
            best = _evaluate(render, truth, scale, best, errors)
    while len(errors) < _MOST_EVALUATIONS:
        next_scale = _next_scale(errors, best.scale, (lower, upper), tolerance)
        if next_scale is None:
            break
        best = _evaluate(render, truth, next_scale, best, errors)
    return best._replace(evaluations=len(errors))


def _evaluate(
    render: Callable[[float], Tensor], truth: Tensor, scale: float, best: Searched | None, errors: dict[float, float]
) -> Searched:
    """Render at `scale`, note its error, and return the better of it and the best so far."""
    picture = render(scale)
    rmse = frame_rmse(picture, truth)
    errors[scale] = rmse**2
    if best is None or (rmse, abs(scale - 1)) < (best.rmse, abs(best.scale - 1)):
        return Searched(scale, picture, rmse, len(errors))
    return best


def _next_scale(errors: dict[float, float], best: float, bounds: tuple[float, float], tolerance: float) -> float | None:
    """Where to look next; None where nothing is to be gained."""
    scales = sorted(errors)
    place = scales.index(best)
    if len(scales) > 1 and best not in bounds and place in (0, len(scales) - 1):  # still downhill
        neighbour = scales[1] if place == 0 else scales[-2]
        return min(max(best + 2 * (best - neighbour), bounds[0]), bounds[1])
    if len(scales) < 3:  # 1 is a bound
        return sum(scales) / 2 if len(scales) == 2 else None
    first = min(max(place - 1, 0), len(scales) - 3)
    near = scales[first : first + 3]
    vertex = _vertex(near, [errors[scale] for scale in near])
    if vertex is None:
        if best not in bounds:
            return None
        vertex = best
    vertex = min(max(vertex, near[0]), near[2])
    if abs(vertex - best) >= tolerance:
        return vertex
    # A wide parabola can miss the minimum by more than the tolerance: it is believed once a neighbour is close.
    beside = best + 2 * tolerance * (1 if vertex > best or place == 0 else -1)
    gap = min(abs(scale - best) for scale in near if scale != best)
    return beside if gap > 2.5 * tolerance and near[0] < beside < near[2] else None


def _vertex(scales: list[float], errors: list[float]) -> float | None:
    """The scale at which the parabola through three points is least; None where it has no minimum."""
    a, b, c = scales
    slopes = (errors[1] - errors[0]) / (b - a), (errors[2] - errors[1]) / (c - b)
    curvature = (slopes[1] - slopes[0]) / (c - a)
    if curvature <= 0:
        return None
    return (a + b) / 2 - slopes[0] / (2 * curvature)
