"""Analyse task embeddings: geometry, stability, probing, control tasks, and which tasks to transfer from.

A RUN is the folder of a run, a folder of task embeddings, or the folder or Hub id of a model:

  metaeval analyze geometry runs/multitask-1 --out analysis
  metaeval analyze stability runs/seed0-1 runs/seed1-1 runs/seed2-1
  metaeval analyze probing runs/multitask-1 --permutations 1000
  metaeval analyze controls runs/twins-1
  metaeval analyze transfer runs/multitask-1 --target demo/picnic_nli

--out writes tables as CSV and JSON, and figures as PNG and SVG under the same name. Each JSON file states the command
that made it. A run whose z is still close to its random start is refused, and so is a run with twins whose z does not
tell tasks apart; --force analyses it anyway.
"""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from metaeval_hub.results.terminal import make_console, make_folder, path_of, progress, show_table

if TYPE_CHECKING:
    from rich.console import Console

    from metaeval_hub.analysis.embedded_runs import EmbeddedRun
    from metaeval_hub.analysis.transfer import Gains
    from metaeval_hub.results.tables import Table
    from metaeval_hub.task_data.task_embeddings import TaskEmbeddings
    from metaeval_hub.task_data.task_features import TaskFeatures

TEXT_EMB = "TextEmb"
KINDS = ("geometry", "stability", "probing", "controls", "transfer")
GEOMETRY_ROWS = 15  # tasks shown in a terminal; the files list all tasks


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-commands and their arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.error = partial(_say_which, parser.error)  # type: ignore[method-assign]
    kinds = parser.add_subparsers(dest="analysis", required=True, metavar="analysis")
    geometry = _sub(kinds, "geometry", "draw a map of the tasks (figures 3 to 5) and show how specific each task is")
    geometry.add_argument(
        "--method",
        choices=("pca", "umap", "both"),
        default="both",
        help="projection to draw (default: both; only pca if UMAP is unavailable)",
    )
    stability = _sub(
        kinds, "stability", "show which neighbours stay the same within a run and across runs (tables 2 and 3)"
    )
    stability.add_argument(
        "--neighbours", type=int, nargs="+", default=[10, 1], metavar="K",
        help="numbers of nearest embeddings to compare; the first orders the table (default: 10 1)",
    )  # fmt: skip
    probing = _sub(kinds, "probing", "predict aspects of tasks from their embeddings (table 4), and z from aspects")
    probing.add_argument(
        "--permutations",
        type=int,
        default=200,
        metavar="N",
        help="permutations of each significance test (default: 200)",
    )
    _sub(kinds, "controls", "measure whether z describes tasks, by the twins and permuted tasks of a run")
    transfer = _sub(kinds, "transfer", "rank tasks by how likely they help a target task")
    transfer.add_argument(
        "--target",
        metavar="TASK",
        help="target task, one of the runs' tasks; default: only compare --measured with the rankings",
    )
    transfer.add_argument(
        "--measured", nargs="+", default=[], metavar="FILE",
        help="measured gains: folders of runs with and without tasks, or a CSV file (one row per target)",
    )  # fmt: skip
    for parser_ in (probing, transfer):
        parser_.add_argument(
            "--vectors", nargs="+", default=[], metavar="NAME=FOLDER",
            help=f"further vectors per task, as folders of task embeddings, e.g. {TEXT_EMB}=DIR Fisher=DIR",
        )  # fmt: skip
    probing.add_argument(
        "--features", metavar="FOLDER", help="folder with the features of the tasks (default: those stored with a run)"
    )


def _say_which(error: Callable[[str], NoReturn], message: str) -> NoReturn:
    """Exit with the parser's message, or with the command to type if the kind of analysis is missing or misspelt."""
    typed = re.search(r"argument analysis: invalid choice: '(.+?)'", message)
    if typed:
        near = difflib.get_close_matches(typed[1], KINDS, n=1)
        place = typed[1] if "/" in typed[1] or Path(typed[1]).exists() else "runs/multitask-1"
        meant = f"{near[0]} RUN" if near else f"{KINDS[0]} {place}"
        error(f"unknown analysis {typed[1]!r}; expected {', '.join(KINDS)}, as in: metaeval analyze {meant}")
    if message.endswith("required: analysis"):
        error(f"expected the kind of analysis, {', '.join(KINDS)}, as in: metaeval analyze {KINDS[0]} RUN")
    error(message)


