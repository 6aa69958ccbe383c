"""The one file that fetches source data: finds a task's source on the Hub, at its revision, and reads its files.

Sources are Parquet, CSV and JSON-lines files; no code of theirs runs. They are tried in the declared order; a source
that is gone, gated, or has other columns or labels is passed over, with the reason. One that has only some of the
declared splits serves if no other has all, and says so. Reading goes batch by batch, from the Hub client's cache or,
when streaming, over ranges of the remote file.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub import (
    DatasetInfo,
    HfApi,
    HfFileSystem,
    constants,
    hf_hub_download,
    hf_hub_url,
    try_to_load_from_cache,
)
from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

from metaeval_datasets.cast import (
    CastError,
    cast_table,
    check_label_names,
    columns_to_read,
    label_source,
)
from metaeval_datasets.outside import LabelTally
from metaeval_datasets.sources.asking import NoSourceError, SilentHubError, SourceError, ask_hub, may_pass, offline
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
from metaeval_datasets.sources.listings import Listing, keep_listing, read_listing
from metaeval_datasets.sources.parquet import BATCH_ROWS, parquet_tables
from metaeval_datasets.sources.readers import FormatError, csv_tables, json_tables, require_columns
from metaeval_datasets.sources.transport import MAX_FILE_BYTES, commit_of, is_unwritable, spare_cache, understood
from metaeval_datasets.spec import AnySource, Embedded, Source, TaskSpec

logger = logging.getLogger(__name__)

DOWNLOADS = 4  # files fetched at the same time

# What reading a damaged file raises; the Hub client's own errors are SourceErrors by then.
_DAMAGE = (pa.ArrowException, FormatError, CastError, KeyError, UnicodeError, OSError)

_COMMIT = re.compile(r"[0-9a-f]{40}")

Token = str | bool | None


@dataclass(frozen=True)
class Piece:
    """One file of a source (or one split of an embedded source), ready to be read.

    Args:
        path: local path; path for ``HfFileSystem`` when remote; split name when embedded.
        kind: ``parquet``, ``csv``, ``json`` or ``embedded``.
        config: config of the source that it belongs to.
        remote: to be read over the network.
        rows: number of rows, where the file says it (Parquet).
        label_names: class names in index order, where the file or the card says them.
        delimiter, quote, header: of CSV files.
        num_bytes: size of the file as downloaded; 0 when it is not.
    """

    path: str
    kind: str
    config: str | None = None
    remote: bool = False
    rows: int | None = None
    label_names: tuple[str, ...] | None = None
    delimiter: str = ","
    header: tuple[str, ...] | None = None
    num_bytes: int = 0
    quote: str | None = '"'


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


@dataclass(frozen=True)
class Access:
    """How the Hub is reached.

    Args:
        token: for private repositories.
        remote: read files where they lie, instead of downloading them.
        force: download files again that are in the cache.
        cache_dir: the cache that the caller has asked for; used where the usual ones cannot be written.
        silent: the Hub gave no answer a moment ago: take what is in the caches, and do not ask.
    """

    token: Token = None
    remote: bool = False
    force: bool = False
    cache_dir: str | None = None
    silent: bool = False


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
    access: Access = Access(),
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


def resolve_revision(spec: TaskSpec, revision: str, access: Access = Access()) -> str:
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


def read_piece(piece: Piece, spec: TaskSpec, source: AnySource, token: Token = None) -> Iterator[pa.Table]:
    """The columns of one file that a task needs, in batches.

    Raises:
        SourceError: a column is missing, or the file is not what its extension says.
    """
    if isinstance(source, Embedded):
        with naming(piece):
            yield from _embedded_batches(piece, spec, source, columns_to_read(spec, source))
        return
    with naming(piece), open_piece(piece, token) as file:
        yield from read_file(file, piece, spec, source)


def read_file(file: BinaryIO, piece: Piece, spec: TaskSpec, source: AnySource) -> Iterator[pa.Table]:
    """As ``read_piece``, from an open file (or from the first lines of a CSV or JSON file, in memory)."""
    columns = columns_to_read(spec, source)
    with naming(piece):
        if piece.kind == "parquet":
            yield from parquet_tables(file, columns, piece.remote)
            return
        if piece.kind == "csv":
            tables = csv_tables(file, columns, piece.delimiter, piece.quote, piece.header)
        else:
            tables = json_tables(file, columns, label_source(spec, source))
        for table in tables:
            yield from _in_batches(table)


@contextmanager
def naming(piece: Piece) -> Iterator[None]:
    """Turn what a damaged file raises into a SourceError that names it."""
    try:
        yield
    except _DAMAGE as error:
        raise SourceError(f"{piece.path}: {' '.join(str(error).split())[:500]}") from error


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
            split: _count(source.repo, listing.commit, [path for _, path in paths.get(split, [])], access)
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
        with naming(piece):
            require_columns(columns_to_read(spec, source), opened.schema_arrow.names)
        names = stored_label_names(opened.schema_arrow, label) or names
        return dataclasses.replace(piece, rows=opened.metadata.num_rows, label_names=names)


def delimiter_of(source: Source, path: str) -> str:
    """The separator of a CSV file."""
    return source.delimiter or ("\t" if path.lower().endswith(".tsv") else ",")


def card_label_names(card: Card, config: str | None, label: str | None) -> tuple[str, ...] | None:
    """Class names of a column, from what the card says of a config."""
    return card.label_names.get((config, label)) or card.label_names.get((None, label)) if label else None


def stored_label_names(schema: pa.Schema, label: str | None) -> tuple[str, ...] | None:
    """Class names of a column, from what ``datasets`` stores in a Parquet file."""
    stored = (schema.metadata or {}).get(b"huggingface")
    if stored is None or label is None:
        return None
    try:
        names = json.loads(stored)["info"]["features"][label]["names"]
    except (ValueError, KeyError, TypeError):
        return None
    return tuple(map(str, names)) if isinstance(names, list) else None


def _check_split(split: str, opened: Opened, token: Token) -> None:
    """See that the files of a split have rows, the declared labels and what else casting needs.

    The first rows of each file are cast; of remote files, those of the first file of each config.
    """
    pieces = opened.pieces[split]
    firsts = {piece.config: piece for piece in reversed(pieces)}
    rows = 0
    for piece in pieces:
        with naming(piece):
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


# --- The Hub --------------------------------------------------------------------------------------------------------


def list_files(
    repo: str, revision: str | None, token: Token, cache_dir: str | None = None, *, silent: bool = False
) -> Listing:
    """Commit and files of a repository at a revision; kept, so that they are known where the Hub cannot be asked.

    Args:
        repo: dataset repository.
        revision: branch, tag or commit; None is the main branch.
        token: for private repositories.
        cache_dir: cache that the caller has asked for.
        silent: the Hub gave no answer a moment ago; do not ask.

    Raises:
        SourceError: there is none, it cannot be read, or is not known and the Hub cannot be asked; says why.
    """
    kept = read_listing(repo, revision, cache_dir)
    if silent or offline():
        if kept is None:
            why = "the Hub gives no answer" if silent else f"offline ({offline()})"
            raise SourceError(f"{why}, and the cache has no list of its files: it was never read here, or is damaged")
        return kept
    api = HfApi(token=token)

    def ask() -> Listing:
        with understood(repo):
            info = api.dataset_info(repo, revision=revision, files_metadata=True)
            entries = info.siblings or ()
            sizes = {str(entry.rfilename): entry.size for entry in entries if isinstance(entry.size, int)}
            return Listing(commit_of(info.sha, repo), tuple(str(entry.rfilename) for entry in entries), sizes)

    try:
        listing = ask_hub(ask, hasty=kept is not None)
    except SourceError as error:
        if kept is None or not may_pass(error.__cause__):
            raise
        logger.warning("%s: %s; its files are taken to be those of commit %s, as last seen", repo, error, kept.commit)
        return kept
    if listing != kept:
        keep_listing(listing, repo, revision, cache_dir)
    return listing


@dataclass(frozen=True)
class RepoFacts:
    """What the Hub says of a repository at a revision, without any of its data.

    Args:
        name: its name today; another than was asked for where it was moved.
        commit: full id of the revision's commit.
        sizes: path -> bytes of each file.
        gated: whether its conditions have to be accepted.
        card: its README at that commit, as far as it is understood.
        licenses: of the README, or of the repository's tags where the revision has no README.
    """

    name: str
    commit: str
    sizes: Mapping[str, int]
    gated: bool
    card: Card
    licenses: tuple[str, ...]


def repo_facts(repo: str, revision: str | None = None, token: Token = None) -> RepoFacts:
    """Ask the Hub about a repository: two requests, nothing kept.

    Raises:
        SourceError: there is none, or it cannot be read; says why.
    """

    def ask() -> tuple[DatasetInfo, str, dict[str, int]]:
        with understood(repo):
            info = HfApi(token=token).dataset_info(repo, revision=revision, files_metadata=True)
            sizes = {str(entry.rfilename): int(entry.size or 0) for entry in info.siblings or ()}
            return info, commit_of(info.sha, repo), sizes

    info, commit, sizes = ask_hub(ask)
    card = Card()
    if readme := sizes.get("README.md"):
        text = read_range(repo, "README.md", commit, 0, min(readme, MAX_CARD_BYTES), token)
        card = read_card(text.decode("utf-8", errors="replace"))
    tags = (str(tag).partition(":") for tag in info.tags or ())
    licenses = card.licenses or tuple(value for kind, _, value in tags if kind == "license")
    return RepoFacts(info.id or repo, commit, sizes, bool(info.gated), card, licenses)


def read_range(repo: str, path: str, commit: str, start: int, stop: int, token: Token = None) -> bytes:
    """Bytes ``start`` to ``stop`` (not included) of a file, in one request.

    Raises:
        SourceError: the Hub does not give them; says why.
    """
    url = hf_hub_url(repo, path, repo_type="dataset", revision=commit)
    headers = {**build_hf_headers(token=token), "Range": f"bytes={start}-{stop - 1}"}

    def attempt() -> bytes:
        answer = get_session().get(url, headers=headers)
        hf_raise_for_status(answer)
        content: bytes = answer.content
        return content if answer.status_code == 206 else content[start:stop]

    return ask_hub(attempt)


def fetch_file(repo: str, path: str, commit: str, access: Access, max_bytes: int = MAX_FILE_BYTES) -> str:
    """Local path of a file in the Hub client's cache, downloaded if it is not there.

    Where that cache cannot be written, the file goes into the cache that the caller has asked for, or into one that is
    gone when this process ends.

    Raises:
        SourceError: it is not there, or the Hub does not give it; says why.
    """
    stored = access.silent or offline() is not None
    force = access.force and not stored

    def download(cache_dir: str | Path | None) -> str:
        return ask_hub(
            lambda: hf_hub_download(
                repo,
                path,
                repo_type="dataset",
                revision=commit,
                token=access.token,
                force_download=force,
                local_files_only=stored,
                cache_dir=cache_dir,
            ),
            max_bytes=max_bytes,
        )

    own = None if access.cache_dir is None or "://" in access.cache_dir else Path(access.cache_dir).expanduser() / "hub"
    if own is not None and not force:
        found = try_to_load_from_cache(repo, path, own, commit, "dataset")
        if isinstance(found, str):
            return found
    for cache_dir in dict.fromkeys((None, own)):
        try:
            return download(cache_dir)
        except SourceError as error:
            if not is_unwritable(error.__cause__):
                raise
            logger.info("%s", error)
    spare = spare_cache()
    logger.warning("%s cannot be written; set HF_HUB_CACHE, or %s is fetched again", constants.HF_HUB_CACHE, repo)
    return download(spare)


def fetch_whole(repo: str, path: str, commit: str, size: int | None, access: Access) -> str:
    """As ``fetch_file``, and see that the file has the size that it should have; fetch it again where it has not.

    A file that was cut off in the cache could be read as if it had fewer rows.

    Raises:
        SourceError: the Hub does not give it, or the one in the cache is cut off and the Hub cannot be asked.
    """
    local = fetch_file(repo, path, commit, access)
    if size is None or os.path.getsize(local) == size:
        return local
    problem = f"{local} has {os.path.getsize(local):,} bytes; expected {size:,}"
    if not constants.HF_HUB_OFFLINE:
        logger.warning("%s; it is downloaded again", problem)
        local = fetch_file(repo, path, commit, dataclasses.replace(access, force=True))
        if os.path.getsize(local) == size:
            return local
    raise SourceError(
        f'{problem}; delete it, or load with download_mode="force_redownload" while the Hub can be reached'
    )


def _count(repo: str, commit: str, paths: Sequence[str], access: Access) -> int | None:
    """Rows of files that are not read, from their footers alone; None where that does not tell."""
    if offline() or not paths or any(kind_of(path) != "parquet" for path in paths):
        return None
    try:
        total = 0
        for path in paths:
            piece = Piece(f"datasets/{repo}@{commit}/{path}", "parquet", remote=True)
            with open_piece(piece, access.token, footer=True) as file:
                total += pq.ParquetFile(file).metadata.num_rows
        return total
    except (SourceError, pa.ArrowException, OSError) as error:
        logger.debug("rows of %s not counted: %s", paths[0], error)
        return None


@contextmanager
def open_piece(piece: Piece, token: Token, footer: bool = False) -> Iterator[BinaryIO]:
    """A file to read from; ``footer`` where only its end will be."""
    if not piece.remote:
        with pa.OSFile(piece.path, "rb") as file:
            yield cast("BinaryIO", file)
        return
    if variable := offline():
        raise SourceError(f"offline ({variable}), and {piece.path} is read over the network; load it without streaming")
    options = {"cache_type": "none"} if footer else {}
    remote = ask_hub(lambda: HfFileSystem(token=token).open(piece.path, "rb", **options))
    try:
        yield cast("BinaryIO", _PatientFile(remote))
    finally:
        remote.close()


class _PatientFile:
    """A remote file whose reads are asked for again where the failure may pass; the Hub client does so only partly."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        position = self._file.tell()

        def attempt() -> bytes:
            self._file.seek(position)
            content: bytes = self._file.read(size)
            return content

        return ask_hub(attempt)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


# --- Readers --------------------------------------------------------------------------------------------------------


def _embedded_batches(piece: Piece, spec: TaskSpec, source: Embedded, columns: Sequence[str]) -> Iterator[pa.Table]:
    module = importlib.import_module(f"metaeval_datasets.{source.module}")
    tables: dict[str, pa.Table] = module.generate(spec.name)
    if piece.path not in tables:
        raise SourceError(f"generates {sorted(tables)}, not the declared split {piece.path!r}")
    require_columns(columns, tables[piece.path].schema.names)
    yield from _in_batches(tables[piece.path].select(list(columns)))


def _in_batches(table: pa.Table) -> Iterator[pa.Table]:
    for start in range(0, len(table), BATCH_ROWS):
        yield table.slice(start, BATCH_ROWS)
