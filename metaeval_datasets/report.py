"""Report how a dataset was built: where its rows come from, how its splits were made, which rows are missing and why.

The report is stored in ``DatasetInfo.description`` as sentences and as JSON, so every loaded dataset carries it. Read
it with ``read_report(dataset.info)``.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from datasets import DatasetInfo

from metaeval_datasets.spec import TaskSpec

_MARK = "report: "


@dataclass
class SplitReport:
    """Report on one split of the task.

    Args:
        official: official split that its rows come from.
        derived: whether it is a part of the official split, rather than the whole.
        rows: number of rows; None when streaming.
        lacks: classes without a row in this split.
    """

    official: str
    derived: bool
    rows: int | None = None
    lacks: list[str] = field(default_factory=list)


@dataclass
class OfficialReport:
    """Report on one official split.

    Args:
        read: number of rows cast from it.
        dropped: reason -> number of these rows that are in no split of the task.
    """

    read: int
    dropped: dict[str, int]


@dataclass
class Report:
    """Report how a loaded task was built.

    Args:
        task: name of the task, ``group/task``.
        edition: ``careful`` or ``paper``.
        source: repository, config and revision that the rows come from.
        commit: commit id of its files; None for rows that this package generates.
        missing: splits that are declared but missing in the source.
        passed_over: sources that were tried before and not used, each ``{"source", "reason"}``.
        splits: split of the task -> where its rows come from.
        official: official split -> rows read and dropped; empty when streaming.
        unlabelled: official splits that were not read because their labels are hidden -> rows, None if unknown.
        copy: published copy that was read instead of the source, with its commit; None if the source was read.
    """

    task: str
    edition: str
    source: str
    commit: str | None
    missing: list[str] = field(default_factory=list)
    passed_over: list[dict[str, str]] = field(default_factory=list)
    splits: dict[str, SplitReport] = field(default_factory=dict)
    official: dict[str, OfficialReport] = field(default_factory=dict)
    unlabelled: dict[str, int | None] = field(default_factory=dict)
    copy: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the report as data for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Report:
        """Create a report from the result of ``to_dict``."""
        splits = {name: SplitReport(**entry) for name, entry in data.pop("splits").items()}
        official = {name: OfficialReport(**entry) for name, entry in data.pop("official").items()}
        return cls(**data, splits=splits, official=official)

    def lines(self) -> list[str]:
        """Return the report as sentences."""
        commit = f", commit {self.commit}" if self.commit else ""
        lines = [f"Read from the copy {self.copy}."] if self.copy else []
        lines += [f"Rows from {self.source}{commit}."]
        lines += [f"Not used: {entry['source']}: {entry['reason']}." for entry in self.passed_over]
        lines += [
            f"The source lacks {text}, so the splits differ from those of the complete task." for text in self.missing
        ]
        for name, split in self.splits.items():
            rows = "" if split.rows is None else f": {split.rows:,} rows"
            origin = "derived from the" if split.derived else "the"
            lines.append(f"{name}{rows}, {origin} official {split.official} split.")
            if split.lacks:
                lines.append(f"{name} has no row of {', '.join(split.lacks)}: too few rows can be moved to it.")
        for name, official in self.official.items():
            for reason, count in official.dropped.items():
                lines.append(f"Dropped from official {name}: {count:,} of {official.read:,} rows ({reason}).")
        for name, hidden in self.unlabelled.items():
            rows = "" if hidden is None else f" ({hidden:,} rows)"
            lines.append(f"Not read, labels hidden: official {name}{rows}.")
        return lines


def describe(spec: TaskSpec, report: Report | None = None) -> str:
    """Return text for ``DatasetInfo.description``: the task in words, then the report as sentences and as JSON."""
    fields = "one text field" if spec.num_text_fields == 1 else "two text fields"
    text = f"{spec.name}: {spec.type.value}, {fields}, classes {', '.join(spec.names)}."
    parts = [text, *([spec.notes] if spec.notes else [])]
    if report is not None:
        # ASCII only, because a reason can contain characters that some readers treat as line breaks
        parts += [*report.lines(), _MARK + json.dumps(report.to_dict())]
    return "\n".join(parts)


def read_report(info: DatasetInfo) -> Report:
    """Return the report of a dataset that was loaded through ``metaeval``.

    Args:
        info: ``dataset.info`` or ``builder.info``.

    Raises:
        ValueError: the info contains no report.
    """
    for line in reversed((info.description or "").split("\n")):
        if line.startswith(_MARK):
            return Report.from_dict(json.loads(line[len(_MARK) :]))
    raise ValueError(
        "the dataset info contains no report; expected a dataset loaded with load_dataset('metaeval', ...)"
    )
