"""Check the files of one split of a source: columns, class names, labels and rows, from footers and first lines."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from metaeval_datasets.cast import CastError, cast_table, check_label_names, columns_to_read, label_code, label_source
from metaeval_datasets.outside import LabelTally
from metaeval_datasets.schema import UNKNOWN, UNLABELLED
from metaeval_datasets.sources.asking import SourceError
from metaeval_datasets.sources.check_results import SourceCheck
from metaeval_datasets.sources.hub_answers import Answers
from metaeval_datasets.sources.layout import kind_of
from metaeval_datasets.sources.readers import FormatError, require_columns
from metaeval_datasets.sources.source_files import (
    SourceFile,
    card_label_names,
    delimiter_of,
    read_file,
    stored_label_names,
)
from metaeval_datasets.spec import Source, TaskSpec

HEAD_ROWS = 1000


@dataclass(frozen=True)
class _File:
    """Describe one file by its footer or first lines.

    Args:
        columns: column -> type.
        rows: number of rows; None if unknown.
        names: class names stored in the file or the card.
        labels: some labels as written: smallest and largest of a Parquet file, or those of the first rows.
        whole: whether ``labels`` represent all rows.
        seen: counts of the labels of the inspected rows.
    """

    columns: dict[str, str]
    rows: int | None
    names: tuple[str, ...] | None
    labels: tuple[Any, ...]
    whole: bool
    seen: LabelTally = field(default_factory=LabelTally)


def check_files(
    check: SourceCheck,
    spec: TaskSpec,
    source: Source,
    answers: Answers,
    split: str,
    entries: Sequence[tuple[str | None, str]],
) -> None:
    """Check columns, class names, labels and rows of one split; add problems and differences to the result."""
    entry = check.splits[split]
    try:
        files = [_look_at(spec, source, answers, config, path, cast=not entry.hidden) for config, path in entries]
    except SourceError as error:
        if not entry.hidden:
            raise
        check.differences.append(f"{split} (labels hidden): {error}")
        return
    rows = [file.rows for file in files]
    entry.rows = _card_rows(source, answers, split) if None in rows else sum(row or 0 for row in rows)
    if not entry.hidden:
        check.columns = check.columns or files[0].columns
        check.label_names = check.label_names or (list(files[0].names) if files[0].names else None)
    codes = {token: label_code(token, spec, source, file.names) for file in files for token in file.labels}
    if entry.hidden or not spec.has_labels:
        if any(code >= 0 for code in codes.values()):
            check.differences.append(f"{split} has labels (declared hidden)")
        return
    for file in files:
        if reason := file.seen.refusal(spec.names):
            raise SourceError(f"{split}: {reason}")
    unknown = [token for token, code in codes.items() if code == UNKNOWN]
    words = f"{split}: label{'s' * (len(unknown) > 1)} {quote_some(unknown)} outside the declared names"
    counted_from_one = set(codes) == {1, len(spec.names)} and codes[len(spec.names)] == UNKNOWN
    if unknown and (len(unknown) == len(codes) or counted_from_one):
        raise SourceError(f"{words} {quote_some(spec.names)}")
    if unknown:
        check.differences.append(f"{words}; such rows are dropped")
    if set(codes.values()) == {UNLABELLED}:
        if all(file.whole for file in files):
            raise SourceError(f"{split}: no row has a label; if the labels are hidden, list the split in `unlabelled`")
        check.differences.append(f"{split}: the first rows have no label")


def _look_at(spec: TaskSpec, source: Source, answers: Answers, config: str | None, path: str, cast: bool) -> _File:
    """Inspect a file; with ``cast``, also check that its rows can be cast.

    Raises:
        SourceError: columns or class names are not as declared.
    """
    facts = answers.repo(source)
    names = card_label_names(facts.card, config, label_source(spec, source))
    look = _look_at_parquet if kind_of(path) == "parquet" else _look_at_head
    try:
        file, rows = look(spec, source, answers, config, path, names)
        if cast:
            if file.names:
                check_label_names(spec, source, file.names)
            cast_table(rows, spec, source, config=config, label_names=file.names, seen=file.seen)
    except (CastError, FormatError) as error:
        raise SourceError(str(error)) from error
    return file


def _look_at_parquet(
    spec: TaskSpec, source: Source, answers: Answers, config: str | None, path: str, names: tuple[str, ...] | None
) -> tuple[_File, pa.Table]:
    """Return the description of a Parquet file by its footer, and a table without rows."""
    opened = answers.footer(source, answers.repo(source), path)
    schema, label = opened.schema_arrow, label_source(spec, source)
    labels = _extremes(opened.metadata, label)
    wanted = columns_to_read(spec, source)
    require_columns(wanted, schema.names)
    file = _File(
        {item.name: str(item.type) for item in schema},
        opened.metadata.num_rows,
        stored_label_names(schema, label) or names,
        labels,
        whole=bool(labels),
    )
    return file, schema.empty_table().select(list(wanted)).replace_schema_metadata(None)


def _extremes(metadata: pq.FileMetaData, column: str | None) -> tuple[Any, ...]:
    """Return the smallest and the largest value of a column by the statistics in a footer; empty if unknown."""
    found: list[Any] = []
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        chunks = [row_group.column(number) for number in range(row_group.num_columns)]
        statistics = next((chunk.statistics for chunk in chunks if chunk.path_in_schema == column), None)
        if statistics is None or not statistics.has_min_max:
            return ()
        found += [statistics.min, statistics.max]
    return tuple(dict.fromkeys([min(found), max(found)])) if found else ()


def _look_at_head(
    spec: TaskSpec, source: Source, answers: Answers, config: str | None, path: str, names: tuple[str, ...] | None
) -> tuple[_File, pa.Table]:
    """Return the description of a CSV or JSON file by its first lines, and the rows in them."""
    facts, label = answers.repo(source), label_source(spec, source)
    content = answers.head(source, facts, path)
    piece = SourceFile(
        path,
        str(kind_of(path)),
        config,
        delimiter=delimiter_of(source, path),
        quote=source.quote,
        header=source.header,
        label_names=names,
    )
    tables = list(read_file(io.BytesIO(content), piece, spec, source))
    if not tables:
        raise SourceError(f"{path} has no rows")
    table = pa.concat_tables(tables)
    whole = len(content) == facts.sizes[path]
    head = table.slice(0, HEAD_ROWS)
    labels = tuple(head[label].unique().to_pylist()) if label is not None else ()
    columns = {item.name: str(item.type) for item in table.schema}
    return _File(columns, len(table) if whole else None, names, labels, whole and len(head) == len(table)), head


def _card_rows(source: Source, answers: Answers, split: str) -> int | None:
    """Return the number of rows of a split according to the card; None if it does not cover all parts."""
    known = answers.repo(source).card.rows
    counts = [
        known.get((config, name)) if config or (None, name) in known else known.get(("default", name))
        for config in source.configs
        for name in source.source_splits(split)
    ]
    return None if None in counts else sum(count or 0 for count in counts)


def quote_some(items: Sequence[object], count: int = 5) -> str:
    """Return the first items, quoted, and how many more there are."""
    more = f" and {len(items) - count} more" if len(items) > count else ""
    return ", ".join(map(repr, items[:count])) + more
