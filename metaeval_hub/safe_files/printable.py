"""Make any text safe to print: without control characters, and of limited length.

Names, labels and messages come from repositories of strangers. Printed without a check, escape sequences could move the
cursor, change the clipboard or forge lines of output.
"""

from __future__ import annotations

import re
import reprlib

# C0 and C1 control characters, DEL, line and paragraph separators, marks that change the direction of text, surrogates.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_CONTROL_BUT_LAYOUT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
MAX_MESSAGE = 1000  # maximum characters of an error message


def printable(text: str, most: int = MAX_MESSAGE) -> str:
    """Return a text that may come from a stranger as one line that is harmless to a terminal.

    Characters that are not printable are escaped. The middle of a long text is omitted, because an error message starts
    with what is wrong and ends with what to do next.

    Args:
        text: any text.
        most: maximum number of characters.
    """
    text = _cut(text, most)  # first, because the rest takes time per character
    if not text.isprintable():
        text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return _cut(text, most)


def _cut(text: str, most: int) -> str:
    head = most * 2 // 3
    return text if len(text) <= most else f"{text[:head]} ... {text[head + 5 - most :]}"


_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother, _SHORT.maxlong = 4, 200, 200, 80


def shown(value: object) -> str:
    """Return a value as an error message shows it: on one short line."""
    written = ascii(value) if isinstance(value, str) else _SHORT.repr(value)
    written = written.encode("ascii", "backslashreplace").decode()
    return written if len(written) <= 80 else f"{written[:77]}..."


def one_line(text: str) -> str:
    """Return a text as one line that a terminal, Markdown or HTML shows unchanged.

    >>> one_line("a" + chr(10) + "b")
    'a b'
    """
    return without_control(" ".join(text.splitlines()))


def without_control(text: str) -> str:
    """Return a text without its control characters; line feeds and tabs stay."""
    return _CONTROL_BUT_LAYOUT.sub("", text)
