"""Trace rows of a loaded task back to their source: the file or split, and the group, such as their customer.

Prepared tasks do not store groups, because only the splits need them. They are read from the source again.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from metaeval_datasets.cast import GROUP, cast_table, row_groups
from metaeval_datasets.catalog import get_task
from metaeval_datasets.schema import IDX
from metaeval_datasets.sources.opening import OpenedSource, open_source
from metaeval_datasets.sources.pins import find_pins
from metaeval_datasets.sources.revisions import Revisions
from metaeval_datasets.sources.source_files import name_in_errors, read_source_file
from metaeval_datasets.spec import Alone, Files, RowModulus, SameRow


def find_groups(name: str, official: Sequence[str], idx: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Return a number per row that is equal for the rows of a group, (k,); None if the task declares no groups.

    Args:
        name: a task.
        official: official split of each of the k rows; see ``SplitReport.official``.
        idx: (k,) number of each row in this split, the column ``idx`` of the loaded task.

    Raises:
        SourceError: the source cannot be read.
    """
    spec = get_task(name)
    opened = open_source(spec, revisions=Revisions(find_pins()))
    rule = row_groups(spec, opened.source)
    if isinstance(rule, Alone):
        return None
    rows = list(zip(official, idx.tolist(), strict=True))
    if isinstance(rule, RowModulus):
        keys: list[Hashable] = [(split, i % rule.modulus) for split, i in rows]
    elif isinstance(rule, SameRow):
        keys = list(rows)
    else:
        known = _read(opened, set(rows))
        keys = [known[row] for row in rows]
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)


def name_of_rows(name: str, official: str) -> str:
    """Return the file of an official split of a task if it is a single file, such as "tickets.csv", or else the split.

    Args:
        name: a task.
        official: an official split, such as "train".
    """
    source = get_task(name).sources[0]
    paths = source.paths_of(official) if isinstance(source, Files) and not source.shown else ()
    return os.path.basename(paths[0]) if len(paths) == 1 else official


def _read(opened: OpenedSource, wanted: set[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """Return the hash of the group of each wanted row (official split, number), read from the source."""
    found: dict[tuple[str, int], int] = {}
    for split in dict.fromkeys(split for split, _ in wanted):
        first = 0
        for piece in opened.pieces[split]:
            for table in read_source_file(piece, opened.spec, opened.source):
                with name_in_errors(piece):
                    cast = cast_table(table, opened.spec, opened.source, first, piece.config, piece.label_names)
                first += len(table)
                for i, group in zip(cast[IDX].to_pylist(), cast[GROUP].to_pylist(), strict=True):
                    if (split, i) in wanted:
                        found.setdefault((split, i), group)
    return found
