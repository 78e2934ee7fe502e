"""Text for whoever started the command, on any terminal: in any encoding, closed, full, or gone. Imports nothing slow.

While `any_terminal` holds, all that is written to stdout and stderr, by this package or another, goes through streams that
never raise:

- What the encoding does not have is written as a question mark, and signs of ours as ASCII where it is not Unicode.
- Nothing is said where a stream is closed, where its reader has gone (as `head -1` has), or where the disk behind it is full.

So no exit code depends on whether somebody could read along. Only where the text is the result does a full disk count:
`print_result` raises OSError then.
"""

import codecs
import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

#: Signs of ours, in ASCII for every stream that is not Unicode: what reads it next may take it for UTF-8. Letters stay.
_PLAIN = {
    **{ord(sign): text for sign, text in {"…": "...", "×": "x", "·": "*", "→": "->", "±": "+-", "≥": ">=", "≤": "<="}.items()},
    **dict.fromkeys(map(ord, "−–—"), "-"),
    **dict.fromkeys(map(ord, "▏▎▍"), "|"),
    **dict.fromkeys(map(ord, "▌▋▊▉█"), "#"),
}
_ESCAPED_BYTES = range(0xDC80, 0xDD00)  # how Python writes the bytes of a file name that is not text
_NOBODY_READS = (errno.EPIPE, errno.EBADF, errno.EINVAL)  # the last is what Windows says of a pipe without a reader
_STANDARD_DESCRIPTORS = (0, 1, 2)
_LEAST_COLUMNS = 20


class AnyStream(io.TextIOBase):
    """A text stream that takes everything.

    Attributes:
        failure: why text was lost, None where nothing was or nobody reads.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.failure: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the stream."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write what the stream can take of a text; all of it counts as written."""
        if self._stream is not None:
            with self._losses():
                self._stream.write(fitted(text, self.encoding, getattr(self._stream, "errors", None)))
        return len(text)

    def flush(self) -> None:
        """Write what waits."""
        if self._stream is not None:
            with self._losses():
                self._stream.flush()

    def isatty(self) -> bool:
        """Whether a person looks at it."""
        return self._stream is not None and not self._stream.closed and self._stream.isatty()

    def fileno(self) -> int:
        """The descriptor.

        Raises:
            io.UnsupportedOperation: there is none.
        """
        if self._stream is None:
            raise io.UnsupportedOperation("fileno")
        return self._stream.fileno()

    def writable(self) -> bool:
        """Always."""
        return True

    def close(self) -> None:
        """Nothing: the stream is not ours."""

    @contextlib.contextmanager
    def _losses(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in _NOBODY_READS:
                self.failure = error
        except ValueError:  # the stream was closed
            pass


def fitted(text: str, encoding: str, errors: str | None = None) -> str:
    """The text as a stream of this encoding and error handler can hold it."""
    kept = "surrogateescape" if errors == "surrogateescape" else "strict"
    try:
        plain = text if codecs.lookup(encoding).name.startswith("utf") else text.translate(_PLAIN)
        plain.encode(encoding, kept)
        return plain
    except UnicodeEncodeError:
        return "".join(_fitted_character(character, encoding, kept) for character in plain)
    except LookupError:
        return text


def _fitted_character(character: str, encoding: str, kept: str) -> str:
    try:
        character.encode(encoding, kept)
        return character
    except UnicodeEncodeError:
        code = ord(character)
        return f"\\x{code - 0xDC00:02x}" if code in _ESCAPED_BYTES else "?"


@contextlib.contextmanager
def any_terminal() -> Iterator[None]:
    """Let stdout and stderr take everything, and leave them such that Python has nothing to complain of at its end."""
    _fill_closed_descriptors()
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = ours = AnyStream(streams[0]), AnyStream(streams[1])
    try:
        yield
    finally:
        for own in ours:
            own.flush()
        sys.stdout, sys.stderr = streams
        for stream in streams:
            _settle(stream)


def print_result(text: str) -> None:
    """Write to stdout what a command was asked for, and nothing else.

    Raises:
        OSError: it could not be written, although somebody reads it: the disk is full.
    """
    sys.stdout.write(text)
    sys.stdout.flush()
    failure = getattr(sys.stdout, "failure", None)
    if failure is not None:
        raise OSError(f"the answer could not be written to stdout: {failure.strerror}")


def console_of(*, stderr: bool, width: int | None = None) -> "Console":
    """A `rich` console that is not too narrow to be read, whatever the terminal says of itself."""
    from rich.console import Console

    console = Console(stderr=stderr, width=width, highlight=False)
    return console if console.width >= _LEAST_COLUMNS else Console(stderr=stderr, width=_LEAST_COLUMNS, highlight=False)


def _fill_closed_descriptors() -> None:
    """Open the null device for each standard descriptor that is closed: else the next file gets it, and what C prints."""
    for descriptor in _STANDARD_DESCRIPTORS:
        try:
            os.fstat(descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest that is free, which is this one


def _settle(stream: TextIO | None) -> None:
    """Throw away what a stream could not write: Python tries again at its end, with a message and exit code 120."""
    if stream is None or stream.closed:
        return
    try:
        stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
            stream.flush()
