"""Publish tasks as a dataset repository that loads without this package.

The command first checks the repository id and the token. It then builds each task as a folder of Parquet files and
skips tasks that are already built and unchanged. Finally it uploads everything that changed in one commit, with a card
that describes the whole repository. An interruption leaves the repository unchanged, and the same command resumes.
--dry-run builds the tasks and lists what would be uploaded. --verify uploads nothing: it reads the published tasks
back and compares them with those built here. --metric publishes the metric of the tasks instead, as a Space from which
`evaluate` loads it.
"""

from __future__ import annotations

import argparse
import glob
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from metaeval_hub.cli.places import add_pins, add_task_file, check_folder
from metaeval_hub.results.terminal import progress, quiet

if TYPE_CHECKING:
    from metaeval_datasets.record import TaskRecord
    from metaeval_hub.hub.repo_state import RepoState

CARD = "README.md"
# Files that a new repository may contain. A card created on the Hub's website is replaced.
_OF_NEW_REPOSITORIES = frozenset({".gitattributes", ".gitignore", CARD, "LICENSE", "LICENSE.md", "LICENSE.txt"})


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument(
        "--repo-id",
        metavar="ORG/NAME",
        help="dataset repository, created if it does not exist; NAME alone is in your namespace",
    )
    target.add_argument(
        "--metric", metavar="ORG/NAME", help="publish the metric of the tasks as this Space, instead of tasks"
    )
    parser.add_argument("--tasks", nargs="+", metavar="NAME", help="tasks and groups to publish (default: all tasks)")
    parser.add_argument(
        "--edition", choices=("careful", "paper"), default="careful", help="edition of the tasks (default: careful)"
    )
    parser.add_argument(
        "--folder", type=Path, default=Path("published"), help="folder to build the files in (default: ./published)"
    )
    parser.add_argument("--private", action="store_true", help="create the repository as private")
    parser.add_argument("--prune", action="store_true", help="remove published tasks that are not selected")
    parser.add_argument("--skip-failed", action="store_true", help="publish the other tasks if some cannot be built")
    parser.add_argument("--rebuild", action="store_true", help="read the sources and build all tasks again")
    parser.add_argument("--tag", help="tag of the commit (default: v and the version of metaeval)")
    parser.add_argument("--move-tag", action="store_true", help="move the tag if another commit has it")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--dry-run", action="store_true", help="build the tasks and list what would be uploaded")
    mode.add_argument("--verify", action="store_true", help="build the tasks and compare them with the published ones")
    add_pins(parser)
    add_task_file(parser)


def run(options: argparse.Namespace) -> int:
    """Build the tasks, then publish or compare them; return 1 if a task could not be built or differs."""
    from metaeval_datasets import list_tasks, select_tasks
    from metaeval_datasets.publish import locked

    if options.metric:
        return _publish_metric(options)
    names = select_tasks(options.tasks) if options.tasks else list_tasks(own=False)
    _check_target(options)
    check_folder(options.folder, "--folder")
    with locked(options.folder):
        with quiet(options.verbose, bars=False):
            records, failed = _build(names, options)
        print(_sum(records, options.folder))
        for name, reason in failed.items():
            print(f"not built: {name}: {reason}")
        lacking = bool(failed) and not (options.skip_failed and records)
        if options.verify:
            with quiet(options.verbose, bars=False):
                return int(not _verify(records, options.repo_id, options.folder) or lacking)
        if lacking:
            print(f"{len(failed)} of {len(names)} tasks not built, nothing uploaded; --skip-failed uploads the others")
            return 1
        with quiet(options.verbose):
            _publish(records, options)
    return 0


def _publish_metric(options: argparse.Namespace) -> int:
    """Publish the metric, or list its files for --dry-run."""
    from metaeval_hub.hub.login import check_token
    from metaeval_hub.hub.metric_space import metric_files, push_metric
    from metaeval_hub.hub.names import check_repo_id

    check_repo_id(options.metric)
    version = _version()
    if options.dry_run:
        print(f"{options.metric}: {', '.join(metric_files(options.metric, version))}; nothing was uploaded")
        return 0
    check_token(options.metric)
    print(f"published: {push_metric(options.metric, version, private=options.private or None)}")
    return 0


def _check_target(options: argparse.Namespace) -> None:
    """Complete the repository id, and check that the token may write if something will be uploaded.

    Raises:
        ValueError: the repository id is not valid.
        HubError: the token is missing or may not write.
    """
    from metaeval_hub.hub.login import check_token, push_target
    from metaeval_hub.hub.names import check_repo_id

    check_repo_id(options.repo_id)
    if "/" not in options.repo_id:
        options.repo_id = push_target(options.repo_id)
    if not (options.dry_run or options.verify):
        check_token(options.repo_id)


