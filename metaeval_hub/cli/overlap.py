"""Find texts that evaluation splits share with training splits of the same task or of other tasks.

The command compares the validation and test splits of all given tasks with all their training splits, and shows the
pairs of tasks that share most. Case, punctuation and white space are ignored; metaeval_datasets/overlap.py has the
exact rules. With --out it writes overlap.json (all results), overlap.csv (one line per pair of tasks that share texts,
with an example), overlap_matrix.csv and overlap_matrix.png (evaluation tasks by training tasks). The exit status is 1
if a task could not be loaded.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metaeval_hub.cli.places import add_pins, add_task_file, check_folder
from metaeval_hub.results.terminal import quiet

if TYPE_CHECKING:
    from datasets import DatasetDict
    from rich.console import Console
    from rich.table import Table

    from metaeval_datasets.overlap_report import Overlap, Pair

PLAIN_WIDTH = 220  # width of the table if the output is not a terminal
MIN_EXAMPLE = 20  # minimum number of characters of an example
MAX_REASON = 160  # characters shown of a reason; the JSON file has all
COLUMNS = (
    *("evaluation_task", "training_task", "evaluation_rows", "shared_rows", "share", "whole_rows", "exact_rows"),
    *("validation_rows", "test_rows", "example_split", "example_evaluation_row", "example_training_row"),
    *("example_evaluation_text", "example_training_text"),
)


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "names", nargs="*", help="tasks and groups, such as pragmeval or glue/cola (default: all tasks)"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="write JSON, CSV and the figure to this folder")
    parser.add_argument(
        "--edition", choices=("careful", "paper"), default="careful", help="edition of the tasks (default: careful)"
    )
    parser.add_argument(
        "--min-length", type=int, default=20, help="minimum letters and digits of a text to compare (default: 20)"
    )
    parser.add_argument(
        "--max-repeats", type=int, default=10,
        help="ignore a sentence of a pair that more rows of a split share, as their topic (default: 10)",
    )  # fmt: skip
    parser.add_argument("--whole-only", action="store_true", help="compare only whole pairs, not single sentences")
    parser.add_argument("--top", type=int, default=20, help="pairs of tasks to show (default: 20)")
    add_pins(parser)
    add_task_file(parser)


def run(options: argparse.Namespace) -> int:
    """Compare the tasks, print the worst pairs, write the files; return 1 if a task could not be loaded."""
    from metaeval_datasets import list_tasks, select_tasks
    from metaeval_datasets.overlap import Rules
    from metaeval_datasets.overlap_report import find_overlap

    rules = Rules(options.min_length, options.max_repeats, sentences=not options.whole_only)
    names = select_tasks(options.names) if options.names else list_tasks(own=False)
    if options.out is not None:
        check_folder(options.out, "--out")
    console = _console()
    started = time.monotonic()
    with quiet(options.verbose, bars=False), _progress(len(names)) as step:
        tasks, failed = _load(names, options.edition, step)
        overlap = find_overlap(tasks, rules, lambda task, split: step(f"{task} {split}", split == "train"))
    facts = _facts(overlap, tasks, failed, options.edition, time.monotonic() - started)
    _show(console, overlap, facts, options.top)
    if options.out is not None and tasks:
        for path in _write(options.out, overlap, facts):
            console.print(f"written: {path}", soft_wrap=True, markup=False)
    for name, reason in failed.items():
        shown = reason if options.verbose or len(reason) <= MAX_REASON else reason[: MAX_REASON - 1] + "…"
        console.print(f"not loaded: {name}: {shown}", soft_wrap=True, markup=False, style="yellow", highlight=False)
    if failed:
        text = f"{len(failed)} of {len(names)} tasks could not be loaded; the report does not include them"
        console.print(text, soft_wrap=True, style="bold yellow", highlight=False)
    return 1 if failed else 0


def _load(
    names: list[str], edition: str, step: Callable[[str, bool], None]
) -> tuple[dict[str, DatasetDict], dict[str, str]]:
    """Load the tasks; return them, and task -> reason in one line for those that cannot be loaded."""
    from metaeval_datasets import load_dataset

    tasks, failed = {}, {}
    for name in names:
        step(f"load {name}", True)
        try:
            tasks[name] = load_dataset("metaeval", name, edition=edition)
        except Exception as error:  # every failure is reported with the name of the task
            reason = str(error).removeprefix(f"task {name}: ")
            failed[name] = " ".join(f"{type(error).__name__}: {reason}".split())
    return tasks, failed


def _facts(
    overlap: Overlap, tasks: dict[str, DatasetDict], failed: dict[str, str], edition: str, seconds: float
) -> dict[str, Any]:
    """Return the report and its inputs as data for JSON."""
    from metaeval_datasets import read_report

    made_by = {"version": version("metaeval"), "edition": edition, "seconds": round(seconds, 1)}
    facts: dict[str, Any] = {**made_by, **overlap.to_dict(), "failed": failed}
    for name, splits in tasks.items():
        report = read_report(next(iter(splits.values())).info)
        facts["tasks"][name].update(source=report.source, commit=report.commit, missing=report.missing)
    return facts


def _show(console: Console, overlap: Overlap, facts: dict[str, Any], top: int) -> None:
    """Print the worst pairs and the totals."""
    if overlap.pairs:
        console.print(_table(overlap.pairs[:top], console.width))
    if len(overlap.pairs) > top:
        console.print(f"... and {len(overlap.pairs) - top} pairs of tasks that share less (--top, --out)")
    for line in _sums(overlap):
        console.print(line, soft_wrap=True, highlight=False)
    if partial := sum(bool(entry["missing"]) for entry in facts["tasks"].values()):
        text = f"{partial} tasks were loaded from incomplete sources, so their numbers may be too low"
        console.print(text, soft_wrap=True, style="yellow", highlight=False)


def _table(pairs: list[Pair], width: int) -> Table:
    """Return a table with one line per pair of tasks, and an example if ``width`` (characters) leaves room."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("evaluation task", overflow="fold")
    table.add_column("training task", overflow="fold")
    for name in ("rows", "share", "whole", "exact"):
        table.add_column(name, justify="right", no_wrap=True)
    rows = []
    for pair in pairs:
        training = "its own" if pair.training == pair.evaluation else pair.training
        rows.append((pair.evaluation, training, f"{pair.count:,}", f"{pair.share:.1%}", f"{pair.whole:,}"))
    room = width - sum(max(map(len, column)) + 2 for column in zip(*rows, strict=True)) - 20
    if room >= MIN_EXAMPLE:
        table.add_column("example", no_wrap=True)
    for pair, row in zip(pairs, rows, strict=True):
        example = [Text(" ".join(pair.example.evaluation_text.split())[:room])] if room >= MIN_EXAMPLE else []
        table.add_row(*row, f"{pair.exact:,}", *example)
    return table


