"""Docstrings for Sphinx. They are written to be read in the editor: equations are indented, and |x| is a modulus.

reStructuredText would join the lines of such an equation, and take |x| for a substitution and w* for emphasis.
"""

import re
from typing import Any

_SECTION = re.compile(r"(Args|Attributes|Raises|Returns|Yields|Example|Examples|Note):$")
_CODE = re.compile(r"(``.+?``|`[^`]+`)")
_MARKUP = re.compile(r"[|*\\]|(?<=\w)_(?=\W|$)")


def as_rst(lines: list[str]) -> list[str]:
    """The same docstring with its equations as literal blocks, and with nothing else that looks like markup but code."""
    written: list[str] = []
    in_section = in_block = False
    for line in lines:
        indented = line.startswith(" ")
        if line and not indented:
            in_section, in_block = bool(_SECTION.match(line)), False
        if indented and not in_section and not in_block and written and not written[-1]:
            written += ["::", ""]
            in_block = True
        written.append(line if in_block else _escaped(line))
    return written


def _escaped(line: str) -> str:
    parts = _CODE.split(line)
    return "".join(part if k % 2 else _MARKUP.sub(r"\\\g<0>", part) for k, part in enumerate(parts))


def _process(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    lines[:] = as_rst(lines)


def _is_said_above(app: Any, what: str, name: str, thing: Any, skip: bool, options: Any) -> bool | None:
    """The fields of a named tuple, which it lists itself, have only a number for documentation."""
    return (getattr(thing, "__doc__", None) or "").startswith("Alias for field number") or None


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx: before napoleon, which makes markup of the sections."""
    app.connect("autodoc-process-docstring", _process, priority=100)
    app.connect("autodoc-skip-member", _is_said_above)
    return {"parallel_read_safe": True}