def _build(names: Sequence[str], options: argparse.Namespace) -> tuple[list[TaskRecord], dict[str, str]]:
    """Build all tasks; return the records, and task -> reason for those that cannot be built."""
    from metaeval_datasets.publish import build_task

    records, failed = [], {}
    with progress(len(names), "building") as step:
        for number, name in enumerate(names):
            try:
                records.append(build_task(name, options.folder, options.edition, rebuild=options.rebuild))
            except Exception as error:  # every failure is reported with the name of the task
                failed[name] = _reason(error, name)
            step(names[number + 1] if number + 1 < len(names) else "")
    return records, failed


def _reason(error: Exception, name: str) -> str:
    """Return why a task could not be built, with one line per source."""
    from metaeval_datasets import NoSourceError

    text = str(error).removeprefix(f"task {name}: ").replace("\n", "\n  ")
    return text if isinstance(error, NoSourceError) else f"{type(error).__name__}: {text}"


def _sum(records: Sequence[TaskRecord], folder: Path) -> str:
    rows, size = sum(record.rows for record in records), sum(sum(record.paths.values()) for record in records)
    return f"{_count(len(records), 'task')} in {folder}: {_count(rows, 'row')}, {_megabytes(size)}"


# --- Publishing -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Plan:
    """Describe an upload.

    Args:
        files: path in the repository -> local file, for files that are missing or different there.
        stale: paths of files to remove.
        tasks: task -> new, changed, unchanged, kept (published but not selected) or removed.
    """

    files: Mapping[str, Path]
    stale: Sequence[str]
    tasks: Mapping[str, str]

    def __str__(self) -> str:
        counts = {status: list(self.tasks.values()).count(status) for status in ("new", "changed", "removed")}
        others = len(self.tasks) - sum(counts.values())
        size = sum(path.stat().st_size for path in self.files.values())
        summary = ", ".join(f"{count} {status}" for status, count in counts.items())
        return f"{summary}, {others} unchanged; {_count(len(self.files), 'file')} to upload, {_megabytes(size)}"


def _publish(records: Sequence[TaskRecord], options: argparse.Namespace) -> None:
    from metaeval_hub.hub.repo_state import repo_state
    from metaeval_hub.hub.retry import ConflictError
    from metaeval_hub.hub.upload import create_repo, push_files, tag_commit

    repo_id, tag = options.repo_id, options.tag or f"v{_version()}"
    state = repo_state(repo_id, repo_type="dataset")
    if state is None and not options.dry_run:
        create_repo(repo_id, repo_type="dataset", private=options.private)
        state = repo_state(repo_id, repo_type="dataset")
    if options.private and state is not None and not state.private:
        raise ValueError(
            f"{repo_id} is public and --private only applies to new repositories; make it private on the Hub first"
        )
    plan = _plan(records, _published(repo_id, state), state, options)
    print(f"{repo_id}: {plan}")
    if options.dry_run:
        for name, status in plan.tasks.items():
            print(f"  {status:9}  {name}")
        print(f"nothing was uploaded; the card is {options.folder / CARD}")
        return
    if state is None:  # it was created a moment ago
        raise ValueError(f"{repo_id} was created but cannot be found; run the command again")
    commit = state.commit
    if plan.files or plan.stale:
        try:
            made = push_files(
                plan.files,
                repo_id,
                repo_type="dataset",
                message=f"Publish {_count(len(records), 'task')}",
                remove=[glob.escape(name) for name in plan.stale],
                parent_commit=state.commit,
            )
        except ConflictError as error:
            raise ConflictError(
                f"{repo_id} was changed by someone else meanwhile, so nothing was uploaded; run the command again to "
                "publish on top of that change"
            ) from error
        commit = made.oid
        print(f"published: {made.commit_url}")
    place = tag_commit(repo_id, tag, commit, repo_type="dataset", move=options.move_tag)
    if place == commit:
        print(f"tagged {tag}: {commit}")
    else:
        print(f"tag {tag} stays at {place}; use --move-tag to move it, or --tag for another name")


def _published(repo_id: str, state: RepoState | None) -> dict[str, TaskRecord]:
    """Return task -> record of the tasks in a repository.

    Raises:
        ValueError: the repository contains other files than published tasks.
    """
    from metaeval_datasets.record import RECORDS_FILE, load_records
    from metaeval_hub.hub.download import fetch

    if state is None:
        return {}
    if RECORDS_FILE not in state.files:
        if other := sorted(state.files.keys() - _OF_NEW_REPOSITORIES):
            raise ValueError(
                f"{repo_id} contains {other[0]} but no {RECORDS_FILE}: it was not published by this command, which "
                "would replace its card; give another --repo-id"
            )
        return {}
    folder = fetch(repo_id, revision=state.commit, allow_patterns=[RECORDS_FILE], repo_type="dataset")
    records = load_records((folder / RECORDS_FILE).read_bytes())
    for name, record in list(records.items()):
        if gone := sorted(record.paths.keys() - state.files.keys()):
            print(f"{repo_id}: {gone[0]} is missing; {name} is not in the card unless it is published again")
            del records[name]
    return records


