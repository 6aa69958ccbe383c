"""Write rows in memory to Parquet files that are named by their content."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

from metaeval_datasets.sources.readers import FormatError, require_columns
from metaeval_datasets.spec import SpecError
from metaeval_datasets.spec.files import file_digest

FOLDER = "metaeval-own-rows"  # in the cache of `datasets`
BATCH_ROWS = 5_000


def is_in_memory(data: Any) -> bool:
    """Return whether data is a table: of ``datasets``, pandas or pyarrow, or a list of dicts."""
    return (
        isinstance(data, datasets.Dataset | datasets.IterableDataset | pa.Table)
        or _is_frame(data)
        or (isinstance(data, list) and bool(data) and isinstance(data[0], dict))
    )


def _is_frame(data: Any) -> bool:
    """Return whether data is a pandas frame, without importing pandas."""
    kind = type(data)
    return kind.__name__ == "DataFrame" and kind.__module__.partition(".")[0] == "pandas"


def write_rows(data: Any, columns: Sequence[str], where: str) -> str:
    """Write some columns of a table to a Parquet file in the cache, unless it is there, and return its path.

    Args:
        data: see ``is_in_memory``.
        columns: columns to write.
        where: task and split, for messages.

    Raises:
        SpecError: the data is not a table or has no rows, or a column is missing or has values that no column of a
            table can contain.
    """
    schema, batches = _batches(data, columns, where)
    folder = Path(datasets.config.HF_DATASETS_CACHE) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f".{uuid.uuid4().hex}"
    try:
        with pq.ParquetWriter(aside, schema, compression="zstd") as writer:
            for table in batches:
                writer.write_table(table.cast(schema))
        path = folder / f"{file_digest(str(aside))[:32]}.parquet"
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    return str(path)


def _batches(data: Any, columns: Sequence[str], where: str) -> tuple[pa.Schema, Iterator[pa.Table]]:
    """Return the types of the columns and the rows, a batch at a time."""
    if isinstance(data, datasets.IterableDataset):
        raise SpecError(f"{where}: the dataset is streamed; load it without streaming=True")
    if isinstance(data, datasets.Dataset):
        _require(columns, data.column_names, where)
        chosen = data.select_columns(list(columns))
        return chosen.features.arrow_schema, _checked(chosen.with_format("arrow").iter(BATCH_ROWS), len(data), where)
    table = _table(data, columns, where)
    return table.schema, _checked(iter([table]), len(table), where)


def _checked(batches: Iterator[pa.Table], rows: int, where: str) -> Iterator[pa.Table]:
    if not rows:
        raise SpecError(f"{where}: the data has no rows")
    return batches


def _table(data: Any, columns: Sequence[str], where: str) -> pa.Table:
    if not is_in_memory(data):
        kind = f"{type(data).__module__}.{type(data).__qualname__}"
        raise SpecError(f"{where}: an object of type {kind} is not a table; use one kind of data for all splits")
    if isinstance(data, pa.Table):
        _require(columns, data.column_names, where)
        return pa.table({name: _plain(data[name], name, where) for name in columns})
    if isinstance(data, list):
        for number, row in enumerate(data):
            if not isinstance(row, dict):
                raise SpecError(
                    f"{where}: element {number:,} of the list is {row!r:.80}; expected a dict, column -> value"
                )
        _require(columns, [str(name) for name in dict.fromkeys(key for row in data for key in row)], where)
        return pa.table({name: _column([row.get(name) for row in data], name, where) for name in columns})
    named = {str(name): place for place, name in enumerate(data.columns)}  # names may be numbers
    _require(columns, [str(name) for name in data.columns], where)
    return pa.table({name: _column(data.iloc[:, named[name]], name, where) for name in columns})


def _column(values: Any, name: str, where: str) -> pa.ChunkedArray:
    try:
        found = pa.array(values, from_pandas=True)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise SpecError(
            f"{where}: column {name!r} cannot be stored: {reason}. Convert its values to one type, for example to "
            "valid texts"
        ) from error
    return _plain(found if isinstance(found, pa.ChunkedArray) else pa.chunked_array([found]), name, where)


def _plain(column: pa.ChunkedArray, name: str, where: str) -> pa.ChunkedArray:
    """Return a column with the values of a categorical column in full.

    Raises:
        SpecError: the values are bytes.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        raise SpecError(f"{where}: column {name!r} contains bytes; decode them to texts")
    return column


def _require(columns: Sequence[str], present: Sequence[str], where: str) -> None:
    try:
        require_columns(columns, present)
    except FormatError as error:
        raise SpecError(f"{where}: the data {error}") from None
