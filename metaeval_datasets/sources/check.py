"""The source check: what the Hub holds today for every source of every task, against what is declared.

Nothing is downloaded whole: the Hub is asked about each repository, and for the footer of each Parquet file or the
first lines of a CSV or JSON file; once for each, however many tasks share it. A source is

- ``usable`` when it serves the task as declared;
- ``differs`` when it serves, but something is not as declared: rows, licence, name, a split that is not there;
- ``not usable`` when loading would pass it over, or would find no row in it.

A task is what the source is that would serve it, and ``differs`` also where that is not the first of its sources.
"""

from __future__ import annotations

import difflib
import io
import logging
import queue
import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub import constants
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

from metaeval_datasets.cast import (
    CastError,
    cast_table,
    check_label_names,
    columns_to_read,
    label_code,
    label_source,
    rows_per_source_row,
)
from metaeval_datasets.catalog import get_task
from metaeval_datasets.outside import LabelTally
from metaeval_datasets.schema import UNKNOWN, UNLABELLED
from metaeval_datasets.sources.layout import kind_of
from metaeval_datasets.sources.opening import (
    Piece,
    RepoFacts,
    SilentHubError,
    SourceError,
    Token,
    card_label_names,
    delimiter_of,
    describe_source,
    find_files,
    may_pass,
    offline,
    read_file,
    read_piece,
    read_range,
    read_splits,
    repo_facts,
    stored_label_names,
)
from metaeval_datasets.sources.readers import FormatError, require_columns
from metaeval_datasets.spec import AnySource, EditionName, Embedded, Source, TaskSpec

FOOTER_BYTES = 64 << 10  # asked for at first; nearly all footers fit
HEAD_BYTES = 256 << 10  # of a CSV or JSON file
HEAD_ROWS = 1000
logger = logging.getLogger(__name__)

WORKERS = 8  # threads: enough to hide the Hub's delays, few enough for its limits

Status = Literal["usable", "differs", "not usable"]
T = TypeVar("T")


# --- What is found ------------------------------------------------------------------------------------------------


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


# --- All tasks ------------------------------------------------------------------------------------------------------


def check_tasks(
    entries: Sequence[tuple[str, EditionName]],
    answers: Answers,
    workers: int = WORKERS,
    on_source: Callable[[str], None] = lambda task: None,
) -> list[TaskCheck]:
    """Check every source of tasks, several at the same time.

    Args:
        entries: (name, edition) of each task.
        answers: what the Hub said so far.
        workers: threads.
        on_source: called in this thread with the name of the task whenever one of its sources was checked.

    Raises:
        ConnectionError: the Hub cannot be reached at all, or refuses the token.
        UnknownTaskError: no task has such a name.
    """
    specs = [get_task(name).edition(edition) for name, edition in entries]
    pairs = [(spec, source) for spec in specs for source in spec.sources]
    if first := next((source for _, source in pairs if isinstance(source, Source)), None):
        _see_that_the_hub_answers(first, answers)
    checks = iter(
        _in_threads(
            [lambda spec=spec, source=source: check_source(spec, source, answers) for spec, source in pairs],  # type: ignore[misc]
            workers,
            lambda number: on_source(pairs[number][0].name),
        )
    )
    return [
        TaskCheck(name, edition, [next(checks) for _ in spec.sources])
        for (name, edition), spec in zip(entries, specs, strict=True)
    ]


def _see_that_the_hub_answers(source: Source, answers: Answers) -> None:
    """Ask once before many do, so that nobody waits for the failures of all."""
    if variable := offline():
        raise ConnectionError(f"offline ({variable}), and the check asks the Hub; unset {variable}")
    try:
        answers.repo(source)
    except SourceError as error:
        if isinstance(error, SilentHubError):
            raise ConnectionError(str(error)) from error
        response = getattr(error.__cause__, "response", None)
        if response is not None and response.status_code == 401 and "Invalid credentials" in str(error.__cause__):
            raise ConnectionError(f"the Hub at {constants.ENDPOINT} refuses the token; see HF_TOKEN") from error


