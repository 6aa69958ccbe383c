"""Read the rows of a task from its source into its splits, batch by batch, and count the rows that are dropped.

If no split is derived, every official split is read once. If a split is derived, its rows are known only after the
whole official train split was read: this pass keeps 9 bytes per row in memory (17 with row groups) and stores the cast
rows on disk, from where each split reads its own. When streaming, nothing is stored, and the source is read again for
each split. No pass keeps more than one batch of texts in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from metaeval_datasets.cast import GROUP, cast_table, row_groups
from metaeval_datasets.hashing import combine, mix
from metaeval_datasets.outside import LabelTally
from metaeval_datasets.schema import LABEL, check_rows, features, to_schema
from metaeval_datasets.sources.asking import SourceError
from metaeval_datasets.sources.hub_files import Token
from metaeval_datasets.sources.opening import OpenedSource
from metaeval_datasets.sources.source_files import SourceFile, name_in_errors, read_source_file
from metaeval_datasets.spec import Alone, TaskSpec, rows_per_source_row
from metaeval_datasets.splits import DROPPED, Rule, Seen, content_hashes, count_classes, cut, split_rule

DUPLICATE = "same texts and label as an earlier row"


@dataclass
class Counts:
    """Count the rows cast from one official split, those dropped by reason, and their labels."""

    read: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    labels: LabelTally = field(default_factory=LabelTally)

    def add(self, other: Counts) -> None:
        """Add the counts of another object, such as from another process."""
        self.read += other.read
        self.dropped.update(other.dropped)
        self.labels.add_all(other.labels)

    def refuse(self, spec: TaskSpec, official: str) -> None:
        """Check that the labels of a split are those declared.

        Raises:
            SourceError: they are not; the message names some.
        """
        if spec.has_labels and (reason := self.labels.refusal(spec.names)):
            raise SourceError(f"{official}: {reason}")


@dataclass(frozen=True)
class Shard:
    """Describe files that are read in sequence, and the number of their first row; shards can be read in parallel."""

    pieces: tuple[SourceFile, ...]
    first_row: int = 0


@dataclass(frozen=True)
class Assignment:
    """Assign each cast row of the official train split to a split.

    Args:
        codes: (N,): 0 for train, k for the k-th derived split (from 1), ``DROPPED``.
        derived: derived splits, in the order in which they were derived.
        counts: counts of the official train split.
        classes: (1 + derived splits, C): number of rows of each class in train and in each derived split.
    """

    codes: NDArray[np.uint8]
    derived: tuple[str, ...]
    counts: Counts
    classes: NDArray[np.int64]

    def code(self, split: str) -> int:
        """Return the code of a split."""
        return 0 if split == "train" else 1 + self.derived.index(split)

    def rows(self, split: str) -> int:
        """Return the number of rows of a split."""
        return int(self.classes[self.code(split)].sum())

    def lacking(self, split: str) -> list[int]:
        """Return the classes that have rows, but none in a split."""
        return np.flatnonzero((self.classes[self.code(split)] == 0) & self.classes.any(axis=0)).tolist()


def rule_for(opened: OpenedSource) -> Rule:
    """Return the split rule for the official splits of an opened source."""
    if not opened.spec.has_labels:
        return Rule({split: split for split in opened.pieces}, ())
    return split_rule(set(opened.pieces))


def shards(opened: OpenedSource, official: str) -> list[Shard]:
    """Return the parts of an official split that can be read in parallel, each with the number of its first row."""
    pieces = opened.pieces[official]
    if opened.spec.distinct or any(piece.rows is None for piece in pieces):
        return [Shard(pieces)]
    firsts = np.cumsum([0, *(piece.rows or 0 for piece in pieces)])
    return [Shard((piece,), int(first)) for piece, first in zip(pieces, firsts[:-1], strict=True)]


def assign(opened: OpenedSource, rule: Rule, token: Token = None, aside: Path | None = None) -> Assignment:
    """Read the official train split and choose the rows of the derived splits.

    Args:
        opened: the source.
        rule: the split rule, with the splits to derive.
        token: token for remote files.
        aside: folder to store the usable rows in, for ``split_tables``; None stores none.
    """
    # Read one file at a time: four in parallel would halve the time on idle cores, but double the memory.
    found = _Found()
    for shard in shards(opened, "train"):
        _look_at(opened, shard, found, token, aside)
    grouped = not isinstance(row_groups(opened.spec, opened.source), Alone)
    codes = np.frombuffer(found.codes, np.uint8)
    contents = np.frombuffer(found.contents, np.uint64)
    labels = np.frombuffer(found.labels, np.min_scalar_type(len(opened.spec.names)))
    groups = np.frombuffer(found.groups, np.uint64) if grouped else None
    chosen = codes[codes != DROPPED] = cut(contents, groups, rule.derived, labels)
    classes = count_classes(chosen, labels, 1 + len(rule.derived), len(opened.spec.names))
    return Assignment(codes, rule.derived, found.counts, classes)


@dataclass
class _Found:
    """Collect codes (N bytes) of N cast rows; contents, groups (8 M bytes each), labels of M usable rows; and counts.

    Byte arrays grow in place; lists of arrays would have to be copied at the end, with twice the memory.
    """

    codes: bytearray = field(default_factory=bytearray)
    contents: bytearray = field(default_factory=bytearray)
    groups: bytearray = field(default_factory=bytearray)
    labels: bytearray = field(default_factory=bytearray)
    counts: Counts = field(default_factory=Counts)


def _look_at(opened: OpenedSource, shard: Shard, found: _Found, token: Token, aside: Path | None) -> None:
    """Read a shard of the official train split and collect what the derivation of splits needs."""
    with _rows_aside(opened.spec, shard, aside) as keep:
        for table, usable in _checked(opened, shard, found.counts, token):
            found.codes += np.where(usable, 0, DROPPED).astype(np.uint8).data
            found.contents += content_hashes(table, opened.spec)[usable].data
            found.labels += table[LABEL].to_numpy()[usable].astype(np.min_scalar_type(len(opened.spec.names))).data
            if GROUP in table.column_names:
                found.groups += table[GROUP].to_numpy()[usable].data
            keep(table)  # with the dropped rows: to filter once, when a split reads its rows, is faster


@contextmanager
def _rows_aside(spec: TaskSpec, shard: Shard, aside: Path | None) -> Iterator[Callable[[pa.Table], None]]:
    """Return a function that stores the cast rows of a shard in a folder, batch by batch; without a folder, a no-op."""
    if aside is None:
        yield lambda table: None
        return
    schema = features(spec).arrow_schema
    with pa.OSFile(str(_file_aside(aside, shard)), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
        yield lambda table: writer.write_table(to_schema(table, spec))


def _file_aside(aside: Path, shard: Shard) -> Path:
    return aside / f"{shard.first_row}.arrow"


def split_tables(
    opened: OpenedSource,
    parts: Sequence[Shard],
    split: str,
    assignment: Assignment | None,
    counts: Counts,
    token: Token = None,
    aside: Path | None = None,
) -> Iterator[tuple[tuple[int, int], pa.Table]]:
    """Yield the rows of one split of the task, cast to the schema.

    Args:
        opened: the source.
        parts: shards of the official split that the rows come from.
        split: train, validation or test.
        assignment: assignment of rows, if splits are derived from the official train split.
        counts: updated while rows are read, if there is no assignment.
        token: token for remote files.
        aside: folder in which ``assign`` stored the rows; None reads the source again.

    Yields:
        (number of the shard, number of the batch) and a table that is not empty.
    """
    made = rows_per_source_row(opened.source)
    for number, shard in enumerate(parts):
        if assignment is None:
            tables = _usable(opened, shard, counts, token)
        elif aside is not None:
            tables = _set_aside(_file_aside(aside, shard), assignment, shard.first_row * made, split)
        else:
            tables = _assigned(opened, shard, assignment, shard.first_row * made, split, token)
        for batch, table in enumerate(tables):
            if len(table):
                yield (number, batch), table


def _only(table: pa.Table, mask: NDArray[np.bool_]) -> pa.Table:
    return table if mask.all() else table.filter(pa.array(mask))


def _usable(opened: OpenedSource, shard: Shard, counts: Counts, token: Token) -> Iterator[pa.Table]:
    """Yield the usable rows of a shard in the schema."""
    for table, usable in _checked(opened, shard, counts, token):
        yield to_schema(_only(table, usable), opened.spec)


def _checked(
    opened: OpenedSource, shard: Shard, counts: Counts, token: Token
) -> Iterator[tuple[pa.Table, NDArray[np.bool_]]]:
    """Yield cast batches of a shard and a mask of their usable rows; count the others."""
    spec = opened.spec
    seen = Seen()
    for table in _cast_batches(opened, shard, token, counts.labels):
        mask, dropped = check_rows(table, spec, keep_unlabelled=not spec.has_labels)
        usable = mask.to_numpy(zero_copy_only=False)
        if spec.distinct:
            usable = _without_repeats(table, usable, spec, seen, dropped)
        counts.add(Counts(len(table), dropped))
        yield table, usable


def _without_repeats(
    table: pa.Table, usable: NDArray[np.bool_], spec: TaskSpec, seen: Seen, dropped: Counter[str]
) -> NDArray[np.bool_]:
    kept = _only(table, usable)
    first = seen.first(combine(content_hashes(kept, spec), mix(kept[LABEL].to_numpy().astype(np.uint64))))
    if repeats := int(np.count_nonzero(~first)):
        dropped[DUPLICATE] += repeats
    usable = usable.copy()
    usable[usable] = first
    return usable


def _set_aside(path: Path, assignment: Assignment, first: int, split: str) -> Iterator[pa.Table]:
    """Yield the rows of a split from a file that ``assign`` stored, which begins with cast row ``first``."""
    with pa.OSFile(str(path), "rb") as file:  # not memory-mapped, which would count as used memory
        for batch in pa.ipc.open_stream(file):
            codes = assignment.codes[first : first + len(batch)]
            first += len(batch)
            yield _only(pa.Table.from_batches([batch]), codes == assignment.code(split))


def _assigned(
    opened: OpenedSource, shard: Shard, assignment: Assignment, first: int, split: str, token: Token
) -> Iterator[pa.Table]:
    """Yield the rows of a split in a shard, which begins with cast row ``first``, in the schema."""
    for table in _cast_batches(opened, shard, token):
        codes = assignment.codes[first : first + len(table)]
        first += len(table)
        yield to_schema(_only(table, codes == assignment.code(split)), opened.spec)


def _cast_batches(
    opened: OpenedSource, shard: Shard, token: Token, seen: LabelTally | None = None
) -> Iterator[pa.Table]:
    row = shard.first_row
    for piece in shard.pieces:
        for table in read_source_file(piece, opened.spec, opened.source, token):
            with name_in_errors(piece):
                cast = cast_table(table, opened.spec, opened.source, row, piece.config, piece.label_names, seen)
            yield cast
            row += len(table)
