"""Whether this process was forked from one in which Taichi ran: noted at the fork, as a child cannot tell later.

It is known from when the package is imported, before Taichi is, which a user may have started alone.
"""

import os
import sys

forked = False


def _note() -> None:
    global forked
    implementation = sys.modules.get("taichi.lang.impl")
    forked = forked or (implementation is not None and implementation.get_runtime().prog is not None)


if hasattr(os, "register_at_fork"):  # where processes can fork
    os.register_at_fork(after_in_child=_note)
