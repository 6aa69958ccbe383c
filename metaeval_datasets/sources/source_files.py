"""Read one file of a source in batches, from disk or from the Hub, and the class names that it stores."""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub import HfFileSystem

from metaeval_datasets.cast import CastError, columns_to_read, label_source
from metaeval_datasets.sources.asking import SourceError, ask_hub, offline
from metaeval_datasets.sources.hub_files import Access, Token
from metaeval_datasets.sources.layout import Card, kind_of
from metaeval_datasets.sources.parquet import BATCH_ROWS, parquet_tables
from metaeval_datasets.sources.readers import FormatError, csv_tables, json_tables, require_columns
from metaeval_datasets.spec import AnySource, Embedded, Files, Source, TaskSpec

logger = logging.getLogger(__name__)

# Errors that reading a damaged file raises. Errors of the Hub client have become SourceErrors before.
_DAMAGE = (pa.ArrowException, FormatError, CastError, KeyError, UnicodeError, OSError)


@dataclass(frozen=True)
class SourceFile:
    """Describe one file of a source (or one split of an embedded source), ready to be read.

    Args:
        path: local path; path for ``HfFileSystem`` if remote; name of the split if embedded.
        kind: ``parquet``, ``csv``, ``json`` or ``embedded``.
        config: config of the source that the file belongs to.
        remote: whether to read the file over the network.
        rows: number of rows if known (Parquet).
        label_names: class names in index order, if the file or the card gives them.
        delimiter: separator of a CSV file.
        header: column names of a CSV file without a header line.
        num_bytes: size of the downloaded file; 0 if it is remote.
        quote: quotation character of a CSV file.
        encoding: encoding of a CSV file.
    """

    path: str
    kind: str
    config: str | None = None
    remote: bool = False
    rows: int | None = None
    label_names: tuple[str, ...] | None = None
    delimiter: str = ","
    header: tuple[str, ...] | None = None
    num_bytes: int = 0
    quote: str | None = '"'
    encoding: str = "utf-8"


def read_source_file(piece: SourceFile, spec: TaskSpec, source: AnySource, token: Token = None) -> Iterator[pa.Table]:
    """Yield the columns of one file that a task needs, in batches.

    Raises:
        SourceError: a column is missing, or the content does not match the file extension.
    """
    if isinstance(source, Embedded):
        with name_in_errors(piece):
            yield from _embedded_batches(piece, spec, source, columns_to_read(spec, source))
        return
    with name_in_errors(piece), open_source_file(piece, token) as file:
        yield from read_file(file, piece, spec, source)


def read_file(file: BinaryIO, piece: SourceFile, spec: TaskSpec, source: AnySource) -> Iterator[pa.Table]:
    """Read like ``read_source_file``, but from an open file, or from the first lines of a file in memory."""
    columns = columns_to_read(spec, source)
    with name_in_errors(piece):
        if piece.kind == "parquet":
            yield from parquet_tables(file, columns, piece.remote)
            return
        if piece.kind == "csv":
            tables = csv_tables(file, columns, piece.delimiter, piece.quote, piece.header, piece.encoding)
        else:
            tables = json_tables(file, columns, label_source(spec, source))
        for table in tables:
            yield from _in_batches(table)


@contextmanager
def name_in_errors(piece: SourceFile) -> Iterator[None]:
    """Convert errors about a damaged file into a SourceError that names the file."""
    try:
        yield
    except _DAMAGE as error:
        raise SourceError(f"{piece.path}: {' '.join(str(error).split())[:500]}") from error


def delimiter_of(source: Source | Files, path: str) -> str:
    """Return the separator of a CSV file."""
    return source.delimiter or ("\t" if path.lower().endswith(".tsv") else ",")


def card_label_names(card: Card, config: str | None, label: str | None) -> tuple[str, ...] | None:
    """Return the class names of a column in a config, from the card."""
    return card.label_names.get((config, label)) or card.label_names.get((None, label)) if label else None


def stored_label_names(schema: pa.Schema, label: str | None) -> tuple[str, ...] | None:
    """Return the class names of a column that ``datasets`` stored in a Parquet file."""
    stored = (schema.metadata or {}).get(b"huggingface")
    if stored is None or label is None:
        return None
    try:
        names = json.loads(stored)["info"]["features"][label]["names"]
    except (ValueError, KeyError, TypeError):
        return None
    return tuple(map(str, names)) if isinstance(names, list) else None


def count_rows(repo: str, commit: str, paths: Sequence[str], access: Access) -> int | None:
    """Return the number of rows of files from their footers alone; None if it cannot be determined."""
    if access.cache_only or not paths or any(kind_of(path) != "parquet" for path in paths):
        return None
    try:
        total = 0
        for path in paths:
            piece = SourceFile(f"datasets/{repo}@{commit}/{path}", "parquet", remote=True)
            with open_source_file(piece, access.token, footer=True) as file:
                total += pq.ParquetFile(file).metadata.num_rows
        return total
    except (SourceError, pa.ArrowException, OSError) as error:
        logger.debug("could not count the rows of %s: %s", paths[0], error)
        return None


@contextmanager
def open_source_file(piece: SourceFile, token: Token, footer: bool = False) -> Iterator[BinaryIO]:
    """Open a file for reading; with ``footer``, only its end will be read."""
    if not piece.remote:
        with pa.OSFile(piece.path, "rb") as file:
            yield cast("BinaryIO", file)
        return
    if variable := offline():
        raise SourceError(f"offline ({variable}), but {piece.path} is read over the network; load it without streaming")
    options = {"cache_type": "none"} if footer else {}
    remote = ask_hub(lambda: HfFileSystem(token=token).open(piece.path, "rb", **options))
    try:
        yield cast("BinaryIO", _RetryingFile(remote))
    finally:
        remote.close()


class _RetryingFile:
    """Wrap a remote file and retry reads that fail temporarily; the Hub client retries only some failures."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        position = self._file.tell()

        def attempt() -> bytes:
            self._file.seek(position)
            content: bytes = self._file.read(size)
            return content

        return ask_hub(attempt)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _embedded_batches(
    piece: SourceFile, spec: TaskSpec, source: Embedded, columns: Sequence[str]
) -> Iterator[pa.Table]:
    module = importlib.import_module(f"metaeval_datasets.{source.module}")
    tables: dict[str, pa.Table] = module.generate(spec.name)
    if piece.path not in tables:
        raise SourceError(f"generates the splits {sorted(tables)}; expected the declared split {piece.path!r}")
    require_columns(columns, tables[piece.path].schema.names)
    yield from _in_batches(tables[piece.path].select(list(columns)))


def _in_batches(table: pa.Table) -> Iterator[pa.Table]:
    for start in range(0, len(table), BATCH_ROWS):
        yield table.slice(start, BATCH_ROWS)
