"""Classify the rows of a file: the CSV file that `metaeval predict --file` writes has their columns and predictions."""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import uuid
from typing import TYPE_CHECKING, Any, TextIO

from metaeval_hub.cli.places import check_new_file, csv_given
from metaeval_hub.utils.products import matmul_precision

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa

    from metaeval_hub.encoders.tokens import Text
    from metaeval_hub.model.model import ConditionalAdapterModel

ONLY_WITH_FILE = ("text_columns", "second_text", "out", "encoding", "delimiter", "quote")
ADDED = ("prediction", "probability")  # columns before those of the classes
NOT_CSV = (".tsv", ".json", ".jsonl", ".parquet")


def check_options(options: argparse.Namespace) -> None:
    """Check which options go together.

    Raises:
        ValueError: texts or --json are given together with --file, or options about files without it.
        OSError: the file of --out cannot be written, or exists.
    """
    if options.file is None:
        for name in ONLY_WITH_FILE:
            if getattr(options, name) is not None:
                flag = "text" if name == "text_columns" else name.replace("_", "-")
                raise ValueError(f"--{flag} is about the rows of a file; name the file with --file, or leave it out")
        return
    if options.text or options.json:
        given = "--json" if options.json else "a text as argument"
        raise ValueError(f"--file {options.file} writes CSV with the rows of the file; leave out {given}, or --file")
    if options.second_text and not options.text_columns:
        raise ValueError(f"--second-text {options.second_text} needs --text, the column of the first text")
    if options.out:
        if options.out.suffix.lower() in NOT_CSV:
            raise ValueError(f"--out {options.out}: the output is CSV; give a name that ends in .csv")
        check_new_file(options.out, "--out")


def predict_file(options: argparse.Namespace, load: Callable[[], ConditionalAdapterModel]) -> None:
    """Write the rows of a file with their predictions.

    Args:
        options: of `metaeval predict`.
        load: loads the model, after the columns of the file were checked.

    Raises:
        ValueError: it is unclear which column is the text, the rows do not fit the task, or a column of the file has
            the name of a column that is added.
        SourceError: the file cannot be read, or lacks a column.
        OSError: the output cannot be written.
    """
    from metaeval_datasets.unlabelled import find_texts, read_rows

    csv_options = csv_given(options, options.file)
    given = _columns(options)
    texts = find_texts(options.file, csv_options) if given is None else given
    columns, batches = read_rows(options.file, texts, csv_options)
    model = load()
    model.task_id(options.task)  # raises an error that suggests the nearest name
    added = [*ADDED, *(f"p({name})" for name in model.labels[options.task])]
    if taken := [name for name in added if name in columns]:
        raise ValueError(
            f"{options.file} has a column {taken[0]!r}, and a column of this name would be added; rename it, or "
            "leave it out"
        )
    found = "" if given is not None else f", texts from column{'s' * (len(texts) > 1)} {' and '.join(map(repr, texts))}"
    if options.out is None:
        total, empty = _write(sys.stdout, model, options, [*columns, *added], batches)
        print(_summary(f"{_rows(total)}{found}", empty), file=sys.stderr)
        return
    options.out.parent.mkdir(parents=True, exist_ok=True)
    aside = options.out.with_name(f".{options.out.name}.{uuid.uuid4().hex}")
    try:
        with aside.open("w", encoding="utf-8", newline="") as file:
            total, empty = _write(file, model, options, [*columns, *added], batches)
        os.replace(aside, options.out)
    finally:
        aside.unlink(missing_ok=True)
    print(_summary(f"wrote {options.out} with {_rows(total)}{found}", empty))


def _columns(options: argparse.Namespace) -> Sequence[Any] | None:
    """Return the texts that the options name; None if they are found in the file."""
    from metaeval_datasets.spec import Join

    if not options.text_columns:
        return None
    first = Join(*options.text_columns) if len(options.text_columns) > 1 else options.text_columns[0]
    return [first, options.second_text] if options.second_text else [first]


def _write(
    file: TextIO,
    model: ConditionalAdapterModel,
    options: argparse.Namespace,
    head: Sequence[str],
    batches: Iterator[tuple[pa.Table, list[Text | None]]],
) -> tuple[int, int]:
    """Write all rows, and return their number and how many of them have no text."""
    from metaeval_datasets.columns import NO_ROWS

    writer = csv.writer(file, lineterminator="\n")
    total = empty = 0
    for table, texts in batches:
        given = [text for text in texts if text is not None]
        _check_form(model, options, given)
        cells = iter(_predict(model, options, given))
        if not total:  # not earlier: an error about the first rows leaves standard output empty
            writer.writerow(head)
        rows = zip(*(_cells(table[name]) for name in table.column_names), strict=True)
        blank = [""] * (len(head) - table.num_columns)
        writer.writerows(
            [*row, *(blank if text is None else next(cells))] for row, text in zip(rows, texts, strict=True)
        )
        total, empty = total + len(texts), empty + len(texts) - len(given)
    if not total:
        raise ValueError(f"{options.file} {NO_ROWS}")
    return total, empty


def _cells(column: pa.ChunkedArray) -> list[Any]:
    """Return the cells of a column as CSV: lists and objects as JSON, bytes as UTF-8."""
    import pyarrow as pa

    values = column.to_pylist()
    if pa.types.is_nested(column.type):
        return [None if value is None else json.dumps(value, ensure_ascii=False, default=str) for value in values]
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return [None if value is None else value.decode("utf-8", "backslashreplace") for value in values]
    return values


def _predict(model: ConditionalAdapterModel, options: argparse.Namespace, texts: Sequence[Text]) -> list[list[str]]:
    """Return the cells of each text: the class, its probability, and the probabilities of all classes."""
    if not texts:
        return []
    with matmul_precision(options.matmul_precision):
        found = model.predict(options.task, texts, batch_size=options.batch_size)
    shares = [[f"{share:.4f}" for share in row] for row in found.probabilities.tolist()]
    return [[label, max(row), *row] for label, row in zip(found.labels, shares, strict=True)]


def _check_form(model: ConditionalAdapterModel, options: argparse.Namespace, texts: Sequence[Text]) -> None:
    """Check that the task is over single texts, or over pairs, as the rows are."""
    wanted = model.fields.get(options.task)
    if not texts or wanted is None or wanted == (1 if isinstance(texts[0], str) else 2):
        return
    over, read = ("pairs of texts", "single texts") if wanted == 2 else ("single texts", "pairs of texts")
    raise ValueError(
        f"{options.task} classifies {over}, and {options.file} was read as {read}; name the "
        f"column{'s with --text and --second-text' if wanted == 2 else ' with --text'}"
    )


def _rows(number: int) -> str:
    return f"{number:,} row{'s' * (number != 1)}"


def _summary(what: str, empty: int) -> str:
    return f"{what}; without a text, and therefore without a prediction: {empty:,}" if empty else what
