"""Compute aspects of a task that need neither a model nor labels (Sileo & Moens 2022, section 5.5).

The aspects are the number of training rows, the number of text fields, the length of the texts and the task type.
Numbers of rows and lengths are grouped into quartiles over a set of tasks, and all aspects become one-hot columns. The
paper's fifth aspect, the domain cluster, needs text embeddings.

>>> from metaeval_datasets import get_task, list_tasks, load_dataset
>>> aspects = [aspects_of(load_dataset("metaeval", name), get_task(name)) for name in list_tasks(group="demo")]
>>> values, columns = one_hot(aspects)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from numpy.typing import NDArray

from metaeval_datasets.spec import TaskSpec, TaskType

QUARTILES = ("1", "2", "3", "4")  # the first quarter has the smallest values
COLUMNS = (
    *(f"train_rows:{quartile}" for quartile in QUARTILES),
    *(f"text_fields:{fields}" for fields in (1, 2)),
    *(f"median_words:{quartile}" for quartile in QUARTILES),
    *(f"task_type:{kind.value}" for kind in TaskType),
)
BATCH_ROWS = 5_000
_WORD = r"[^\s\pZ\x{85}]+"


@dataclass(frozen=True)
class Aspects:
    """Describe a task without a model.

    Args:
        task: name of the task.
        train_rows: number of training rows; 0 for a task without a training split, such as a diagnostic set.
        text_fields: number of text fields, 1 or 2.
        median_words: median number of words per row, of both text fields together. Words are separated by white
            space. The rows are those of the training split, or of the test split if there is no training split.
        type: one of the eight task types.
    """

    task: str
    train_rows: int
    text_fields: int
    median_words: float
    type: TaskType

    def __post_init__(self) -> None:
        for name in ("train_rows", "median_words"):
            if getattr(self, name) < 0:
                raise ValueError(f"{self.task}: {name} must not be negative, got {getattr(self, name)}")
        if self.text_fields not in (1, 2):
            raise ValueError(f"{self.task}: text_fields must be 1 or 2, got {self.text_fields}")


def aspects_of(splits: Mapping[str, Dataset], spec: TaskSpec) -> Aspects:
    """Compute the aspects of a loaded task, a batch of rows at a time.

    Args:
        splits: split -> rows, such as a DatasetDict; whole splits, not samples.
        spec: declaration of the task.

    Raises:
        ValueError: there are no rows.
    """
    train_rows = len(splits["train"]) if "train" in splits else 0
    rows = splits["train"] if train_rows else splits.get("test")
    if rows is None or not len(rows):
        raise ValueError(f"{spec.name}: the training and test splits have no rows; the splits are {list(splits)}")
    median = median_of(length_counts(rows, list(spec.texts)))
    return Aspects(spec.name, train_rows, spec.num_text_fields, median, spec.type)


def length_counts(rows: Dataset, fields: Sequence[str]) -> NDArray[np.int64]:
    """Return how many rows have 0, 1, 2, ... words in all fields together, (1 + the largest number,)."""
    counts = np.zeros(1, np.int64)
    for table in rows.select_columns(list(fields)).with_format("arrow").iter(BATCH_ROWS):
        lengths = np.bincount(sum(count_words(table[field]) for field in fields))
        counts, lengths = (lengths, counts) if len(lengths) > len(counts) else (counts, lengths)
        counts[: len(lengths)] += lengths
    return counts


def count_words(texts: pa.Array | pa.ChunkedArray) -> NDArray[np.int64]:
    """Return the number of words of each text, separated by Unicode white space, (N,); 0 for null."""
    return pc.fill_null(pc.count_substring_regex(texts, _WORD), 0).to_numpy().astype(np.int64)


def median_of(counts: NDArray[np.int64]) -> float:
    """Return the median of integers from the counts of 0, 1, 2, ...; the mean of the middle two if the total is even.

    Raises:
        ValueError: nothing occurs.
    """
    totals = np.cumsum(counts)
    if not len(totals) or not totals[-1]:
        raise ValueError("the median of no rows is not defined; expected at least one row")
    middle = [(totals[-1] - 1) // 2, totals[-1] // 2]
    return float(np.searchsorted(totals, middle, side="right").mean())


# --- Coding over a set of tasks -----------------------------------------------------------------------------------


def quartile_cuts(values: Sequence[float]) -> NDArray[np.float64]:
    """Return the three quartiles of a set of values, (3,), interpolated between neighbours as numpy does.

    Raises:
        ValueError: there are no values.
    """
    if not len(values):
        raise ValueError("the quartiles of no values are not defined; expected at least one value")
    return np.quantile(np.asarray(values, np.float64), [0.25, 0.5, 0.75])


def quartiles(values: Sequence[float], cuts: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the quarter of each value, (n,) in 0..3; a value equal to a quartile is in the lower quarter."""
    return np.searchsorted(cuts, np.asarray(values, np.float64), side="left")


def one_hot(
    aspects: Sequence[Aspects], reference: Sequence[Aspects] | None = None
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Encode aspects as columns of 0 and 1.

    Args:
        aspects: aspects of n tasks.
        reference: tasks whose quartiles are used; default: the n tasks. To encode tasks that a model has not seen,
            give the tasks that it was trained on.

    Returns:
        (n, 18) with four ones per task, and the column names, which are the same for every set of tasks.

    Raises:
        ValueError: ``reference`` is empty.
    """
    reference = aspects if reference is None else reference
    codes = [
        quartiles([entry.train_rows for entry in aspects], quartile_cuts([entry.train_rows for entry in reference])),
        4 + np.array([entry.text_fields for entry in aspects], np.int64) - 1,
        6 + quartiles([entry.median_words for entry in aspects], quartile_cuts([e.median_words for e in reference])),
        10 + np.array([list(TaskType).index(entry.type) for entry in aspects], np.int64),
    ]
    values = np.zeros((len(aspects), len(COLUMNS)))
    for code in codes:
        values[np.arange(len(aspects)), code] = 1.0
    return values, COLUMNS
