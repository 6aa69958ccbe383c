"""The schema of results.json as dataclasses, and means over tasks. Needs no torch.

``metaeval_hub.results.results_json`` reads and writes them; no other module knows the keys of the file.

>>> scores = SplitScores(accuracy=0.75, macro_f1=0.7, matthews=0.5)
>>> mean_scores({"glue/cola": TaskResult(majority=0.5, test=scores)}).over_majority
0.25
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from metaeval_hub.results.intervals import mean_interval
from metaeval_hub.results.run_settings import Setting

ZERO_SHOT, FEW_SHOT = "zero_shot", "few_shot"  # values of "experiment": training/zero_shot.py and few_shot.py

Split = Literal["test", "validation"]


@dataclass(frozen=True)
class SplitScores:
    """Scores on one split of a task. A score that was not stored is None.

    Args:
        accuracy: 0..1.
        macro_f1: 0..1.
        matthews: Matthews correlation, -1..1.
    """

    accuracy: float
    macro_f1: float | None = None
    matthews: float | None = None


@dataclass(frozen=True)
class SplitRows:
    """Number of rows of one split of a task.

    Args:
        kept: rows that the run used.
        available: rows that the task has.
        labels: digest of the labels of the rows that the run used. Two runs with the same digest scored the same rows.
        digest: digest of the tokens and labels of these rows.
    """

    kept: int
    available: int
    labels: str | None = None
    digest: str | None = None


@dataclass(frozen=True)
class Regularization:
    """The regularization that was chosen for a probe.

    Args:
        strength: chosen C, the inverse strength; None if the training rows have one class only.
        accuracies: C -> accuracy on validation.
    """

    strength: float | None
    accuracies: Mapping[str, float]


@dataclass(frozen=True)
class Finish:
    """What was done for a task alone after the shared training.

    Args:
        before: split -> accuracy after the shared training, 0..1.
        strength: C of the logistic regression that replaced the classifier; None if a trained classifier stays.
        private: whether the task has a private part.
    """

    before: Mapping[str, float]
    strength: float | None = None
    private: bool = False


@dataclass(frozen=True)
class Details:
    """Values of one task that results.json stores for people; tables and reports do not use them.

    Args:
        steps: training steps, for a method that trains one model per task.
        validation_by_rate: learning rate -> accuracy on validation; None where the training failed.
        regularization: of a probe.
        finish: what was done for the task after the shared training; None if nothing.
        nearest: trained tasks with the z nearest to the predicted z, and the cosines.
        explained: share of the variance of z that the prediction explains.
        averaged_rows: training rows that a task vector is the mean of. Such a task has no scores.
    """

    steps: int | None = None
    validation_by_rate: Mapping[str, float | None] | None = None
    regularization: Regularization | None = None
    finish: Finish | None = None
    nearest: tuple[tuple[str, float], ...] | None = None
    explained: float | None = None
    averaged_rows: int | None = None


@dataclass(frozen=True)
class TaskResult:
    """The result of one task.

    Args:
        majority: accuracy of the majority class, 0..1; None if no split was scored.
        validation: scores on validation; None if it was not scored.
        test: scores on test; None if it was not scored.
        rows: split -> its rows.
        classes: number of classes.
        source: where the rows come from.
        commit: commit of the source.
        edition: edition of the task, "careful" or "paper".
        cos_z_z0: cosine of the task's z with its random start, -1..1.
        rate: learning rate, for a method that chooses one per task.
        parameters: role -> number of trained parameters, for a method that trains one model per task.
        draws: accuracy of each draw of a few-shot experiment.
        spread: standard deviation of ``draws`` (n - 1).
        seconds: time that a method spent on the task.
        more: values that tables and reports do not use.
    """

    majority: float | None = None
    validation: SplitScores | None = None
    test: SplitScores | None = None
    rows: Mapping[str, SplitRows] = field(default_factory=dict)
    classes: int | None = None
    source: str | None = None
    commit: str | None = None
    edition: str | None = None
    cos_z_z0: float | None = None
    rate: float | None = None
    parameters: Mapping[str, int] | None = None
    draws: tuple[float, ...] = ()
    spread: float | None = None
    seconds: float | None = None
    more: Details = field(default_factory=lambda: Details())

    def scores(self, split: Split) -> SplitScores | None:
        """Return the scores on a split, or None if the split was not scored."""
        return self.test if split == "test" else self.validation


@dataclass(frozen=True)
class RunFacts:
    """Facts about a run as a whole. A fact that results.json does not state is None or empty.

    Args:
        method: name of the method, for scripts that compare methods.
        experiment: "zero_shot" or "few_shot", for the scripts with these names.
        held_out: tasks that a zero-shot experiment held out, "glue" or "groups".
        answered_by: method of a few-shot experiment.
        shots: labelled examples per task in a few-shot experiment.
        notes: sentences for readers of the results.
        unanswered: task -> why it has no result.
        encoder: name of the encoder.
        seed: random seed.
        commit: commit of the code.
        version: version of metaeval.
        steps: training steps.
        seconds: time of training and evaluation.
        parameters: role -> number of trained parameters.
        projection_ratio: mean over tasks of |W phi_i| / |z_i|, the share of the task features in a features-aware z.
        settings: name -> value.
    """

    method: str | None = None
    experiment: str | None = None
    held_out: str | None = None
    answered_by: str | None = None
    shots: int | None = None
    notes: tuple[str, ...] = ()
    unanswered: Mapping[str, str] = field(default_factory=dict)
    encoder: str | None = None
    seed: int | None = None
    commit: str | None = None
    version: str | None = None
    steps: int | None = None
    seconds: float | None = None
    parameters: Mapping[str, int] | None = None
    projection_ratio: float | None = None
    settings: Mapping[str, Setting] = field(default_factory=dict)


@dataclass(frozen=True)
class Timing:
    """Seconds that the parts of a multitask run took.

    Args:
        data: to load and tokenize the tasks.
        training: over all parts of a resumed run.
        evaluation: at the end.
        this_process: from the start of the last process to the end of the evaluation.
    """

    data: float = 0.0
    training: float = 0.0
    evaluation: float = 0.0
    this_process: float = 0.0

    def examples_per_second(self, examples: int) -> float:
        """Return the speed of training on this number of examples."""
        return examples / max(self.training, 1e-9)


@dataclass(frozen=True)
class RunRecord:
    """What results.json records about a run in addition to ``RunFacts``. Readers use only a part of it, as RunFacts.

    Args:
        config: settings, as in the config.json of the run.
        versions: package -> version.
        git: commit of the code, and whether files were changed.
        threads: CPU threads per process.
        device: name of the device.
        skipped: task -> why it has no result.
        encoder: identity of the encoder (``BaseEncoder.to_dict``); None for a method without an encoder.
        processes: number of processes that trained together.
        examples: number of examples that were trained on, over all processes.
        timing: of a multitask run.
        validation_by_rate: learning rate -> mean accuracy on validation.
        folds: fold -> tasks that were held out together.
    """

    config: Mapping[str, Any]
    versions: Mapping[str, str]
    git: Mapping[str, Any]
    threads: int
    device: str
    skipped: Mapping[str, str] = field(default_factory=dict)
    encoder: Mapping[str, Any] | None = None
    processes: int | None = None
    examples: int | None = None
    timing: Timing | None = None
    validation_by_rate: Mapping[str, float | None] | None = None
    folds: Mapping[str, Sequence[str]] | None = None


@dataclass(frozen=True)
class RunResult:
    """The results of one method on its tasks.

    Args:
        label: name in tables. Runs with the same label (seeds of one method) are averaged.
        path: file that the results were read from.
        tasks: task name -> its result.
        facts: facts about the run as a whole.
    """

    label: str
    path: Path
    tasks: Mapping[str, TaskResult]
    facts: RunFacts = field(default_factory=RunFacts)


@dataclass(frozen=True)
class MeanScores:
    """Unweighted means over the tasks that have the score (Sileo & Moens 2022, table 1). None where no task has it.

    Args:
        majority: accuracy of the majority class.
        validation: accuracy on validation.
        test: accuracy on test.
        test_interval: 95 % interval of ``test``, of ``mean_interval``; None for fewer than two tasks.
        test_macro_f1: macro F1 on test.
        test_matthews: Matthews correlation on test.
        over_majority: test accuracy less that of the majority class.
        over_majority_interval: 95 % interval of ``over_majority``, paired by task.
        cos_z_z0: cosine of z with its random start.
    """

    majority: float | None
    validation: float | None
    test: float | None
    test_interval: tuple[float, float] | None
    test_macro_f1: float | None
    test_matthews: float | None
    over_majority: float | None
    over_majority_interval: tuple[float, float] | None
    cos_z_z0: float | None = None


def mean_scores(tasks: Mapping[str, TaskResult]) -> MeanScores:
    """Average the scores of tasks.

    Args:
        tasks: name -> result; the names state the groups, over which the intervals are computed.
    """
    results = tasks.values()
    tested = {name: task.test for name, task in tasks.items() if task.test is not None}
    accuracies = {name: scores.accuracy for name, scores in tested.items()}
    majorities = {name: task.majority for name, task in tasks.items() if task.majority is not None}
    gains = {name: accuracy - majorities[name] for name, accuracy in accuracies.items() if name in majorities}
    return MeanScores(
        majority=mean(majorities.values()),
        validation=mean(task.validation.accuracy for task in results if task.validation is not None),
        test=mean(accuracies.values()),
        test_interval=mean_interval(accuracies, least=0.0),
        test_macro_f1=mean(scores.macro_f1 for scores in tested.values()),
        test_matthews=mean(scores.matthews for scores in tested.values()),
        over_majority=mean(gains.values()),
        over_majority_interval=mean_interval(gains),
        cos_z_z0=mean(task.cos_z_z0 for task in results),
    )


def mean(values: Iterable[float | None]) -> float | None:
    """Average the values that are not None; return None if there are none."""
    present = [value for value in values if value is not None]
    return float(np.mean(present)) if present else None