def _plan(
    records: Sequence[TaskRecord],
    published: Mapping[str, TaskRecord],
    state: RepoState | None,
    options: argparse.Namespace,
) -> _Plan:
    """Write the card and the records of the future repository, and compare all files with the current one."""
    from metaeval_datasets.publish import in_order
    from metaeval_datasets.record import RECORDS_FILE, dump_records
    from metaeval_hub.hub.dataset_card import dataset_card
    from metaeval_hub.hub.repo_state import changed_files

    built = {record.task: record for record in records}
    others = {name: record for name, record in published.items() if name not in built}
    kept = {} if options.prune else others
    if other_edition := [name for name, record in kept.items() if record.edition != options.edition]:
        raise ValueError(
            f"{options.repo_id} contains {other_edition[0]} in the {kept[other_edition[0]].edition} edition, and a "
            "repository has one edition; give another --repo-id, or --prune to replace its tasks"
        )
    merged = in_order([*built.values(), *kept.values()])
    folder: Path = options.folder
    (folder / CARD).write_text(dataset_card(options.repo_id, merged), encoding="utf-8")
    (folder / RECORDS_FILE).write_text(dump_records(merged), encoding="utf-8")
    files = {
        path: folder / path for path in (CARD, RECORDS_FILE, *(path for record in records for path in record.paths))
    }
    changed = changed_files(files, state)
    ours = {record.config for record in records} | {record.config for record in others.values() if options.prune}
    there = [] if state is None else sorted(state.files)
    stale = [name for name in there if "/" in name and name.split("/")[0] in ours and name not in files]
    tasks = dict.fromkeys((record.task for record in merged), "kept")
    for record in records:
        same = published.get(record.task) == record and not record.paths.keys() & set(changed)
        tasks[record.task] = "unchanged" if same else "changed" if record.task in published else "new"
    return _Plan(
        {name: files[name] for name in changed}, stale, tasks | dict.fromkeys(others.keys() - kept.keys(), "removed")
    )


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("metaeval")
    except PackageNotFoundError:
        raise ValueError(
            "the version is unknown because metaeval is not installed; install it, or give a --tag"
        ) from None


# --- Verification ---------------------------------------------------------------------------------------------------


def _verify(records: Sequence[TaskRecord], repo_id: str, folder: Path) -> bool:
    """Read back the published tasks, print all differences from the built ones, and return whether there are none."""
    from metaeval_datasets.publish import differences, in_order
    from metaeval_datasets.record import RECORDS_FILE
    from metaeval_hub.hub.download import CacheOptions, fetch
    from metaeval_hub.hub.repo_state import repo_state

    state = repo_state(repo_id, repo_type="dataset")
    if state is None:
        raise ValueError(f"there is no dataset {repo_id}, or the token cannot access it; check --repo-id and HF_TOKEN")
    published = _published(repo_id, state)
    found: dict[str, list[str]] = {}
    with progress(len(records), "reading back") as step, _empty_folder(folder / ".verify") as cache:
        for record in records:
            if record.task not in published:
                found[record.task] = ["is not published"]
            else:
                # `datasets` inspects the files of the first config, whichever config it loads
                configs = {in_order(published.values())[0].config, record.config}
                copy = fetch(
                    repo_id,
                    revision=state.commit,
                    allow_patterns=[CARD, *(f"{glob.escape(config)}/*" for config in sorted(configs))],
                    repo_type="dataset",
                    cache=CacheOptions(cache),  # empty, so that every file is downloaded
                )
                found[record.task] = differences(record, copy)
                if not record.is_like(published[record.task]):
                    found[record.task].append(f"its record in {RECORDS_FILE} differs from the built one")
            step(record.task)
    for task, texts in found.items():
        for text in texts:
            print(f"{task}: {text}")
    differing = sum(bool(texts) for texts in found.values())
    result = f"{differing} of {_count(len(records), 'task')} differ" if differing else "as built"
    print(f"{repo_id} at {state.commit}: {_count(len(records), 'task')} read back, {result}")
    return not differing


@contextmanager
def _empty_folder(path: Path) -> Iterator[Path]:
    """Create an empty folder that is deleted afterwards, replacing one left by an earlier call."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


# --- Words ----------------------------------------------------------------------------------------------------------


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