def _in_threads(jobs: Sequence[Callable[[], T]], workers: int, on_done: Callable[[int], None]) -> list[T]:
    """Results of the jobs in order; the first failure, and Ctrl-C, end the wait at once, whatever threads wait for."""
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    finished: queue.SimpleQueue[tuple[int, T | None, BaseException | None]] = queue.SimpleQueue()
    for number in range(len(jobs)):
        waiting.put(number)
    stopped = threading.Event()

    def work() -> None:
        while not stopped.is_set():
            try:
                number = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                finished.put((number, jobs[number](), None))
            except BaseException as error:
                finished.put((number, None, error))

    for _ in range(min(workers, len(jobs))):
        # note: the threads of an executor are waited for when the interpreter ends, and one may wait for the Hub.
        threading.Thread(target=work, name="check", daemon=True).start()
    results: dict[int, Any] = {}
    try:
        while len(results) < len(jobs):
            number, result, error = finished.get()
            if error is not None:
                raise error
            results[number] = result
            on_done(number)
    finally:
        stopped.set()
    return [results[number] for number in range(len(jobs))]


# --- The Hub's answers ----------------------------------------------------------------------------------------------


class Answers:
    """What the Hub says, each thing asked for once, however many tasks and threads want to know it.

    Args:
        token: as for ``load_dataset``.
    """

    def __init__(self, token: Token = None) -> None:
        self.token = token
        self._lock = threading.Lock()
        self._known: dict[tuple[Hashable, ...], Future[Any]] = {}

    def count(self, kind: str = "") -> int:
        """How many things were asked for: of one kind (``repo``, ``footer``, ``head``), or of all."""
        return sum(not kind or key[0] == kind for key in list(self._known))

    def repo(self, source: Source) -> RepoFacts:
        """A source's repository at its revision."""
        return self._repo(source.repo, source.revision)

    def main(self, source: Source) -> RepoFacts:
        """A source's repository on its main branch."""
        return self._repo(source.repo, None)

    def footer(self, source: Source, facts: RepoFacts, path: str) -> pq.ParquetFile:
        """A Parquet file of which only the footer is there."""
        return self._once(("footer", source.repo, facts.commit, path), lambda: self._footer(source, facts, path))

    def head(self, source: Source, facts: RepoFacts, path: str) -> bytes:
        """The first lines of a file; all of them where it is small."""
        key = ("head", source.repo, facts.commit, path, source.quote)
        return self._once(key, lambda: self._head(source, facts, path))

    def _once(self, key: tuple[Hashable, ...], ask: Callable[[], T]) -> T:
        with self._lock:
            known = self._known.get(key)
            first = known is None
            if known is None:
                known = self._known[key] = Future()
        if first:
            try:
                known.set_result(ask())
            except BaseException as error:  # whoever waits for it gets it too
                known.set_exception(error)
        result: T = known.result()
        return result

    def _repo(self, repo: str, revision: str | None) -> RepoFacts:
        return self._once(("repo", repo, revision), lambda: repo_facts(repo, revision, self.token))

    def _footer(self, source: Source, facts: RepoFacts, path: str) -> pq.ParquetFile:
        size = facts.sizes[path]
        if not size:
            raise SourceError(f"{path} is empty")
        content = read_range(source.repo, path, facts.commit, max(0, size - FOOTER_BYTES), size, self.token)
        length = int.from_bytes(content[-8:-4], "little") + 8 if content[-4:] == b"PAR1" else 0
        if len(content) < length <= size:
            content = read_range(source.repo, path, facts.commit, size - length, size, self.token)
        try:
            return pq.ParquetFile(pa.BufferReader(content))
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{path} is no readable Parquet file: {error}") from error

    def _head(self, source: Source, facts: RepoFacts, path: str) -> bytes:
        size = facts.sizes[path]
        if not size:
            raise SourceError(f"{path} is empty")
        content = read_range(source.repo, path, facts.commit, 0, min(size, HEAD_BYTES), self.token)
        return content if size <= HEAD_BYTES else whole_lines(content, source.quote if kind_of(path) == "csv" else None)


