"""Read Parquet files with the memory of one batch, and refuse files that would need far more memory than texts do.

A small file can contain a text of a gigabyte, or a text of megabytes that a dictionary repeats in every row. Sizes are
therefore checked before anything is decoded: in the footer, and for large columns in the headers of their pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from metaeval_datasets.sources.readers import MAX_CELL_BYTES, FormatError, require_columns

BATCH_ROWS = 8192
BATCH_BYTES = 128 << 20  # maximum bytes of a column in a batch
JOINED_ROWS = 2048  # of smaller batches; with BATCH_ROWS, loading takes 40 MB more and is not faster
MAX_MEAN_BYTES = 128 << 10  # maximum mean bytes per cell of a large column
MAX_EXPANSION = 100  # maximum ratio of memory to file size of a large column
LARGE_COLUMN_BYTES = 64 << 20  # bytes of a large column in a row group
MAX_PAGE_BYTES = 1024 * MAX_MEAN_BYTES  # writers put about a thousand rows in a page
HEADER_BYTES = 4096  # bytes read at a time; a page header contains the smallest and largest value
DICTIONARY_BYTES = 2 << 20  # the texts of larger dictionary pages are measured; writers stop at 1 MiB
_DICTIONARY_PAGE = 2  # the type of a page, by its number in the format


def open_parquet(file: BinaryIO, dictionaries: Sequence[str] = ()) -> pq.ParquetFile:
    """Open a Parquet file whose rows are read batch by batch, with the memory of one batch.

    Args:
        file: an open, seekable file.
        dictionaries: text columns that are read as dictionaries.
    """
    # pre_buffer, the default of later pyarrow versions, would keep the whole file in memory
    return pq.ParquetFile(file, buffer_size=1 << 20, pre_buffer=False, read_dictionary=list(dictionaries))


@contextmanager
def decoded() -> Iterator[None]:
    """Convert errors of the Parquet library about a damaged file into a FormatError with the remedy.

    Errors of the network are no errors of this library: the requests of remote files raise a SourceError.
    """
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise FormatError(
            f"is not a readable Parquet file ({' '.join(str(error).split())[:200]}); download or write it again, or "
            "give it the extension of its real format"
        ) from error


def read_schema(path: str) -> pa.Schema:
    """Return the columns of a local Parquet file.

    Raises:
        FormatError: the file is damaged, or no Parquet file.
    """
    with decoded():
        return pq.read_schema(path)


def parquet_tables(file: BinaryIO, columns: Sequence[str], remote: bool = False) -> Iterator[pa.Table]:
    """Yield the columns of a file in batches.

    Args:
        file: an open, seekable file.
        columns: columns to read.
        remote: whether every read is a request; then only the footer is checked before the rows are read.

    Raises:
        FormatError: the file is damaged, a column is missing, or its cells are too long; the message names the column.
    """
    with decoded():
        yield from _tables(file, columns, remote)


def _tables(file: BinaryIO, columns: Sequence[str], remote: bool) -> Iterator[pa.Table]:
    opened = open_parquet(file)
    require_columns(columns, opened.schema_arrow.names)
    chunks = [(name, chunk) for name in columns for chunk in _chunks(opened.metadata, name)]
    for name, chunk in chunks:
        _check_size(name, chunk)
        if not remote and chunk.total_uncompressed_size > LARGE_COLUMN_BYTES:
            _check_pages(name, chunk, file)
    rows = BATCH_ROWS if remote else _batch_rows(file, opened, columns)
    # One thread: decoding two columns is fast, and passing them between threads costs more than it saves.
    batches = opened.iter_batches(rows, columns=list(columns), use_threads=False)
    for joined in _joined(batches, rows):
        table = pa.Table.from_batches(joined).replace_schema_metadata(None).select(list(columns))
        for name in columns:
            if (longest := _longest(table[name])) > MAX_CELL_BYTES:
                raise FormatError(f"column {name!r} has a text of {longest >> 20:,} MiB; at most {_MAX_CELL} are read")
        yield table


def _joined(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[list[pa.RecordBatch]]:
    """Join small batches as far as they fit, because many small batches would slow down the steps that follow.

    Args:
        batches: batches of a file.
        rows: number of rows of each batch, except the last.
    """
    held: list[pa.RecordBatch] = []
    held_rows = held_bytes = 0
    for batch in batches:
        size = batch.nbytes if rows < JOINED_ROWS else 0
        if held and (held_rows + len(batch) > JOINED_ROWS or held_bytes + size > BATCH_BYTES):
            yield held
            held, held_rows, held_bytes = [], 0, 0
        held.append(batch)
        held_rows, held_bytes = held_rows + len(batch), held_bytes + size
    if held:
        yield held


_MAX_CELL = f"{MAX_CELL_BYTES >> 20} MiB"


def _chunks(metadata: pq.FileMetaData, name: str) -> Iterator[pq.ColumnChunkMetaData]:
    """Yield the footer's description of a column in each row group."""
    numbers = _numbers(metadata, name)
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        yield from (row_group.column(number) for number in numbers)


def _numbers(metadata: pq.FileMetaData, name: str) -> list[int]:
    """Return the numbers of the columns in the file that store a column."""
    return [
        number
        for number in range(metadata.num_columns)
        if metadata.schema.column(number).path.split(".")[0] == name.split(".")[0]
    ]


def _first_page(chunk: pq.ColumnChunkMetaData) -> int:
    """Return the place of the first page of a column in a row group."""
    offset: int = chunk.data_page_offset
    return min(offset, chunk.dictionary_page_offset) if chunk.dictionary_page_offset else offset


