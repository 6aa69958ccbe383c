"""Accuracy by number of labelled examples, on tasks that a model was not trained on: tables and a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaeval_hub.analysis.plot_tables import draw_few_shot
from metaeval_hub.report.document import Block, Missing, Picture, Section, Shown, code
from metaeval_hub.results.comparison_tables import show_change, show_interval
from metaeval_hub.results.intervals import INTERVALS, mean_interval
from metaeval_hub.results.schema import RunResult, TaskResult
from metaeval_hub.results.tables import Column, Table
from metaeval_hub.results.task_marks import Without, mean_of_others, means_without, seen_marks, seen_note
from metaeval_hub.results.terminal import ShowStep

SECTION = "Beyond the paper: accuracy by number of labelled examples"
TITLES: Mapping[str, str] = {
    "zero_shot": "fit_task from a task description",
    "fit": "fit_task",
    "probe": "linear probe of the encoder's mean",
    "tfidf": "TF-IDF, logistic regression",
    "setfit": "SetFit",
    "full": "full fine-tuning",
    "majority": "majority class of the examples",
}
ALL_ROWS = "majority class of all training rows"
REFERENCES = {
    "probe": "linear probe",
    "setfit": "SetFit",
    "full": "full fine-tuning",
}  # baselines that the other methods are compared with
COMMAND = "python training/zero_shot.py --preset small --tasks all --held-out glue\n" + (
    "python training/few_shot.py --preset small --model runs/zero_shot-1 --skip-unavailable"
)

Cells = dict[tuple[str, int], RunResult]  # (method, k) -> results


def cells_of(runs: Sequence[RunResult]) -> Cells:
    """Return the results of one run of training/few_shot.py by method and number of examples, in display order.

    Combinations without any result are left out, such as more examples than any task has.
    """
    found = {(str(run.facts.answered_by), run.facts.shots or 0): run for run in runs if run.tasks}
    order = [*TITLES, *(method for method, _ in found if method not in TITLES)]
    return {key: found[key] for key in sorted(found, key=lambda key: (order.index(key[0]), key[1]))}


def shared_tasks(cells: Cells) -> list[str]:
    """Return the tasks for which every method has a result at every number of examples."""
    return [task for task in _tasks(cells) if all(task in run.tasks for run in cells.values())]


def task_table(runs: Sequence[RunResult]) -> Table:
    """Return a table with one record per task and method, one column per number of examples, and means at the end.

    The facts of the table list the numbers of examples and of draws, which the figure needs.
    """
    cells = cells_of(runs)
    methods, shots = _axes(cells)
    encoders = [run.facts.encoder for run in runs]
    marks = seen_marks(_tasks(cells), encoders)
    records = []
    for task in _tasks(cells):
        for method in methods:
            record: dict[str, Any] = {"task": task, "method": TITLES.get(method, method)}
            record |= {"mark": marks[task]} if task in marks else {}
            for k in shots:
                found = cells[method, k].tasks.get(task) if (method, k) in cells else None
                if found is not None and found.test is not None:
                    record |= {f"k{k}": found.test.accuracy, f"k{k}_spread": found.spread, "majority": found.majority}
            if "majority" in record:
                records.append(record)
    shared = shared_tasks(cells)
    for method in methods if shared else ():
        record = {"task": f"mean of {len(shared)}", "method": TITLES.get(method, method)}
        for k in shots:
            if (method, k) in cells:
                values = _draws(cells[method, k], shared)
                record |= {f"k{k}": float(values.mean()), f"k{k}_spread": _spread(values)}
                record |= {"majority": float(np.mean(_majorities(cells[method, k].tasks, shared)))}
        records.append(record)
    columns = [Column("task", "task", mark="mark"), Column("method", "method")]
    columns += [Column(f"k{k}", f"k = {k}", "percent", spread=f"k{k}_spread") for k in shots]
    columns.append(Column("majority", f"{ALL_ROWS} %", "percent"))
    counts = sorted({len(result.draws) for (_, k), run in cells.items() if k for result in run.tasks.values()})
    draws = " to ".join(str(count) for count in dict.fromkeys((counts[0], counts[-1]))) if counts else "0"
    note = (
        f"Test accuracy, mean over {draws} draws of examples. ± is the standard deviation over draws; in lines with "
        "means over tasks, it is the standard deviation of the draws' means."
    )
    facts = {"shots": shots, "draws": draws}
    notes = (note, *seen_note(_tasks(cells), encoders))
    return Table("Few-shot accuracy by task", tuple(columns), tuple(records), notes, facts)


def means_table(runs: Sequence[RunResult]) -> Table:
    """Return a table with one record per method and k: mean, interval, and difference from the baselines."""
    cells = cells_of(runs)
    methods, shots = _axes(cells)
    tasks = shared_tasks(cells)
    references = [method for method in REFERENCES if method in methods and len(methods) > 1]
    encoders = [run.facts.encoder for run in runs]
    others = means_without(tasks, encoders)
    records: list[dict[str, Any]] = []
    if tasks:
        draws = {key: _draws(run, tasks) for key, run in cells.items()}  # (n, draws) each
        values = {key: found.mean(axis=1) for key, found in draws.items()}
        majority = _majorities(next(iter(cells.values())).tasks, tasks)
        records.append(_record(ALL_ROWS, None, _by_task(tasks, majority), None, others))
        for k in shots:
            for method in methods:
                if (method, k) not in cells:
                    continue
                shown = TITLES.get(method, method)
                record = _record(shown, k, _by_task(tasks, values[method, k]), _spread(draws[method, k]), others)
                for other in references:
                    if other != method and (other, k) in values:
                        change = values[method, k] - values[other, k]
                        record[other] = show_change(float(change.mean()), mean_interval(_by_task(tasks, change)))
                records.append(record)
    columns = [
        *(Column("shots", "k", "count"), Column("method", "method")),
        *(Column("mean", "mean %", "percent", spread="spread"), Column("interval", "95 % interval")),
        *(Column(each.key, f"{each.title} %", "percent") for each in others),
        *(Column(other, f"over {REFERENCES[other]}") for other in references),
    ]
    of_all = (
        f"Mean test accuracy over the {len(tasks)} tasks with results of all methods at every k: {', '.join(tasks)}."
    )
    notes = [
        of_all if tasks else "No means are shown, because no task has results of all methods at every k.",
        f"± is the standard deviation over draws of the mean over tasks. Intervals: {INTERVALS}; intervals in "
        "brackets are paired by task.",
        *(each.note for each in others),
        *seen_note(tasks, encoders),
        *dict.fromkeys(note for run in runs for note in run.facts.notes),
        *_left_out(runs),
    ]
    return Table("Few-shot accuracy", tuple(columns), tuple(records), tuple(notes), {"tasks": tasks})


def _tasks(cells: Cells) -> list[str]:
    """Return the tasks for which any method has a result."""
    return list(dict.fromkeys(task for run in cells.values() for task in run.tasks))


def _axes(cells: Cells) -> tuple[list[str], list[int]]:
    return list(dict.fromkeys(method for method, _ in cells)), sorted({k for _, k in cells})


def _draws(run: RunResult, tasks: Sequence[str]) -> NDArray[np.float64]:
    """Return the accuracies of n tasks, (n, draws)."""
    return np.array([run.tasks[task].draws for task in tasks], dtype=np.float64)


def _majorities(results: Mapping[str, TaskResult], tasks: Sequence[str]) -> NDArray[np.float64]:
    return np.array([results[task].majority for task in tasks], dtype=np.float64)


def _spread(draws: NDArray[np.float64]) -> float | None:
    """Return the standard deviation over draws of the mean over tasks; None for a single draw."""
    by_draw = draws.mean(axis=0)
    return float(by_draw.std(ddof=1)) if len(by_draw) > 1 else None


def _by_task(tasks: Sequence[str], values: NDArray[np.float64]) -> dict[str, float]:
    return dict(zip(tasks, values.tolist(), strict=True))


def _record(
    method: str, shots: int | None, values: Mapping[str, float], spread: float | None, others: Sequence[Without]
) -> dict[str, Any]:
    return {
        "shots": shots, "method": method, "mean": float(np.mean(list(values.values()))), "spread": spread,
        "interval": show_interval(mean_interval(values, least=0.0)),
        **{each.key: mean_of_others(values, each) for each in others},
    }  # fmt: skip


def _left_out(runs: Sequence[RunResult]) -> list[str]:
    """Return one sentence per task and reason for missing results."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        for task, reason in run.facts.unanswered.items():
            reasons.setdefault((task, reason), []).append(run.path.parent.name)
    return [f"{task} has no result for {', '.join(names)}: {reason}." for (task, reason), names in reasons.items()]


def section(found: Mapping[str, Sequence[RunResult]], folder: Path, made: Mapping[str, Any], step: ShowStep) -> Section:
    """Return the few-shot section of the report, and write its figures.

    Args:
        found: folder of a run of training/few_shot.py -> its results.
        folder: folder to write tables and figures to.
        made: command and version that made the report.
        step: called with a short description before each figure.
    """
    if not found:
        missing = Missing("a few-shot experiment on held-out tasks", COMMAND)
        return Section(SECTION, (missing,))
    blocks: list[Block] = []
    for number, (place, runs) in enumerate(found.items()):
        step(SECTION)
        stem = "few_shot" if not number else f"few_shot_{number + 1}"
        detail = task_table(runs)
        if len(found) > 1:
            blocks.append(f"Results of {code(place)}:")
        blocks.append(Shown(stem, means_table(runs)))
        if detail.records:
            detail.save(folder, f"{stem}_tasks", made)
            draw_few_shot(detail, folder, f"{stem}_tasks", ALL_ROWS)
            blocks.append(Picture(f"{stem}_tasks", f"{detail.title}. {detail.notes[0]}"))
        blocks.append(Shown(f"{stem}_tasks", detail))
    return Section(SECTION, tuple(blocks))
