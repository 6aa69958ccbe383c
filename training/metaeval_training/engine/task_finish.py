"""Finish each task alone after the shared training: train its private part, refit its classifier, and score it.

Training changes features and classifiers together, so that a classifier was fitted to features that have changed since.
A logistic regression on the final features, with its regularization chosen on validation, has neither this lag nor the
noise of small steps. It replaces the trained classifier where it is better on the validation rows. A private part stays
where it is better on the validation rows, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from numpy.typing import NDArray

from metaeval_datasets.metric.scores import count_pairs
from metaeval_hub import ConditionalAdapterModel
from metaeval_hub.model.logistic import LEAST_LOG, Linear, fit_logistic, log_softmax
from metaeval_hub.results.schema import SplitScores
from metaeval_training.config import TrainConfig
from metaeval_training.data.encoding import EncodedRows, TaskData, collate
from metaeval_training.data.sampling import Batch
from metaeval_training.engine.evaluation import split_scores
from metaeval_training.engine.private_part import drop_private_part, private_updates, train_private_part
from metaeval_training.runs.finished import Finished
from metaeval_training.runs.process import Interrupted

# Values of C to try, from strong to weak regularization; the strongest almost predicts the most frequent class.
GRID = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)


@dataclass(frozen=True)
class _Head:
    """A classifier of a task with its mean log-likelihood on the validation rows; C if it was refitted."""

    classifier: Linear
    likelihood: float
    strength: float | None = None


@dataclass(frozen=True)
class TaskFinisher:
    """Finishes tasks of a trained model.

    Attributes:
        model: the trained model, without its wrapper for several processes.
        config: ``refit``, ``private_rank`` and the settings of the private part.
        accelerator: the Accelerator of the run.
    """

    model: ConditionalAdapterModel
    config: TrainConfig
    accelerator: Accelerator

    def finish(
        self,
        tasks: Sequence[TaskData],
        splits: Sequence[str],
        on_task: Callable[[int], None] = lambda done: None,
    ) -> dict[str, Finished]:
        """Finish and score all tasks. The model is left in training mode.

        Each process finishes a part of the tasks; then all processes have the same model and scores.

        Args:
            tasks: the tasks, in the order of their ids in the model.
            splits: the splits to score: "validation", "test", or both.
            on_task: called before each task, with the number of tasks done; may raise ``Interrupted``.

        Returns:
            Task -> its outcome, in the order of the tasks.

        Raises:
            Interrupted: ``on_task`` raised it in one of the processes; all of them raise it.
        """
        self.model.eval()
        found: list[Any] = []
        try:
            for number in range(self.accelerator.process_index, len(tasks), self.accelerator.num_processes):
                on_task(number)
                outcome = self._finish(tasks[number], number, splits)
                private = self._private_part(number) if outcome.private else None
                found.append((number, outcome, self._head(number), private))
        except Interrupted as stopped:  # the other processes wait for this one below, so they have to know
            found = [stopped]
        gathered = gather_object(found)
        for each in gathered:
            if isinstance(each, Interrupted):
                raise each
        gathered = sorted(gathered, key=lambda each: each[0])
        if self.accelerator.num_processes > 1:
            for number, _, head, private in gathered:
                self._set_head(number, head)
                if private is not None:
                    self._set_private_part(tasks[number].name, number, private)
        self.model.train()
        return {tasks[number].name: outcome for number, outcome, _, _ in gathered}

    def _finish(self, task: TaskData, number: int, splits: Sequence[str]) -> Finished:
        if not can_finish(self.model, task):
            scores = _scores(task, self._features(task, number, splits), self._head(number), splits)
            return Finished(scores, scores)
        needed = {*splits, "train", "validation"}
        features, trained = self._features(task, number, needed), self._head(number)
        before, best = _scores(task, features, trained, splits), self._best(task, features, trained)
        if self.config.private_rank:
            start = train_private_part(self.model, task, number, self.config, self.accelerator)
            private_features = self._features(task, number, needed)
            private_best = self._best(task, private_features, self._head(number))
            if private_best.likelihood > best.likelihood:
                features, best = private_features, private_best
            else:
                drop_private_part(self.model, task, number, start)
        self._set_head(number, best.classifier)
        private = task.name in self.model.private_tasks
        return Finished(_scores(task, features, best.classifier, splits), before, best.strength, private)

    def _features(self, task: TaskData, number: int, splits: Iterable[str]) -> dict[str, NDArray[np.float32]]:
        return {
            split: pooled_texts(self.model, rows, number, self.config.eval_batch_size, self.accelerator)
            for split, rows in task.splits.items()
            if split in splits
        }

    def _best(self, task: TaskData, features: Mapping[str, NDArray[np.float32]], trained: Linear) -> _Head:
        """Return the trained classifier, or if refits are asked for, the best of it and a logistic regression per C.

        The criterion is the likelihood. Accuracies of a few hundred rows differ by chance: chosen by accuracy on one
        half of the validation rows, the classifiers of 57 tasks were 0.6 points worse on the other half. Features that
        are not finite have the likelihood minus infinity, so that a private part that diverged is never kept.
        """
        labels = task.splits["validation"].labels
        if not all(np.isfinite(features[split]).all() for split in ("train", "validation")):
            return _Head(trained, -math.inf)

        def rated(classifier: Linear, strength: float | None = None) -> _Head:
            own = log_softmax(classifier.logits(features["validation"]))[np.arange(len(labels)), labels]
            return _Head(classifier, float(np.maximum(own, LEAST_LOG).mean()), strength)

        found = [rated(trained)]
        if self.config.refit:
            classes = len(task.labels)
            found += [rated(fit_logistic(features["train"], task.train.labels, classes, c), c) for c in GRID]
        return max(found, key=lambda head: head.likelihood)

    @torch.no_grad()
    def _head(self, number: int) -> Linear:
        heads = self.model.heads
        vectors = heads.table[number, : heads.sizes[number]]
        return Linear(*(each[vectors].double().cpu().numpy() for each in (heads.weight, heads.bias)))

    @torch.no_grad()
    def _set_head(self, number: int, classifier: Linear) -> None:
        heads = self.model.heads
        vectors = heads.table[number, : heads.sizes[number]]
        heads.weight[vectors] = torch.from_numpy(classifier.weight).to(heads.weight)
        heads.bias[vectors] = torch.from_numpy(classifier.bias).to(heads.bias)

    def _private_part(self, number: int) -> tuple[NDArray[np.float32], ...]:
        private = private_updates(self.model)
        return tuple(tensor[number].float().cpu().numpy() for tensor in (private.down, private.up))

    @torch.no_grad()
    def _set_private_part(self, name: str, number: int, values: tuple[NDArray[np.float32], ...]) -> None:
        private = private_updates(self.model)
        for tensor, value in zip((private.down, private.up), values, strict=True):
            tensor[number] = torch.from_numpy(value).to(tensor)
        self.model.private_tasks.add(name)


def can_finish(model: ConditionalAdapterModel, task: TaskData) -> bool:
    """Return whether a task has validation rows, several classes among its training rows, and label vectors of its own.

    A vector that another task shares would no longer fit that task.
    """
    shared = model.shared_labels
    alone = all(len(shared[vector]) == 1 for vector in model.label_vectors.get(task.name, ()))
    validated = "validation" in task.splits and len(task.splits["validation"]) > 0
    return alone and validated and len(np.unique(task.train.labels)) > 1


@torch.no_grad()
def pooled_texts(
    model: ConditionalAdapterModel, rows: EncodedRows, task_id: int, batch_size: int, accelerator: Accelerator
) -> NDArray[np.float32]:
    """Return the input of a task's classifier for each row of a split, (rows, H).

    Args:
        model: the model, in evaluation mode.
        rows: the split.
        task_id: id of the task in the model.
        batch_size: examples per batch.
        accelerator: the Accelerator of the run, whose number format is used.
    """
    pad = model.tokenizer.pad_token_id
    found = np.empty((len(rows), model.heads.weight.shape[1]), np.float32)
    task, order = np.array([task_id], dtype=np.int64), np.argsort(rows.lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        batch = collate({task_id: rows}, Batch(task, chosen), pad, accelerator.device)
        batch.pop("labels")
        task_ids = batch.pop("task_ids")
        with accelerator.autocast():
            pooled = model.encode_for_tasks(batch, task_ids)
        found[chosen] = pooled.float().cpu().numpy()
    return found


def _scores(
    task: TaskData, features: Mapping[str, NDArray[np.float32]], classifier: Linear, splits: Sequence[str]
) -> dict[str, SplitScores]:
    found = {}
    for split in splits:
        if split in task.splits:
            predicted = classifier.logits(features[split]).argmax(axis=1)
            found[split] = split_scores(count_pairs(task.splits[split].labels, predicted, len(task.labels)))
    return found
