"""Describe how a text field is made from columns. A plain string is the name of a column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from metaeval_datasets.spec.checks import SpecError, class_names


@dataclass(frozen=True)
class Join:
    """Join several parts with ``separator`` between them. The text is null where any part is null."""

    parts: tuple[Text, ...]
    separator: str = " "

    def __init__(self, *parts: Text, separator: str = " ") -> None:
        object.__setattr__(self, "parts", tuple(parts))
        object.__setattr__(self, "separator", separator)
        if len(self.parts) < 2:
            raise SpecError(f"Join: expected at least two parts, got {self.parts!r}")
        for part in self.parts:
            check_text("Join", "parts", part)


@dataclass(frozen=True)
class Before:
    """Take the part of a text before the last ``separator``, or the whole text if it has no ``separator``."""

    text: Text
    separator: str


@dataclass(frozen=True)
class After:
    """Take the part of a text after the last ``separator``, or null if it has no ``separator``."""

    text: Text
    separator: str


@dataclass(frozen=True)
class Replace:
    """Replace every ``old`` in a text by ``new``, literally; for leftovers such as an escaped line break."""

    text: Text
    old: str
    new: str


@dataclass(frozen=True)
class Items:
    """Join the items of a column of lists of strings with ``separator``."""

    column: str
    separator: str = " "


@dataclass(frozen=True)
class ConfigText:
    """Use a fixed text for each config of the source (in TweetEval's stance tasks: the target of the stance)."""

    texts: Mapping[str, str]


Text: TypeAlias = str | Join | Before | After | Replace | Items | ConfigText
_TEXTS = (str, Join, Before, After, Replace, Items, ConfigText)


def text_columns(text: Text) -> tuple[str, ...]:
    """Return the columns that a text is made from, in order, each once."""
    if isinstance(text, str):
        return (text,)
    if isinstance(text, Items):
        return (text.column,)
    if isinstance(text, ConfigText):
        return ()
    if isinstance(text, Join):
        return tuple(dict.fromkeys(column for part in text.parts for column in text_columns(part)))
    return text_columns(text.text)


def check_text(where: str, name: str, text: object) -> None:
    """Check the declaration of a text.

    Raises:
        SpecError: it is not a column name or one of the classes of this module, or one of their fields is empty.
    """
    if not isinstance(text, _TEXTS):
        raise SpecError(f"{where}: `{name}` is {text!r}; expected a column name or one of {class_names(_TEXTS[1:])}")
    if text == "":
        raise SpecError(f"{where}: `{name}` is an empty string; expected a column name")
    if isinstance(text, (Before, After)) and not text.separator:
        raise SpecError(f"{where}: `{name}` splits at an empty separator; give at least one character")
    if isinstance(text, Replace) and not text.old:
        raise SpecError(f"{where}: `{name}` replaces an empty string; give at least one character in `old`")
    if isinstance(text, (Before, After, Replace)):
        check_text(where, name, text.text)
