"""Check JSON values in files that anyone may have written: return the value, or raise an error that names its place."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

MAX_COUNT = 2**53  # beyond it JSON numbers are not exact
Value = TypeVar("Value")


class FormError(ValueError):
    """Raised if a value has another form; the message says where it is."""


def mapping_of(value: Any, where: str, parse: Callable[[Any, str], Value]) -> dict[str, Value]:
    """Return an object after checking each of its values with ``parse``."""
    return {a_text(key, where): parse(each, f"{where}[{key!r}]") for key, each in an_object(value, where).items()}


def an_object(value: Any, where: str) -> dict[str, Any]:
    """Return a value if it is an object."""
    if not isinstance(value, dict):
        raise FormError(f"{where} is {shown(value)}; expected an object")
    return value


def list_of(value: Any, where: str, parse: Callable[[Any, str], Value]) -> tuple[Value, ...]:
    """Return a list as a tuple after checking each of its entries with ``parse``."""
    if not isinstance(value, list):
        raise FormError(f"{where} is {shown(value)}; expected a list")
    return tuple(parse(each, f"{where}[{number}]") for number, each in enumerate(value))


def optional(value: Any, where: str, parse: Callable[[Any, str], Value]) -> Value | None:
    """Return None for null, and otherwise the value after checking it with ``parse``."""
    return None if value is None else parse(value, where)


def a_text(value: Any, where: str) -> str:
    """Return a value if it is a text that can be encoded in UTF-8."""
    if not isinstance(value, str):
        raise FormError(f"{where} is {shown(value)}; expected a text")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise FormError(f"{where} contains half of a surrogate pair; expected a text that UTF-8 can write") from None
    return value


def a_number(value: Any, where: str, least: float, most: float, words: str) -> float:
    """Return a value if it is a number, not a boolean, in [least, most]; ``words`` describe the range."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise FormError(f"{where} is {shown(value)}; expected {words}")
    return float(value)


def a_finite(value: Any, where: str) -> float:
    """Return a finite number."""
    return a_number(value, where, -MAX_COUNT, MAX_COUNT, "a finite number")


def a_share(value: Any, where: str) -> float:
    """Return a value if it is a number from 0 to 1."""
    return a_number(value, where, 0, 1, "a number from 0 to 1")


def a_correlation(value: Any, where: str) -> float:
    """Return a value if it is a number from -1 to 1; slightly more, from rounding, is clipped."""
    found = a_number(value, where, -1.001, 1.001, "a number from -1 to 1")
    return min(max(found, -1.0), 1.0)


def a_size(value: Any, where: str) -> float:
    """Return a value if it is a finite number of at least 0."""
    return a_number(value, where, 0, MAX_COUNT, "a finite number, 0 or more")


def a_whole(value: Any, where: str) -> int:
    """Return a value if it is a whole number that JSON can represent exactly."""
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > MAX_COUNT:
        raise FormError(f"{where} is {shown(value)}; expected a whole number")
    return value


def a_count(value: Any, where: str) -> int:
    """Return a value if it is a whole number of at least 0."""
    if a_whole(value, where) < 0:
        raise FormError(f"{where} is {shown(value)}; expected 0 or more")
    return int(value)


def counts(value: Any, where: str) -> dict[str, int]:
    """Return an object of counts: name -> count."""
    return mapping_of(value, where, a_count)


def shown(value: Any, most: int = 60) -> str:
    """Return a value as an error message shows it: short, on one line, without control characters."""
    if isinstance(value, (list, dict)):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    if isinstance(value, float) and not math.isfinite(value):
        return "not finite"
    text = ascii(value)
    return text if len(text) <= most else f"{text[:most]}..."
