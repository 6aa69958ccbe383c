"""Match glob patterns against paths in time proportional to the path, for any pattern.

Patterns come from the cards of strangers. As a regular expression, ``*a*a*a*a*b`` takes exponential time on some paths.
Here, the set of all positions in the pattern that can be reached is kept as the bits of one integer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

MAX_PATTERN = 1_000  # characters; paths are shorter
_PIECES = re.compile(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])")
_ANY, _NO_SLASH = re.compile("(?s:.)"), re.compile("[^/]")
_NEVER = re.compile("(?!)")


@dataclass(frozen=True)
class Pattern:
    """Match ``*`` within a folder, ``**`` across folders, ``?`` and ``[...]`` for one character, and literal text."""

    text: str

    @property
    def literal(self) -> str | None:
        """Return the only path that a pattern without wildcards matches; None if it has wildcards."""
        return None if _PIECES.search(self._text) else self._text

    def matches(self, path: str) -> bool:
        """Return whether the whole path matches; always False if the pattern is longer than any path."""
        start, end = self._ends
        if len(self.text) > MAX_PATTERN or not (path.startswith(start) and path.endswith(end)):
            return False
        places = self._closed(1)
        for character in path:
            moving, staying = self._masks.get(character) or self._learn(character)
            places = self._closed((places & moving) << 1 | places & staying)
            if not places:
                return False
        return bool(places >> len(self._steps))

    @cached_property
    def _text(self) -> str:
        """Return the pattern with equivalent, shorter runs of wildcards."""
        text = re.sub(r"\*{3,}(?![*/])", "**", self.text.removeprefix("./"))
        text = re.sub(r"\*{5,}(?=/)", lambda run: "***" if len(run[0]) % 2 else "****", text)
        return re.sub(r"(?<!\*)(\*\*/)+", "**/", text)

    @cached_property
    def _ends(self) -> tuple[str, str]:
        """Return the literal texts with which every match begins and ends."""
        pieces = _PIECES.split(self._text)
        return pieces[0], pieces[-1]

    @cached_property
    def _masks(self) -> dict[str, tuple[int, int]]:
        """Return character -> the steps that it completes and those that it leaves in place, as bits."""
        return {}

    def _learn(self, character: str) -> tuple[int, int]:
        allowed = [1 << place if rule.fullmatch(character) else 0 for place, (_, rule) in enumerate(self._steps)]
        kinds = [kind for kind, _ in self._steps]
        moving = sum(bit for bit, kind in zip(allowed, kinds, strict=True) if kind == "one")
        staying = sum(bit for bit, kind in zip(allowed, kinds, strict=True) if kind == "many")
        self._masks[character] = moving, staying
        return moving, staying

    @cached_property
    def _steps(self) -> list[tuple[str, re.Pattern[str]]]:
        """Match one character, or any number of them ("many"); "skip" can skip the two following steps."""
        steps: list[tuple[str, re.Pattern[str]]] = []
        for piece in _PIECES.split(self._text):
            if piece == "**/":
                steps += [("skip", _NEVER), ("many", _ANY), ("one", re.compile("/"))]
            elif piece == "**":
                steps.append(("many", _ANY))
            elif piece == "*":
                steps.append(("many", _NO_SLASH))
            elif piece == "?":
                steps.append(("one", _NO_SLASH))
            elif _PIECES.fullmatch(piece):
                steps.append(("one", _one_of(piece)))
            else:
                steps += [("one", re.compile(re.escape(character))) for character in piece]
        return steps

    @cached_property
    def _many(self) -> int:
        return sum(1 << place for place, (kind, _) in enumerate(self._steps) if kind == "many")

    @cached_property
    def _skip(self) -> int:
        return sum(1 << place for place, (kind, _) in enumerate(self._steps) if kind == "skip")

    def _closed(self, places: int) -> int:
        """Return the positions, and those that can be reached from them without a character."""
        while True:
            skipped = places & self._skip
            reached = places | (places & self._many) << 1 | skipped << 1 | skipped << 3
            if reached == places:
                return places
            places = reached


def _one_of(piece: str) -> re.Pattern[str]:
    """Return the characters of ``[...]`` or ``[!...]``; none if a range is reversed."""
    characters = re.escape(piece[1:-1].lstrip("!")).replace(r"\-", "-")
    try:
        return re.compile(f"[{'^' if piece[1] == '!' else ''}{characters}]")
    except re.error:
        return _NEVER
