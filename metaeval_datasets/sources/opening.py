"""The one file that fetches source data: finds a task's source on the Hub, at its revision, and reads its files.

Sources are Parquet, CSV and JSON-lines files; no code of theirs runs. They are tried in the declared order; a source
that is gone, gated, or has other columns or labels is passed over, with the reason. One that has only some of the
declared splits serves if no other has all, and says so. Reading goes batch by batch, from the Hub client's cache or,
when streaming, over ranges of the remote file.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq

from metaeval_datasets.cast import cast_table, check_label_names, columns_to_read, label_source
from metaeval_datasets.outside import LabelTally
from metaeval_datasets.sources.asking import NoSourceError, SilentHubError, SourceError
from metaeval_datasets.sources.hub_files import Access, Token, fetch_file, fetch_whole, list_files
from metaeval_datasets.sources.layout import (
    MAX_CARD_BYTES,
    Card,
    find_splits,
    kind_of,
    lookup,
    matching,
    missing_shards,
    read_card,
)
from metaeval_datasets.sources.listings import Listing
from metaeval_datasets.sources.readers import require_columns
from metaeval_datasets.sources.source_files import (
    Piece,
    card_label_names,
    count_rows,
    delimiter_of,
    name_in_errors,
    open_piece,
    read_piece,
    stored_label_names,
)
from metaeval_datasets.spec import AnySource, Embedded, Source, TaskSpec

logger = logging.getLogger(__name__)

DOWNLOADS = 4  # files downloaded at the same time
_USUAL_ACCESS = Access()

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Opened:
    """A source that serves a task.

    Args:
        spec: the task, one edition.
        source: the source that serves.
        commit: commit id that its files are from; None for embedded sources.
        pieces: official split -> its files, in reading order; only the splits that will be read.
        missing: what the declaration promises and the source lacks, in words.
        failures: (source, reason) of the sources passed over.
        unlabelled: splits without labels, which are not read -> rows, None where not known.
    """

    spec: TaskSpec
    source: AnySource
    commit: str | None
    pieces: Mapping[str, tuple[Piece, ...]]
    missing: tuple[str, ...] = ()
    failures: tuple[tuple[str, str], ...] = ()
    unlabelled: Mapping[str, int | None] = field(default_factory=dict)


def describe_source(source: AnySource) -> str:
    """Repository, configs and revision of a source, for people."""
    if isinstance(source, Embedded):
        return f"metaeval_datasets.{source.module}"
    configs = "+".join(config for config in source.configs if config)
    revision = f" at {source.revision}" if source.revision else ""
    return source.repo + (f" ({configs})" if configs else "") + revision


def read_splits(spec: TaskSpec) -> tuple[str, ...]:
    """Official splits that are read: the labelled ones, or all where none has labels."""
    return tuple(split for split in spec.splits if split not in spec.unlabelled) if spec.has_labels else spec.splits


def open_source(
    spec: TaskSpec,
    access: Access = _USUAL_ACCESS,
    revision: str | None = None,
    unfit: Sequence[tuple[AnySource, str]] = (),
) -> Opened:
    """Find the source that serves a task, and fetch its files (or only look at them, when they are read remotely).

    Args:
        spec: the task, one edition.
        access: how to reach the Hub.
        revision: read the first source at this revision, and no other source.
        unfit: sources that cannot serve, as reading them to the end has shown, each with the reason.

    Raises:
        NoSourceError: no source can serve; lists each with its reason.
    """
    sources = tuple(spec.sources)
    if revision is not None:
        if not isinstance(sources[0], Source):
            raise NoSourceError(f"task {spec.name}: an embedded source has no revisions, got revision={revision!r}")
        sources = (dataclasses.replace(sources[0], revision=revision),)
    failures: list[tuple[str, str]] = []
    partial: list[Opened] = []
    for source in sources:
        try:
            if reason := next((reason for other, reason in unfit if other == source), None):
                raise SourceError(reason)
            opened = _open(spec, source, access)
        except SourceError as error:
            logger.debug("%s: source %s cannot serve: %s", spec.name, describe_source(source), error)
            failures.append((describe_source(source), str(error)))
            if isinstance(error, SilentHubError):
                access = dataclasses.replace(access, silent=True)
            continue
        if not opened.missing:
            return dataclasses.replace(opened, failures=tuple(failures))
        failures.append((describe_source(source), "lacks " + "; ".join(opened.missing)))
        partial.append(opened)
    if not partial:
        reasons = "\n".join(f"- {name}: {reason}" for name, reason in failures)
        raise NoSourceError(f"task {spec.name}: no source can serve it\n{reasons}")
    best = max(partial, key=lambda opened: (len(opened.pieces), -len(opened.missing)))
    chosen = describe_source(best.source)
    return dataclasses.replace(best, failures=tuple(entry for entry in failures if entry[0] != chosen))


def resolve_revision(spec: TaskSpec, revision: str, access: Access = _USUAL_ACCESS) -> str:
    """The commit that a branch or tag of a task's first source leads to, so that rows of another are not taken for its.

    Raises:
        NoSourceError: there is no such revision, or the Hub does not say.
    """
    source = spec.sources[0]
    if not isinstance(source, Source) or _COMMIT.fullmatch(revision):
        return revision
    try:
        return list_files(source.repo, revision, access.token, access.cache_dir).commit
    except SourceError as error:
        raise NoSourceError(f"task {spec.name}: {source.repo} at {revision}: {error}") from error


# --- Opening one source ---------------------------------------------------------------------------------------------


def _open(spec: TaskSpec, source: AnySource, access: Access) -> Opened:
    if isinstance(source, Embedded):
        splits = {split: (Piece(split, "embedded"),) for split in read_splits(spec)}
        opened = Opened(spec, source, None, splits)
    else:
        opened = _open_hub(spec, source, access)
    for split in opened.pieces:
        _check_split(split, opened, access.token)
    return opened


def _open_hub(spec: TaskSpec, source: Source, access: Access) -> Opened:
    listing = list_files(source.repo, source.revision, access.token, access.cache_dir, silent=access.silent)
    card = Card()
    if "README.md" in listing.files:
        readme = fetch_file(source.repo, "README.md", listing.commit, access)
        with open(readme, encoding="utf-8", errors="replace") as file:
            card = read_card(file.read(MAX_CARD_BYTES))
    paths, missing = find_files(spec, source, listing.files, card)
    wanted = read_splits(spec)
    read = {split: paths[split] for split in wanted if split in paths}
    if not read:
        raise SourceError(f"has none of the splits {list(wanted)} ({len(listing.files)} files)")
    jobs = [(split, config, path) for split, entries in read.items() for config, path in entries]
    with ThreadPoolExecutor(max_workers=DOWNLOADS) as pool:
        pieces = list(pool.map(lambda job: _piece(spec, source, card, listing, job[1], job[2], access), jobs))
    by_split: dict[str, list[Piece]] = {}
    for (split, _, _), piece in zip(jobs, pieces, strict=True):
        by_split.setdefault(split, []).append(piece)
    return Opened(
        spec,
        source,
        listing.commit,
        {split: tuple(entries) for split, entries in by_split.items()},
        missing=tuple(text for split, text in missing if split in wanted),
        unlabelled={
            split: count_rows(source.repo, listing.commit, [path for _, path in paths.get(split, [])], access)
            for split in spec.splits
            if split not in wanted
        },
    )


def find_files(
    spec: TaskSpec, source: Source, files: Sequence[str], card: Card
) -> tuple[dict[str, list[tuple[str | None, str]]], list[tuple[str, str]]]:
    """Where the official splits of a task are among the files of a source.

    Returns:
        Split -> (config, path) in reading order, and (split, what is missing in words) where something is.
    """
    paths: dict[str, list[tuple[str | None, str]]] = {}
    missing = []
    for split in spec.splits:
        for config in source.configs:
            found = _find(files, card, source, config)
            for name in source.source_splits(split):
                held = found[name] if name in found else lookup(found, name)
                where = f"split {name!r}" + (f" of config {config!r}" if config else "")
                if not held:
                    missing.append((split, where))
                elif lacking := missing_shards(held):
                    missing.append((split, f"{where}: has {lacking}"))
                else:
                    paths.setdefault(split, []).extend((config, path) for path in held)
    return paths, missing


def _find(files: Sequence[str], card: Card, source: Source, config: str | None) -> dict[str, tuple[str, ...]]:
    if source.files:
        named = {
            split: [pattern.replace("{config}", config or "") for pattern in patterns]
            for split, patterns in source.files.items()
        }
        return {split: matching(files, patterns) for split, patterns in named.items()}
    return find_splits(files, card, config)


def _piece(
    spec: TaskSpec, source: Source, card: Card, listing: Listing, config: str | None, path: str, access: Access
) -> Piece:
    """Fetch a file, or look at it where it lies, and read what it says about itself."""
    kind = kind_of(path) or "unknown"  # only files of a known kind are found
    commit = listing.commit
    local = "" if access.remote else fetch_whole(source.repo, path, commit, listing.sizes.get(path), access)
    piece = Piece(
        path=local or f"datasets/{source.repo}@{commit}/{path}",
        kind=kind,
        config=config,
        remote=access.remote,
        delimiter=delimiter_of(source, path),
        quote=source.quote,
        header=source.header,
        num_bytes=os.path.getsize(local) if local else 0,
    )
    label = label_source(spec, source)
    names = card_label_names(card, config, label)
    if kind != "parquet":
        return dataclasses.replace(piece, label_names=names)
    with open_piece(piece, access.token, footer=True) as file:
        try:
            opened = pq.ParquetFile(file)
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{path} is no readable Parquet file: {error}") from error
        with name_in_errors(piece):
            require_columns(columns_to_read(spec, source), opened.schema_arrow.names)
        names = stored_label_names(opened.schema_arrow, label) or names
        return dataclasses.replace(piece, rows=opened.metadata.num_rows, label_names=names)


def _check_split(split: str, opened: Opened, token: Token) -> None:
    """See that the files of a split have rows, the declared labels and what else casting needs.

    The first rows of each file are cast; of remote files, those of the first file of each config.
    """
    pieces = opened.pieces[split]
    firsts = {piece.config: piece for piece in reversed(pieces)}
    rows = 0
    for piece in pieces:
        with name_in_errors(piece):
            if piece.label_names:
                check_label_names(opened.spec, opened.source, piece.label_names)
            if not piece.remote or piece is firsts[piece.config]:
                rows += _check_rows(piece, opened, token)
            else:
                rows += piece.rows or 1
    if not rows:
        raise SourceError(f"{pieces[0].path}: the {split} split has no rows")


def _check_rows(piece: Piece, opened: Opened, token: Token) -> int:
    """Cast the first rows of a file, and more where these do not show whether it is as declared; how many there were.

    Raises:
        CastError, SourceError: they cannot be cast, or their labels are not those declared.
    """
    spec, seen, empty, rows = opened.spec, LabelTally(), set[str](), 0
    for table in read_piece(piece, spec, opened.source, token):
        cast_table(table, spec, opened.source, config=piece.config, label_names=piece.label_names, seen=seen)
        nulls = {name for name in table.column_names if table[name].null_count == len(table)}
        empty = empty & nulls if rows else nulls
        rows += len(table)
        # A file may be sorted, and a key of JSON lines missing in the first rows: what looks wrong is read to the end.
        if not empty and not (spec.has_labels and seen.refusal(spec.names)):
            return rows
    if spec.has_labels and (reason := seen.refusal(spec.names)):
        raise SourceError(f"{piece.path}: {reason}")
    return rows
