"""Which training rows to leave out because evaluation splits hold their text (see metaeval_datasets/overlap.py)."""

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
    """Training rows whose text is in the validation or test split of any of the tasks.

    Args:
        tasks: name -> what loads its whole splits; called twice a task, for one task at a time.
        prepared: name -> digest of its rows, for those tasks that have one; the cache is used where all have.
        rule: "whole" compares the text of a task over sentences and the whole pair of a task over pairs, "sentences"
            the sentences of pairs too, "no" nothing.
        cache: where to keep what was found.
        on_split: told of each split before it is read.

    Returns:
        Name -> positions, of the tasks that have any.
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
    """Loads a task when asked for it and forgets it, so that a thousand tasks need no thousand open files."""

    def __init__(self, tasks: Mapping[str, Callable[[], Splits]]) -> None:
        self.tasks = tasks

    def __getitem__(self, name: str) -> Splits:
        return self.tasks[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self.tasks)

    def __len__(self) -> int:
        return len(self.tasks)
