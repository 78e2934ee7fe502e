"""Packages that read files say what they find odd in them: as warnings, in a log, on stderr. None of it is for the user."""

import contextlib
import io
import logging
import os
import threading
import warnings
from collections.abc import Iterator

from PIL import Image as PillowImage

_lock = threading.RLock()  # all of this is the process's
_STDERR = 2


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Have no warnings, nothing in tifffile's log, and no limit of Pillow's own on the size of an image: the caller has one."""
    log = logging.getLogger("tifffile")
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, PillowImage.MAX_IMAGE_PIXELS = PillowImage.MAX_IMAGE_PIXELS, None
        disabled, log.disabled = log.disabled, True
        try:
            yield
        finally:
            PillowImage.MAX_IMAGE_PIXELS, log.disabled = limit, disabled


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Silence stdout, to which OpenEXR's Python part prints, and stderr, to which its C part and libpng write."""
    with _lock, contextlib.redirect_stdout(io.StringIO()), contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # a process may have closed its stderr
            kept = os.dup(_STDERR)
            stack.callback(os.close, kept)
            stack.callback(os.dup2, kept, _STDERR)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            stack.callback(os.close, nowhere)
            os.dup2(nowhere, _STDERR)
        yield
