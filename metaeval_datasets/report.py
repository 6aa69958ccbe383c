"""What was done to make a task: where its rows came from, how its splits were made, which rows are missing and why.

It is kept in ``DatasetInfo.description``, as sentences and as JSON, so that it travels with every loaded dataset:
``read_report(dataset.info)``.
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
    """One split of ours: the official split it is taken from, whether it is cut from it, rows, classes it lacks."""

    official: str
    derived: bool
    rows: int | None = None
    lacks: list[str] = field(default_factory=list)


@dataclass
class OfficialReport:
    """One official split: rows cast from it, and those of them in no split of ours, by reason."""

    read: int
    dropped: dict[str, int]


@dataclass
class Report:
    """Facts about a loaded task.

    Args:
        task, edition: what was asked for.
        source: repository, config and revision that served.
        commit: the commit its files are from; None for rows made here.
        missing: what the declaration promises and the source lacks.
        passed_over: sources tried before, each ``{"source", "reason"}``.
        splits: split of ours -> where its rows come from.
        official: official split -> rows read and dropped; known once the task was prepared, not when streaming.
        unlabelled: official splits that were not read because their labels are hidden -> rows, None if not known.
        copy: the published copy that was read in place of the source, with its commit; None where none was.
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
        """As JSON-able data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Report:
        """From what ``to_dict`` gave."""
        splits = {name: SplitReport(**entry) for name, entry in data.pop("splits").items()}
        official = {name: OfficialReport(**entry) for name, entry in data.pop("official").items()}
        return cls(**data, splits=splits, official=official)

    def lines(self) -> list[str]:
        """The facts as sentences."""
        commit = f", commit {self.commit}" if self.commit else ""
        lines = [f"Read from the copy {self.copy}."] if self.copy else []
        lines += [f"Rows from {self.source}{commit}."]
        lines += [f"Not used: {entry['source']}: {entry['reason']}." for entry in self.passed_over]
        lines += [f"The source lacks {text}: splits are not those of the whole task." for text in self.missing]
        for name, split in self.splits.items():
            rows = "" if split.rows is None else f": {split.rows:,} rows"
            origin = "derived from the" if split.derived else "the"
            lines.append(f"{name}{rows}, {origin} official {split.official} split.")
            if split.lacks:
                lines.append(
                    f"{name} has no row of {', '.join(split.lacks)}: the official split has too few that can be moved."
                )
        for name, official in self.official.items():
            for reason, count in official.dropped.items():
                lines.append(f"Dropped from official {name}: {count:,} of {official.read:,} rows ({reason}).")
        for name, hidden in self.unlabelled.items():
            rows = "" if hidden is None else f" ({hidden:,} rows)"
            lines.append(f"Not read, labels hidden: official {name}{rows}.")
        return lines


def describe(spec: TaskSpec, report: Report | None = None) -> str:
    """Text for ``DatasetInfo.description``: the task in words, then the report in words and as JSON."""
    fields = "one text field" if spec.num_text_fields == 1 else "two text fields"
    text = f"{spec.name}: {spec.type.value}, {fields}, classes {', '.join(spec.names)}."
    parts = [text, *([spec.notes] if spec.notes else [])]
    if report is not None:
        # escaped, because a reason may hold any of the characters that end a line for some reader
        parts += [*report.lines(), _MARK + json.dumps(report.to_dict())]
    return "\n".join(parts)


def read_report(info: DatasetInfo) -> Report:
    """The report of a dataset that was loaded through ``metaeval``.

    Args:
        info: ``dataset.info`` or ``builder.info``.

    Raises:
        ValueError: the info holds no report.
    """
    for line in reversed((info.description or "").split("\n")):
        if line.startswith(_MARK):
            return Report.from_dict(json.loads(line[len(_MARK) :]))
    raise ValueError("the info holds no report; is this a dataset loaded with load_dataset('metaeval', ...)?")
