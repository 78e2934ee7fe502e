"""What phones keep beside a photograph in one file."""

from taichi_bokeh.io.phones.parts import Part, Parts, find_parts, read_part

__all__ = ["Part", "Parts", "find_parts", "read_part"]