def whole_lines(content: bytes, quote: str | None = '"') -> bytes:
    """The beginning of a file up to the last line break outside quotes: what can be read of it alone."""
    end = content.rfind(b"\n") + 1
    kept = content[:end]
    while quote and kept.count(quote.encode()) % 2:
        kept = kept[: kept.rfind(b"\n", 0, -1) + 1]
    return kept or content[:end] or content


# --- One source -----------------------------------------------------------------------------------------------------


def check_source(spec: TaskSpec, source: AnySource, answers: Answers) -> SourceCheck:
    """Check one source of a task (of one edition of it)."""
    if isinstance(source, Embedded):
        return _check_embedded(spec, source)
    configs = [config for config in source.configs if config]
    check = SourceCheck(describe_source(source), repo=source.repo, configs=configs, revision=source.revision)
    try:
        facts = answers.repo(source)
        _check_repo(check, spec, source, answers)
        paths = _check_splits(check, spec, source, facts)
        for split, entries in paths.items():
            _check_files(check, spec, source, answers, split, entries)
        _compare_rows(check)
    except SourceError as error:
        _add_problem(check, error)
    except Exception as error:  # a source of strangers must not end the check of all others
        logger.debug("%s: %s", spec.name, check.source, exc_info=error)
        _add_problem(check, SourceError(f"cannot be checked: {type(error).__name__}: {error}"[:500]))
    return check


def _add_problem(check: SourceCheck, error: Exception) -> None:
    gone = isinstance(error.__cause__, RepositoryNotFoundError) and not isinstance(error.__cause__, GatedRepoError)
    check.problems.append("no such repository, or a private one" if gone else " ".join(str(error).split()))
    check.gated = check.gated or isinstance(error.__cause__, GatedRepoError)
    check.answered = not _no_answer(error)


def _no_answer(error: Exception) -> bool:
    """Whether the Hub could not be asked, rather than having said no."""
    return may_pass(error.__cause__)


def _check_embedded(spec: TaskSpec, source: Embedded) -> SourceCheck:
    check = SourceCheck(describe_source(source))
    try:
        for split in read_splits(spec):
            tables = list(read_piece(Piece(split, "embedded"), spec, source))
            check.columns = {item.name: str(item.type) for item in tables[0].schema}
            check.splits[split] = SplitCheck(rows=sum(map(len, tables)), declared=spec.rows.get(split))
    except SourceError as error:
        _add_problem(check, error)
    _compare_rows(check)
    return check


def _check_repo(check: SourceCheck, spec: TaskSpec, source: Source, answers: Answers) -> None:
    """Its name, its commit, its conditions and its licence."""
    facts = answers.repo(source)
    check.name, check.commit, check.gated = facts.name, facts.commit, facts.gated
    if facts.name != source.repo:
        check.differences.append(f"is called {facts.name} now")
    if facts.gated:
        check.differences.append("is gated; this token opens it")
    licenses = facts.licenses
    if not licenses and source.revision is not None:  # the convert branch has no README
        licenses = answers.main(source).licenses
    check.licenses = list(licenses)
    if licenses and spec.license.lower() not in licenses:
        check.differences.append(f"licence {', '.join(licenses)}, declared {spec.license}")


def _check_splits(
    check: SourceCheck, spec: TaskSpec, source: Source, facts: RepoFacts
) -> dict[str, list[tuple[str | None, str]]]:
    """Where its splits are: split -> (config, path); what is missing is noted.

    Raises:
        SourceError: none is there.
    """
    found, missing = find_files(spec, source, list(facts.sizes), facts.card)
    wanted = read_splits(spec)
    if not set(wanted) & set(found):
        raise SourceError(_nothing_found(spec, source, facts))
    if len(source.configs) == 1:
        missing = [(split, text.replace(f" of config {source.config!r}", "")) for split, text in missing]
    check.missing = [text for split, text in missing if split in wanted]
    check.differences += [f"lacks {text} (labels hidden)" for split, text in missing if split not in wanted]
    factor = rows_per_source_row(source), rows_per_source_row(spec.sources[0])
    for split, entries in found.items():
        declared = spec.rows.get(split)
        check.splits[split] = SplitCheck(
            files=len(entries),
            bytes=sum(facts.sizes[path] for _, path in entries),
            declared=declared and declared * factor[1] // factor[0],
            hidden=split not in wanted,
        )
    return found


