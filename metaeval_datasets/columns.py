"""Look at the columns of a table, and propose which of them are the texts and the label of a task."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from metaeval_datasets.sources.asking import SourceError
from metaeval_datasets.sources.parquet import parquet_tables, read_schema
from metaeval_datasets.sources.readers import FormatError, csv_tables, json_columns, json_tables, quoting
from metaeval_datasets.sources.source_files import SourceFile, name_in_errors

SAMPLE_ROWS = 2_000  # first rows of a file that are looked at
SHOWN_CLASSES = 50  # a column with more different values is not proposed as label
HEAD_BYTES = 1 << 20
_CHUNK = 1 << 20
NO_ROWS = "has no rows; give a file with one or more (in a CSV file, below the line with the names of the columns)"

LABEL_NAMES = (
    *("label", "labels", "class", "category", "topic", "intent", "sentiment", "target", "gold_label", "tag", "emotion"),
    *("stance", "y"),
)
TEXT_NAMES = ("text", "sentence", "message", "content", "body", "review", "comment", "tweet", "question", "document")
PAIRS = (
    *(("premise", "hypothesis"), ("question", "answer"), ("question", "passage"), ("question", "sentence")),
    *(("query", "document"), ("query", "passage"), ("context", "response"), ("claim", "evidence")),
)


# --- The first rows -------------------------------------------------------------------------------------------------


def find_encoding(path: str) -> str:
    """Return utf-8, utf-16 or cp1252: the encoding in which a text file can be read to its end.

    Raises:
        SourceError: it is none of them.
    """
    with open(path, "rb") as file:
        start = file.read(2)
    candidates = ["utf-16"] if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else ["utf-8", "cp1252"]
    for encoding in candidates:
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            with open(path, "rb") as file:
                while chunk := file.read(_CHUNK):
                    decoder.decode(chunk)
                decoder.decode(b"", final=True)
            return encoding
        except UnicodeDecodeError:
            continue
    raise SourceError(f"{path} is neither UTF-8 nor cp1252; name its `encoding` (--encoding)")


def find_delimiter(path: str, encoding: str) -> str:
    """Return the separator that occurs most in the first line of a CSV file outside quotes; a comma if none does."""
    if path.lower().endswith(".tsv"):
        return "\t"
    with open(path, "rb") as file:
        head = file.read(HEAD_BYTES).decode(encoding, "ignore")
    line = re.sub(r'"[^"]*"', "", head.lstrip("\ufeff")).split("\n", 1)[0]
    return max(",;\t|", key=line.count) if any(mark in line for mark in ",;\t|") else ","


def read_sample(piece: SourceFile) -> pa.Table:
    """Return the first rows of a file with all columns that contain texts, numbers or booleans.

    Raises:
        SourceError: the file cannot be read, or has no rows.
    """
    with name_in_errors(piece), pa.OSFile(piece.path, "rb") as file:
        columns = column_names(piece)
        if not columns and piece.kind != "csv":
            raise FormatError("has no column of texts, numbers or booleans; give a file with a column of texts")
        if piece.kind == "parquet":
            tables: Iterator[pa.Table] = parquet_tables(file, columns, False)
        elif piece.kind == "csv":
            tables = csv_tables(file, columns, piece.delimiter, piece.quote, piece.header, piece.encoding)
        else:
            tables = json_tables(file, columns)
        table = next(tables, None)
    if table is None or not len(table):
        raise SourceError(f"{piece.path} {NO_ROWS}")
    return table.slice(0, SAMPLE_ROWS)


def column_names(piece: SourceFile) -> list[str]:
    """Return the names of the columns of a file, without those of lists and objects; of JSON lines, look at 2,000 rows.

    Raises:
        FormatError: the line with the names cannot be read, the file is not JSON lines, or the Parquet file is damaged.
    """
    if piece.kind == "parquet":
        return [item.name for item in read_schema(piece.path) if not pa.types.is_nested(item.type)]
    if piece.kind == "csv":
        return csv_header(piece)
    with open(piece.path, "rb") as file:
        return [name for name, nested in json_columns(file, SAMPLE_ROWS).items() if not nested]


def csv_header(piece: SourceFile) -> list[str]:
    """Return the names in the first line of a CSV file.

    Raises:
        FormatError: the line cannot be read.
    """
    encoding = "utf-8-sig" if piece.encoding == "utf-8" else piece.encoding
    with open(piece.path, encoding=encoding, newline="") as file:
        try:
            return next(csv.reader(file, delimiter=piece.delimiter, **quoting(piece.quote)), [])
        except csv.Error as error:
            raise FormatError(
                f"the names of the columns in line 1 cannot be read ({error}); check the quotation marks there"
            ) from error
        except UnicodeError as error:
            raise FormatError(
                f"line 1 is not {piece.encoding} ({error}); name the encoding of the file as `encoding` (--encoding)"
            ) from error


# --- What the columns contain ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Column:
    """Describe the values of a column in the first rows.

    Args:
        name: name of the column.
        rows: number of values that are neither null nor blank.
        different: number of different values.
        words: mean number of words.
        numeric: whether all values are numbers.
        dates: whether all values are dates or times.
    """

    name: str
    rows: int
    different: int
    words: float
    numeric: bool
    dates: bool = False

    @property
    def may_be_label(self) -> bool:
        """Return whether the values are short and repeat, and are no dates."""
        return not self.dates and 2 <= self.different <= min(SHOWN_CLASSES, max(2, self.rows // 2)) and self.words <= 4

    @property
    def may_be_text(self) -> bool:
        """Return whether the values have several words and mostly differ."""
        return not self.numeric and self.words >= 2 and self.different > self.rows / 4


def describe_columns(table: pa.Table) -> list[Column]:
    """Return the description of each column of a table."""
    return [_describe(name, table[name].to_pylist()) for name in table.column_names]


def _describe(name: str, values: Sequence[Any]) -> Column:
    given = [text for value in values if value is not None and (text := str(value).strip())]
    words = sum(len(text.split()) for text in given) / max(1, len(given))
    numeric = bool(given) and all(re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text) for text in given)
    dates = bool(given) and all(re.match(r"\d{4}-\d\d-\d\d|\d{1,2}[./]\d{1,2}[./]\d{2,4}", text) for text in given)
    return Column(name, len(given), len(set(given)), words, numeric, dates)


@dataclass(frozen=True)
class Proposal:
    """Contain proposed columns, and the doubts about them.

    Args:
        text: column of the text; None if no column looks like one.
        second_text: column of the second text, for a task over pairs.
        label: column of the label; None if no column looks like one.
        doubts: ``text``, ``second_text`` or ``label`` -> why the proposal may be wrong.
    """

    text: str | None
    second_text: str | None
    label: str | None
    doubts: Mapping[str, str] = field(default_factory=dict)


def propose(columns: Sequence[Column]) -> Proposal:
    """Propose the columns of a task from the names and values of all columns."""
    doubts: dict[str, str] = {}
    label = _propose_label(columns, doubts)
    texts = [column for column in columns if column.may_be_text and column.name != label]
    names = [column.name for column in texts]
    if pair := _pair(names):
        return Proposal(*pair, label, doubts)
    if not texts:
        doubts["text"] = "no column looks like a text"
        return Proposal(None, None, label, doubts)
    named = [name for name in names if _is_named(name, TEXT_NAMES)]
    longest = max(texts, key=lambda column: column.words).name
    text = named[0] if len(named) == 1 else longest
    if len(names) > 1:
        doubts["text"] = f"{len(names)} columns look like texts ({', '.join(names[:8])})"
    return Proposal(text, None, label, doubts)


def _propose_label(columns: Sequence[Column], doubts: dict[str, str]) -> str | None:
    found = [column.name for column in columns if column.may_be_label]
    named = [name for name in found if _is_named(name, LABEL_NAMES)]
    if not found:
        doubts["label"] = "no column looks like a label, with few values that repeat"
        return None
    if len(found) > 1 and len(named) != 1:
        doubts["label"] = f"{len(found)} columns look like labels ({', '.join(found[:8])})"
    words = [column.name for column in columns if column.name in found and not column.numeric]
    return (named or words or found)[0]  # numbers are often ids or groups


def _is_named(name: str, names: Sequence[str]) -> bool:
    return name.strip().lower() in names


def _pair(names: Sequence[str]) -> tuple[str, str] | None:
    """Return two columns whose names say that they are the two texts of a pair."""
    lower = {name.lower(): name for name in names}
    for first, second in PAIRS:
        if first in lower and second in lower:
            return lower[first], lower[second]
    for name in names:
        for end, other in (("1", "2"), ("_a", "_b"), ("A", "B")):
            if name.endswith(end) and (partner := name[: -len(end)] + other) in names:
                return name, partner
    return None
