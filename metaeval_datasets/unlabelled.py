"""Read the texts of a local file that need not have labels, with the number of each row."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from metaeval_datasets.cast import evaluate
from metaeval_datasets.columns import (
    NO_ROWS,
    TEXT_NAMES,
    column_names,
    csv_header,
    describe_columns,
    find_delimiter,
    find_encoding,
    read_sample,
)
from metaeval_datasets.sources.asking import SourceError
from metaeval_datasets.sources.layout import KINDS, kind_of
from metaeval_datasets.sources.opening import local_piece
from metaeval_datasets.sources.parquet import parquet_tables, read_schema
from metaeval_datasets.sources.readers import FormatError, csv_tables, json_columns, json_tables, require_columns
from metaeval_datasets.sources.source_files import SourceFile, name_in_errors
from metaeval_datasets.spec import Files, Text, text_columns

SHOWN = 50  # columns that an error message names
USUAL = (("sentence1", "sentence2"), ("sentence",), ("text", "text_pair"), ("text",))
AS_FOUND: Mapping[str, Any] = MappingProxyType({})  # the separator and the encoding of CSV files are found

OneOrTwo = str | tuple[str, str]  # a text, or a pair of texts


def csv_options(path: str, given: Mapping[str, Any] = AS_FOUND) -> dict[str, Any]:
    """Return how a CSV file is written, as arguments of ``Files``; nothing for other files.

    Args:
        path: the file.
        given: the ``delimiter``, ``quote`` and ``encoding`` that are known; the separator and the encoding are found in
            the file otherwise.

    Raises:
        ValueError: the given encoding does not exist.
        SourceError: the encoding is not found.
    """
    if not path.lower().endswith((".csv", ".tsv")):
        return {}
    encoding = given.get("encoding") or find_encoding(path)
    try:
        "".encode(encoding)  # also refuses codecs that are no encodings of texts, such as base64
    except LookupError:
        raise ValueError(f"the encoding {encoding!r} is unknown; expected one such as utf-8 or cp1252") from None
    return {"delimiter": find_delimiter(path, encoding), **given, "encoding": encoding}


def read_unlabelled(
    path: str, texts: Sequence[Text] | None = None, csv: Mapping[str, Any] = AS_FOUND
) -> tuple[list[OneOrTwo], list[int]]:
    """Read the texts, or pairs of texts, of a CSV, TSV, JSON-lines or Parquet file.

    Args:
        path: the file.
        texts: the text, or both texts, as columns or classes of ``metaeval_datasets.spec``; None looks for columns
            named as those of the catalogue (such as sentence), or else for a column that is named like a text, such as
            message, or the only one that contains texts.
        csv: how a CSV file is written; see ``csv_options``.

    Returns:
        The texts, and the number of the row of each, from 0. Rows with an empty text are left out.

    Raises:
        ValueError: it is unclear which column contains the texts, or all texts are empty.
        SourceError: the file does not exist, has an unknown extension, lacks a column or is damaged.
    """
    piece = _piece(path, csv)
    wanted = find_texts(path, csv) if texts is None else texts
    found: list[OneOrTwo] = []
    places, first = [], 0
    for table in _tables(piece, wanted):
        for place, text in enumerate(_texts(piece, wanted, table), first):
            if text is not None:
                found.append(text)
                places.append(place)
        first += len(table)
    if not first:
        raise SourceError(f"{piece.path} {NO_ROWS}")
    if not found:
        raise ValueError(f"{piece.path} has no row with a text ({first:,} rows are empty); give a file with texts")
    return found, places


def read_rows(
    path: str, texts: Sequence[Text] | None = None, csv: Mapping[str, Any] = AS_FOUND
) -> tuple[list[str], Iterator[tuple[pa.Table, list[OneOrTwo | None]]]]:
    """Read all rows of a file, with their texts; see ``read_unlabelled`` for the arguments and errors.

    Returns:
        The columns of the file, of JSON lines those of all rows; and batches of rows with these columns and the text of
        each row, None if it is empty. One batch is in memory at a time. Lists and objects of JSON lines are JSON texts.
    """
    piece = _piece(path, csv)
    wanted = find_texts(path, csv) if texts is None else texts
    with name_in_errors(piece):
        columns = _all_columns(piece)
        _require_columns(columns, columns)
        _require_columns(_columns_of(wanted), column_names(piece) if piece.kind == "parquet" else columns)
    return columns, _rows(piece, wanted, columns)


def _all_columns(piece: SourceFile) -> list[str]:
    if piece.kind == "parquet":
        return list(read_schema(piece.path).names)
    if piece.kind == "csv":
        return csv_header(piece)
    with open(piece.path, "rb") as file:
        return list(json_columns(file))


def _rows(
    piece: SourceFile, texts: Sequence[Text], columns: Sequence[str]
) -> Iterator[tuple[pa.Table, list[OneOrTwo | None]]]:
    for table in _tables(piece, texts, columns):
        yield table.select(columns), _texts(piece, texts, table)


def _texts(piece: SourceFile, texts: Sequence[Text], table: pa.Table) -> list[OneOrTwo | None]:
    """Return the text of each row, None if it is empty."""
    with name_in_errors(piece):
        columns = [evaluate(text, table).to_pylist() for text in texts]
    found: list[OneOrTwo | None] = []
    for row in zip(*columns, strict=True):
        given = all(each is not None and each.strip() for each in row)
        found.append((row[0] if len(row) == 1 else (row[0], row[1])) if given else None)
    return found


def _tables(piece: SourceFile, texts: Sequence[Text], others: Sequence[str] = ()) -> Iterator[pa.Table]:
    """Yield the columns of the texts, and others, in batches."""
    named = _columns_of(texts)
    columns = list(dict.fromkeys([*named, *others]))
    with name_in_errors(piece), pa.OSFile(piece.path, "rb") as file:
        if piece.kind in ("parquet", "csv"):  # in JSON lines, the first row may lack a column
            _require_columns(named, column_names(piece))
        if piece.kind == "parquet":
            yield from parquet_tables(file, columns, False)
        elif piece.kind == "csv":
            yield from csv_tables(file, columns, piece.delimiter, piece.quote, piece.header, piece.encoding)
        else:
            yield from json_tables(file, columns, as_json=set(columns) - set(named))


def _columns_of(texts: Sequence[Text]) -> list[str]:
    return [column for text in texts for column in text_columns(text)]


def _require_columns(columns: Sequence[str], present: Sequence[str]) -> None:
    if not present:
        return  # the file is empty, which its reader reports
    try:
        require_columns(columns, present)
    except FormatError as error:
        if set(columns) <= set(present):
            raise  # a column occurs twice
        raise FormatError(f"{error}; name the columns of the texts with --text and --second-text") from None


def _piece(path: str, csv: Mapping[str, Any] = AS_FOUND) -> SourceFile:
    """Return the description of a file, after checking that it exists and can be read as a table."""
    path = os.path.abspath(os.path.expanduser(path))
    if not os.path.isfile(path):
        raise SourceError(f"{path} {'is a folder' if os.path.isdir(path) else 'does not exist'}; give a file of texts")
    if kind_of(path) is None:
        raise SourceError(f"{path} has an unknown extension; expected one of {', '.join(sorted(KINDS))}")
    return local_piece(Files({"train": path}, **csv_options(path, csv)), path)


def find_texts(path: str, csv: Mapping[str, Any] = AS_FOUND) -> tuple[str, ...]:
    """Return the column of a file that contains the texts, or both columns of pairs; see ``read_unlabelled``.

    Raises:
        ValueError: it is unclear which column contains the texts.
        SourceError: see ``read_unlabelled``.
    """
    piece = _piece(path, csv)
    with name_in_errors(piece):
        names = column_names(piece)
    for usual in USUAL:
        if set(usual) <= set(names):
            return usual
    described = describe_columns(read_sample(piece))
    columns = [column for column in described if column.rows and not column.numeric]
    named = [column.name for column in columns if column.name.strip().lower() in TEXT_NAMES]
    texts = [column.name for column in columns if column.may_be_text]
    only = [] if any(column.numeric for column in described) else names
    for each in (only, named, texts):
        if len(each) == 1:
            return (each[0],)
    raise ValueError(
        f"{piece.path}: it is unclear which column contains the texts; name it with --text. The columns are "
        f"{', '.join(names[:SHOWN])}" + (f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else "")
    )