def _sums(overlap: Overlap) -> list[str]:
    """Return the totals as sentences."""
    tasks = overlap.tasks.values()
    rows, training = sum(task.evaluation_rows for task in tasks), sum(task.rows.get("train", 0) for task in tasks)
    own, others, short = (sum(getattr(task, name) for task in tasks) for name in ("in_own", "in_others", "short"))
    leave_out, whole = (sum(getattr(task, name) for task in tasks) for name in ("leave_out", "leave_out_whole"))
    return [
        f"{len(overlap.evaluation_tasks)} evaluation tasks, {len(overlap.training_tasks)} training tasks; "
        f"{len(overlap.pairs)} pairs of tasks share texts",
        f"of {rows:,} evaluation rows, {own:,} share a text with the training split of their own task, "
        f"{others:,} with that of another; {short:,} have only short texts and were not compared",
        f"of {training:,} training rows, {leave_out:,} share a text with an evaluation split "
        f"({whole:,} their sentence or whole pair)",
    ]


def _write(folder: Path, overlap: Overlap, facts: dict[str, Any]) -> list[Path]:
    """Write the files and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "overlap.json", folder / "overlap.csv", folder / "overlap_matrix.csv"]
    paths[0].write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    with paths[1].open("w", newline="", encoding="utf-8") as file:
        lines = csv.DictWriter(file, COLUMNS)
        lines.writeheader()
        lines.writerows(map(_line, overlap.pairs))
    with paths[2].open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["evaluation_task", "evaluation_rows", *overlap.training_tasks])
        for name, counts in zip(overlap.evaluation_tasks, overlap.matrix().tolist(), strict=True):
            writer.writerow([name, overlap.tasks[name].evaluation_rows, *counts])
    if overlap.pairs:
        paths.append(_draw(folder / "overlap_matrix.png", overlap))
    return paths


def _line(pair: Pair) -> dict[str, str | int]:
    """Return a line of overlap.csv."""
    return {
        "evaluation_task": pair.evaluation,
        "training_task": pair.training,
        "evaluation_rows": pair.of,
        "shared_rows": pair.count,
        "share": f"{pair.share:.6f}",
        "whole_rows": pair.whole,
        "exact_rows": pair.exact,
        "validation_rows": pair.rows.get("validation", 0),
        "test_rows": pair.rows.get("test", 0),
        "example_split": pair.example.split,
        "example_evaluation_row": pair.example.evaluation_row,
        "example_training_row": pair.example.training_row,
        "example_evaluation_text": pair.example.evaluation_text,
        "example_training_text": pair.example.training_text,
    }


def _draw(path: Path, overlap: Overlap) -> Path:
    """Draw the tasks that share texts, sorted by name so that related tasks are neighbours."""
    from metaeval_hub.analysis.plots import draw_shares

    shares, rows, columns = overlap.shares(), overlap.evaluation_tasks, overlap.training_tasks
    kept_rows = sorted(np.flatnonzero(shares.any(axis=1)), key=lambda row: rows[row])
    kept_columns = sorted(np.flatnonzero(shares.any(axis=0)), key=lambda column: columns[column])
    return draw_shares(
        shares[np.ix_(kept_rows, kept_columns)],
        [rows[row] for row in kept_rows],
        [columns[column] for column in kept_columns],
        path,
        title="Evaluation rows that share a text with a training split\n"
        f"({len(kept_rows)} of {len(rows)} evaluation tasks and {len(kept_columns)} of {len(columns)} training tasks; "
        "the others share no text)",
        axes=("training split of", "validation and test splits of"),
        label="share of evaluation rows (numbers: %)",
    )


def _console() -> Console:
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=PLAIN_WIDTH)


@contextmanager
def _progress(tasks: int) -> Iterator[Callable[[str, bool], None]]:
    """Show a progress bar on standard error, with one step per loaded task and one per training split."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=2 * tasks)
        started = [0]

        def step(text: str, counts: bool) -> None:
            bar.update(task, description=text, completed=started[0])
            started[0] += counts

        yield step
