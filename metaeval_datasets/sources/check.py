"""Compare the declared sources of tasks with the current state of the Hub.

No complete file is downloaded. The check reads facts about each repository, and the footer of each Parquet file or the
first lines of each CSV or JSON file, once for all tasks that share it. A source is

- ``usable`` if it is as declared;
- ``differs`` if it can be used, but rows, licence, name or splits are not as declared;
- ``not usable`` if loading would skip it or find no row in it.

A task has the status of the source that loading would use, or ``differs`` if that is not its first source.
"""

from __future__ import annotations

import difflib
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from huggingface_hub import constants
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

from metaeval_datasets.cast import cast_table
from metaeval_datasets.catalog import get_task
from metaeval_datasets.outside import LabelTally
from metaeval_datasets.sources.asking import SilentHubError, SourceError, may_pass, offline
from metaeval_datasets.sources.check_files import check_files, quote_some
from metaeval_datasets.sources.check_results import SourceCheck, SplitCheck, TaskCheck
from metaeval_datasets.sources.hub_answers import Answers
from metaeval_datasets.sources.hub_files import RepoFacts
from metaeval_datasets.sources.layout import kind_of
from metaeval_datasets.sources.opening import describe_source, find_files, open_unchecked, read_splits
from metaeval_datasets.sources.pins import source_name
from metaeval_datasets.sources.revisions import PinnedCommitError, gone
from metaeval_datasets.sources.source_files import name_in_errors, read_source_file
from metaeval_datasets.spec import (
    AnySource,
    EditionName,
    Embedded,
    Files,
    Source,
    SpecError,
    TaskSpec,
    rows_per_source_row,
)

logger = logging.getLogger(__name__)

WORKERS = 8  # threads: enough to hide the latency of the Hub, few enough for its rate limits
T = TypeVar("T")


# --- All tasks ------------------------------------------------------------------------------------------------------


def check_tasks(
    entries: Sequence[tuple[str, EditionName]],
    answers: Answers,
    workers: int = WORKERS,
    on_source: Callable[[str], None] = lambda task: None,
) -> list[TaskCheck]:
    """Check all sources of tasks in parallel.

    Args:
        entries: (name, edition) of each task.
        answers: cached answers of the Hub.
        workers: number of threads.
        on_source: called in the calling thread with the name of a task after each check of a source.

    Raises:
        ConnectionError: the Hub cannot be reached or refuses the token.
        UnknownTaskError: no task has one of the names.
    """
    specs = [get_task(name).edition(edition) for name, edition in entries]
    pairs = [(spec, source) for spec in specs for source in spec.sources]
    if first := next((source for _, source in pairs if isinstance(source, Source)), None):
        _check_connection(first, answers)
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


def _check_connection(source: Source, answers: Answers) -> None:
    """Send one request first, so that an unreachable Hub fails once and not for every source."""
    if variable := offline():
        raise ConnectionError(f"offline ({variable}), but the check needs the Hub; unset {variable}")
    try:
        answers.repo(source)
    except SourceError as error:
        if isinstance(error, SilentHubError):
            raise ConnectionError(str(error)) from error
        response = getattr(error.__cause__, "response", None)
        if response is not None and response.status_code == 401 and "Invalid credentials" in str(error.__cause__):
            raise ConnectionError(f"the Hub at {constants.ENDPOINT} refuses the token; check HF_TOKEN") from error


def _in_threads(jobs: Sequence[Callable[[], T]], workers: int, on_done: Callable[[int], None]) -> list[T]:
    """Run jobs in threads and return their results in order; the first failure and Ctrl-C end the wait at once."""
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
        # Daemon threads: at exit, Python would wait for the threads of an executor, and one may be waiting for the Hub.
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


def commits_of(checks: Sequence[TaskCheck]) -> tuple[dict[str, str], list[str]]:
    """Collect the commits of checked sources for a pin file.

    Returns:
        Name of a source -> its commit; and the names of the sources without one, because they do not exist or cannot
        be read.

    Raises:
        ConnectionError: the Hub did not answer for a source, so that the file would lack it.
    """
    sources = [source for check in checks for source in check.sources if source.repo is not None]
    commits = {source_name(str(source.repo), source.revision): source.commit for source in sources if source.commit}
    answered = {source_name(str(source.repo), source.revision): source.answered for source in sources}
    if silent := sorted(name for name in answered.keys() - commits.keys() if not answered[name]):
        more = f" and {len(silent) - 1} more" if len(silent) > 1 else ""
        raise ConnectionError(
            f"no pin file is written, because the Hub did not answer for {silent[0]}{more}; try again"
        )
    return commits, sorted(answered.keys() - commits.keys())


# --- One source -----------------------------------------------------------------------------------------------------


