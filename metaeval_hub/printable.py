"""Make any text safe to print: one place for control characters and for texts without end.

Names, labels and messages come from repositories of strangers. Printed as they are, escape sequences could move the
cursor, change the clipboard or forge lines of output.
"""

from __future__ import annotations

import re

# C0 and C1 control characters, DEL, line and paragraph separators, marks that change the direction of text, surrogates.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_CONTROL_BUT_LAYOUT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str, most: int | None = None) -> str:
    """Return a text with control characters written as escapes, cut after ``most`` characters."""
    if most is not None and len(text) > most:
        text = text[: max(most - 3, 0)] + "..."
    return _CONTROL.sub(_escape, text)


def without_control(text: str) -> str:
    """Return a text without its control characters, except line feeds and tabs: it takes as much room as before."""
    return _CONTROL_BUT_LAYOUT.sub("", text)


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape", "surrogatepass").decode("ascii")
