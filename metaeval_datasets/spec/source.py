"""Describe where the rows of a task are: a dataset repository on the Hub, or a module of this package."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from metaeval_datasets.spec.checks import SPLITS, SpecError, name_tuples, unique_names
from metaeval_datasets.spec.files import Files
from metaeval_datasets.spec.groups import Groups, check_groups
from metaeval_datasets.spec.steps import Stack, Step, check_step
from metaeval_datasets.spec.texts import Text, check_text

_REPO = re.compile(r"[A-Za-z0-9_.\-]+/[A-Za-z0-9_.\-]+")


@dataclass(frozen=True)
class Source:
    """Describe one dataset repository on the Hub that has a task's rows as Parquet, CSV or JSON lines.

    Args:
        repo: dataset repository, ``owner/name``.
        config: config within the repository. Several configs are concatenated in this order, split by split.
        revision: full commit id, tag or branch (``refs/convert/parquet``); None is the main branch.
        files: split of the source -> paths or patterns inside the repository. Needed only if neither the
            repository's card nor the usual layout gives them. ``{config}`` is replaced by each config in turn.
        splits: split of the task -> split of the source; several are concatenated in order (ANLI's rounds). A split
            that is not listed has the same name in the source.
        columns: column that the task uses -> column of this source, or a text made from its columns.
        steps: transformations of rows, applied before ``columns``.
        label_names: class names in the order of this source's integer labels. Needed only if the files store plain
            integers in an order other than the task's ``names``; files that store class names are read by name.
        label_values: label as this source writes it -> class name, or None to leave its rows out. Replaces the
            task's ``label_values`` completely.
        groups: replaces the task's ``groups`` for this source.
        delimiter: separator of CSV files; default: tab for ``.tsv`` files, comma for others.
        header: column names of CSV files that have no header line.
        note: what differs in this source (row counts, spelling); shown when rows come from it.
        quote: character around CSV fields that contain a separator or a line break; None if quotation marks are part
            of the texts.

    Raises:
        SpecError: a field has a value that cannot be right.
    """

    repo: str
    config: str | tuple[str, ...] | None = None
    revision: str | None = None
    files: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    splits: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    columns: Mapping[str, Text] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    label_names: tuple[str, ...] | None = None
    label_values: Mapping[str | int, str | None] | None = None
    groups: Groups | None = None
    delimiter: str | None = None
    header: tuple[str, ...] | None = None
    note: str = ""
    quote: str | None = '"'

    def __post_init__(self) -> None:
        where = f"source {self.repo!r}"
        if not isinstance(self.repo, str) or not _REPO.fullmatch(self.repo):
            raise SpecError(f"{where}: `repo` must be the 'owner/name' of a dataset repository on the Hub")
        self._check_configs(where)
        self._check_splits(where)
        object.__setattr__(self, "files", name_tuples(where, "files", self.files))
        object.__setattr__(self, "columns", dict(self.columns))
        for column, text in self.columns.items():
            check_text(where, f"columns[{column!r}]", text)
        object.__setattr__(self, "steps", tuple(self.steps))
        for step in self.steps:
            check_step(where, step)
        if self.label_names is not None:
            object.__setattr__(self, "label_names", unique_names(where, "label_names", self.label_names))
        if self.label_values is not None:
            object.__setattr__(self, "label_values", dict(self.label_values))
        check_groups(where, self.groups)
        self._check_csv(where)

    @property
    def configs(self) -> tuple[str | None, ...]:
        """Return the configs to read, in order; ``(None,)`` if none is declared."""
        return self.config if isinstance(self.config, tuple) else (self.config,)

    def source_splits(self, split: str) -> tuple[str, ...]:
        """Return the splits of the source that make up a split of the task, in order."""
        return tuple(self.splits.get(split, (split,)))

    def _check_configs(self, where: str) -> None:
        if isinstance(self.config, list):
            object.__setattr__(self, "config", tuple(self.config))
        for config in self.configs:
            if self.config is not None and (not isinstance(config, str) or not config):
                raise SpecError(f"{where}: `config` contains {config!r}; expected non-empty names")
        if len(set(self.configs)) < len(self.configs):
            raise SpecError(f"{where}: `config` lists a config twice: {self.config!r}")

    def _check_splits(self, where: str) -> None:
        object.__setattr__(self, "splits", name_tuples(where, "splits", self.splits))
        if unknown := set(self.splits) - set(SPLITS):
            raise SpecError(f"{where}: `splits` maps {sorted(unknown)}; expected keys among {SPLITS}")
        used = [name for names in self.splits.values() for name in names]
        if len(set(used)) < len(used):
            raise SpecError(f"{where}: `splits` uses a split of the source twice: {dict(self.splits)}")

    def _check_csv(self, where: str) -> None:
        if self.delimiter is not None and len(self.delimiter) != 1:
            raise SpecError(f"{where}: `delimiter` must be one character, got {self.delimiter!r}")
        if self.quote is not None and (len(self.quote) != 1 or self.quote == self.delimiter):
            raise SpecError(
                f"{where}: `quote` must be one character other than `delimiter`, or None, got {self.quote!r}"
            )
        if self.header is not None:
            object.__setattr__(self, "header", unique_names(where, "header", self.header))


@dataclass(frozen=True)
class Embedded:
    """Describe rows that a module of this package generates: ``generate(task_name) -> {split: pyarrow.Table}``.

    Args:
        module: name of the module in ``metaeval_datasets``.
        version: raise it when the module generates other rows, so that cached rows are prepared again.

    Raises:
        SpecError: ``module`` is not a module name.
    """

    module: str = "demo"
    version: int = 1

    def __post_init__(self) -> None:
        if not self.module.isidentifier():
            raise SpecError(f"embedded source: `module` must be a module of metaeval_datasets, got {self.module!r}")


AnySource: TypeAlias = Source | Embedded | Files


def rows_per_source_row(source: AnySource) -> int:
    """Return the number of rows that the steps of a source make from one of its rows."""
    steps = source.steps if isinstance(source, Source) else ()
    return math.prod(len(step.labels) for step in steps if isinstance(step, Stack))