def _nothing_found(spec: TaskSpec, source: Source, facts: RepoFacts) -> str:
    """What there is in a repository that has no file of any split that is wanted."""
    paths = sorted(path for path in facts.sizes if kind_of(path))
    splits = [name for split in read_splits(spec) for name in source.source_splits(split)]
    if not paths:
        return f"has no Parquet, CSV or JSON file ({len(facts.sizes)} files)"
    known = [str(entry.get("config_name")) for entry in facts.card.configs]
    known = known or sorted({path.split("/")[0] for path in paths if "/" in path})
    absent = [str(config) for config in source.configs if config not in known]
    if source.files:
        patterns = [item for name in splits for item in source.files.get(name, ())]
        wanted = [item.replace("{config}", config or "") for config in source.configs for item in patterns]
        return f"has no file {_some(wanted, 3)}; nearest {_nearest(wanted[0], paths)[0]!r}"
    if source.config is None or not absent or not known:
        return f"has none of the splits {', '.join(splits)}; its files: {_some(paths)}"
    return f"has no config {_some(absent, 3)}; it has {_some(_nearest(absent[0], known))}"


def _nearest(name: str, known: Sequence[str]) -> list[str]:
    """All that are known, those most like a name first."""
    return difflib.get_close_matches(name, known, n=len(known), cutoff=0)


def _some(items: Sequence[object], count: int = 5) -> str:
    more = f" and {len(items) - count} more" if len(items) > count else ""
    return ", ".join(map(repr, items[:count])) + more


def _compare_rows(check: SourceCheck) -> None:
    differing = [
        f"{split} {entry.rows:,} rows (declared {entry.declared:,})"
        for split, entry in check.splits.items()
        if entry.rows is not None and entry.declared is not None and entry.rows != entry.declared
    ]
    if differing:
        check.differences.append(", ".join(differing))


# --- Files of one split ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _File:
    """What one file shows of itself.

    Args:
        columns: column -> type.
        rows: number of rows, where it is known.
        names: class names that it, or the card, carries.
        labels: some of its labels as written: the least and the greatest of a Parquet file, or those of the first rows.
        whole: whether these stand for all of its rows.
        seen: the labels of the rows that were looked at.
    """

    columns: dict[str, str]
    rows: int | None
    names: tuple[str, ...] | None
    labels: tuple[Any, ...]
    whole: bool
    seen: LabelTally = field(default_factory=LabelTally)


def _check_files(
    check: SourceCheck,
    spec: TaskSpec,
    source: Source,
    answers: Answers,
    split: str,
    entries: Sequence[tuple[str | None, str]],
) -> None:
    """The files of one split: columns, class names, labels, rows. Problems and differences are noted."""
    entry = check.splits[split]
    try:
        files = [_look_at(spec, source, answers, config, path, cast=not entry.hidden) for config, path in entries]
    except SourceError as error:
        if not entry.hidden:
            raise
        check.differences.append(f"{split} (labels hidden): {error}")
        return
    rows = [file.rows for file in files]
    entry.rows = _card_rows(source, answers, split) if None in rows else sum(row or 0 for row in rows)
    if not entry.hidden:
        check.columns = check.columns or files[0].columns
        check.label_names = check.label_names or (list(files[0].names) if files[0].names else None)
    codes = {token: label_code(token, spec, source, file.names) for file in files for token in file.labels}
    if entry.hidden or not spec.has_labels:
        if any(code >= 0 for code in codes.values()):
            check.differences.append(f"{split} has labels (declared hidden)")
        return
    for file in files:
        if reason := file.seen.refusal(spec.names):
            raise SourceError(f"{split}: {reason}")
    unknown = [token for token, code in codes.items() if code == UNKNOWN]
    words = f"{split}: label{'s' * (len(unknown) > 1)} {_some(unknown)} outside the declared names"
    counted_from_one = set(codes) == {1, len(spec.names)} and codes[len(spec.names)] == UNKNOWN
    if unknown and (len(unknown) == len(codes) or counted_from_one):
        raise SourceError(f"{words} {_some(spec.names)}")
    if unknown:
        check.differences.append(f"{words}; such rows are dropped")
    if set(codes.values()) == {UNLABELLED}:
        if all(file.whole for file in files):
            raise SourceError(f"{split}: no row has a label; if they are hidden, declare it in `unlabelled`")
        check.differences.append(f"{split}: the first rows have no label")


