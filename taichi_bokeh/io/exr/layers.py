"""Which channels of an OpenEXR file are meant: layers by the names before the last dot, and what each may be used for."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn

from numpy.typing import NDArray

from taichi_bokeh.io.exr.file import Part
from taichi_bokeh.io.formats.contents import Use

_SHORT = {"red": "R", "green": "G", "blue": "B", "alpha": "A", "depth": "Z", "zdepth": "Z", "disparity": "disparity"}
_BEAUTY = ("combined", "beauty", "rgba", "rgb", "color", "colour", "image", "composite", "c")
_DEPTH = re.compile(r"z|z[-_ ]?depth|depth[-_ ]?z?|z[-_ ]?buffer")
_CRYPTOMATTE = re.compile(r"cryptomatte/[^/]+/name")


class Layer(NamedTuple):
    """Channels that belong together.

    Attributes:
        name: what stands before the last dot in their names, or the part's name; "" for those that have no more.
        part: the number of their part.
        channels: their whole names, by the short ones: R, G, B, A, Y, Z …
    """

    name: str
    part: int
    channels: dict[str, str]

    @property
    def last_name(self) -> str:
        """The last of the names that dots divide, in small letters."""
        return self.name.rpartition(".")[2].lower()

    def planes(self, parts: Sequence[Part], names: Sequence[str]) -> list[NDArray[Any]]:
        """Give channels [H, W] by their short names."""
        return [parts[self.part].channels[self.channels[name]] for name in names]


def layers_of(parts: Sequence[Part]) -> list[Layer]:
    """Find the layers of a file, but for those that hold a Cryptomatte: they are no images."""
    found: dict[tuple[int, str], dict[str, str]] = {}
    for number, part in enumerate(parts):
        hidden = [re.compile(rf"{re.escape(name)}\d*") for name in cryptomattes_of(part)]
        for channel in part.channels:
            before, _, last = channel.rpartition(".")
            if not any(one.fullmatch(before) for one in hidden):
                found.setdefault((number, before), {}).setdefault(in_short(last), channel)
    often = Counter(before for _, before in found)
    return [Layer(_name(parts, number, before, often), number, channels) for (number, before), channels in found.items()]


def in_short(name: str) -> str:
    """Bring the ways to name a channel to one: red, r and R are R."""
    return _SHORT.get(name.lower(), name.upper() if name in tuple("rgbayz") else name)


def cryptomattes_of(part: Part) -> list[str]:
    """List the names of the Cryptomattes of a part, which its channels begin with."""
    return [str(value) for key, value in part.header.items() if _CRYPTOMATTE.fullmatch(key)]


def _name(parts: Sequence[Part], number: int, before: str, often: Counter[str]) -> str:
    """Name a layer so that no other layer of the file has its name."""
    if len(parts) == 1 or (before and often[before] == 1):
        return before
    part = parts[number].name or f"part{number}"
    return f"{part}.{before}" if before else part


def choose(layers: Sequence[Layer], use: Use, wanted: str | None) -> tuple[Layer, tuple[str, ...]]:
    """Choose the layer for a use, of the name that is wanted or the only one that is fit, and its channels by short names.

    A name may leave out what tells no layers apart, before or behind it: ``Combined`` or ``ViewLayer`` may mean
    ViewLayer.Combined. A map that the layer of this name does not hold is looked for beside it, by the part of the name before
    its last dot. Of several that are as fit, one without a name is taken, then one that is called as renderers call the
    whole image, or depth.

    Raises:
        ValueError: there is none, or several are as fit.
    """
    scopes = [wanted or ""]
    while use != "image" and scopes[-1]:
        scopes.append(scopes[-1].rpartition(".")[0])
    for scope in scopes:
        if found := _fit(layers, scope, _FITS[use]):
            return _first(found, use)
    if use != "image" and (found := _fit(layers, scopes[0], (_grey,))):
        return _first(found, use)
    _refuse([channel for layer in _named(layers, scopes[0]) for channel in layer.channels.values()], use)


def _fit(layers: Sequence[Layer], scope: str, tests: Sequence["_Fit"]) -> list[tuple[Layer, tuple[str, ...]]]:
    """Find the layers of a name that pass the first test that any of them passes, with their channels that are meant."""
    meant = _named(layers, scope)
    for test in tests:
        if found := [(layer, names) for layer in meant if (names := test(layer, len(meant)))]:
            return found
    return []


def is_named_depth(layer: Layer, names: tuple[str, ...]) -> bool:
    """Tell whether a layer and its channels that are meant are called depth."""
    return names == ("Z",) or bool(_DEPTH.fullmatch(layer.last_name))


def _first(found: list[tuple[Layer, tuple[str, ...]]], use: Use) -> tuple[Layer, tuple[str, ...]]:
    """Take the one of the best name."""
    ranks = [_rank(layer, use) for layer, _ in found]
    best = [one for one, rank in zip(found, ranks, strict=True) if rank == min(ranks)]
    if len(best) > 1:
        names = ", ".join(repr(layer.name) for layer, _ in best)
        option = "--layer" if use == "image" else "--depth-layer"
        raise ValueError(f"several of its layers may be the {use}: {names}; {option} NAME says which")
    return best[0]


def _rank(layer: Layer, use: Use) -> int:
    usual = layer.last_name in _BEAUTY if use == "image" else bool(_DEPTH.fullmatch(layer.last_name))
    return 0 if not layer.name else 1 if usual else 2


def _named(layers: Sequence[Layer], wanted: str) -> list[Layer]:
    """Find the layers that a name may mean; "" means all.

    Raises:
        ValueError: there is none.
    """
    if not wanted:
        return list(layers)
    name = wanted.lower()
    tests: tuple[Callable[[str], bool], ...] = (
        lambda other: other == name,
        lambda other: other.endswith(f".{name}"),
        lambda other: other.startswith(f"{name}."),
    )
    for test in tests:
        if found := [layer for layer in layers if test(layer.name.lower())]:
            return found
    names = ", ".join(repr(layer.name) for layer in layers)
    raise ValueError(f"it has no layer {wanted!r}; it has {names}")


def _colours(layer: Layer, _: int) -> tuple[str, ...]:
    alpha = ("A",) if "A" in layer.channels else ()
    return ("R", "G", "B", *alpha) if all(name in layer.channels for name in "RGB") else ()


def _luminance(layer: Layer, _: int) -> tuple[str, ...]:
    alpha = ("A",) if "A" in layer.channels else ()
    return ("Y", *alpha) if "Y" in layer.channels and "X" not in layer.channels else ()


def _luminance_alone(layer: Layer, count: int) -> tuple[str, ...]:
    return _luminance(layer, count)[:1]


def _only_channel(layer: Layer, count: int) -> tuple[str, ...]:
    """Find the channel of a file, or of a layer that was asked for, which has no other; Z is no image."""
    return tuple(layer.channels) if count == len(layer.channels) == 1 else ()


def _only_channel_of_image(layer: Layer, count: int) -> tuple[str, ...]:
    return () if "Z" in layer.channels else _only_channel(layer, count)


def _depth(layer: Layer, _: int) -> tuple[str, ...]:
    """Find depth; of X, Y and Z it is a direction or a position."""
    return ("Z",) if "Z" in layer.channels and "X" not in layer.channels else ()


def _named_depth(layer: Layer, _: int) -> tuple[str, ...]:
    """Find what is called depth though its channels are not: one, or grey in three."""
    if not _DEPTH.fullmatch(layer.last_name):
        return ()
    return tuple(layer.channels) if len(layer.channels) == 1 else _colours(layer, 0)[:3]


def _disparity(layer: Layer, _: int) -> tuple[str, ...]:
    if "disparity" in layer.channels:
        return ("disparity",)
    return tuple(layer.channels) if layer.last_name == "disparity" and len(layer.channels) == 1 else ()


def _grey(layer: Layer, count: int) -> tuple[str, ...]:
    """Find colours that may be grey, in a file or where they were asked for, without another layer."""
    return _colours(layer, count)[:3] if count == 1 and "Z" not in layer.channels else ()


_Fit = Callable[[Layer, int], tuple[str, ...]]  # the channels of a layer that is fit, among so many; () of another

_FITS: dict[Use, tuple[_Fit, ...]] = {  # the best first
    "image": (_colours, _luminance, _only_channel_of_image),
    "depth": (_depth, _named_depth, _luminance_alone, _only_channel),
    "disparity": (_disparity, _luminance_alone, _only_channel_of_image),
}


def _refuse(channels: Sequence[str], use: Use) -> NoReturn:
    """Raise ValueError: there is nothing for this use."""
    short = {channel.rpartition(".")[2] for channel in channels}
    if use == "image" and ("RY" in short or "BY" in short):
        raise ValueError("its colours are luminance and chroma, and must be R, G, B or Y")
    found = f"its channels are {', '.join(sorted(channels))}"
    if use == "image":
        raise ValueError(f"{found}; an image has R, G, B or Y, and perhaps A")
    if use == "disparity" and "Z" in short:
        raise ValueError("its channel Z is depth, and must be read as depth (depth=True), or as one over it (is_inverse)")
    raise ValueError(f"{found}; {use} is in {'Z or ' if use == 'depth' else ''}Y")
