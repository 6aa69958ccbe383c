"""Compare the declared sources of tasks with the Hub.

The command checks for each source whether it exists, whether it is gated or was renamed, and whether its splits,
columns, class names, numbers of rows and licence are as declared. It downloads no complete file. It lists the tasks
that differ from their declaration, worst first; --all lists every task. The exit status is 1 if a task has no usable
source.

--pin FILE writes the commit of every checked source to a JSON file. With pins=FILE in load_dataset, --pins FILE of the
commands and scripts, or the environment variable METAEVAL_PINS=FILE, sources are read at these commits, even if their
branches move.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaeval_hub.cli.places import add_pins, add_task_file, check_file
from metaeval_hub.results.terminal import make_console, make_table, print_table, progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from metaeval_datasets.sources.check_results import SourceCheck, TaskCheck
    from metaeval_datasets.sources.hub_answers import Answers
    from metaeval_datasets.spec import EditionName

STYLES = {"not usable": "red", "differs": "yellow", "usable": "green"}
CONVERT_BRANCH = "refs/convert/parquet"
FULL_COMMIT = re.compile(r"[0-9a-f]{40}")
WIDE = 120  # terminal width in characters from which a table is easier to read than a list


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "names", nargs="*", help="tasks and groups, such as pragmeval or glue/cola (default: all tasks)"
    )
    parser.add_argument(
        "--edition", choices=("careful", "paper"), help="check only this edition (default: both, if they differ)"
    )
    parser.add_argument("--json", metavar="FILE", help="write all results to this JSON file; - is standard output")
    parser.add_argument("--all", action="store_true", help="also list tasks that are as declared")
    parser.add_argument("--workers", type=int, default=8, help="parallel requests to the Hub (default: 8)")
    pins = parser.add_mutually_exclusive_group()
    pins.add_argument(
        "--pin", metavar="FILE", help="write the commit of every checked source to this JSON file, one line per source"
    )
    add_pins(pins)
    add_task_file(parser)


def run(options: argparse.Namespace) -> int:
    """Check the sources, print and write the results; return 1 if a task has no usable source."""
    from metaeval_datasets import get_task, list_tasks, select_tasks
    from metaeval_datasets.sources.check import check_tasks
    from metaeval_datasets.sources.hub_answers import Answers
    from metaeval_datasets.sources.pins import Pins, find_pins

    if options.workers < 1:
        raise ValueError(f"--workers must be at least 1, got {options.workers}")
    editions: tuple[EditionName, ...] = ("careful", "paper")
    names = select_tasks(options.names) if options.names else list_tasks(own=False)
    entries: list[tuple[str, EditionName]] = [
        (name, edition)
        for name in names
        for edition in editions
        if options.edition in (None, edition) and (edition == "careful" or get_task(name).paper is not None)
    ]
    if not entries:
        raise ValueError(
            f"none of {', '.join(options.names)} has its own {options.edition!r} edition; leave out --edition"
        )
    if options.json and options.json != "-":
        check_file(Path(options.json), "--json")
    if options.pin:
        check_file(Path(options.pin).expanduser(), "--pin")
    answers = Answers(pins=Pins() if options.pin else find_pins())
    started = time.monotonic()
    sources = sum(len(get_task(name).edition(edition).sources) for name, edition in entries)
    with progress(sources, "asking the Hub") as step:
        checks = check_tasks(entries, answers, options.workers, step)
    seconds = time.monotonic() - started
    if options.pin:
        _write_pins(options.pin, checks)
    if options.json:
        _write(options.json, checks, answers, seconds)
    if options.json != "-":
        _show(make_console(), checks, everything=options.all or len(names) == 1)
        for line in _sums(checks, answers, seconds):
            print(line)
    return int(any(check.status == "not usable" for check in checks))


# --- For people -----------------------------------------------------------------------------------------------------


def _show(console: Console, checks: list[TaskCheck], everything: bool) -> None:
    """Print the tasks, worst first, as a table, or as a list if the terminal is too narrow."""
    careful = {check.task: _findings(check) for check in checks if check.edition == "careful"}
    listed = [
        check
        for check in sorted(checks, key=_badness, reverse=True)
        # list the paper's edition only if its result differs
        if check.edition == "careful" or _findings(check) != careful.get(check.task)
    ]
    if not everything:
        listed = [check for check in listed if check.status != "usable"]
    if not listed:
        return
    if not console.is_terminal:
        print_table(console, _table(listed, "status", "task", "source", "what is found"))
        console.print()
        return
    for status, style in STYLES.items():
        if group := [check for check in listed if check.status == status]:
            console.print(f"{status.upper()} ({_count(group)})", style=f"bold {style}")
            if console.width >= WIDE:
                console.print(_table(group, "task", "source", "what is found"))
            else:
                _print_list(console, group)
            console.print()


def _count(checks: list[TaskCheck]) -> str:
    """Count tasks and editions of the paper separately, as the totals at the end do."""
    paper = sum(check.edition == "paper" for check in checks)
    return str(len(checks) - paper) + (f" and {paper} of the paper's editions" if paper else "")


def _badness(check: TaskCheck) -> tuple[bool, bool, bool, bool]:
    """Return a sort key: no usable source, then missing splits, then a fallback source, then any other difference."""
    if check.serves is None:
        return True, True, True, True
    source = check.sources[check.serves]
    return False, bool(source.missing), bool(check.serves), bool(source.findings)


def _findings(check: TaskCheck) -> list[tuple[str, list[str]]]:
    return [(source.source, source.findings) for source in check.sources]


def _table(checks: list[TaskCheck], *columns: str) -> Table:
    """Return a table with one line per source; in a pipe, every line has the status and the task."""
    table = make_table(*columns)
    for column in table.columns:
        column.overflow = "fold"
    for check in checks:
        for number, source in enumerate(check.sources):
            names = [check.status, _name(check)] if columns[0] == "status" else [_name(check) if number == 0 else ""]
            table.add_row(*names, _short(source), _words(check, number), style=_style(check, number))
    return table


def _print_list(console: Console, checks: list[TaskCheck]) -> None:
    from rich.padding import Padding

    for check in checks:
        console.print(_name(check), style="bold")
        for number, source in enumerate(check.sources):
            text = f"{_short(source)}: {_words(check, number)}"
            console.print(Padding(text, (0, 0, 0, 2), style=_style(check, number)))


def _name(check: TaskCheck) -> str:
    return check.task + (" (paper)" if check.edition == "paper" else "")


def _short(source: SourceCheck) -> str:
    """Describe a source briefly, with the first of its configs and the start of a commit id."""
    if source.repo is None:
        return source.source
    configs = source.configs[0] if source.configs else ""
    configs += f" and {len(source.configs) - 1} more" if len(source.configs) > 1 else ""
    revision = source.revision or ""
    if revision == CONVERT_BRANCH:
        revision = "convert branch"
    elif FULL_COMMIT.fullmatch(revision):
        revision = revision[:8]
    return source.repo + (f" ({configs})" if configs else "") + (f", {revision}" if revision else "")


def _style(check: TaskCheck, number: int) -> str:
    """Return the style of a source; sources that are not used are dimmed."""
    return "" if check.serves in (None, number) else "dim"


def _words(check: TaskCheck, number: int) -> str:
    """Describe what is wrong with a source, and whether rows come from it."""
    source = check.sources[number]
    serves = ["used"] if check.serves == number and (number or source.findings) else []
    return "; ".join([*serves, *source.findings]) or _facts(source)


def _facts(source: SourceCheck) -> str:
    """Describe a source that is as declared."""
    rows = ", ".join(f"{split} {entry.rows:,}" for split, entry in source.splits.items() if entry.rows is not None)
    commit = f"commit {source.commit[:10]}" if source.commit else ""
    return "; ".join(filter(None, ["as declared", rows, commit]))


def _sums(checks: list[TaskCheck], answers: Answers, seconds: float) -> list[str]:
    """Return the totals as lines."""
    lines = []
    for edition, noun in (("careful", "task"), ("paper", "edition of the paper")):
        counts = Counter(check.status for check in checks if check.edition == edition)
        if total := counts.total():
            plural = noun.replace("task", "tasks").replace("edition", "editions") if total > 1 else noun
            lines.append(
                f"{total} {plural}: {counts['usable']} as declared, {counts['differs']} usable but differ, "
                f"{counts['not usable']} not usable"
            )
    sources = [source for check in checks for source in check.sources]
    if unanswered := sum(not source.answered for source in sources):
        lines.append(f"the Hub did not answer for {unanswered} of {len(sources)} sources; try again later")
    files = answers.count("footer") + answers.count("head")
    asked = f"read {answers.count('repo')} repositories and {files} files" if answers.count() else "no requests"
    lines.append(f"{len(sources)} sources: {asked}, {seconds:.1f} s")
    return lines


# --- For programs ---------------------------------------------------------------------------------------------------


def _write(path: str, checks: list[TaskCheck], answers: Answers, seconds: float) -> None:
    """Write the complete report; a file is replaced atomically."""
    from huggingface_hub import constants

    facts = {
        "endpoint": constants.ENDPOINT,
        "checked_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(seconds, 1),
        "asked": answers.count(),
        "tasks": [_task_facts(check) for check in checks],
    }
    text = json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
    if path == "-":
        sys.stdout.write(text)
        return
    temporary = Path(f"{path}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _write_pins(path: str, checks: list[TaskCheck]) -> None:
    """Write the commits of all sources, and say on standard error how many sources have none.

    Raises:
        ConnectionError: the Hub did not answer for a source; no file is written.
    """
    from metaeval_datasets.sources.check import commits_of
    from metaeval_datasets.sources.pins import write_pins

    commits, without = commits_of(checks)
    write_pins(path, commits)
    print(f"{path}: commits of {len(commits)} source{'s' * (len(commits) != 1)}", file=sys.stderr)
    if without:
        print(f"not pinned, because they cannot be read: {', '.join(without)}", file=sys.stderr)


def _task_facts(check: TaskCheck) -> dict[str, Any]:
    return {
        "task": check.task,
        "edition": check.edition,
        "status": check.status,
        "serves": None if check.serves is None else check.sources[check.serves].source,
        "sources": [{"status": source.status, **dataclasses.asdict(source)} for source in check.sources],
    }
