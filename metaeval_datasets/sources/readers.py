"""Read CSV and JSON lines without guessing types: values are read as they are written. This module opens no files.

Readers that infer types turn "007" into 7 and a column of dates into timestamps, and fail if an unused column changes
its type. The readers of this module read only the declared columns. They keep one block of the file in memory, and
refuse rows, cells and headers that are too long for it.
"""

from __future__ import annotations

import codecs
import csv
import difflib
import io
import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any, BinaryIO

import pyarrow as pa

BLOCK_BYTES = 8 << 20  # bytes of a file read at a time
MAX_CELL_BYTES = 16 << 20
MAX_ROW_BYTES = 64 << 20
MAX_COLUMNS = 10_000
EMPTY_JSON = 'is empty; expected one JSON object per line, such as {"text": "...", "label": "..."}'
_JSON_ARRAY = (
    'is a JSON array; expected JSON lines, with one object per line such as {"text": "..."}. Convert it, for example '
    "with jq -c '.[]' FILE > FILE.jsonl"
)
_NO_QUOTES = (
    "if quotation marks are part of the texts, set `quote` to None (null in a task file, --quote none of commands that "
    "take a CSV file)"
)


class FormatError(ValueError):
    """Raised if a file does not match its extension or exceeds a size limit; the message says where."""


def require_columns(columns: Sequence[str], present: Sequence[str]) -> None:
    """Check that all columns are present, each once.

    Raises:
        FormatError: a column is missing or occurs twice; the message names it and the columns of the file.
    """
    if missing := [column for column in columns if column not in present]:
        names = ", ".join(present[:50]) + (f" and {len(present) - 50:,} more" if len(present) > 50 else "")
        near = difflib.get_close_matches(missing[0], present, n=1)
        closest = f" (closest: {near[0]!r})" if near else ""
        raise FormatError(f"has no column {', '.join(map(repr, missing))}{closest}; its columns are {names}")
    if twice := [column for column in columns if list(present).count(column) > 1]:
        what = f"the column {twice[0]!r} {{}} times" if twice[0] else "{} columns without a name"
        raise FormatError(
            f"has {what.format(list(present).count(twice[0]))}; give each column a name of its own, or remove it"
        )


# --- CSV ------------------------------------------------------------------------------------------------------------


def csv_tables(
    file: BinaryIO,
    columns: Sequence[str],
    delimiter: str,
    quote: str | None,
    header: Sequence[str] | None,
    encoding: str = "utf-8",
) -> Iterator[pa.Table]:
    """Yield the columns of a CSV file as texts, a block of rows at a time; an empty field is an empty text.

    Args:
        file: an open file.
        columns: columns to read.
        delimiter: the character between fields.
        quote: the character around fields that contain the delimiter, line breaks or the character itself, which is
            then doubled; None if no field is quoted and quotes are plain text.
        header: names of all columns, if the file has no header line.
        encoding: encoding of the file; a byte order mark at its start is not part of the first name.

    Raises:
        FormatError: the file is not valid CSV; the message names the line.
    """
    csv.field_size_limit(
        max(csv.field_size_limit(), MAX_CELL_BYTES)
    )  # applies to the whole process; the default is 128 KiB
    lines = _Lines(file, encoding)
    # strict: an unclosed quotation mark is an error; otherwise it would swallow rows up to the next one
    reader = csv.reader(lines, delimiter=delimiter, strict=True, **quoting(quote))
    try:
        names = list(header) if header else next(reader, [])
        if not names:
            raise FormatError(
                "is empty; expected the names of the columns in the first line, and one row per line below it"
            )
        if len(names) > MAX_COLUMNS:
            raise FormatError(f"has {len(names):,} columns; at most {MAX_COLUMNS:,} are read")
        require_columns(columns, names)
        places = [names.index(column) for column in columns]
        found: list[list[str]] = [[] for _ in columns]
        block, line = lines.block, reader.line_num
        for row in reader:
            if not row:
                continue
            if len(row) != len(names):
                raise FormatError(
                    f"line {reader.line_num:,} has {len(row)} column{'s' * (len(row) != 1)}; expected {len(names)}. "
                    "Correct the line, or name the separator as `delimiter` (--delimiter)"
                )
            # In a TSV file a quoted field with both a tab and a line break is nearly always several rows that two plain
            # quotes enclose. Only a row of several lines can have one, so others are not searched.
            if delimiter == "\t" and reader.line_num > line + 1 and any("\t" in cell and "\n" in cell for cell in row):
                raise FormatError(
                    f"line {reader.line_num:,} ends a quoted field with tabs and line breaks, likely several rows; "
                    f"{_NO_QUOTES}"
                )
            line = reader.line_num
            for cells, place in zip(found, places, strict=True):
                cells.append(row[place])
            if lines.block != block:
                yield _text_table(columns, found)
                found, block = [[] for _ in columns], lines.block
    except csv.Error as error:
        hint = f"; {_NO_QUOTES}" if quote else ""
        raise FormatError(f"line {reader.line_num:,}: {error}{hint}") from error
    if found and found[0]:
        yield _text_table(columns, found)


