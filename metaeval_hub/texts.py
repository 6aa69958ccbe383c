"""Texts from files and repositories of others, made safe to show."""

from __future__ import annotations

import re

# Control characters but tab and line feed, which terminals obey (ESC, BEL, CSI, carriage return, ...), and the marks
# that turn the direction of writing, which make a line read as another one.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Return a text without the characters that a terminal obeys.

    >>> printable("a" + chr(27) + "]0;b" + chr(7))
    'a]0;b'
    """
    return _OBEYED.sub("", text)


def one_line(text: str) -> str:
    """Return a text as one line that a terminal, Markdown or HTML shows as it is.

    >>> one_line("a" + chr(10) + "b")
    'a b'
    """
    return printable(" ".join(text.splitlines()))
