"""Compare runs on the tasks they share: means, differences and their intervals. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from metaeval_hub.results.intervals import mean_interval
from metaeval_hub.results.schema import RunResult, Split
from metaeval_hub.results.task_marks import Without, means_without

Metric = Literal["accuracy", "macro_f1", "matthews"]
Interval = tuple[float, float]


# Settings that runs with one label share -> their values in runs of earlier releases, which do not store them.
_METHOD_SETTINGS: Mapping[str, Any] = {
    "conditioning": None, "layer_norm": False, "dim_z": None, "dim_table": 0, "adapter_size": None,
}  # fmt: skip


class ComparisonError(ValueError):
    """Runs cannot be compared; the message says why."""


@dataclass(frozen=True)
class Summary:
    """Summary of one label over all compared tasks. Values are in the range of the metric, 0..1 or -1..1.

    Attributes:
        label: label of the runs.
        runs: number of averaged runs.
        mean: unweighted mean over tasks.
        interval: interval of the mean over groups, of ``mean_interval``; None for one task.
        spread: standard deviation of the mean from run to run (n - 1); None for one run.
        over_majority: mean accuracy minus that of the majority class; None for other metrics.
        over_majority_interval: 95 % interval over groups, paired by task.
        difference: mean minus the reference's; None for the reference.
        difference_interval: 95 % interval over groups, paired by task.
        better: number of tasks on which the label is better than the reference.
        equal: number of tasks on which both are equal.
        worse: number of tasks on which the label is worse than the reference.
    """

    label: str
    runs: int
    mean: float
    interval: Interval | None
    spread: float | None
    over_majority: float | None
    over_majority_interval: Interval | None
    difference: float | None
    difference_interval: Interval | None
    better: int
    equal: int
    worse: int


@dataclass(frozen=True, eq=False)
class Comparison:
    """Runs on the tasks that all of them have.

    Attributes:
        metric: score that is compared.
        split: split that it was measured on.
        labels: k labels, one per column.
        reference: label that the others are compared with.
        tasks: n task names, in the order of the first run.
        values: (n, k) scores, averaged over the runs of a label.
        majority: accuracy of the majority class, (n,), of the first label; None for other metrics.
        summaries: k, in the order of the labels.
        left_out: task -> the labels that lack it.
        other_rows: tasks that the runs scored on different rows, so that only averages are comparable.
        same_seed: labels with two runs of the same seed, whose spread underestimates that over seeds.
        encoders: encoders of the runs.
    """

    metric: Metric
    split: Split
    labels: tuple[str, ...]
    reference: str
    tasks: tuple[str, ...]
    values: NDArray[np.float64]
    majority: NDArray[np.float64] | None
    summaries: tuple[Summary, ...]
    left_out: dict[str, tuple[str, ...]]
    other_rows: tuple[str, ...]
    same_seed: tuple[str, ...]
    encoders: tuple[str, ...] = ()

    @property
    def without(self) -> tuple[Without, ...]:
        """Further means over tasks to show: without adversarial tasks, and without tasks that an encoder has seen."""
        return means_without(self.tasks, self.encoders)

    def means_of_others(self, without: Without) -> dict[str, float]:
        """Return label -> mean over the tasks that ``without`` does not leave out."""
        kept = np.array([task not in without.left_out for task in self.tasks])
        return dict(zip(self.labels, self.values[kept].mean(axis=0).tolist(), strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON values."""
        return {
            "metric": self.metric,
            "split": self.split,
            "reference": self.reference,
            "tasks": {
                task: {
                    "majority": None if self.majority is None else float(self.majority[row]),
                    **{label: float(self.values[row, column]) for column, label in enumerate(self.labels)},
                }
                for row, task in enumerate(self.tasks)
            },
            "summaries": [vars(summary) for summary in self.summaries],
            "left_out": {task: list(labels) for task, labels in self.left_out.items()},
            "other_rows": list(self.other_rows),
            "same_seed": list(self.same_seed),
            "without": {
                each.title: {"left_out": sorted(each.left_out), "means": self.means_of_others(each)}
                for each in self.without
            },
        }


