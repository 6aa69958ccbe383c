"""Standard output and error of the command: any encoding, a closed pipe and a full device leave its work whole."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import TextIO, cast

# What our own output has beyond ASCII, for encodings that lack it.
_PLAIN = {"█": "#", "…": "...", "±": "+-", "–": "-", "—": "-", "−": "-", "×": "x", "“": '"', "”": '"', "’": "'"}
_PLAIN |= dict.fromkeys("▉▊▋▌", "#") | dict.fromkeys("▍▎▏", ".")


class Output(io.TextIOBase):
    """A stream for text that never fails.

    What its encoding lacks is written in other characters. After the first error of writing, such as a reader that has
    gone or a full device, the rest is dropped: files that a command writes do not depend on who reads its output.

    Args:
        stream: to write to; None where the process was started without one.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self.stream = stream if stream is not None else open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        """Write a text; returns its length."""
        if self.error is None:
            try:
                self.stream.write(encodable(text, self.encoding))
            except OSError as error:
                self._give_up(error)
        return len(text)

    def flush(self) -> None:
        """Send what is buffered."""
        if self.error is None:
            try:
                self.stream.flush()
            except OSError as error:
                self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self.error = error
        # what is still buffered goes nowhere, or the interpreter would fail on it when it ends
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stream.fileno())
            os.close(nowhere)

    def isatty(self) -> bool:
        """Whether this is a terminal."""
        return self.stream.isatty()

    def fileno(self) -> int:
        """Number of the file."""
        return self.stream.fileno()

    def writable(self) -> bool:
        """Return True."""
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Of the stream."""
        return self.stream.encoding or "utf-8"


def encodable(text: str, encoding: str) -> str:
    r"""Return a text as an encoding can write it: other characters for our own symbols, escapes for the rest.

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
    """Write to standard output and error through ``Output``; yields that of standard output."""
    out, error = Output(sys.stdout), Output(sys.stderr)
    with redirect_stdout(cast(TextIO, out)), redirect_stderr(cast(TextIO, error)):
        try:
            yield out
        finally:
            out.flush()
            error.flush()
