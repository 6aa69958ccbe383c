"""Describe what the source check found: for each split, each source and each task."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from metaeval_datasets.spec import EditionName

Status = Literal["usable", "differs", "not usable"]


@dataclass
class SplitCheck:
    """One official split of a task in one source.

    Args:
        files, bytes: how many files, and their size.
        rows: rows of the source in them; None where nothing tells.
        declared: rows that the declaration lets expect of this source; None where it does not say.
        hidden: declared as without labels, and so not read.
    """

    files: int = 0
    bytes: int = 0
    rows: int | None = None
    declared: int | None = None
    hidden: bool = False


@dataclass
class SourceCheck:
    """One source of a task.

    Args:
        source: repository, configs and revision, for people.
        repo, name: repository as declared, and as it is called today (None: not known).
        configs: those that are read.
        revision, commit: as declared, and the commit it leads to.
        gated: its conditions have to be accepted.
        splits: official split -> its files and rows; those found.
        columns: column -> type, of the first file; of CSV and JSON files only those that are read.
        label_names: class names that files or card carry.
        licenses: of the repository.
        problems: why it cannot serve, in words.
        missing: splits that the declaration promises and the source lacks, in words.
        differences: what else is not as declared, in words.
        answered: False where the Hub could not be asked, so that nothing is known.
    """

    source: str
    repo: str | None = None
    name: str | None = None
    configs: list[str] = field(default_factory=list)
    revision: str | None = None
    commit: str | None = None
    gated: bool = False
    splits: dict[str, SplitCheck] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    label_names: list[str] | None = None
    licenses: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    answered: bool = True

    @property
    def status(self) -> Status:
        """``usable``, ``differs`` or ``not usable``."""
        if self.problems:
            return "not usable"
        return "differs" if self.missing or self.differences else "usable"

    @property
    def findings(self) -> list[str]:
        """All that is not as declared, worst first."""
        lacks = [f"lacks {', '.join(self.missing)}"] if self.missing else []
        return [*self.problems, *lacks, *self.differences]


@dataclass
class TaskCheck:
    """One edition of a task: its sources in declared order."""

    task: str
    edition: EditionName
    sources: list[SourceCheck]

    @property
    def serves(self) -> int | None:
        """Number of the source that loading chooses: the first that is whole, else the one with most splits."""
        usable = [number for number, source in enumerate(self.sources) if not source.problems]
        for number in usable:
            if not self.sources[number].missing:
                return number
        return max(usable, key=lambda number: self._worth(self.sources[number]), default=None)

    @property
    def status(self) -> Status:
        """``usable``, ``differs`` or ``not usable``."""
        if self.serves is None:
            return "not usable"
        return "differs" if self.serves else self.sources[0].status

    @staticmethod
    def _worth(source: SourceCheck) -> tuple[int, int]:
        return sum(not split.hidden for split in source.splits.values()), -len(source.missing)
