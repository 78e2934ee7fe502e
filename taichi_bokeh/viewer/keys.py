"""Keys, and what they do; the names are those of Taichi's window, which knows letters, arrows and few more (no digits)."""

from taichi_bokeh.viewer.state import Change

_VIEWS = {"a": "result", "w": "wipe", "g": "disparity", "f": "focus", "j": "layers", "t": "truth"}

#: A change of a control, or the name of a method of the session. "strength" is the blur, or with a camera the f-number.
KEYS: dict[str, Change | str] = {
    "h": Change("step", "help", 1),
    "i": Change("step", "status", 1),
    "v": Change("step", "view", 1),
    **{key: Change("set", "view", view) for key, view in _VIEWS.items()},
    "Left": Change("step", "focus", -1),
    "Right": Change("step", "focus", 1),
    "Down": Change("step", "strength", -1),
    "Up": Change("step", "strength", 1),
    "b": Change("step", "blades", 1),
    "n": Change("step", "blades", -1),
    "e": Change("step", "exposure", 1),
    "d": Change("step", "exposure", -1),
    "m": Change("step", "model", 1),
    "l": Change("step", "layer", 1),
    "k": Change("step", "layer", -1),
    "z": "undo",
    "y": "redo",
    "r": "reset",
}

#: The help overlay.
TABLE = (
    ("click, drag", "focus there; in view wipe: move the wipe"),
    ("Left, Right", "focus farther, nearer"),
    ("Up, Down", "more, less blur; with a camera the f-number"),
    ("b, n", "one blade more, fewer"),
    ("e, d", "views brighter, darker by a quarter stop"),
    ("m", "other model"),
    ("v", "next view"),
    (", ".join(_VIEWS), "views " + ", ".join(_VIEWS.values())),
    ("l, k", "in view layers: one farther, nearer"),
    ("z, y, r", "undo, redo, reset"),
    ("s", "save the image in full size, and show its command line"),
    ("c", "show the command line"),
    ("h, i", "this help, the lines of numbers"),
    ("q, Escape", "close"),
)
