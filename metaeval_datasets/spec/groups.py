"""Describe which rows must stay in the same split when a split is derived from the training rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from metaeval_datasets.spec.checks import SpecError, class_names
from metaeval_datasets.spec.texts import Text, check_text


@dataclass(frozen=True)
class SameRow:
    """Keep the rows that ``Stack`` made from one source row together."""


@dataclass(frozen=True)
class SameText:
    """Keep rows together if all these texts are equal (for a column that names an article, a pair or a set)."""

    texts: tuple[Text, ...]

    def __init__(self, *texts: Text) -> None:
        object.__setattr__(self, "texts", tuple(texts))
        if not self.texts:
            raise SpecError("SameText: expected at least one text, got none")
        for text in self.texts:
            check_text("SameText", "texts", text)


@dataclass(frozen=True)
class RowModulus:
    """Keep rows together if their row numbers leave the same remainder (OneStopEnglish: i, i + 189, i + 378)."""

    modulus: int


@dataclass(frozen=True)
class Alone:
    """Use no groups, for a source that lacks the columns of the task's groups. Exact duplicates stay together."""


Groups: TypeAlias = SameRow | SameText | RowModulus | Alone
_GROUPS = (SameRow, SameText, RowModulus, Alone)


def check_groups(where: str, groups: object) -> None:
    """Check the declaration of groups; None is allowed.

    Raises:
        SpecError: it is not one of the classes of this module.
    """
    if groups is not None and not isinstance(groups, _GROUPS):
        raise SpecError(f"{where}: `groups` is {groups!r}; expected one of {class_names(_GROUPS)}")
