"""Describe what the source check found: for each split, each source and each task."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from metaeval_datasets.spec import EditionName

Status = Literal["usable", "differs", "not usable"]


@dataclass
class SplitCheck:
    """Describe one official split of a task in one source.

    Args:
        files: number of files.
        bytes: total size of the files.
        rows: number of source rows in them; None if unknown.
        declared: number of source rows expected by the declaration; None if it gives none.
        hidden: whether the split is declared as unlabelled and therefore not read.
    """

    files: int = 0
    bytes: int = 0
    rows: int | None = None
    declared: int | None = None
    hidden: bool = False


@dataclass
class SourceCheck:
    """Describe the result for one source of a task.

    Args:
        source: repository, configs and revision, for display.
        repo: repository as declared.
        name: current name of the repository; None if unknown.
        configs: configs that are read.
        revision: revision as declared.
        commit: commit id of the revision.
        gated: whether users have to accept conditions.
        splits: official split that was found -> its files and rows.
        columns: column -> type in the first file; for CSV and JSON files only the columns that are read.
        label_names: class names stored in the files or the card.
        licenses: licences of the repository.
        problems: reasons why the source cannot be used.
        missing: splits that are declared but missing, in words.
        differences: everything else that is not as declared, in words.
        answered: False if the Hub did not answer, so that nothing is known.
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
        """Return ``usable``, ``differs`` or ``not usable``."""
        if self.problems:
            return "not usable"
        return "differs" if self.missing or self.differences else "usable"

    @property
    def findings(self) -> list[str]:
        """Return everything that is not as declared, worst first."""
        lacks = [f"lacks {', '.join(self.missing)}"] if self.missing else []
        return [*self.problems, *lacks, *self.differences]


@dataclass
class TaskCheck:
    """Describe the results for one edition of a task, with its sources in declared order."""

    task: str
    edition: EditionName
    sources: list[SourceCheck]

    @property
    def serves(self) -> int | None:
        """Return the index of the source that loading uses: the first complete one, or the one with most splits."""
        usable = [number for number, source in enumerate(self.sources) if not source.problems]
        for number in usable:
            if not self.sources[number].missing:
                return number
        return max(usable, key=lambda number: self._worth(self.sources[number]), default=None)

    @property
    def status(self) -> Status:
        """Return ``usable``, ``differs`` or ``not usable``."""
        if self.serves is None:
            return "not usable"
        return "differs" if self.serves else self.sources[0].status

    @staticmethod
    def _worth(source: SourceCheck) -> tuple[int, int]:
        return sum(not split.hidden for split in source.splits.values()), -len(source.missing)
