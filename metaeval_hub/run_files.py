"""Read the JSON files of a run folder, which people edit, copy and truncate: one schema, one clear error.

Every value that another module uses is checked here, so that a damaged or hand-edited file is refused by name and key
instead of failing somewhere in an analysis.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from metaeval_hub.printable import printable

MAX_BYTES = 256 * 2**20  # the largest results.json so far, of 10,000 tasks, has 9 MB

Check = Callable[[Any, str], None]  # raises _Mismatch if the value at this place does not fit


class RunFileError(ValueError):
    """A file of a run is missing, cannot be read, or holds other values than the schema allows."""


_MISSING = object()


class _Mismatch(Exception):  # noqa: N818 - internal
    def __init__(self, place: str, value: Any, expected: str = "") -> None:
        found = "missing" if value is _MISSING else f"{printable(repr(value), 60)}; expected {expected}"
        super().__init__(f"{printable(place, 200) or 'the file'} is {found}")


def number(least: float = -math.inf, most: float = math.inf) -> Check:
    """A finite number within bounds."""
    bounds = f" from {least:g} to {most:g}" if least > -math.inf and most < math.inf else ""

    def check(value: Any, place: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise _Mismatch(place, value, f"a number{bounds}")

    return check


def whole(least: int = 0, most: int = 2**53) -> Check:
    """A whole number within bounds."""

    def check(value: Any, place: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise _Mismatch(place, value, f"a whole number of at least {least}")

    return check


def text(value: Any, place: str) -> None:
    """A string."""
    if not isinstance(value, str):
        raise _Mismatch(place, value, "a text")


def anything(value: Any, place: str) -> None:
    """Any JSON value."""


def flag(value: Any, place: str) -> None:
    """True or false."""
    if not isinstance(value, bool):
        raise _Mismatch(place, value, "true or false")


def optional(check: Check) -> Check:
    """Null, or what ``check`` accepts."""

    def accepts(value: Any, place: str) -> None:
        if value is not None:
            check(value, place)

    return accepts


def either(*checks: Check) -> Check:
    """What one of the checks accepts; the error is that of the last."""

    def accepts(value: Any, place: str) -> None:
        for check in checks[:-1]:
            try:
                return check(value, place)
            except _Mismatch:
                continue
        return checks[-1](value, place)

    return accepts


def listed(check: Check, length: int | None = None) -> Check:
    """A list whose entries all pass."""

    def accepts(value: Any, place: str) -> None:
        if not isinstance(value, list) or (length is not None and len(value) != length):
            raise _Mismatch(place, value, "a list" if length is None else f"a list of {length}")
        for i, entry in enumerate(value):
            check(entry, f"{place}[{i}]")

    return accepts


def table(check: Check) -> Check:
    """An object with any keys, whose values all pass."""

    def accepts(value: Any, place: str) -> None:
        if not isinstance(value, dict):
            raise _Mismatch(place, value, "an object")
        for key, entry in value.items():
            check(entry, f"{place}[{key!r}]")

    return accepts


def record(required: Mapping[str, Check], others: Mapping[str, Check]) -> Check:
    """An object with the required keys; keys that are named in neither table are not read, and not checked."""

    def accepts(value: Any, place: str) -> None:
        if not isinstance(value, dict):
            raise _Mismatch(place, value, "an object")
        for key, check in {**required, **others}.items():
            inner = f"{place}[{key!r}]" if place else key
            if key in value:
                check(value[key], inner)
            elif key in required:
                raise _Mismatch(inner, _MISSING)

    return accepts


_SHARE = number(0.0, 1.0)
_COUNTS = table(record({}, {"kept": whole(), "available": whole(), "labels": text, "digest": text}))
_SCORES = record(
    {"accuracy": _SHARE},
    {
        "macro_f1": _SHARE,
        "matthews": number(-1.0, 1.0),
        "accuracy_interval": optional(listed(number(), 2)),
        "kept": whole(),
    },
)
_TASK = record(
    {"majority": optional(_SHARE), "validation": optional(_SCORES), "test": optional(_SCORES), "rows": _COUNTS},
    {
        "classes": whole(),
        "cos_z_z0": optional(number(-1.001, 1.001)),
        "origin": optional(table(anything)),
        "rate": number(0.0),
        "parameters": table(whole()),
        "draws": listed(number()),
        "seconds": number(0.0),
    },
)
# A task of training/task_vectors.py has a vector and no score.
_UNSCORED = record({"rows": _COUNTS}, {"seconds": number(0.0)})
RESULTS_SCHEMA = record(
    {"tasks": table(_TASK)},
    {
        "answered_by": text,
        "config": table(anything),
        "encoder": optional(record({}, {"id": text})),
        "experiment": text,
        "git": record({}, {"commit": optional(text)}),
        "held_out": text,
        "method": text,
        "notes": listed(text),
        "parameters": table(whole()),
        "seconds": either(table(number(0.0)), number(0.0)),
        "seed": whole(),
        "shots": whole(),
        "skipped": table(text),
        "steps": whole(),
        "threads": whole(),
        "unanswered": table(text),
        "versions": table(text),
    },
)
_ORIGIN = record(
    {},
    {
        "missing": optional(listed(text)),
        "edition": optional(text),
        "official": optional(table(record({"read": whole()}, {}))),
    },
)
DATA_SCHEMA = record({}, {"origins": table(_ORIGIN)})
CONFIG_SCHEMA = record({}, {"settings": table(anything), "options": table(anything)})


def read_run_file(path: Path, schema: Check) -> dict[str, Any]:
    """Read a JSON object from a file of a run and check it.

    Raises:
        RunFileError: the file is missing, is not a regular file, is not UTF-8 or JSON, holds NaN or Infinity, or does
            not fit ``schema``; the message names the file, the key, the value and what was expected.
    """
    value = _parse(path)
    try:
        schema(value, "")
    except _Mismatch as mismatch:
        raise RunFileError(f"{path}: {mismatch}; restore the file or leave this run out") from None
    return value  # type: ignore[no-any-return]


def _parse(path: Path) -> Any:
    if not path.is_file():  # a pipe would block, a device may never end
        raise RunFileError(f"{path} is not a regular file")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise RunFileError(f"{path} has more than {MAX_BYTES // 2**20} MB; it is not a file of a run")
        content = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise RunFileError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise RunFileError(f"{path} is not UTF-8 (byte {error.start}); restore the file") from None
    if not content.strip():
        raise RunFileError(f"{path} is empty; the run was stopped while it was written: resume or repeat it")
    try:
        return json.loads(content, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError:
        raise RunFileError(f"{path} is nested too deeply to be a file of a run") from None
    except ValueError as error:
        raise RunFileError(f"{path} is not JSON: {printable(str(error), 120)}; restore the file") from None


def _refuse_constant(name: str) -> float:
    raise ValueError(f"it holds {name}, which is not a number in JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"it holds {digits[:30]}, which is too large for a number")
    return value
