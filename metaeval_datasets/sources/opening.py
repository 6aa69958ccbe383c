"""Choose the source of a task, find the files of its splits, download them, and check that they are as declared.

Sources are Parquet, CSV and JSON-lines files; no code from a source runs. Sources are tried in the declared order. A
source that is missing, gated, or has other columns or labels is skipped with a reason. A source with only some of the
declared splits is used if no other source has all of them, and the report says so.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pyarrow.parquet as pq

from metaeval_datasets.cast import cast_table, check_label_names, columns_to_read, label_source
from metaeval_datasets.outside import LabelTally
from metaeval_datasets.sources.asking import NoSourceError, SilentHubError, SourceError
from metaeval_datasets.sources.hub_files import Access, Token, fetch_whole, list_files, read_card_of
from metaeval_datasets.sources.layout import (
    Card,
    find_splits,
    kind_of,
    lookup,
    matching,
    missing_shards,
)
from metaeval_datasets.sources.listings import Listing
from metaeval_datasets.sources.parquet import decoded
from metaeval_datasets.sources.readers import require_columns
from metaeval_datasets.sources.revisions import PinnedCommitError, Revisions
from metaeval_datasets.sources.source_files import (
    SourceFile,
    card_label_names,
    count_rows,
    delimiter_of,
    name_in_errors,
    open_source_file,
    read_source_file,
    stored_label_names,
)
from metaeval_datasets.spec import SPLITS, AnySource, Embedded, Files, Source, TaskSpec
from metaeval_datasets.spec.files import file_digest

logger = logging.getLogger(__name__)

DOWNLOADS = 4  # files downloaded at the same time
_USUAL_ACCESS = Access()

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class OpenedSource:
    """Describe the source that is used for a task.

    Args:
        spec: the task in one edition.
        source: the source that is used.
        commit: commit id of its files; None for embedded sources.
        pieces: official split -> its files in reading order, for the splits that will be read.
        missing: splits that are declared but missing in the source, in words.
        failures: (source, reason) of the sources that were skipped.
        unlabelled: split without labels, which is not read -> number of rows, None if unknown.
    """

    spec: TaskSpec
    source: AnySource
    commit: str | None
    pieces: Mapping[str, tuple[SourceFile, ...]]
    missing: tuple[str, ...] = ()
    failures: tuple[tuple[str, str], ...] = ()
    unlabelled: Mapping[str, int | None] = field(default_factory=dict)


def describe_source(source: AnySource) -> str:
    """Return repository, configs and revision of a source for display."""
    if isinstance(source, Embedded):
        return f"metaeval_datasets.{source.module}"
    if isinstance(source, Files):
        return _describe_files(source)
    configs = "+".join(config for config in source.configs if config)
    revision = f" at {source.revision}" if source.revision else ""
    return source.repo + (f" ({configs})" if configs else "") + revision


def _describe_files(source: Files) -> str:
    """Return the names of files without their folders, which only matter on this machine, and digests of the files."""
    named = [(os.path.basename(path), file_digest(path)[:12]) for path in source.all_paths()]
    digests = f"SHA-256 {', '.join(digest for _, digest in named)}"
    return f"{source.shown or ', '.join(name for name, _ in named)} ({digests})"


def read_splits(spec: TaskSpec) -> tuple[str, ...]:
    """Return the official splits to read: those with labels, or all if none has labels."""
    return tuple(split for split in spec.splits if split not in spec.unlabelled) if spec.has_labels else spec.splits


def open_source(
    spec: TaskSpec,
    access: Access = _USUAL_ACCESS,
    revision: str | None = None,
    unfit: Sequence[tuple[AnySource, str]] = (),
    revisions: Revisions | None = None,
) -> OpenedSource:
    """Choose the source of a task and download its files (or only inspect them if they are read remotely).

    Args:
        spec: the task in one edition.
        access: how to access the Hub.
        revision: use only the first source, at this revision.
        unfit: sources that failed while their rows were read, each with the reason.
        revisions: commits at which the sources are read; default: those of their branches now.

    Raises:
        NoSourceError: no source can be used, and the message lists each with its reason; or the commit at which a
            source is pinned does not exist any more.
    """
    sources = tuple(spec.sources)
    if revision is not None:
        if not isinstance(sources[0], Source):
            raise NoSourceError(
                f"task {spec.name}: its rows do not come from a repository and have no revisions, got "
                f"revision={revision!r}"
            )
        sources = (dataclasses.replace(sources[0], revision=revision),)
    revisions = revisions or Revisions()
    failures: list[tuple[str, str]] = []
    partial: list[OpenedSource] = []
    for source in sources:
        try:
            if reason := next((reason for other, reason in unfit if other == source), None):
                raise SourceError(reason)
            opened = _open(spec, source, access, revisions)
        except PinnedCommitError as error:  # another source could have other rows, which a pin excludes
            raise NoSourceError(f"task {spec.name}: {error}") from error
        except SourceError as error:
            logger.debug("%s: source %s cannot be used: %s", spec.name, describe_source(source), error)
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
        raise NoSourceError(f"task {spec.name}: none of its sources can be used\n{reasons}")
    best = max(partial, key=lambda opened: (len(opened.pieces), -len(opened.missing)))
    chosen = describe_source(best.source)
    return dataclasses.replace(best, failures=tuple(entry for entry in failures if entry[0] != chosen))


def resolve_revision(spec: TaskSpec, revision: str, access: Access = _USUAL_ACCESS) -> str:
    """Return the commit of a branch or tag of a task's first source, so that the cache is bound to one commit.

    Raises:
        NoSourceError: the revision does not exist, or the Hub does not answer.
    """
    source = spec.sources[0]
    if not isinstance(source, Source) or _COMMIT.fullmatch(revision):
        return revision
    try:
        return list_files(source.repo, revision, access).commit
    except SourceError as error:
        raise NoSourceError(f"task {spec.name}: {source.repo} at {revision}: {error}") from error


# --- Opening one source ---------------------------------------------------------------------------------------------


def _open(spec: TaskSpec, source: AnySource, access: Access, revisions: Revisions) -> OpenedSource:
    opened = open_unchecked(spec, source, access, revisions)
    for split in opened.pieces:
        _check_split(split, opened, access.token)
    return opened


def open_unchecked(
    spec: TaskSpec, source: AnySource, access: Access = _USUAL_ACCESS, revisions: Revisions | None = None
) -> OpenedSource:
    """Find and download the files of a source without checking that their rows are as declared.

    Raises:
        SourceError: the source does not exist or lacks a column or all splits.
    """
    if isinstance(source, Embedded):
        splits = {split: (SourceFile(split, "embedded"),) for split in read_splits(spec)}
        return OpenedSource(spec, source, None, splits)
    if isinstance(source, Files):
        local = {split: _local_pieces(spec, source, split) for split in read_splits(spec)}
        return OpenedSource(spec, source, None, local, unlabelled=dict.fromkeys(spec.unlabelled))
    return _open_hub(spec, source, access, revisions or Revisions())


def splits_of(source: Source, access: Access = _USUAL_ACCESS) -> tuple[str, ...]:
    """Return which of train, validation and test a source on the Hub has.

    Raises:
        SourceError: the repository cannot be read, or has none of them.
    """
    try:
        listing = Revisions().listing(source, access)
    except SourceError as error:
        raise SourceError(f"{source.repo}: {error}") from error
    card = read_card_of(source.repo, listing, access)
    found = [set(_find(listing.files, card, source, config)) for config in source.configs]
    present = tuple(split for split in SPLITS if all(lookup(dict.fromkeys(names, ("",)), split) for names in found))
    if not present:
        configs = sorted(str(entry["config_name"]) for entry in card.configs if entry.get("config_name"))
        has = f"its configs are {', '.join(configs[:20])}" if configs else f"it has {len(listing.files)} files"
        named = f"config {source.config!r}" if source.config else "no config given"
        raise SourceError(f"{source.repo}: no split train, validation or test was found ({named}); {has}")
    return present


def _local_pieces(spec: TaskSpec, source: Files, split: str) -> tuple[SourceFile, ...]:
    """Return the local files of a split with their metadata.

    Raises:
        SourceError: a file cannot be read, or a Parquet file lacks a column.
    """
    return tuple(_complete(local_piece(source, path), spec, source, None) for path in source.paths_of(split))


def local_piece(source: Files, path: str) -> SourceFile:
    """Return the description of a local file.

    Raises:
        SourceError: the file does not exist.
    """
    if not os.path.isfile(path):
        raise SourceError(f"{path} {'is a folder' if os.path.isdir(path) else 'does not exist'}; expected a file")
    return SourceFile(
        path,
        kind_of(path) or "unknown",
        delimiter=delimiter_of(source, path),
        quote=source.quote,
        num_bytes=os.path.getsize(path),
        encoding=source.encoding,
    )


def _open_hub(spec: TaskSpec, source: Source, access: Access, revisions: Revisions) -> OpenedSource:
    access.check_remote()
    listing = revisions.listing(source, access)
    card = read_card_of(source.repo, listing, access)
    paths, missing = find_files(spec, source, listing.files, card)
    wanted = read_splits(spec)
    read = {split: paths[split] for split in wanted if split in paths}
    if not read:
        raise SourceError(f"has none of the splits {list(wanted)} ({len(listing.files)} files)")
    jobs = [(split, config, path) for split, entries in read.items() for config, path in entries]
    with ThreadPoolExecutor(max_workers=DOWNLOADS) as pool:
        pieces = list(pool.map(lambda job: _piece(spec, source, card, listing, job[1], job[2], access), jobs))
    by_split: dict[str, list[SourceFile]] = {}
    for (split, _, _), piece in zip(jobs, pieces, strict=True):
        by_split.setdefault(split, []).append(piece)
    return OpenedSource(
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


def first_file(source: Source, access: Access = _USUAL_ACCESS) -> SourceFile:
    """Download the first file of a source on the Hub, of its training rows if it has any.

    Raises:
        SourceError: the repository cannot be read, or has no file of a known kind.
    """
    split = splits_of(source, access)[0]
    listing = Revisions().listing(source, access)
    found = _find(listing.files, read_card_of(source.repo, listing, access), source, source.configs[0])
    path = lookup(found, split)[0]
    local = fetch_whole(source.repo, path, listing.commit, listing.sizes.get(path), access)
    return SourceFile(local, kind_of(path) or "unknown", delimiter=delimiter_of(source, path), quote=source.quote)


def find_files(
    spec: TaskSpec, source: Source, files: Sequence[str], card: Card
) -> tuple[dict[str, list[tuple[str | None, str]]], list[tuple[str, str]]]:
    """Find the files of a task's official splits in a source.

    Returns:
        Split -> (config, path) in reading order; and (split, description) of everything that is missing.
    """
    paths: dict[str, list[tuple[str | None, str]]] = {}
    missing = []
    for split in spec.splits:
        for config in source.configs:
            found = _find(files, card, source, config)
            for name in source.source_splits(split):
                matched = found[name] if name in found else lookup(found, name)
                where = f"split {name!r}" + (f" of config {config!r}" if config else "")
                if not matched:
                    missing.append((split, where))
                elif lacking := missing_shards(matched):
                    missing.append((split, f"{where}: has {lacking}"))
                else:
                    paths.setdefault(split, []).extend((config, path) for path in matched)
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
) -> SourceFile:
    """Download a file, or inspect it remotely, and read its metadata."""
    kind = kind_of(path) or "unknown"  # find_files returns only files of a known kind
    commit = listing.commit
    local = "" if access.remote else fetch_whole(source.repo, path, commit, listing.sizes.get(path), access)
    piece = SourceFile(
        path=local or f"datasets/{source.repo}@{commit}/{path}",
        kind=kind,
        config=config,
        remote=access.remote,
        delimiter=delimiter_of(source, path),
        quote=source.quote,
        header=source.header,
        num_bytes=os.path.getsize(local) if local else 0,
    )
    names = card_label_names(card, config, label_source(spec, source))
    return _complete(piece, spec, source, names, access.token)


def _complete(
    piece: SourceFile, spec: TaskSpec, source: AnySource, names: tuple[str, ...] | None, token: Token = None
) -> SourceFile:
    """Add the class names of the file, or else those of the card (``names``), and the number of rows if stored."""
    if piece.kind != "parquet":
        return dataclasses.replace(piece, label_names=names)
    label = label_source(spec, source)
    with open_source_file(piece, token, footer=True) as file:
        with name_in_errors(piece):
            with decoded():
                opened = pq.ParquetFile(file)
            require_columns(columns_to_read(spec, source), opened.schema_arrow.names)
        names = stored_label_names(opened.schema_arrow, label) or names
        return dataclasses.replace(piece, rows=opened.metadata.num_rows, label_names=names)


def _check_split(split: str, opened: OpenedSource, token: Token) -> None:
    """Check that the files of a split have rows, the declared labels and all columns that casting needs.

    The first rows of each file are cast; for remote files, those of the first file of each config.
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
        raise SourceError(f"{pieces[0].path}: the {split} split has no rows; give it one or more, or leave it out")


def _check_rows(piece: SourceFile, opened: OpenedSource, token: Token) -> int:
    """Cast the first rows of a file, more if these do not show whether it is as declared, and return their number.

    Raises:
        CastError: the rows cannot be cast.
        SourceError: their labels are not those declared.
    """
    spec, seen, empty, rows = opened.spec, LabelTally(), set[str](), 0
    for table in read_source_file(piece, spec, opened.source, token):
        cast_table(table, spec, opened.source, config=piece.config, label_names=piece.label_names, seen=seen)
        nulls = {name for name in table.column_names if table[name].null_count == len(table)}
        empty = empty & nulls if rows else nulls
        rows += len(table)
        # Read a file that looks wrong to the end: it may be sorted, or a JSON key may be missing in the first rows.
        if not empty and not (spec.has_labels and seen.refusal(spec.names)):
            return rows
    if spec.has_labels and (reason := seen.refusal(spec.names)):
        raise SourceError(f"{piece.path}: {reason}")
    return rows