def compare(
    runs: Sequence[RunResult], *, metric: Metric = "accuracy", split: Split = "test", reference: str | None = None
) -> Comparison:
    """Compare runs on the tasks that all of them have.

    Runs of the same label are averaged task by task before anything else. Intervals are over groups of tasks, and those
    of differences are paired by task: see ``metaeval_hub.results.intervals.mean_interval``. The digests of the labels
    show whether two runs scored the same rows.

    Args:
        runs: at least one.
        metric: score to compare.
        split: "test", or "validation" for choosing a method.
        reference: label that the others are compared with; default: the first.

    Raises:
        ComparisonError: there are no runs or no task in common, no run has the label ``reference``, or runs with the
            same label trained different methods.
    """
    if metric not in get_args(Metric) or split not in get_args(Split):
        raise ComparisonError(f"expected one of {get_args(Metric)} and of {get_args(Split)}; got {metric!r}, {split!r}")
    grouped: dict[str, list[RunResult]] = {}
    for run in runs:
        grouped.setdefault(run.label, []).append(run)
    labels = tuple(grouped)
    if not labels:
        raise ComparisonError("no runs to compare")
    for label, averaged in grouped.items():
        _check_one_method(label, averaged)
    reference = labels[0] if reference is None else reference
    if reference not in labels:
        raise ComparisonError(f"no run is called {reference!r}; there are: {', '.join(labels)}")

    lacking = {
        task: tuple(
            label for label in labels if any(_score(run, task, split, metric) is None for run in grouped[label])
        )
        for task in dict.fromkeys(task for run in runs for task in run.tasks)
    }
    tasks = tuple(task for task, missing in lacking.items() if not missing)
    if not tasks:
        scored = {id(run): sum(_score(run, task, split, metric) is not None for task in run.tasks) for run in runs}
        counts = ", ".join(f"{run.label}: {scored[id(run)]}" for run in runs)
        raise ComparisonError(f"no task has a score on {split} in all runs (tasks of each: {counts})")

    by_run = {label: _values(grouped[label], tasks, split, metric) for label in labels}  # each (n, runs of the label)
    values = np.stack([by_run[label].mean(axis=1) for label in labels], axis=1)
    majorities = None if metric != "accuracy" else [_majority(grouped[label], tasks) for label in labels]
    base = values[:, labels.index(reference)]
    summaries = tuple(
        _summarise(
            label,
            tasks,
            by_run[label],
            None if majorities is None else majorities[i],
            None if label == reference else base,
            least=-1.0 if metric == "matthews" else 0.0,
        )
        for i, label in enumerate(labels)
    )
    return Comparison(
        metric, split, labels, reference, tasks, values, None if majorities is None else majorities[0], summaries,
        {task: missing for task, missing in lacking.items() if missing},
        tuple(task for task in tasks if _rows_differ(runs, task, split)),
        tuple(label for label, group in grouped.items() if _repeats_a_seed(group)),
        tuple(dict.fromkeys(run.facts.encoder for run in runs if run.facts.encoder)),
    )  # fmt: skip


def _check_one_method(label: str, runs: Sequence[RunResult]) -> None:
    """Check that the runs of a label trained one method, so that their average describes it."""
    for name, default in _METHOD_SETTINGS.items():
        values = dict.fromkeys(run.facts.settings.get(name, default) for run in runs)
        if len(values) > 1 and None not in values:  # None: not known
            raise ComparisonError(
                f"the runs called {label} have {name} {' and '.join(map(str, values))}, so their average would "
                "describe no method; give them different labels"
            )


def _score(run: RunResult, task: str, split: Split, metric: Metric) -> float | None:
    scores = run.tasks[task].scores(split) if task in run.tasks else None
    value: float | None = None if scores is None else getattr(scores, metric)
    return value


def _values(runs: Sequence[RunResult], tasks: Sequence[str], split: Split, metric: Metric) -> NDArray[np.float64]:
    return np.array([[_score(run, task, split, metric) for run in runs] for task in tasks], dtype=np.float64)


def _majority(runs: Sequence[RunResult], tasks: Sequence[str]) -> NDArray[np.float64]:
    return np.array([[run.tasks[task].majority for run in runs] for task in tasks], dtype=np.float64).mean(axis=1)


def _repeats_a_seed(runs: Sequence[RunResult]) -> bool:
    seeds = [run.facts.seed for run in runs if run.facts.seed is not None]
    return len(set(seeds)) < len(seeds)


def _rows_differ(runs: Iterable[RunResult], task: str, split: Split) -> bool:
    rows = [run.tasks[task].rows.get(split) for run in runs]
    return len({each.labels for each in rows if each is not None} - {None}) > 1


def _summarise(
    label: str,
    tasks: Sequence[str],
    by_run: NDArray[np.float64],
    majority: NDArray[np.float64] | None,
    base: NDArray[np.float64] | None,
    least: float,
) -> Summary:
    values, runs = by_run.mean(axis=1), by_run.shape[1]
    gain = None if majority is None else values - majority
    difference = None if base is None else values - base

    def interval(of_tasks: NDArray[np.float64] | None, least: float = -1.0) -> Interval | None:
        return (
            None if of_tasks is None else mean_interval(dict(zip(tasks, of_tasks.tolist(), strict=True)), least=least)
        )

    signs = np.zeros(0) if difference is None else np.sign(difference * (np.abs(difference) > 1e-12))
    return Summary(
        label=label,
        runs=runs,
        mean=float(values.mean()),
        interval=interval(values, least),
        spread=float(by_run.mean(axis=0).std(ddof=1)) if runs > 1 else None,
        over_majority=None if gain is None else float(gain.mean()),
        over_majority_interval=interval(gain),
        difference=None if difference is None else float(difference.mean()),
        difference_interval=interval(difference),
        better=int((signs > 0).sum()),
        equal=int((signs == 0).sum()),
        worse=int((signs < 0).sum()),
    )