def check_source(spec: TaskSpec, source: AnySource, answers: Answers) -> SourceCheck:
    """Check one source of a task in one edition."""
    if isinstance(source, Embedded | Files):
        return _check_local(spec, source)
    configs = [config for config in source.configs if config]
    check = SourceCheck(describe_source(source), repo=source.repo, configs=configs, revision=source.revision)
    try:
        facts = answers.repo(source)
        _check_repo(check, spec, source, answers)
        paths = _check_splits(check, spec, source, facts)
        for split, entries in paths.items():
            check_files(check, spec, source, answers, split, entries)
        _compare_rows(check)
    except SourceError as error:
        if answers.pins.commit(source) and isinstance(error.__cause__, RevisionNotFoundError):
            error = PinnedCommitError(gone(answers.pins, source))
        _add_problem(check, error)
    except Exception as error:  # one malformed source must not end the check of all others
        logger.debug("%s: %s", spec.name, check.source, exc_info=error)
        _add_problem(check, SourceError(f"cannot be checked: {type(error).__name__}: {error}"[:500]))
    return check


def _add_problem(check: SourceCheck, error: Exception) -> None:
    gone = isinstance(error.__cause__, RepositoryNotFoundError) and not isinstance(error.__cause__, GatedRepoError)
    check.problems.append("no such repository, or a private one" if gone else " ".join(str(error).split()))
    check.gated = check.gated or isinstance(error.__cause__, GatedRepoError)
    check.answered = not _no_answer(error)


def _no_answer(error: Exception) -> bool:
    """Return whether the Hub did not answer, rather than refuse."""
    return may_pass(error.__cause__)


def _check_local(spec: TaskSpec, source: Embedded | Files) -> SourceCheck:
    """Check rows that are generated here, or that are in local files, which are read to the end."""
    try:
        check = SourceCheck(describe_source(source))
    except SpecError as error:  # a file does not exist
        check = SourceCheck(", ".join(source.all_paths()) if isinstance(source, Files) else source.module)
        _add_problem(check, error)
        return check
    try:
        for split, pieces in open_unchecked(spec, source).pieces.items():
            found, seen = SplitCheck(rows=0, declared=spec.rows.get(split)), LabelTally()
            for piece in pieces:
                for table in read_source_file(piece, spec, source):
                    check.columns = {item.name: str(item.type) for item in table.schema}
                    found.rows = (found.rows or 0) + len(table)
                    with name_in_errors(piece):
                        cast_table(table, spec, source, label_names=piece.label_names, seen=seen)
            if reason := seen.refusal(spec.names):
                raise SourceError(f"{split}: {reason}")
            check.splits[split] = found
    except SourceError as error:
        _add_problem(check, error)
    _compare_rows(check)
    return check


def _check_repo(check: SourceCheck, spec: TaskSpec, source: Source, answers: Answers) -> None:
    """Check name, commit, conditions and licence of a repository."""
    facts = answers.repo(source)
    check.name, check.commit, check.gated = facts.name, facts.commit, facts.gated
    if answers.pins.commit(source) and (now := answers.branch(source).commit) != facts.commit:
        check.differences.append(f"has moved from its pinned commit {facts.commit} to {now}")
    if facts.name != source.repo:
        check.differences.append(f"is now called {facts.name}")
    if facts.gated:
        check.differences.append("is gated; this token has access")
    licenses = facts.licenses
    if not licenses and source.revision is not None:  # refs/convert/parquet has no README
        licenses = answers.main(source).licenses
    check.licenses = list(licenses)
    if licenses and spec.license.lower() not in licenses:
        check.differences.append(f"licence {', '.join(licenses)} (declared {spec.license})")


def _check_splits(
    check: SourceCheck, spec: TaskSpec, source: Source, facts: RepoFacts
) -> dict[str, list[tuple[str | None, str]]]:
    """Find the files of all splits: split -> (config, path); add missing splits to the result.

    Raises:
        SourceError: the source has none of the splits.
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
    """Describe a repository that has no file of any requested split."""
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
        return f"has no file {quote_some(wanted, 3)}; nearest {_nearest(wanted[0], paths)[0]!r}"
    if source.config is None or not absent or not known:
        return f"has none of the splits {', '.join(splits)}; its files: {quote_some(paths)}"
    return f"has no config {quote_some(absent, 3)}; it has {quote_some(_nearest(absent[0], known))}"


def _nearest(name: str, known: Sequence[str]) -> list[str]:
    """Return all known names, those most similar to a name first."""
    return difflib.get_close_matches(name, known, n=len(known), cutoff=0)


def _compare_rows(check: SourceCheck) -> None:
    differing = [
        f"{split} {entry.rows:,} rows (declared {entry.declared:,})"
        for split, entry in check.splits.items()
        if entry.rows is not None and entry.declared is not None and entry.rows != entry.declared
    ]
    if differing:
        check.differences.append(", ".join(differing))
