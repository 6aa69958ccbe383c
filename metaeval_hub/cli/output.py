"""Standard output and error that never fail: a command finishes with any encoding, a closed pipe or a full device."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import TextIO, cast

# Replacements for the non-ASCII characters of our own output, for encodings that lack them.
_PLAIN = {"█": "#", "…": "...", "±": "+-", "–": "-", "—": "-", "−": "-", "×": "x", "“": '"', "”": '"', "’": "'"}
_PLAIN |= dict.fromkeys("▉▊▋▌", "#") | dict.fromkeys("▍▎▏", ".")


class Output(io.TextIOBase):
    """Text stream whose writes never fail.

    Characters that the encoding lacks are replaced. After the first write error, such as a closed pipe or a full
    device, all further output is dropped, so that a command still writes its files.

    Args:
        stream: stream to write to; None if the process was started without one.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self.stream = stream if stream is not None else open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        """Write a text; return its length."""
        if self.error is None:
            try:
                self.stream.write(encodable(text, self.encoding))
            except OSError as error:
                self._give_up(error)
        return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        if self.error is None:
            try:
                self.stream.flush()
            except OSError as error:
                self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self.error = error
        # discard the buffer, or the interpreter would fail to flush it at exit
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stream.fileno())
            os.close(nowhere)

    def isatty(self) -> bool:
        """Return whether the stream is a terminal; False if it is closed, as it may be at exit."""
        return not self.stream.closed and self.stream.isatty()

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self.stream.fileno()

    def writable(self) -> bool:
        """Return True."""
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Encoding of the stream, UTF-8 if it has none."""
        return self.stream.encoding or "utf-8"


def encodable(text: str, encoding: str) -> str:
    r"""Return a text that an encoding can write: replace our own symbols by ASCII, escape all other characters.

    >>> encodable("50 ± 2, é", "ascii")
    '50 +- 2, \\xe9'
    """
    try:
        text.encode(encoding)
        return text
    except UnicodeEncodeError:
        return "".join(_encodable(character, encoding) for character in text)


def _encodable(character: str, encoding: str) -> str:
    try:
        character.encode(encoding)
        return character
    except UnicodeEncodeError:
        return _PLAIN.get(character) or character.encode("ascii", "backslashreplace").decode("ascii")


@contextmanager
def safe_output() -> Iterator[Output]:
    """Redirect standard output and error through ``Output``; yield the one for standard output."""
    out, error = Output(sys.stdout), Output(sys.stderr)
    with redirect_stdout(cast(TextIO, out)), redirect_stderr(cast(TextIO, error)):
        try:
            yield out
        finally:
            out.flush()
            error.flush()
