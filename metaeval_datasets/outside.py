"""Check whether the labels of a source are those declared, so that a source with other labels is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from metaeval_datasets.schema import LEFT_OUT, UNKNOWN, UNLABELLED
from metaeval_datasets.spec import AnySource, Source, TaskSpec
from metaeval_datasets.written import whole_number

MAX_SHARE = 0.05  # maximum share of rows with an undeclared label; a single row is always allowed
SIGNED_SHARE = 0.1  # maximum share of rows labelled -1 if none is labelled 0
KINDS = 8  # number of undeclared labels that are kept by name


@dataclass
class LabelTally:
    """Count the labels of rows.

    Args:
        rows: number of rows that have or should have a label, without those that the declaration filters or leaves out.
        outside: undeclared label as written -> rows, for the first labels found; the rest is under "".
        numbers: -1, 0, the last index and the number of classes -> rows, for labels that are read as the index of a
            class.
    """

    rows: int = 0
    outside: Counter[str] = field(default_factory=Counter)
    numbers: Counter[int] = field(default_factory=Counter)

    def add(self, token: Any, code: int, rows: int, index_of: int | None) -> None:
        """Count rows of one label.

        Args:
            token: label as the source writes it.
            code: code that it was cast to.
            rows: number of rows.
            index_of: number of classes if plain numbers are read as their index, else None.
        """
        if code == LEFT_OUT:
            return
        self.rows += rows
        if code == UNKNOWN:
            kind = repr(token)[:60]
            self.outside[kind if kind in self.outside or len(self.outside) < KINDS else ""] += rows
        number = whole_number(token)
        if index_of is not None and number in {-1, 0, index_of - 1, index_of} and code in {number, UNKNOWN, UNLABELLED}:
            self.numbers[number] += rows

    def add_all(self, other: LabelTally) -> None:
        """Add the counts of another object, such as from another process."""
        self.rows += other.rows
        for kind, rows in other.outside.items():
            self.outside[kind if kind in self.outside or len(self.outside) < KINDS else ""] += rows
        self.numbers.update(other.numbers)

    def refusal(self, names: Sequence[str]) -> str | None:
        """Return why these labels cannot be those of the classes ``names``; None if they can."""
        outside = sum(self.outside.values())
        found = ", ".join(kind for kind in self.outside if kind)
        classes = ", ".join(map(repr, names[:KINDS])) + (", ..." if len(names) > KINDS else "")
        remedy = f"expected {classes}; declare what they mean in `label_values`"
        last = len(names) - 1
        if self.numbers[len(names)] and not self.numbers[0]:
            return f"labels are counted from 1: {len(names)} occurs and 0 does not, with {len(names)} classes; {remedy}"
        if self.numbers[-1] > SIGNED_SHARE * self.rows and not self.numbers[0] and self.numbers[-1] < self.rows:
            return f"{self.numbers[-1]:,} of {self.rows:,} labels are -1 and none is 0; {remedy}"
        # of many classes, the last may be rare
        if 1 < len(names) <= 3 and SIGNED_SHARE * self.rows < self.numbers[-1] < self.rows and not self.numbers[last]:
            return f"{self.numbers[-1]:,} of {self.rows:,} labels are -1 and none is {last}; {remedy}"
        if outside > max(1, MAX_SHARE * self.rows) or (outside and outside == self.rows):
            return f"{outside:,} of {self.rows:,} labels are outside the declared names, such as {found}; {remedy}"
        return None


def index_of(
    spec: TaskSpec, source: AnySource, values: Sequence[object], label_names: Sequence[str] | None
) -> int | None:
    """Return the number of classes if a plain number is read as the index of a class, else None."""
    names = label_names or (source.label_names if isinstance(source, Source) else None)
    by_number = any(isinstance(key, int) for key in values)
    return None if names or by_number else len(spec.names)
