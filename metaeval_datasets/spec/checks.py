"""Check the fields of declarations: the error, the names of splits, and checks that several classes share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

SPLITS = ("train", "validation", "test")


class SpecError(ValueError):
    """Raised for a declaration that cannot be right; names the task or the source, and the field."""


def name_tuples(where: str, name: str, mapping: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return a mapping with each value as a tuple of names; a single name becomes a tuple of one."""
    result = {}
    for key, value in mapping.items():
        values = (value,) if isinstance(value, str) else tuple(value)
        if not values or not all(isinstance(item, str) and item for item in values):
            raise SpecError(f"{where}: `{name}` of {key!r} must be a name or a tuple of names, got {value!r}")
        result[key] = values
    return result


def unique_names(where: str, name: str, values: object) -> tuple[str, ...]:
    """Return names as a tuple, after checking that they are non-empty strings and that none occurs twice."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise SpecError(f"{where}: `{name}` must be a tuple of names, got {values!r}")
    items = tuple(values)
    if bad := [item for item in items if not isinstance(item, str) or not item]:
        raise SpecError(f"{where}: `{name}` contains {bad[0]!r}; expected non-empty strings")
    if twice := sorted(item for item, count in Counter(items).items() if count > 1):
        raise SpecError(f"{where}: `{name}` contains {twice} twice; expected each name once")
    return items


def class_names(classes: Iterable[type]) -> str:
    """Return the names of classes for an error message."""
    return ", ".join(item.__name__ for item in classes)