def _sub(kinds: Any, name: str, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = kinds.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="folder of a run, of task embeddings or of a model, or a Hub id"
    )
    parser.add_argument(
        "--out", type=path_of, metavar="DIR", help="folder to write tables (CSV, JSON) and figures (PNG, SVG) to"
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    parser.add_argument(
        "--force", action="store_true", help="analyse embeddings even if they are close to their random start"
    )
    return parser


def run(options: argparse.Namespace) -> None:
    """Read and check the runs, analyse them, and print and write the results."""
    from metaeval_hub.analysis.embedded_runs import read_all

    console = make_console()
    runs = read_all(options.runs)
    if options.out is not None:
        make_folder(options.out)
    for each in runs:
        start, control = each.check(force=options.force or options.analysis == "controls")
        if start:
            console.print(f"warning: {start}", soft_wrap=True, style="yellow")
        if options.analysis != "controls":  # whose table says it
            console.print(control, soft_wrap=True)
    analyses = {
        "geometry": _geometry,
        "stability": _stability,
        "probing": _probing,
        "controls": _controls,
        "transfer": _transfer,
    }
    analyses[options.analysis](options, runs, console)
    if options.out is None:
        console.print("pass --out DIR to write the tables and figures", soft_wrap=True)


def _geometry(options: argparse.Namespace, runs: Sequence[EmbeddedRun], console: Console) -> None:
    from metaeval_hub.analysis.geometry import geometry
    from metaeval_hub.analysis.plot_tables import draw_geometry
    from metaeval_hub.analysis.projection import LEAST, umap_missing

    methods, note = [options.method], ""
    if options.method == "both":
        missing = (
            umap_missing()
            if all(len(each.tasks) >= LEAST["umap"] for each in runs)
            else (f"it needs at least {LEAST['umap']} tasks")
        )
        methods, note = (["pca"], f"only PCA is drawn, not UMAP: {missing}") if missing else (["umap", "pca"], "")
    for each in runs:
        for method in methods:
            table = geometry(each, method, options.seed)
            written: list[Path] = []
            if options.out:
                stem = f"{method}-{file_name(each.name)}" if len(runs) > 1 else method
                written = [*save(options, table, stem), *draw_geometry(table, options.out, stem)]
            if method == methods[-1]:  # the two tables differ only in their coordinates
                show_table(console, table, GEOMETRY_ROWS, "--out writes all")
            for path in written:
                console.print(f"written: {path}", soft_wrap=True)
    if note:
        console.print(note, soft_wrap=True, style="yellow")


def _stability(options: argparse.Namespace, runs: Sequence[EmbeddedRun], console: Console) -> None:
    from metaeval_hub.analysis.stability import stability_across, stability_within

    several = [each for each in runs if each.embeddings.copies is not None]
    if not several and len(runs) < 2:
        raise ValueError(
            f"{runs[0].name} is a single run with one embedding per task; give two or more runs with different seeds, "
            "or one trained with --embeddings-per-task 3"
        )
    if several:
        _finish(options, stability_within(several, options.neighbours), "stability_within", console)
    if len(runs) > 1:
        _finish(options, stability_across(runs, options.neighbours), "stability_across", console)


def _probing(options: argparse.Namespace, runs: Sequence[EmbeddedRun], console: Console) -> None:
    from metaeval_hub.analysis.prediction import prediction
    from metaeval_hub.analysis.probing import probing, probing_across
    from metaeval_hub.results.intervals import group_of

    features = find_features(runs, options.features)
    vectors = find_vectors(options.vectors, features)
    sets = 1 + len(vectors) + (TEXT_EMB in vectors)
    with progress(sets, "probing") as step:
        table = probing(runs, features, vectors, permutations=options.permutations, seed=options.seed, step=step)
    _finish(options, table, "probing", console)
    if len({group_of(task) for task in table.facts["tasks"]}) > 1:
        across = probing_across(runs, features, vectors, reassignments=options.permutations, seed=options.seed)
        _finish(options, across, "probing_across", console)
    _finish(options, prediction(runs, features, vectors), "prediction", console)


def _controls(options: argparse.Namespace, runs: Sequence[EmbeddedRun], console: Console) -> None:
    from metaeval_hub.analysis.control_tables import controls

    _finish(options, controls(runs), "controls", console)


def _transfer(options: argparse.Namespace, runs: Sequence[EmbeddedRun], console: Console) -> None:
    from metaeval_hub.analysis.transfer import transfer, transfer_agreement

    if options.target is None and not options.measured:
        raise ValueError(
            "give --target TASK (a task of the run), or --measured with gains to compare the rankings with"
        )
    names = [f"z of {each.name}" if len(runs) > 1 else "z" for each in runs]
    spaces = {name: each.embeddings.centroids() for name, each in zip(names, runs, strict=True)}
    spaces |= find_vectors(options.vectors, runs[0].features)
    results = {name: each.results for name, each in zip(names, runs, strict=True)}
    gains = read_gains(options.measured) if options.measured else None
    if options.target is not None:
        stem = f"transfer-{file_name(options.target)}"
        _finish(options, transfer(options.target, spaces, gains, results=results), stem, console)
    if gains is not None:
        _finish(options, transfer_agreement(spaces, gains, seed=options.seed), "transfer_agreement", console)


# --- Inputs ---


def find_features(runs: Sequence[EmbeddedRun], folder: str | None) -> TaskFeatures:
    """Return the features of the tasks: from a folder if it is given, else those stored with one of the runs.

    Raises:
        ValueError: no run has features.
    """
    from metaeval_hub.results.run_results import at_home
    from metaeval_hub.task_data.task_features import TaskFeatures

    if folder is not None:
        return TaskFeatures.load(at_home(folder))
    found = next((each.features for each in runs if each.features is not None), None)
    if found is None:
        raise ValueError(
            f"no task features are stored with {', '.join(each.name for each in runs)}; pass --features with the "
            "folder of a run or model that has features of the same tasks"
        )
    return found


def find_vectors(arguments: Sequence[str], features: TaskFeatures | None) -> dict[str, TaskEmbeddings]:
    """Load the vectors named NAME=FOLDER, and TextEmb from the features if they contain it.

    Raises:
        ValueError: an argument does not have the form NAME=FOLDER.
    """
    from metaeval_hub.results.run_results import at_home
    from metaeval_hub.task_data.task_embeddings import TaskEmbeddings

    found: dict[str, TaskEmbeddings] = {}
    for argument in arguments:
        name, sign, folder = argument.partition("=")
        if not (sign and name and folder):
            raise ValueError(f"--vectors {argument}: expected NAME=FOLDER, such as {TEXT_EMB}=vectors/text_emb")
        found[TEXT_EMB if name.lower() == TEXT_EMB.lower() else name] = TaskEmbeddings.load(at_home(folder))
    if features is not None and features.texts is not None:
        found.setdefault(TEXT_EMB, TaskEmbeddings(features.names, features.texts))
    return found


def read_gains(places: Sequence[str]) -> Gains:
    """Read measured gains from a CSV file, or compute them from runs with and without tasks.

    Raises:
        ValueError: the file does not have the expected form, or all runs have the same tasks.
    """
    from metaeval_hub.analysis.transfer import gains_of_runs, gains_of_table
    from metaeval_hub.results.run_results import at_home, read_runs

    if len(places) == 1 and places[0].endswith(".csv"):
        return gains_of_table(at_home(places[0]).read_text(encoding="utf-8-sig"), places[0])
    scores: list[Mapping[str, float]] = []
    for place in places:
        for each in read_runs(place):
            scores.append({name: row.test.accuracy for name, row in each.tasks.items() if row.test is not None})
    return gains_of_runs(scores)


# --- Output ---


def _finish(options: argparse.Namespace, table: Table, stem: str, console: Console) -> None:
    written = save(options, table, stem) if options.out else []
    show_table(console, table, hint="--out writes all")
    for path in written:
        console.print(f"written: {path}", soft_wrap=True)


def save(options: argparse.Namespace, table: Table, stem: str) -> list[Path]:
    """Write a table together with the command that made it; return the paths."""
    from metaeval_hub.results.tables import made_by

    return table.save(options.out, stem, made_by(options.typed))


def file_name(name: str) -> str:
    """Turn the name of a run or task into a part of a file name."""
    return re.sub(r"[^\w.=+-]+", "-", name).strip("-.")[:100] or "unnamed"
