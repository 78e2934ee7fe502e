"""Old names of attributes, and what to write today."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar


class Renamed:
    """Says the new name where an old one is asked for."""

    _new_names: ClassVar[Mapping[str, str]]

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name in self._new_names:
                raise AttributeError(f"{type(self).__name__}.{name} is gone; write {self._new_names[name]}", name=name)
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
