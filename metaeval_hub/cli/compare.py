"""Compare the results of runs on the tasks they share, with intervals for means and differences.

Each FOLDER contains a results.json (from training/multitask.py), or one sub-folder with a results.json per method (from
training/probes.py and training/single_task.py). LABEL=FOLDER sets the name in the tables. Runs with the same label,
such as seeds of one method, are averaged:

  metaeval compare runs/probes-1 runs/single_task-1 conditional=runs/multitask-1 conditional=runs/multitask-2

Only tasks that all runs have are compared; the command lists the others. Intervals are 95 % intervals over groups of
tasks (the part of a task's name before the slash), and intervals of differences are paired by task.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from typing import TYPE_CHECKING

from metaeval_hub.cli.places import add_task_file
from metaeval_hub.results.terminal import labelled, make_console, make_folder, path_of, show_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metaeval_hub.results.schema import RunResult


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("runs", nargs="+", metavar="[LABEL=]FOLDER", help="folder of a run, or its results.json")
    parser.add_argument(
        "--metric",
        choices=("accuracy", "macro_f1", "matthews"),
        default="accuracy",
        help="score to compare (default: accuracy)",
    )
    parser.add_argument(
        "--split", choices=("test", "validation"), default="test", help="split to compare (default: test)"
    )
    parser.add_argument(
        "--reference", metavar="LABEL", help="run that the others are compared with (default: the first)"
    )
    parser.add_argument("--only", nargs="+", metavar="TASK", help="tasks and groups to compare on (default: all)")
    parser.add_argument("--out", type=path_of, metavar="FILE", help="file to write the comparison to, .md or .json")
    add_task_file(parser)


def run(options: argparse.Namespace) -> None:
    """Read and compare the runs, and print and write the tables."""
    from metaeval_hub.results.comparison import compare
    from metaeval_hub.results.comparison_tables import summary_table, task_table, to_markdown

    if options.out is not None and options.out.suffix not in (".md", ".json"):
        raise ValueError(f"--out {options.out}: expected a file name that ends in .md or .json")
    if options.out is not None:
        make_folder(options.out.parent)
    runs = read_all(options.runs)
    if options.only:
        runs = _select(runs, options.only)
    found = compare(runs, metric=options.metric, split=options.split, reference=options.reference)
    if options.out is not None:
        json_text = json.dumps(found.to_dict(), indent=1, ensure_ascii=False) + "\n"
        text = json_text if options.out.suffix == ".json" else to_markdown(found)
        options.out.write_text(text, encoding="utf-8", errors="backslashreplace")
    console = make_console()
    for table in (task_table(found), summary_table(found)):
        show_table(console, table, hint="--out FILE writes all")
    if options.out is not None:
        console.print(f"written: {options.out}", soft_wrap=True)


def read_all(arguments: Sequence[str]) -> list[RunResult]:
    """Read the runs of a command line; folders with the same name are labelled with their paths.

    Raises:
        ResultsError: see ``metaeval_hub.results.run_results.read_runs``.
    """
    from metaeval_hub.results.run_results import at_home, read_runs

    named = [(label, at_home(place)) for label, place in map(labelled, arguments)]
    names = Counter(path.resolve().name for label, path in named if label is None)
    runs: list[RunResult] = []
    for label, path in named:
        twice = label is None and names[path.resolve().name] > 1
        runs += read_runs(path, str(path) if twice else label)
    return runs


def _select(runs: list[RunResult], names: list[str]) -> list[RunResult]:
    """Return the runs restricted to the named tasks and groups."""
    from dataclasses import replace

    from metaeval_datasets import select_tasks

    chosen = set(select_tasks(names))
    return [replace(run, tasks={name: each for name, each in run.tasks.items() if name in chosen}) for run in runs]