def _look_at(spec: TaskSpec, source: Source, answers: Answers, config: str | None, path: str, cast: bool) -> _File:
    """See what a file shows of itself; with ``cast`` also that rows such as it has can be cast.

    Raises:
        SourceError: columns or class names are not those that the declaration needs.
    """
    facts = answers.repo(source)
    names = card_label_names(facts.card, config, label_source(spec, source))
    look = _look_at_parquet if kind_of(path) == "parquet" else _look_at_head
    try:
        file, rows = look(spec, source, answers, config, path, names)
        if cast:
            if file.names:
                check_label_names(spec, source, file.names)
            cast_table(rows, spec, source, config=config, label_names=file.names, seen=file.seen)
    except (CastError, FormatError) as error:
        raise SourceError(str(error)) from error
    return file


def _look_at_parquet(
    spec: TaskSpec, source: Source, answers: Answers, config: str | None, path: str, names: tuple[str, ...] | None
) -> tuple[_File, pa.Table]:
    """What the footer tells, and a table without rows."""
    opened = answers.footer(source, answers.repo(source), path)
    schema, label = opened.schema_arrow, label_source(spec, source)
    labels = _extremes(opened.metadata, label)
    wanted = columns_to_read(spec, source)
    require_columns(wanted, schema.names)
    file = _File(
        {item.name: str(item.type) for item in schema},
        opened.metadata.num_rows,
        stored_label_names(schema, label) or names,
        labels,
        whole=bool(labels),
    )
    return file, schema.empty_table().select(list(wanted)).replace_schema_metadata(None)


def _extremes(metadata: pq.FileMetaData, column: str | None) -> tuple[Any, ...]:
    """The least and the greatest value of a column, by the statistics in a footer; none where these do not tell."""
    found: list[Any] = []
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        chunks = [row_group.column(number) for number in range(row_group.num_columns)]
        statistics = next((chunk.statistics for chunk in chunks if chunk.path_in_schema == column), None)
        if statistics is None or not statistics.has_min_max:
            return ()
        found += [statistics.min, statistics.max]
    return tuple(dict.fromkeys([min(found), max(found)])) if found else ()


def _look_at_head(
    spec: TaskSpec, source: Source, answers: Answers, config: str | None, path: str, names: tuple[str, ...] | None
) -> tuple[_File, pa.Table]:
    """What the first lines tell, and the rows in them."""
    facts, label = answers.repo(source), label_source(spec, source)
    content = answers.head(source, facts, path)
    piece = Piece(
        path,
        str(kind_of(path)),
        config,
        delimiter=delimiter_of(source, path),
        quote=source.quote,
        header=source.header,
        label_names=names,
    )
    tables = list(read_file(io.BytesIO(content), piece, spec, source))
    if not tables:
        raise SourceError(f"{path} has no rows")
    table = pa.concat_tables(tables)
    whole = len(content) == facts.sizes[path]
    head = table.slice(0, HEAD_ROWS)
    labels = tuple(head[label].unique().to_pylist()) if label is not None else ()
    columns = {item.name: str(item.type) for item in table.schema}
    return _File(columns, len(table) if whole else None, names, labels, whole and len(head) == len(table)), head


def _card_rows(source: Source, answers: Answers, split: str) -> int | None:
    """Rows of a split by the card of the repository; None where it does not tell of each part."""
    known = answers.repo(source).card.rows
    counts = [
        known.get((config, name)) if config or (None, name) in known else known.get(("default", name))
        for config in source.configs
        for name in source.source_splits(split)
    ]
    return None if None in counts else sum(count or 0 for count in counts)
