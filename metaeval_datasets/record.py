"""Describe the tasks of a published copy: the records in ``tasks.json``, stored with the data. This module does no I/O.

A record contains what the card, ``load_dataset("metaeval", ..., source=)`` and ``metaeval publish --verify`` need: the
parts of the declaration that matter without the source, the report of how the rows were built, and for each split its
files, its number of rows and a digest of their content.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from metaeval_datasets.report import Report
from metaeval_datasets.spec import SPLITS

RECORDS_FILE = "tasks.json"
_TASK = re.compile(r"[a-z0-9_]+/[A-Za-z0-9_+.\-]+")
_DATA_FILE = re.compile(r"[a-z]+-\d{5}-of-\d{5}\.parquet")
FORMAT = 1  # version of the file format and the folder layout


class RecordError(ValueError):
    """Raised for a ``tasks.json`` that this release cannot read; the message says why."""


@dataclass(frozen=True)
class SplitRecord:
    """Describe one split of a published task.

    Args:
        rows: number of rows.
        num_bytes: bytes of the rows in memory, in Arrow format.
        content: digest of the rows, independent of their files (``publish.Digest``).
        files: file name -> size in bytes, in order.
    """

    rows: int
    num_bytes: int
    content: str
    files: Mapping[str, int]


@dataclass(frozen=True)
class TaskRecord:
    """Describe one published task.

    Args:
        task: ``group/task``.
        edition: ``careful`` or ``paper``.
        fingerprint: digest of the declaration and of the version of the rows.
        type: task type.
        fields: names of the text columns.
        names: class names in index order.
        canonical: class names shared between tasks, in index order.
        license: licence, as declared.
        citation: key of the reference, as declared.
        in_101: whether the task is one of the 101 tasks of the paper.
        notes: what users should know.
        paper: how the paper's edition differs; empty if it does not, or if this is the paper's edition.
        report: how the rows were built.
        splits: split -> its record, in the order train, validation, test.
    """

    task: str
    edition: str
    fingerprint: str
    type: str
    fields: tuple[str, ...]
    names: tuple[str, ...]
    canonical: tuple[str, ...]
    license: str
    citation: str
    in_101: bool
    notes: str
    paper: str
    report: Report
    splits: Mapping[str, SplitRecord]

    @property
    def config(self) -> str:
        """Return the name of the config and of its folder."""
        return self.task.replace("/", "-")

    @property
    def paths(self) -> dict[str, int]:
        """Return path in the repository -> size in bytes, for all files."""
        splits = self.splits.values()
        return {f"{self.config}/{name}": size for split in splits for name, size in split.files.items()}

    @property
    def rows(self) -> int:
        """Return the number of rows of all splits."""
        return sum(split.rows for split in self.splits.values())

    def is_like(self, other: TaskRecord) -> bool:
        """Return whether two records are equal except for the files, whose sizes depend on the version of pyarrow."""
        return self._without_files() == other._without_files()

    def _without_files(self) -> TaskRecord:
        splits = {name: dataclasses.replace(split, files={}) for name, split in self.splits.items()}
        return dataclasses.replace(self, splits=splits)

    def to_dict(self) -> dict[str, Any]:
        """Return the record as data for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> TaskRecord:
        """Create a record from the result of ``to_dict``, read back from JSON.

        Raises:
            RecordError: the data is not a record.
        """
        try:
            values = {entry.name: data[entry.name] for entry in dataclasses.fields(cls)}
            for name in ("fields", "names", "canonical"):
                values[name] = tuple(map(str, values[name]))
            splits = {name: SplitRecord(**values["splits"][name]) for name in SPLITS if name in values["splits"]}
            report = Report.from_dict(dict(values["report"]))
            record = cls(**{**values, "report": report, "splits": splits})
            sound = _TASK.fullmatch(record.task) and all(
                _DATA_FILE.fullmatch(name) for split in splits.values() for name in split.files
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise RecordError(f"a record is not as expected: {type(error).__name__}: {str(error)[:200]}") from error
        if place := _misfit(record, cls, "record"):
            raise RecordError(f"a record is not as expected: {place[:200]} has a value of the wrong type")
        if not sound:
            raise RecordError(f"the record of {record.task!r} has an invalid task name or file name")
        return record


def dump_records(records: Iterable[TaskRecord]) -> str:
    """Return the text of ``tasks.json``; equal records in the same order give equal texts."""
    tasks = [record.to_dict() for record in records]
    return json.dumps({"format": FORMAT, "tasks": tasks}, indent=1, ensure_ascii=False) + "\n"


def load_records(text: str | bytes) -> dict[str, TaskRecord]:
    """Return task name -> record, from the text of ``tasks.json``.

    Raises:
        RecordError: the text is not such a file, or has another format.
    """
    try:
        data = json.loads(text)
        written, tasks = data["format"], data["tasks"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        raise RecordError(f"{RECORDS_FILE} is not as expected: {reason}") from error
    if written != FORMAT or isinstance(written, bool):
        raise RecordError(
            f"{RECORDS_FILE} has format {repr(written)[:80]}, expected {FORMAT}; use another release of metaeval"
        )
    if not isinstance(tasks, list):
        raise RecordError(f"{RECORDS_FILE} is not as expected: `tasks` is a {type(tasks).__name__}, expected a list")
    records = [TaskRecord.from_dict(entry) for entry in tasks]
    return {record.task: record for record in records}


def _misfit(value: Any, hint: Any, place: str) -> str | None:
    """Return the first field whose value, read from JSON, has the wrong type; None if there is none."""
    if isinstance(hint, UnionType):
        return None if any(_misfit(value, part, place) is None for part in get_args(hint)) else place
    kind, parts = get_origin(hint) or hint, get_args(hint)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        return place
    inner: Iterable[tuple[Any, Any, str]] = ()
    if dataclasses.is_dataclass(kind):
        inner = ((getattr(value, name), each, f"{place}.{name}") for name, each in get_type_hints(kind).items())
    elif isinstance(value, Mapping):
        inner = ((each, parts[1], f"{place}[{key!r}]") for key, each in value.items())
    elif parts:
        inner = ((each, parts[0], f"{place}[{i}]") for i, each in enumerate(value))
    return next(filter(None, (_misfit(*each) for each in inner)), None)
