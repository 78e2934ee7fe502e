"""Packages that read files say what they find odd in them: as warnings, in a log, on stderr. None of it is for the user."""

import contextlib
import io
import logging
import os
import threading
import warnings
from collections.abc import Iterator

from PIL import Image as PillowImage

_lock = threading.Lock()  # all of this is the process's
_STDERR = 2


@contextlib.contextmanager
def quiet_pillow() -> Iterator[None]:
    """No warnings, and no limit of Pillow's own on the size of a picture: the caller has one."""
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, PillowImage.MAX_IMAGE_PIXELS = PillowImage.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            PillowImage.MAX_IMAGE_PIXELS = limit


@contextlib.contextmanager
def quiet_tifffile() -> Iterator[None]:
    """No warnings and nothing in its log."""
    log = logging.getLogger("tifffile")
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        disabled, log.disabled = log.disabled, True
        try:
            yield
        finally:
            log.disabled = disabled


@contextlib.contextmanager
def quiet_openexr() -> Iterator[None]:
    """Nothing on stdout, to which its Python part prints, and on stderr, to which its C part writes."""
    with _lock, contextlib.redirect_stdout(io.StringIO()), contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # a process may have closed its stderr
            kept = os.dup(_STDERR)
            stack.callback(os.close, kept)
            stack.callback(os.dup2, kept, _STDERR)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            stack.callback(os.close, nowhere)
            os.dup2(nowhere, _STDERR)
        yield