def quoting(quote: str | None) -> dict[str, Any]:
    """Return the options of ``csv.reader`` for the character around fields; None if no field is quoted."""
    return {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE, "quotechar": None}


def _text_table(columns: Sequence[str], found: list[list[str]]) -> pa.Table:
    return pa.table({name: pa.array(cells, pa.string()) for name, cells in zip(columns, found, strict=True)})


class _Lines:
    r"""Lines of a text file with their ends (``\n``, ``\r\n`` or ``\r``), and the number of the block they are from."""

    def __init__(self, file: BinaryIO, encoding: str) -> None:
        self._file = file
        self._encoding = encoding
        utf8 = codecs.lookup(encoding).name == "utf-8"
        self._decoder = codecs.getincrementaldecoder("utf-8-sig" if utf8 else encoding)()
        self._breaks = 0  # line breaks before the current block
        self.block = 0

    def __iter__(self) -> Iterator[str]:
        rest = ""
        while content := self._file.read(BLOCK_BYTES):
            self.block += 1
            text = rest + self._decode(content)
            # a line may go on in the next block; one that ends in \r may have its \n there
            whole = max(text.rfind("\n"), text.rfind("\r", 0, -1)) + 1
            rest = text[whole:]
            _check_length(len(rest))
            yield from io.StringIO(text[:whole], newline="")
        rest += self._decode(b"", final=True)
        if rest:
            yield from io.StringIO(rest, newline="")

    def _decode(self, content: bytes, final: bool = False) -> str:
        try:
            text = self._decoder.decode(content, final)
        except UnicodeDecodeError as error:
            line = 1 + self._breaks + error.object.count(b"\n", 0, error.start)
            raise FormatError(
                f"line {line:,} is not {self._encoding} (byte 0x{error.object[error.start]:02x}); if the file has "
                "another encoding, name it as `encoding` (--encoding): files of older Windows programs often "
                "have cp1252"
            ) from error
        self._breaks += text.count("\n")
        return text


def _check_length(length: int) -> None:
    if length > MAX_ROW_BYTES:
        raise FormatError(f"has a line of more than {MAX_ROW_BYTES >> 20} MiB")


# --- JSON lines -----------------------------------------------------------------------------------------------------


class _Number(str):
    """Keep a number as it is written, such as the text 1.50 and integers of any size."""

    __slots__ = ()


def json_columns(file: BinaryIO, most_rows: int | None = None) -> dict[str, bool]:
    """Return the columns of a JSON-lines file, and whether each contains lists or objects.

    Args:
        file: an open file in UTF-8.
        most_rows: number of first rows to look at; None looks at all rows.

    Returns:
        The keys of all rows, in the order in which they first occur.

    Raises:
        FormatError: the file is empty or not valid JSON lines, or a row has a key twice; the message names the line.
    """
    rows = _JsonRows((), None)
    found: dict[str, bool] = {}
    seen = 0
    while (seen != most_rows) and (line := file.readline(MAX_ROW_BYTES + 2)):
        rows.line += 1
        line = line.rstrip(b"\r\n")
        _check_length(len(line))
        line = line.removeprefix(codecs.BOM_UTF8) if rows.line == 1 else line
        if not line or line.isspace():
            continue
        if not seen and line.lstrip().startswith(b"["):
            raise FormatError(_JSON_ARRAY)
        seen += 1
        rows.present = {}  # so that every row is checked for a key that occurs twice, whose first value would be lost
        for name, value in rows.row(line).items():
            found[name] = found.get(name, False) or isinstance(value, list | dict)
    if not seen:
        raise FormatError(EMPTY_JSON)
    return found


def json_tables(
    file: BinaryIO, columns: Sequence[str], label: str | None = None, as_json: Collection[str] = ()
) -> Iterator[pa.Table]:
    """Yield the columns of a JSON-lines file, a block of rows at a time; null where a row lacks a column.

    The columns contain texts, numbers as they are written, or lists of these. Other columns may contain anything.

    Args:
        file: an open file in UTF-8.
        columns: columns to read.
        label: column whose whole numbers and booleans are not converted to texts.
        as_json: columns whose lists and objects are converted to JSON texts. They may be null in all rows.

    Raises:
        FormatError: the file is empty or not valid JSON lines, or no row has one of the columns; the message names the
            line.
    """
    rows = _JsonRows(columns, label, as_json)
    rest, first = b"", True
    while block := file.read(BLOCK_BYTES):
        if first:
            block = block.removeprefix(codecs.BOM_UTF8)
            if block.lstrip()[:1] == b"[":
                raise FormatError(_JSON_ARRAY)
            first = False
        # collect parts, because a long line would be copied once per block
        lines, newline, tail = block.rpartition(b"\n")
        if not newline:
            rest += tail
            _check_length(len(rest))
            continue
        if table := rows.table(rest + lines):
            yield table
        rest = tail
    if table := rows.table(rest):
        yield table
    if not rows.present:
        raise FormatError(EMPTY_JSON)
    require_columns([column for column in columns if column not in as_json], list(rows.present))


