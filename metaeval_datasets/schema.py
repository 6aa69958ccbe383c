"""Define the schema of all tasks: column names, ``Features``, and the check of rows.

A task has the columns ``sentence``, or ``sentence1`` and ``sentence2``; ``label``, a ClassLabel with the task's class
names; and ``idx``, the row number in the source split, to trace a row back. If a split consists of several files,
configs or splits of a source, rows are numbered across them in the declared order.
"""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Features, Value

from metaeval_datasets.spec import TaskSpec

LABEL, IDX = "label", "idx"

# Negative codes of labels that are not a class, after casting.
UNLABELLED, LEFT_OUT, UNKNOWN, FILTERED = -1, -2, -3, -4
REASONS = {
    UNLABELLED: "no label",
    LEFT_OUT: "label left out by declaration",
    UNKNOWN: "label outside the names",
    FILTERED: "filtered by declaration",
}


def features(spec: TaskSpec) -> Features:
    """Return the columns of a task and their types, as ``datasets`` shows them."""
    texts = {name: Value("string") for name in spec.texts}
    return Features({**texts, LABEL: ClassLabel(names=list(spec.names)), IDX: Value("int64")})


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array; unlike ``combine_chunks``, do not copy a single chunk."""
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def empty_reason(name: str) -> str:
    """Return the reason for dropping a row that has no text in field ``name``."""
    return f"empty {name}"


def check_rows(table: pa.Table, spec: TaskSpec, keep_unlabelled: bool = False) -> tuple[pa.BooleanArray, Counter[str]]:
    """Return which rows of a cast table can be used, and the number of other rows by reason.

    A row counts once, under the first reason that applies: its label, then its texts in order.

    Args:
        table: N rows with the task's text columns (string) and ``label`` (int64, or a code below zero).
        spec: the task.
        keep_unlabelled: keep rows without a label (for a diagnostic set whose labels are hidden).

    Returns:
        N booleans without nulls, and the counts of the reasons that occur.
    """
    dropped: Counter[str] = Counter()
    label = one_array(table[LABEL])
    usable = pc.greater_equal(label, UNLABELLED if keep_unlabelled else 0)
    if not pc.all(usable, min_count=0).as_py():
        for entry in pc.value_counts(label.filter(pc.invert(usable))).to_pylist():
            dropped[REASONS[entry["values"]]] += entry["counts"]
    for name in spec.texts:
        if name in spec.may_be_empty:
            continue
        empty = pc.and_(is_blank(one_array(table[name])), usable)
        if count := pc.sum(empty, min_count=0).as_py():
            dropped[empty_reason(name)] += count
            usable = pc.and_not(usable, empty)
    return usable, dropped


def is_blank(texts: pa.Array) -> pa.BooleanArray:
    """Return True where a text is null, empty or only white space; the result has no nulls."""
    blank = pc.or_(pc.equal(pc.binary_length(texts), 0), pc.utf8_is_space(texts))
    return pc.fill_null(blank, True)


def to_schema(table: pa.Table, spec: TaskSpec) -> pa.Table:
    """Return the columns of the schema in its order and types, without the helper columns of casting."""
    for name in spec.may_be_empty:
        position = table.schema.get_field_index(name)
        table = table.set_column(position, name, pc.fill_null(table[name], ""))
    schema = features(spec).arrow_schema
    return table.select(schema.names).cast(schema)
