"""Read a task from a published copy: ``load_dataset("metaeval", "glue/cola", source="ORG/NAME")``.

The rows of a copy are already in the schema. They are not cast, dropped or split here, only checked against the record
of the copy and the declaration of this release. A copy is read at one commit, even if its branch moves meanwhile.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from metaeval_datasets.record import RECORDS_FILE, RecordError, TaskRecord, load_records
from metaeval_datasets.report import Report
from metaeval_datasets.schema import LABEL, UNLABELLED, features
from metaeval_datasets.sources.asking import NoSourceError, SourceError
from metaeval_datasets.sources.hub_files import Access, Token, fetch_file, fetch_whole, list_files
from metaeval_datasets.sources.opening import DOWNLOADS
from metaeval_datasets.sources.parquet import parquet_tables
from metaeval_datasets.sources.source_files import SourceFile, name_in_errors, open_source_file
from metaeval_datasets.spec import EditionName, TaskSpec


@dataclass(frozen=True)
class PublishedTask:
    """Describe one task of a published copy: repository, full commit id, its record, and the sizes of its files."""

    repo: str
    commit: str
    record: TaskRecord
    sizes: Mapping[str, int] = field(default_factory=dict)

    @property
    def report(self) -> Report:
        """Return the report of the published rows, with the copy that they are read from."""
        copy = f"{self.repo} ({self.record.config}), commit {self.commit}"
        return dataclasses.replace(self.record.report, copy=copy)


def find_copy(repo: str, spec: TaskSpec, edition: EditionName, revision: str | None, access: Access) -> PublishedTask:
    """Find a task in a published copy.

    Args:
        repo: dataset repository, ``ORG/NAME``, created by ``metaeval publish``.
        spec: the task in the requested edition.
        edition: the requested edition.
        revision: branch, tag or commit of the repository; None is the main branch.
        access: how to reach the Hub.

    Raises:
        NoSourceError: the copy does not exist, lacks the task or some of its files, or has the task in another edition
            or with other columns or class names than this release declares.
    """
    at = f"{repo} at {revision}" if revision else repo
    try:
        listing = list_files(repo, revision, access)
        if RECORDS_FILE not in listing.files:
            raise SourceError(f"has no {RECORDS_FILE}; expected a repository created by `metaeval publish`")
        path = fetch_file(repo, RECORDS_FILE, listing.commit, access)
        records = load_records(Path(path).read_bytes())
        if spec.name not in records:
            raise SourceError(f"does not contain this task among its {len(records)} tasks")
        record = records[spec.name]
        if gone := sorted(record.paths.keys() - set(listing.files)):
            raise SourceError(f"lacks the file {gone[0]}")
        _check(record, spec, edition)
    except (SourceError, RecordError) as error:
        raise NoSourceError(f"task {spec.name}: the copy {at} cannot be used: {error}") from error
    return PublishedTask(repo, listing.commit, record, listing.sizes)


def _check(record: TaskRecord, spec: TaskSpec, edition: EditionName) -> None:
    if record.edition != edition:
        raise SourceError(f"contains the {record.edition} edition; expected the {edition} edition")
    for what, held, declared in (
        ("columns", record.fields, tuple(spec.texts)),
        ("class names", record.names, spec.names),
    ):
        if held != declared:
            raise SourceError(
                f"has the {what} {list(held)}, but this release declares {list(declared)}; "
                "give the revision that was published with this release"
            )


def open_copy(copy: PublishedTask, access: Access) -> dict[str, tuple[SourceFile, ...]]:
    """Return split -> its files in order, downloaded (or to be read remotely).

    Raises:
        SourceError: a file cannot be downloaded; the message says why.
    """
    record = copy.record
    jobs = [(split, f"{record.config}/{name}") for split, made in record.splits.items() for name in made.files]
    with ThreadPoolExecutor(max_workers=DOWNLOADS) as pool:
        pieces = list(pool.map(lambda job: _piece(copy, job[1], access), jobs))
    return {
        split: tuple(piece for (its, _), piece in zip(jobs, pieces, strict=True) if its == split)
        for split in record.splits
    }


def _piece(copy: PublishedTask, path: str, access: Access) -> SourceFile:
    access.check_remote()
    if access.remote:
        return SourceFile(f"datasets/{copy.repo}@{copy.commit}/{path}", "parquet", remote=True)
    local = fetch_whole(copy.repo, path, copy.commit, copy.sizes.get(path), access)
    return SourceFile(local, "parquet", num_bytes=os.path.getsize(local))


def copied_tables(
    pieces: Sequence[SourceFile], spec: TaskSpec, token: Token = None
) -> Iterator[tuple[tuple[int, int], pa.Table]]:
    """Yield the rows of files of a copy.

    Yields:
        (number of the file, number of the batch) and a table in the schema.

    Raises:
        SourceError: a file lacks a column, or a label is not one of the classes.
    """
    schema = features(spec).arrow_schema
    for number, piece in enumerate(pieces):
        with name_in_errors(piece), open_source_file(piece, token) as file:
            for batch, rows in enumerate(parquet_tables(file, schema.names, piece.remote)):
                table = rows.cast(schema)
                _check_labels(table, spec, piece)
                yield (number, batch), table


def _check_labels(table: pa.Table, spec: TaskSpec, piece: SourceFile) -> None:
    lowest = 0 if spec.has_labels else UNLABELLED
    found = pc.min_max(table[LABEL]).as_py()
    if table[LABEL].null_count or found["min"] < lowest or found["max"] >= len(spec.names):
        raise SourceError(
            f"{piece.path}: labels from {found['min']} to {found['max']}, {table[LABEL].null_count} null; "
            f"expected {lowest} to {len(spec.names) - 1}"
        )
