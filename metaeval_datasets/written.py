"""Interpret labels and filter values by their written form, whatever type a reader returns. This module does no I/O.

The same label is ``true`` in JSON, a boolean in Parquet and ``TRUE`` in CSV; or 1, 1.0 and ``"1"``. Here all of them
mean the same, so that a declaration does not depend on the format of the files.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

_WHOLE = re.compile(r"[+-]?[0-9]{1,40}(\.0*)?")
_TRUTH = {"true": True, "false": False}
_ANSWERS = {"yes": True, "no": False}


def is_missing(token: Any) -> bool:
    """Return whether a value is null or NaN."""
    return token is None or (isinstance(token, (float, Decimal)) and math.isnan(token))


def truth(token: Any) -> bool | None:
    """Return the boolean that a value is or spells (upper or lower case); None for other values."""
    if isinstance(token, bool):
        return token
    return _TRUTH.get(token.strip().casefold()) if isinstance(token, str) else None


def whole_number(token: Any) -> int | None:
    """Return the integer that a value is or spells (``1``, ``"1"``, ``1.0``, ``"1.0"``); None for other values."""
    if isinstance(token, str):
        token = token.strip()
        return int(token.partition(".")[0]) if _WHOLE.fullmatch(token) else None
    if isinstance(token, (bool, int)):
        return int(token)
    if isinstance(token, (float, Decimal)) and math.isfinite(token) and token == int(token):
        return int(token)
    return None


def written_number(token: Any) -> str | None:
    """Return how a number is written as a class name (``1`` and ``1.0`` as "1", ``0.5`` as "0.5"); None for others."""
    if isinstance(token, bool) or is_missing(token) or not isinstance(token, (int, float, Decimal)):
        return None
    number = whole_number(token)
    return str(token) if number is None else str(number)


def is_plain_number(text: str) -> bool:
    """Return whether a text spells an integer without leading zeros; ``"01"`` can be another label than ``"1"``."""
    number = whole_number(text)
    return number is not None and text.strip().lstrip("+").partition(".")[0] == str(number)


def for_truth(value: bool, words: Iterable[str]) -> str | None:
    """Return the first word that means a boolean: ``true``/``false``, or else ``yes``/``no`` (upper or lower case)."""
    words = list(words)
    for meanings in (_TRUTH, _ANSWERS):
        for word in words:
            if meanings.get(word.strip().casefold()) is value:
                return word
    return None


def same(token: Any, declared: str | int | bool) -> bool:
    """Return whether a value of a file equals a declared one; two texts must be identical."""
    if is_missing(token):
        return False
    if isinstance(token, str) and isinstance(declared, str):
        return token == declared
    if (value := truth(token)) is not None and (wanted := truth(declared)) is not None:
        return value is wanted
    number = whole_number(token)
    return number is not None and number == whole_number(declared)
