"""Summarise a loaded task: rows, class shares, text lengths and examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from metaeval_datasets.aspects import length_counts
from metaeval_datasets.schema import LABEL
from metaeval_datasets.spec import TaskSpec

MEASURED_ROWS = 100_000  # rows of a split to measure; in a longer split, every second, third, ... row is measured
BATCH_ROWS = 50_000


@dataclass(frozen=True)
class Lengths:
    """Contain quartiles and maximum of the number of words of texts."""

    lower: int
    median: int
    upper: int
    longest: int


@dataclass
class SplitSummary:
    """Summarise one split.

    Args:
        rows: number of rows.
        labels: class name -> number of rows, in the order of the names.
        unlabelled: number of rows without a label.
        words: text field -> lengths.
        every: n if every n-th row was measured for the lengths; 1 if all were.
    """

    rows: int
    labels: dict[str, int]
    unlabelled: int
    words: dict[str, Lengths] = field(default_factory=dict)
    every: int = 1


@dataclass
class Summary:
    """Summarise a task.

    Args:
        splits: split -> summary.
        examples_from: the split that the examples are from.
        examples: class name -> rows, each with the text fields and ``idx``.
    """

    splits: dict[str, SplitSummary]
    examples_from: str
    examples: dict[str, list[dict[str, str | int]]]


def summarise(splits: Mapping[str, Dataset], spec: TaskSpec, examples: int = 3) -> Summary:
    """Read a loaded task once, a batch of rows at a time.

    Args:
        splits: split -> rows, such as a DatasetDict.
        spec: its declaration in the same edition.
        examples: number of examples per class, taken evenly from the first split.

    Raises:
        ValueError: there are no splits.
    """
    if not splits:
        raise ValueError(f"{spec.name}: there are no splits to summarise; expected at least one")
    labels = {split: _labels(rows) for split, rows in splits.items()}
    source = next(iter(splits))
    return Summary(
        {split: _summarise_split(rows, labels[split], spec) for split, rows in splits.items()},
        source,
        {
            name: [_example(splits[source], row) for row in _spread(np.flatnonzero(labels[source] == number), examples)]
            for number, name in enumerate(spec.names)
        },
    )


def _summarise_split(rows: Dataset, labels: NDArray[np.int64], spec: TaskSpec) -> SplitSummary:
    counts = np.bincount(labels + 1, minlength=len(spec.names) + 1)
    every = max(1, -(-len(rows) // MEASURED_ROWS))
    measured = rows if every == 1 else rows.select(range(0, len(rows), every))
    return SplitSummary(
        len(rows),
        dict(zip(spec.names, counts[1:].tolist(), strict=True)),
        int(counts[0]),
        {name: _lengths(length_counts(measured, [name])) for name in spec.texts} if len(rows) else {},
        every,
    )


def _labels(rows: Dataset) -> NDArray[np.int64]:
    """Return the class of each row, (N,); -1 for none."""
    batches = rows.select_columns([LABEL]).with_format("arrow").iter(BATCH_ROWS)
    return np.concatenate([np.empty(0, np.int64), *(batch[LABEL].to_numpy() for batch in batches)])


def _lengths(counts: NDArray[np.int64]) -> Lengths:
    """Return lengths, given how many texts have 0, 1, 2, ... words."""
    totals = np.cumsum(counts)
    lower, median, upper = (int(np.searchsorted(totals, share * totals[-1])) for share in (0.25, 0.5, 0.75))
    return Lengths(lower, median, upper, int(np.flatnonzero(counts)[-1]))


def _spread(positions: NDArray[np.int64], count: int) -> list[int]:
    """Return up to ``count`` positions, evenly spread because neighbours in a source are often similar."""
    count = min(count, len(positions))
    return [int(positions[number * len(positions) // count]) for number in range(count)]


def _example(rows: Dataset, position: int) -> dict[str, str | int]:
    return {name: value for name, value in rows[position].items() if name != LABEL}
