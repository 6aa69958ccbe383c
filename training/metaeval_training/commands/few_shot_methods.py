"""Answer one held-out task from k labelled examples, by each of the methods of training/few_shot.py."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaeval_datasets.metric.scores import count_pairs
from metaeval_hub import ConditionalAdapterModel
from metaeval_hub.model.feature_choice import UNCHOSEN_C
from metaeval_hub.model.logistic import cross_validate, fit_logistic
from metaeval_hub.model.zero_shot import predict_z
from metaeval_hub.results.schema import SplitScores
from metaeval_training.commands import single_task
from metaeval_training.commands.held_out import HeldOut, describe, score
from metaeval_training.commands.probes import fit_probe, tfidf_features
from metaeval_training.data.encoding import TaskData, encode_task
from metaeval_training.data.rows import DataError, TaskRows
from metaeval_training.data.sampling import generator
from metaeval_training.engine.evaluation import split_scores
from metaeval_training.engine.loop import TrainingError
from metaeval_training.runs.per_task import Job
from metaeval_training.runs.results import predict_majority
from metaeval_training.vectors.encoder_features import open_encoder, text_features

TFIDF_C = 10.0  # words are not scaled, and few examples are too few to choose by
HEAD_RATIO = 10.0  # learning rate of the classifier relative to the encoder's, as in training/single_task.py
FITTED = "few_shot/fitted"  # names of the task in the model, while it is added
DESCRIBED = "few_shot/described"


class UnansweredError(Exception):
    """A method cannot answer a task; the message says why."""


def draw_examples(seed: int, task: str, draw: int, rows: int) -> NDArray[np.int64]:
    """Return the training rows of a task in the order of a draw, (rows,); the first k are its k examples."""
    return generator("few-shot examples", seed, task, draw).permutation(rows)


class FewShotTask:
    """One task and a model that was not trained on it; values that draws and methods share are computed once.

    Args:
        job: the run; its settings name the model's encoder.
        model: that held the task out.
        task: its rows.

    Raises:
        DataError: the task has no test rows.
    """

    def __init__(self, job: Job, model: ConditionalAdapterModel, task: TaskRows) -> None:
        if "test" not in task.splits:
            raise DataError(f"the task has no test split, only {', '.join(task.splits)}")
        self.job, self.model, self.task = job, model, task
        self.train = task.splits["train"]
        self.held_out: HeldOut = describe(task)
        self._encoded: TaskData | None = None
        self._features: dict[str, NDArray[np.float32]] | None = None
        self._described = False
        self.fit_seconds: float | None = None  # of the last method that was called

    def examples(self, draw: int, shots: int) -> NDArray[np.int64]:
        """Return the positions of a draw's examples among the training rows, (k,)."""
        return draw_examples(self.job.config.seed, self.task.name, draw, len(self.train))[:shots]

    def zero_shot(self, draw: int, shots: int, show: Callable[[str], None]) -> SplitScores:
        """Score z and label vectors that a description predicts; with examples, ``fit_task`` starts from them."""
        self._describe()
        return self._fit(draw, shots, start=DESCRIBED) if shots else self._score(DESCRIBED)

    def fit(self, draw: int, shots: int, show: Callable[[str], None]) -> SplitScores:
        """Score ``fit_task`` from the examples only."""
        features = None
        if self.model.config.z_from != "table":
            _, features, _, _ = predict_z(self.model, FITTED, self.held_out.description, self.job.options["by"])
        return self._fit(draw, shots, task_features=features)

    def probe(self, draw: int, shots: int, show: Callable[[str], None]) -> SplitScores:
        """Score a logistic regression on the frozen encoder's output, with C by cross-validation on the examples."""
        features, chosen = self._encoder_features(), self.examples(draw, shots)
        rows, classes, count = features["train"][chosen], self.labels("train")[chosen], len(self.task.labels)
        with self._timed():
            strength = cross_validate(rows, classes, count).strength if len(rows) > 1 else UNCHOSEN_C
            linear = fit_logistic(rows, classes, count, strength)
        return self._compare(linear.logits(features["test"]).argmax(axis=1))

    def tfidf(self, draw: int, shots: int, show: Callable[[str], None]) -> SplitScores:
        """Score a logistic regression on the words of the examples."""
        task = self._with_examples(draw, shots)
        labels = {split: np.asarray(rows["label"][:], np.int64) for split, rows in task.splits.items()}
        with self._timed():
            predicted, _ = fit_probe(tfidf_features(task), labels, [TFIDF_C])
        return self._compare(predicted["test"])

    def setfit(self, draw: int, shots: int, show: Callable[[str], None]) -> SplitScores:
        """Score SetFit, which another process fits to the examples."""
        task = self._with_examples(draw, shots)
        texts = {
            split: [" ".join(pair) for pair in zip(*(rows[column][:] for column in task.text_columns), strict=True)]
            for split, rows in task.splits.items()
        }
        given = {
            "train": texts["train"], "labels": task.splits["train"]["label"][:], "test": texts["test"],
            "seed": self.job.config.seed + draw,
        }  # fmt: skip
        ended = subprocess.run(
            shlex.split(self.job.options["setfit"]),
            input=json.dumps(given),
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode:
            raise UnansweredError(f"--setfit failed: {(ended.stderr.strip().splitlines() or ['no message'])[-1]}")
        answer = json.loads(ended.stdout.splitlines()[-1])
        self.fit_seconds = float(answer["fit_seconds"])
        return self._compare(np.asarray(answer["predicted"], np.int64))

    def full(self, draw: int, shots: int, show: Callable[[str], None]) -> SplitScores:
        """Score an encoder whose weights were all trained on the examples."""
        task = self._with_examples(draw, shots)
        config, options = self.job.config, self.job.options
        config = replace(
            config, steps=options["full_steps"], batch_size=single_task.BATCH_SIZE, seed=config.seed + draw,
            pooling=self.model.config.pooling,
        )  # fmt: skip
        job = replace(self.job, config=config, options={**single_task.SCRIPT.options, "head_ratio": HEAD_RATIO})
        with self._timed():
            tried = single_task.train_one(job, task, "full", options["full_lr"], None, show)
        result = tried.result
        if result is None or result.test is None:
            raise TrainingError(tried.failed)
        return result.test

    def majority(self, draw: int, shots: int, show: Callable[[str], None]) -> SplitScores:
        """Score the most frequent class of the examples."""
        test = self.labels("test")
        return self._compare(predict_majority(self.labels("train")[self.examples(draw, shots)], len(test)))

    def _with_examples(self, draw: int, shots: int) -> TaskRows:
        """Return the task with the examples of a draw as its training rows, and its test rows."""
        splits = {"train": self.train.select(self.examples(draw, shots)), "test": self.task.splits["test"]}
        available = {split: len(rows) for split, rows in splits.items()}
        return replace(self.task, splits=splits, available=available, digests={})

    @contextmanager
    def _timed(self) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.fit_seconds = time.monotonic() - started

    def labels(self, split: str) -> NDArray[np.int64]:
        """Return the labels of a split, (rows,)."""
        return np.asarray(self.task.splits[split]["label"][:], dtype=np.int64)

    def close(self) -> None:
        """Remove the described task from the model."""
        if self._described:
            self.model.remove_task(DESCRIBED)
            self._described = False

    def _describe(self) -> None:
        """Add the task to the model from its description, unless this is already done.

        Raises:
            UnansweredError: the description does not suffice.
        """
        if self._described:
            return
        try:
            self.model.zero_shot(DESCRIBED, self.held_out.description, self.held_out.labels, by=self.job.options["by"])
        except ValueError as error:
            raise UnansweredError(str(error)) from error
        self._described = True

    def _fit(self, draw: int, shots: int, **options: Any) -> SplitScores:
        rows = self.train.select(self.examples(draw, shots))
        seed = self.job.config.seed + draw
        with self._timed():
            self.model.fit_task(FITTED, rows, self.task.labels, seed=seed, **options)
        try:
            return self._score(FITTED)
        finally:
            self.model.remove_task(FITTED)

    def _score(self, name: str) -> SplitScores:
        if self._encoded is None:
            test = replace(self.task, splits={"test": self.task.splits["test"]}, digests={})
            self._encoded = encode_task(test, self.model.tokenizer, self.model.config.max_length)
        return score(self.job, self.model, self._encoded, name, ("test",))["test"]

    def _compare(self, predicted: NDArray[np.int64]) -> SplitScores:
        return split_scores(count_pairs(self.labels("test"), predicted, len(self.task.labels)))

    def _encoder_features(self) -> dict[str, NDArray[np.float32]]:
        """Return the mean over tokens of the test rows and of the training rows in any draw; other rows are 0."""
        if self._features is None:
            config, options = self.job.config, self.job.options
            drawn = [self.examples(draw, max(options["shots"])) for draw in range(options["draws"])]
            chosen = np.unique(np.concatenate(drawn))
            encoder = open_encoder(config, ())
            of_rows = partial(
                text_features, encoder, max_length=config.max_length, batch_size=config.eval_batch_size,
                device=self.job.accelerator.device,
            )  # fmt: skip
            test = of_rows(self.task.splits["test"]).mean
            train = np.zeros((len(self.train), test.shape[1]), dtype=np.float32)
            train[chosen] = of_rows(self.train.select(chosen)).mean
            self._features = {"train": train, "test": test}
        return self._features
