"""Check the map of characters in a SentencePiece tokenizer, because the library that reads it trusts it."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaeval_hub.safe_files.repository import UnsafeRepositoryError

MAX_UNITS = 2**20  # maximum units of the trie; that of NFKC, which nearly every tokenizer uses, has 44,800
MAX_KEY = 64  # maximum bytes of a replaced string; those of NFKC have at most 20


def charsmap_growth(charsmap: Any, place: str) -> float:
    """Return the maximum number of bytes with which a map of characters replaces one byte.

    The map consists of the size of a trie (4 bytes), the trie (a double array of 4-byte units, as Darts-clone writes
    it), and strings that end in NUL. The library follows it without checks, and panics if it leads out of the map.

    Args:
        charsmap: the map in base64.
        place: where it is in the file, for error messages.

    Raises:
        UnsafeRepositoryError: the map has another form, or leads out of the trie or of the strings.
    """
    try:
        content = base64.b64decode(charsmap, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise UnsafeRepositoryError(f"{place} is not in base64: {error}") from error
    size = int.from_bytes(content[:4], "little")
    if len(content) < 4 or size % 4 or not 0 < size <= min(len(content) - 4, 4 * MAX_UNITS):
        raise UnsafeRepositoryError(f"{place} announces a trie of {size:,} bytes; expected a trie, then strings")
    strings = content[4 + size :]
    try:
        strings.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnsafeRepositoryError(f"{place} contains strings that are not UTF-8: {error}") from error
    growth = _follow(np.frombuffer(content, "<u4", size // 4, 4).astype(np.int64), np.frombuffer(strings, np.uint8))
    if growth is None:
        raise UnsafeRepositoryError(f"{place} leads out of its trie or strings; expected one that SentencePiece wrote")
    return growth


def _follow(units: NDArray[np.int64], strings: NDArray[np.uint8]) -> float | None:
    """Return the growth by walking the trie level by level; None if it leads out, or a key is too long to be real."""
    offsets = (units >> 10) << ((units & (1 << 9)) >> 6)
    labels = units & ((1 << 31) | 0xFF)
    children = np.flatnonzero((labels > 0) & (labels < 256))
    parents = children ^ labels[children]  # the unit from which the parent of each child finds its children
    ends = np.append(np.flatnonzero(strings == 0), len(strings))
    growth, bases = 1.0, np.array([offsets[0]])
    for depth in range(1, MAX_KEY + 1):
        # The library looks for a unit at the base, combined with any byte by exclusive or.
        if (bases | 0xFF).max() >= len(units):
            return None
        reached = np.zeros(len(units), bool)
        reached[bases] = True
        found = children[reached[parents]]
        if not len(found):
            return growth
        bases = found ^ offsets[found]
        leaves = bases[(units[found] >> 8) & 1 == 1]
        if bases.max() >= len(units):
            return None
        starts = units[leaves] & ((1 << 31) - 1)
        if len(starts):
            # A string cannot begin in the middle of a character.
            if starts.max() > len(strings) or (np.append(strings, 0)[starts] & 0xC0 == 0x80).any():
                return None
            growth = max(growth, float((ends[np.searchsorted(ends, starts)] - starts).max()) / depth)
    return None