def _check_size(name: str, chunk: pq.ColumnChunkMetaData) -> None:
    size, stored = chunk.total_uncompressed_size, chunk.total_compressed_size
    if size > LARGE_COLUMN_BYTES and (size > MAX_MEAN_BYTES * chunk.num_values or size > MAX_EXPANSION * stored):
        raise FormatError(
            f"column {name!r} takes {size >> 20:,} MiB for {chunk.num_values:,} values in memory and "
            f"{stored >> 10:,} KiB in the file; texts of more than {_MAX_CELL} are not read"
        )


def _check_pages(name: str, chunk: pq.ColumnChunkMetaData, file: BinaryIO) -> None:
    """Refuse a column that has a too large page, because pages are decoded as a whole."""
    offset = _first_page(chunk)
    end = offset + chunk.total_compressed_size
    while offset < end:
        file.seek(offset)
        header = page_header(file.read(HEADER_BYTES))
        if header is None:  # longer or damaged; the reader will raise an error
            return
        size, stored, length = header
        if size > MAX_PAGE_BYTES:
            raise FormatError(
                f"column {name!r} has a page of {size >> 20:,} MiB; texts of more than {_MAX_CELL} are not read"
            )
        offset += length + stored


def page_header(content: bytes) -> tuple[int, int, int] | None:
    """Return the size of a page in memory and in the file, and the length of its header at the start of ``content``.

    The header is a struct in Thrift's compact protocol, whose fields 2 and 3 are these sizes. The result is None if
    ``content`` does not start with a complete header.
    """
    sizes: dict[int, int] = {}
    try:
        end = _skip_struct(content, 0, sizes, 0)
    except (IndexError, ValueError):
        return None
    return (sizes[2], sizes[3], end) if {2, 3} <= sizes.keys() and min(sizes[2], sizes[3]) >= 0 else None


def dictionary_bytes(content: bytes) -> int | None:
    """Return the size of a dictionary page from its header at the start of ``content``; 0 for another page.

    The result is None if ``content`` does not start with a complete header. No text of the dictionary is longer.
    """
    numbers: dict[int, int] = {}
    try:
        _skip_struct(content, 0, numbers, 0)
    except (IndexError, ValueError):
        return None
    if not {1, 2, 3} <= numbers.keys():
        return None
    return max(numbers[2], numbers[3]) if numbers[1] == _DICTIONARY_PAGE else 0


def _skip_struct(content: bytes, at: int, numbers: dict[int, int], depth: int) -> int:
    """Return the end of a struct that begins at a position; store its integers in ``numbers`` by field."""
    if depth > 8:
        raise ValueError("nested too deep for a page's header")
    field = 0
    while kind := content[at]:
        at += 1
        if kind >> 4:
            field += kind >> 4
        else:
            field, at = _varint(content, at)
            field = field >> 1
        kind &= 15
        if kind in (4, 5, 6):  # integers, zigzag
            value, at = _varint(content, at)
            numbers[field] = (value >> 1) ^ -(value & 1)
        elif kind == 8:  # bytes
            value, at = _varint(content, at)
            at += value
        elif kind == 12:
            at = _skip_struct(content, at, {}, depth + 1)
        elif kind == 3:
            at += 1
        elif kind == 7:
            at += 8
        elif kind not in (1, 2):  # booleans are encoded in the kind; headers have no lists or maps
            raise ValueError("no field of a page's header")
    return at + 1


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _batch_rows(file: BinaryIO, opened: pq.ParquetFile, columns: Sequence[str]) -> int:
    """Return the rows per batch, fewer if a dictionary could repeat a text so that a batch would not fit in memory.

    A text is at most as long as its dictionary page, whose size its header states. That is known without decompressing
    the page, which takes as long as reading the texts. Only the texts of an unusually large page are measured.
    """
    texts = [name for name in columns if _is_text(opened.schema_arrow.field(name).type)]
    longest = 1
    peeked: pq.ParquetFile | None = None
    for group in range(opened.num_row_groups if texts else 0):
        sizes = [_dictionary_size(file, opened, group, name) for name in texts]
        if all(size is not None and size <= DICTIONARY_BYTES for size in sizes):
            longest = max(longest, *(size or 1 for size in sizes))
            continue
        peeked = peeked or open_parquet(file, texts)
        batch = next(peeked.iter_batches(1, row_groups=[group], columns=texts, use_threads=False), None)
        for column in batch.columns if batch is not None else ():
            if pa.types.is_dictionary(column.type):
                longest = max(longest, _longest(column.dictionary))
    return max(1, min(BATCH_ROWS, BATCH_BYTES // longest))


def _dictionary_size(file: BinaryIO, opened: pq.ParquetFile, group: int, name: str) -> int | None:
    """Return the bytes of a column's dictionary in a row group, 0 if it has none, or None if they are unknown."""
    row_group = opened.metadata.row_group(group)
    largest = 0
    for number in _numbers(opened.metadata, name):
        file.seek(_first_page(row_group.column(number)))
        size = dictionary_bytes(file.read(HEADER_BYTES))
        if size is None:
            return None
        largest = max(largest, size)
    return largest


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _longest(column: pa.Array | pa.ChunkedArray) -> int:
    """Return the bytes of the longest text of a column; 0 if it is not a column of texts."""
    if not _is_text(column.type):
        return 0
    if pa.types.is_dictionary(column.type):
        chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
        return max((_longest(chunk.dictionary) for chunk in chunks), default=0)
    return int(pc.max(pc.binary_length(column)).as_py() or 0)
