"""Find the classes of a task in its rows: count the labels, choose class names, and name doubtful labels."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from metaeval_datasets.schema import one_array
from metaeval_datasets.sources.source_files import SourceFile, name_in_errors, read_source_file
from metaeval_datasets.spec import AnySource, SpecError, TaskSpec, normal_name
from metaeval_datasets.written import is_missing, whole_number, written_number

MANY_CLASSES = 50  # with more, a column whose values mostly occur once is not taken for labels
MOST_CLASSES = 10_000  # different labels that are counted

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelsFound:
    """Contain the labels of a source.

    Args:
        counts: split -> label as it is written -> rows.
        stored: class names that the source stores, in index order; None if it stores none.
    """

    counts: Mapping[str, Counter[Any]]
    stored: tuple[str, ...] | None = None

    @property
    def without_labels(self) -> tuple[str, ...]:
        """Return the splits in which no row has a label, or all have -1, if another split has labels."""
        hidden = tuple(split for split, counts in self.counts.items() if not counts or set(counts) <= {-1, "-1"})
        return hidden if len(hidden) < len(self.counts) else ()

    @property
    def total(self) -> Counter[Any]:
        """Return label -> rows, of all splits with labels."""
        hidden = self.without_labels
        return sum((counts for split, counts in self.counts.items() if split not in hidden), Counter())

    def numbers(self, names: Collection[str]) -> dict[str | int, str | None]:
        """Return number -> class name for labels stored as numbers that are not the indices of the names."""
        if self.stored:
            return {}
        found = {number: text for token in self.total if (text := written_number(token)) in names
                 for number in [whole_number(token)] if number is not None}  # fmt: skip
        plain = all(list(names).index(str(text)) == number for number, text in found.items())
        return {} if plain else {number: str(text) for number, text in found.items()}


def count_labels(counts: Counter[Any], piece: SourceFile, spec: TaskSpec, source: AnySource) -> None:
    """Add the labels of a file to counts; missing labels are not counted. One block of rows is in memory at a time.

    Raises:
        SpecError: the column has so many different values, or values of such a type, that it cannot be a label.
        SourceError: the file cannot be read.
    """
    for table in read_source_file(piece, spec, source):
        with name_in_errors(piece):
            column = one_array(table[spec.label])
            kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
            if pa.types.is_nested(kind) or pa.types.is_binary(kind):
                raise SpecError(
                    f"task {spec.name}: column {spec.label!r} contains {kind}; a label is a text, a number or a boolean"
                )
            column = column.cast(kind)
            column = column.cast(pa.string()) if pa.types.is_temporal(kind) else column
            for entry in pc.value_counts(column).to_pylist():
                if not _is_no_label(entry["values"]):
                    counts[entry["values"]] += entry["counts"]
        if len(counts) > MOST_CLASSES:
            raise _not_labels(spec.name, spec.label, counts)


def _is_no_label(token: Any) -> bool:
    return is_missing(token) or (isinstance(token, str) and token.strip() in {"", "-"})


def class_names(
    task: str, column: str, found: LabelsFound, label_values: Mapping[str | int, str | None]
) -> tuple[str, ...]:
    """Return the class names of a task in index order.

    Args:
        task: name of the task, for messages.
        column: column of the label.
        found: labels of the rows.
        label_values: label as it is written -> class name; None leaves its rows out.

    Raises:
        SpecError: the labels have one class or none, or so many that the column cannot be a label.
    """
    if found.stored:
        return found.stored
    total = found.total
    if len(total) > MANY_CLASSES and sum(rows == 1 for rows in total.values()) > len(total) / 2:
        raise _not_labels(task, column, total)
    names: Counter[str] = Counter()
    for token, rows in total.items():
        text = class_name(token)
        number = whole_number(text)
        known = label_values.get(text, text if number is None else label_values.get(number, text))
        if known is not None:
            names[known] += rows
    if not total:
        raise SpecError(
            f"task {task}: no row has a label in column {column!r}, or the data has no rows; give rows with labels, or "
            "list the classes in `names`"
        )
    if len(names) < 2:
        have = f"only the class {next(iter(names))!r}" if names else "no labels"
        raise SpecError(
            f"task {task}: column {column!r} has {have} in {sum(total.values()):,} labelled rows; a task needs at "
            "least two classes. Name another column as `label`, or list all classes in `names`"
        )
    return tuple(in_order(names))


def class_name(token: Any) -> str:
    """Return the class name for a label as a file contains it."""
    if isinstance(token, bool):
        return str(token).lower()
    return written_number(token) or str(token)


def in_order(names: Collection[str]) -> list[str]:
    """Return class names in order: by value if all are whole numbers, else by alphabet."""
    if all(whole_number(name) is not None for name in names):
        return sorted(names, key=lambda name: (whole_number(name) or 0, name))
    return sorted(names)


def _not_labels(task: str, column: str, counts: Counter[Any]) -> SpecError:
    once = sum(rows == 1 for rows in counts.values())
    return SpecError(
        f"task {task}: column {column!r} has {len(counts):,} different values in {counts.total():,} rows, of which "
        f"{once:,} occur once, such as {class_name(next(iter(counts)))[:40]!r}; that is not a label. Name another "
        "column as `label`, or list the classes in `names` to use it nevertheless"
    )


def unique_canonical(names: Sequence[str]) -> tuple[str, ...]:
    """Return a shared name for each class; names that differ only in case or blanks get a number."""
    seen: set[str] = set()
    found = []
    for name in names:
        base = normal_name(name)
        number, canonical = 2, base
        while canonical in seen:
            number, canonical = number + 1, f"{base}_{number}"
        seen.add(canonical)
        found.append(canonical)
    return tuple(found)


def alike(names: Sequence[str]) -> list[list[str]]:
    """Return the sets of class names that differ only in case, blanks, hyphens or underscores."""
    same: dict[str, list[str]] = {}
    for name in names:
        same.setdefault(normal_name(name), []).append(name)
    return [found for found in same.values() if len(found) > 1]


def warn_alike(task: str, names: Sequence[str]) -> None:
    """Warn about class names that differ only in case, blanks, hyphens or underscores. They stay different classes."""
    for found in alike(names):
        kept, *others = found
        mapping = ", ".join(f"{other!r}: {kept!r}" for other in others)
        logger.warning(
            "task %s: the classes %s differ only in case or blanks; they stay different classes. To merge them, set "
            "`label_values` to {%s}, and list only the first in `names`",
            *(task, " and ".join(map(repr, found)), mapping),
        )
