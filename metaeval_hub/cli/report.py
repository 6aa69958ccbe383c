"""Write a report that compares the results of runs with the paper's tables and figures.

The command takes folders of runs of any training script and sorts them: methods of table 1, seeds for stability, task
vectors for the probes, zero-shot and few-shot experiments. The report names every part that no run covers, with the
command to run. Folders of unfinished runs and folders that are not runs are skipped and listed.

  metaeval report runs/* --out report/
  metaeval report runs/multitask-1 runs/single_task-1 --out report/ --push ORG/NAME

The folder then contains report.md, a self-contained report.html, and the tables (CSV, JSON) and figures (PNG, SVG).
--push uploads the report to the model's repository on the Hub, as report/.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from metaeval_hub.results.terminal import make_console, make_folder, path_of, progress

STEPS = 13


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folder of a run")
    parser.add_argument("--out", type=path_of, required=True, metavar="DIR", help="folder to write to")
    parser.add_argument(
        "--permutations",
        type=int,
        default=500,
        metavar="N",
        help="permutations of each probe's significance test (default: 500)",
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed of UMAP and of the permutations (default: 0)")
    parser.add_argument(
        "--least-rows",
        type=int,
        default=0,
        metavar="ROWS",
        help="leave out tasks with fewer training rows (default: 0)",
    )
    parser.add_argument(
        "--force", action="store_true", help="analyse embeddings even if they are close to their random start"
    )
    parser.add_argument("--push", metavar="ORG/NAME", help="upload the report to this existing model repository")


def run(options: argparse.Namespace) -> None:
    """Write the report, and push it if asked."""
    from metaeval_hub.report.write import ReportJob, write_report
    from metaeval_hub.results.tables import made_by

    console = make_console()
    state = None
    if options.push is not None:  # before anything that takes time
        from metaeval_hub.hub.login import push_target
        from metaeval_hub.hub.repo_state import repo_state

        options.push = push_target(options.push)
        state = repo_state(options.push)
        if state is None:
            raise ValueError(f"--push {options.push}: this model does not exist on the Hub; push the model first")
    places = finished(options.runs)
    make_folder(options.out)
    with progress(STEPS, "report") as step:
        job = ReportJob(
            options.out,
            made_by(options.typed),
            options.permutations,
            options.seed,
            options.least_rows,
            options.force,
            step,
        )
        paths = write_report(places, job)
    for path in paths:
        console.print(f"written: {path}", soft_wrap=True)
    console.print(f"tables and figures: {options.out}", soft_wrap=True)
    if options.push is not None:
        console.print(f"pushed: {push(options.out, options.push)}", soft_wrap=True)


def finished(places: Sequence[str]) -> list[str]:
    """Return the folders that the report can use; list the others on standard error.

    Raises:
        ResultsError: no folder is left, or results cannot be read.
    """
    from metaeval_hub.report.inputs import read_inputs
    from metaeval_hub.results.run_results import NoRunError, UnfinishedRunError

    kept: list[str] = []
    errors: list[NoRunError | UnfinishedRunError] = []
    for place in places:
        try:
            read_inputs([place])  # also accepts folders of vectors, which have no results
            kept.append(place)
        except (NoRunError, UnfinishedRunError) as error:
            errors.append(error)
    if len(places) == 1 and errors:
        raise errors[0]
    for left_out in errors:
        print(f"left out: {left_out}", file=sys.stderr)
    if not kept:
        raise NoRunError(f"none of the {len(places)} is a finished run")
    return kept


def push(folder: Path, repo_id: str) -> str:
    """Upload a report to a model's repository in one commit, as report/; return the URL of the commit.

    Raises:
        HubError: the Hub refuses the commit or does not answer.
    """
    from metaeval_hub.hub.upload import push_files
    from metaeval_hub.report.files import read_list

    files = {f"report/{name}": folder / name for name in read_list(folder)}  # the folder may contain other files
    commit = push_files(files, repo_id, message="Add the report", remove=["report/*"])
    return str(commit.commit_url)
