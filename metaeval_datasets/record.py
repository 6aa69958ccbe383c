"""What a published copy says of its tasks: the records of ``tasks.json``, beside the data in its repository. Pure.

A record holds what a reader of the card, ``load_dataset("metaeval", ..., source=)`` and the verification need: the
declaration as far as it matters without the source, what was done to the rows, and for each split its files, its number
of rows and a digest of their content.
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
FORMAT = 1  # of the file and of the folders


class RecordError(ValueError):
    """A ``tasks.json`` that this release cannot read; says why."""


@dataclass(frozen=True)
class SplitRecord:
    """One split of a published task.

    Args:
        rows: number of rows.
        num_bytes: of the rows in memory, as Arrow holds them.
        content: digest of the rows, whatever files hold them (``publish.Digest``).
        files: file name -> size in bytes, in order.
    """

    rows: int
    num_bytes: int
    content: str
    files: Mapping[str, int]


@dataclass(frozen=True)
class TaskRecord:
    """One published task.

    Args:
        task: ``group/task``.
        edition: ``careful`` or ``paper``.
        fingerprint: of the declaration and of the code that made the rows.
        type: task type.
        fields: names of the text columns.
        names, canonical: class names in index order; those shared between tasks.
        license, citation: as declared.
        in_101: one of the 101 tasks of the paper.
        notes: what a user should know.
        paper: how the paper's edition differs; empty where it does not, or where this is it.
        report: what was done to make the rows.
        splits: in the order train, validation, test.
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
        """Name of the config, and of the folder."""
        return self.task.replace("/", "-")

    @property
    def paths(self) -> dict[str, int]:
        """Path in the repository -> size in bytes, of all files."""
        splits = self.splits.values()
        return {f"{self.config}/{name}": size for split in splits for name, size in split.files.items()}

    @property
    def rows(self) -> int:
        """Rows of all splits."""
        return sum(split.rows for split in self.splits.values())

    def is_like(self, other: TaskRecord) -> bool:
        """Tell whether all but the files is the same; their sizes depend on the release of pyarrow."""
        return self._without_files() == other._without_files()

    def _without_files(self) -> TaskRecord:
        splits = {name: dataclasses.replace(split, files={}) for name, split in self.splits.items()}
        return dataclasses.replace(self, splits=splits)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> TaskRecord:
        """From what ``to_dict`` gave, read back from JSON.

        Raises:
            RecordError: it is something else.
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
            raise RecordError(f"a record is not as expected: {place[:200]} has a value of another type")
        if not sound:
            raise RecordError(f"a record of {record.task!r} names a task or files as there are none")
        return record


def dump_records(records: Iterable[TaskRecord]) -> str:
    """The text of ``tasks.json``: the same for the same records in the same order."""
    tasks = [record.to_dict() for record in records]
    return json.dumps({"format": FORMAT, "tasks": tasks}, indent=1, ensure_ascii=False) + "\n"


def load_records(text: str | bytes) -> dict[str, TaskRecord]:
    """Task name -> record, from the text of ``tasks.json``.

    Raises:
        RecordError: the text is no such file, or of a later format.
    """
    try:
        data = json.loads(text)
        written, tasks = data["format"], data["tasks"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        told = f"{type(error).__name__}: {str(error)[:200]}"
        raise RecordError(f"{RECORDS_FILE} is not as expected: {told}") from error
    if written != FORMAT or isinstance(written, bool):
        raise RecordError(
            f"{RECORDS_FILE} has format {repr(written)[:80]}, this release reads {FORMAT}; another may read it"
        )
    if not isinstance(tasks, list):
        raise RecordError(f"{RECORDS_FILE} is not as expected: tasks is a {type(tasks).__name__}, not a list")
    records = [TaskRecord.from_dict(entry) for entry in tasks]
    return {record.task: record for record in records}


def _misfit(value: Any, hint: Any, place: str) -> str | None:
    """Return the first place whose value, read from JSON, is not of the type of its field; None if there is none."""
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
