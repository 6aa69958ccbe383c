"""Read and write the files of a run so that damage and power cuts are noticed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SEAL = "sha256"  # key of the digest in a sealed JSON object


class DamagedFileError(RuntimeError):
    """A file of a run is damaged; the message names the file and the fault, and says what to do."""


def expand(text: str) -> str:
    """Return a path with ``~`` or ``~user`` at its start replaced by the home directory."""
    return os.path.expanduser(text)


def sync(path: Path) -> None:
    """Wait until a file, or the list of files of a folder, is on the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows cannot open folders
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def sync_tree(folder: Path) -> None:
    """Wait until a folder and everything below it are on the disk."""
    for path in (*folder.rglob("*"), folder):
        sync(path)


def write_file(path: Path, *pieces: bytes | memoryview) -> None:
    """Write a file whole or not at all, and wait until it is on the disk.

    Processes that write the same file at once do not disturb each other: the file of the last one stays.

    Args:
        path: of the file; its folder exists.
        pieces: the content, in order.

    Raises:
        OSError: the file cannot be written; what was there before is unchanged.
    """
    part = path.with_name(f".{path.name[:100]}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        with part.open("wb") as file:
            file.writelines(pieces)
        sync(part)
        part.replace(path)
        sync(path.parent)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file as UTF-8; see ``write_file``."""
    write_file(path, text.encode())


def parse_object(text: str | bytes) -> dict[str, Any]:
    """Parse a JSON object that contains finite numbers only.

    Raises:
        ValueError: the text is not UTF-8, not JSON, or not an object, or a number in it is not finite.
    """
    try:
        values = json.loads(text, parse_float=_finite, parse_constant=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(values, dict):
        raise ValueError(f"it contains {shown(values)} instead of a JSON object")
    return values


def read_object(path: Path) -> dict[str, Any]:
    """Read a file that contains one JSON object.

    Raises:
        OSError: the file cannot be read.
        DamagedFileError: the content is not a JSON object.
    """
    try:
        return parse_object(path.read_bytes())
    except ValueError as error:
        raise DamagedFileError(f"{path} is damaged: {error}. Restore it from a copy, or start a new run") from error


def member(values: Mapping[str, Any], key: str, kind: type | tuple[type, ...], path: Path) -> Any:
    """Return a value of an object read from ``path``, checked for its type.

    Raises:
        DamagedFileError: the key is missing or its value has another type.
    """
    value = values.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        expected = " or ".join(each.__name__ for each in kinds)
        raise DamagedFileError(
            f"{path} is damaged: {key!r} is {shown(value)}, expected {expected}. Restore it from a copy, or start a "
            "new run"
        )
    return value


def seal(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON object with a digest added, so that ``check_seal`` detects any change."""
    plain = json.loads(json.dumps({key: value for key, value in values.items() if key != SEAL}))
    return {**plain, SEAL: _digest(plain)}


def check_seal(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a sealed object without its digest.

    Raises:
        ValueError: the digest is missing or belongs to other values.
    """
    plain = {key: value for key, value in values.items() if key != SEAL}
    if SEAL not in values:
        raise ValueError(f"it lacks the digest {SEAL!r} of its content")
    if values[SEAL] != _digest(plain):
        raise ValueError(f"its digest {SEAL!r} differs from that of its content")
    return plain


def shown(value: Any, most: int = 60) -> str:
    """Return the representation of a value for a message, cut to ``most`` characters."""
    text = repr(value)
    return text if len(text) <= most else text[: most - 3] + "..."


def _digest(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"it contains the number {text[:40]}, which is not finite")
    return number
