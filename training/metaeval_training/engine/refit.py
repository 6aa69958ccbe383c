"""Refit the classifiers after training: one logistic regression per task on the features that the model computes.

Training changes features and classifiers together, so that a classifier was fitted to features that have changed since.
A logistic regression on the final features, with its regularization chosen on validation, has neither this lag nor the
noise of small steps. It replaces the trained classifier where it is better on the validation rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from numpy.typing import NDArray

from metaeval_datasets.metric.scores import count_pairs
from metaeval_hub import ConditionalAdapterModel
from metaeval_hub.model.logistic import LEAST_LOG, Linear, fit_logistic
from metaeval_hub.results.schema import SplitScores
from metaeval_training.data.encoding import EncodedRows, TaskData, collate
from metaeval_training.data.sampling import Batch
from metaeval_training.engine.evaluation import split_scores

# Values of C to try, from strong to weak regularization. The strongest almost predicts the most frequent class.
GRID = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)


@dataclass(frozen=True)
class Refitted:
    """One task after the refit.

    Attributes:
        scores: split -> scores with the final classifier.
        before: split -> scores with the trained classifier.
        strength: C of the logistic regression; None if the trained classifier stays.
    """

    scores: dict[str, SplitScores]
    before: dict[str, SplitScores]
    strength: float | None = None


def refit_and_score(
    model: ConditionalAdapterModel,
    tasks: Sequence[TaskData],
    splits: Sequence[str],
    *,
    batch_size: int,
    pad: int,
    accelerator: Accelerator,
    on_task: Callable[[int], None] = lambda done: None,
) -> dict[str, Refitted]:
    """Replace classifiers by logistic regressions that are better on validation, and score the model before and after.

    Each process refits and scores a part of the tasks; then all processes have the same classifiers and scores.

    Args:
        model: the trained model, without its wrapper for several processes; left in training mode.
        tasks: the tasks, in the order of their ids in the model.
        splits: the splits to score: "validation", "test", or both.
        batch_size: examples per batch.
        pad: token id for padding.
        accelerator: the Accelerator of the run.
        on_task: called before each task, with the number of tasks done.

    Returns:
        Task -> its outcome, in the order of the tasks.
    """
    model.eval()
    found: list[tuple[int, Linear, Refitted]] = []
    for number in range(accelerator.process_index, len(tasks), accelerator.num_processes):
        on_task(number)
        task, head = tasks[number], _head(model, number)
        needed = {*splits, "train", "validation"} if can_refit(model, task) else set(splits)
        features = {
            split: pooled_texts(model, rows, number, batch_size=batch_size, pad=pad, accelerator=accelerator)
            for split, rows in task.splits.items()
            if split in needed
        }
        before = _scores(task, features, head, splits)
        strength, best = _best(task, features, head) if "train" in needed else (None, head)
        after = before if strength is None else _scores(task, features, best, splits)
        found.append((number, best, Refitted(after, before, strength)))
    gathered = sorted(gather_object(found), key=lambda each: each[0])
    for number, best, refitted in gathered:
        if refitted.strength is not None:
            _set_head(model, number, best)
    model.train()
    return {tasks[number].name: refitted for number, _, refitted in gathered}


def can_refit(model: ConditionalAdapterModel, task: TaskData) -> bool:
    """Return whether a task has validation rows, several classes among its training rows, and label vectors of its own.

    A vector that another task shares would no longer fit that task.
    """
    shared = model.shared_labels
    alone = all(len(shared[vector]) == 1 for vector in model.label_vectors.get(task.name, ()))
    return alone and "validation" in task.splits and len(np.unique(task.train.labels)) > 1


@torch.no_grad()
def pooled_texts(
    model: ConditionalAdapterModel,
    rows: EncodedRows,
    task_id: int,
    *,
    batch_size: int,
    pad: int,
    accelerator: Accelerator,
) -> NDArray[np.float32]:
    """Return the input of a task's classifier for each row of a split, (rows, H).

    Args:
        model: the model, in evaluation mode.
        rows: the split.
        task_id: id of the task in the model.
        batch_size: examples per batch.
        pad: token id for padding.
        accelerator: the Accelerator of the run, whose number format is used.
    """
    found = np.empty((len(rows), model.heads.weight.shape[1]), np.float32)
    task, order = np.array([task_id], dtype=np.int64), np.argsort(rows.lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        batch = collate({task_id: rows}, Batch(task, chosen), pad, accelerator.device)
        batch.pop("labels")
        task_ids = batch.pop("task_ids")
        with accelerator.autocast():
            pooled = model.encode(batch, model.embed_tasks(task_ids))
        found[chosen] = pooled.float().cpu().numpy()
    return found


def _best(task: TaskData, features: Mapping[str, NDArray[np.float32]], trained: Linear) -> tuple[float | None, Linear]:
    """Return C and the logistic regression that is best on validation; None and the trained classifier if it is better.

    The criterion is the likelihood. Accuracies of a few hundred rows differ by chance: chosen by accuracy on one half
    of the validation rows, the classifiers of 57 tasks were 0.6 points worse on the other half.
    """
    labels = task.splits["validation"].labels

    def likelihood(classifier: Linear) -> float:
        own = classifier.log_probabilities(features["validation"])[np.arange(len(labels)), labels]
        return float(np.maximum(own, LEAST_LOG).mean())

    best, highest = (None, trained), likelihood(trained)
    for strength in GRID:
        fitted = fit_logistic(features["train"], task.train.labels, len(task.labels), strength)
        if (found := likelihood(fitted)) > highest:
            best, highest = (strength, fitted), found
    return best


def _scores(
    task: TaskData, features: Mapping[str, NDArray[np.float32]], classifier: Linear, splits: Sequence[str]
) -> dict[str, SplitScores]:
    found = {}
    for split in splits:
        if split in task.splits:
            predicted = classifier.log_probabilities(features[split]).argmax(axis=1)
            found[split] = split_scores(count_pairs(task.splits[split].labels, predicted, len(task.labels)))
    return found


@torch.no_grad()
def _head(model: ConditionalAdapterModel, number: int) -> Linear:
    vectors = model.heads.table[number, : model.heads.sizes[number]]
    return Linear(*(each[vectors].double().cpu().numpy() for each in (model.heads.weight, model.heads.bias)))


@torch.no_grad()
def _set_head(model: ConditionalAdapterModel, number: int, classifier: Linear) -> None:
    vectors = model.heads.table[number, : model.heads.sizes[number]]
    model.heads.weight[vectors] = torch.from_numpy(classifier.weight).to(model.heads.weight)
    model.heads.bias[vectors] = torch.from_numpy(classifier.bias).to(model.heads.bias)
