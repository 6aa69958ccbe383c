"""Find training rows to remove because evaluation splits contain their text (see metaeval_datasets/overlap.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from metaeval_datasets.fingerprint import OVERLAP_VERSION
from metaeval_datasets.overlap import WHOLE_TEXTS, OnSplit, Rules, Splits, rows_to_leave_out
from metaeval_training.config import Decontaminate
from metaeval_training.data.cache import DataCache, digest

RULES: dict[Decontaminate, Rules] = {"whole": WHOLE_TEXTS, "sentences": Rules()}

Positions = NDArray[np.int64]  # of rows within the whole training split of a task, ascending


def contaminated_rows(
    tasks: Mapping[str, Callable[[], Splits]],
    prepared: Mapping[str, str],
    rule: Decontaminate,
    cache: DataCache | None,
    on_split: OnSplit = lambda task, split: None,
) -> dict[str, Positions]:
    """Find the training rows whose text is in the validation or test split of any of the tasks.

    Args:
        tasks: name -> function that loads all rows of its splits; it is called twice per task, for one task at a time.
        prepared: name -> digest of its rows, if known. The cache is used only if the digests of all tasks are known.
        rule: "whole" compares whole texts and whole pairs, "sentences" also the single sentences of pairs, "no"
            compares nothing.
        cache: stores the result.
        on_split: called with a task and a split before the split is read.

    Returns:
        Name -> positions of the rows, for tasks with at least one.
    """
    if rule == "no":
        return {}
    key = digest("contaminated", sorted(prepared.items()), rule, OVERLAP_VERSION)
    keeps = cache is not None and prepared.keys() == tasks.keys()
    table = cache.read_table("contaminated", key) if cache is not None and keeps else None
    if table is None:
        found = rows_to_leave_out(_Loading(tasks), RULES[rule], on_split)
        table = pa.table(
            {
                "task": pa.array([name for name, rows in found.items() if len(rows)], pa.string()),
                "positions": pa.array([rows.positions for rows in found.values() if len(rows)], pa.list_(pa.int64())),
            }
        )
        if cache is not None and keeps:
            cache.write_table("contaminated", key, table)
    return {
        name: positions.values.to_numpy()
        for name, positions in zip(table["task"].to_pylist(), table["positions"], strict=True)
    }


class _Loading(Mapping[str, Splits]):
    """Loads a task at each access and does not keep it, so that many tasks do not need many open files."""

    def __init__(self, tasks: Mapping[str, Callable[[], Splits]]) -> None:
        self.tasks = tasks

    def __getitem__(self, name: str) -> Splits:
        return self.tasks[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self.tasks)

    def __len__(self) -> int:
        return len(self.tasks)