class _JsonRows:
    """Convert lines to tables, and keep track of the line number and of the columns."""

    def __init__(self, columns: Sequence[str], label: str | None, as_json: Collection[str] = ()) -> None:
        self._columns, self._label, self._as_json = columns, label, as_json
        self._decode = json.JSONDecoder(parse_int=_Number, parse_float=_Number, parse_constant=_none).decode
        self.line = 0
        self.present: dict[
            str, None
        ] = {}  # columns in order: all of the first row, and those that are read of other rows

    def table(self, lines: bytes) -> pa.Table | None:
        """Return the rows of some lines; None if there are none."""
        found: list[list[Any]] = [[] for _ in self._columns]
        for line in lines.split(b"\n"):
            self.line += 1
            if not line or line.isspace():
                continue
            row = self.row(line)
            for name, values in zip(self._columns, found, strict=True):
                value = row.get(name)
                values.append(_json_source(value) if name in self._as_json else value)
        if not found[0]:
            return None
        for name, values in zip(self._columns, found, strict=True):
            if name not in self.present and any(value is not None for value in values):
                self.present[name] = None
        columns = zip(self._columns, found, strict=True)
        return pa.table({name: _json_column(name, values, name == self._label) for name, values in columns})

    def row(self, line: bytes) -> dict[str, Any]:
        """Return the row of a line, whose number is ``self.line``.

        Raises:
            FormatError: the line is not a JSON object, or it is the first row and has a key twice.
        """
        try:
            row = self._decode(line.decode())
            if not self.present:
                json.loads(line, object_pairs_hook=_once, parse_int=str)
        except RecursionError:
            raise FormatError(f"line {self.line:,} is nested too deeply") from None
        except json.JSONDecodeError as error:
            raise FormatError(_bad_json(self.line, error)) from error
        except UnicodeDecodeError:
            raise FormatError(
                f"line {self.line:,} is not in UTF-8, as JSON lines must be; save the file in UTF-8"
            ) from None
        except FormatError as error:
            raise FormatError(f"line {self.line:,}: {error}") from error
        if not isinstance(row, dict):
            raise FormatError(
                f"line {self.line:,} contains {str(row)[:40]!r}; expected an object with a key for each column"
            )
        self.present = self.present or dict.fromkeys(row)
        return row


def _bad_json(line: int, error: json.JSONDecodeError) -> str:
    """Return the message about a line that is not valid JSON."""
    return f"line {line:,} is not valid JSON ({error.msg} at column {error.colno:,}); correct or remove the line"


def _none(_: str) -> None:
    """Refuse NaN and Infinity, which are not valid JSON."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        raise FormatError(f"has a key twice: {next(name for name in names if names.count(name) > 1)!r}")
    return row


def _json_column(name: str, values: list[Any], label: bool) -> pa.Array:
    """Return texts, or lists of texts if a value is a list; for labels also booleans and integers."""
    given = [value for value in values if value is not None]
    if any(isinstance(value, dict) for value in given):
        raise FormatError(f"column {name!r} contains an object; expected texts, numbers, booleans or lists of them")
    if label and given and all(isinstance(value, bool) for value in given):
        return pa.array(values, pa.bool_())
    if label and given and all(isinstance(value, _Number) and _is_int64(value) for value in given):
        return pa.array([None if value is None else int(value) for value in values], pa.int64())
    if not any(isinstance(value, list) for value in given):
        return _json_texts(name, values)
    if not all(isinstance(value, list) for value in given):
        raise FormatError(f"column {name!r} contains lists and other values; expected one kind")
    lists = [None if value is None else [_json_text(item) for item in value] for value in values]
    if any(isinstance(item, (list, dict)) for items in lists for item in items or ()):
        raise FormatError(f"column {name!r} contains lists of lists; expected lists of texts")
    return pa.array(lists, pa.list_(pa.string()))


def _json_texts(name: str, values: list[Any]) -> pa.Array:
    try:
        return pa.array([_json_text(value) for value in values], pa.string())
    except UnicodeEncodeError as error:
        raise FormatError(
            f"column {name!r} contains half of a surrogate pair, {error.object[error.start]!r} at character "
            f"{error.start} of {error.object[:40]!r}; correct this text, or remove its line"
        ) from error


def _json_source(value: Any) -> Any:
    """Return a list or an object as JSON, with numbers as they are written; return other values unchanged."""
    if isinstance(value, list):
        return "[" + ", ".join(map(_json_item, value)) + "]"
    if isinstance(value, dict):
        pairs = (f"{json.dumps(name, ensure_ascii=False)}: {_json_item(item)}" for name, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    return value


def _json_item(value: Any) -> str:
    if isinstance(value, list | dict):
        return str(_json_source(value))
    return str(value) if isinstance(value, _Number) else json.dumps(value, ensure_ascii=False)


def _is_int64(number: str) -> bool:
    return len(number) < 19 and number.lstrip("-").isdecimal()


def _json_text(value: Any) -> Any:
    """Return booleans as they are written in JSON, and strings (including numbers kept as strings) unchanged."""
    return ("true" if value else "false") if isinstance(value, bool) else value
