"""Names of a package that are imported on first use, and what to say of those that have moved."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazily(package: str, homes: Mapping[str, str], moved: Mapping[str, str]) -> Callable[[str], Any]:
    """Make the `__getattr__` of a package.

    Args:
        package: its full name.
        homes: name → full name of the module that defines it; a name that is the last part of its home is the module itself.
        moved: old name → what to write today.

    Returns:
        A function from a name to what it names. For an old name it raises an AttributeError that says the new one.
    """

    def find(name: str) -> Any:
        if name in homes:
            module = import_module(homes[name])
            found = module if homes[name] == f"{package}.{name}" else getattr(module, name)
            setattr(sys.modules[package], name, found)  # not looked for again, and torch.compile sees it
            return found
        if name in moved:
            raise AttributeError(f"{package}.{name} is gone; write {moved[name]}", name=name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name)

    return find
