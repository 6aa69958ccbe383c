"""Score baselines that need no training of the encoder, to compare trained models with.

    python training/probes.py                                  # demo tasks, small encoder: a minute
    python training/probes.py --preset small --tasks all       # 600 rows per task, frozen MiniLM
    python training/probes.py --preset small --tasks pragmeval glue/cola --methods majority tfidf
    python training/probes.py --resume runs/probes-1

majority  the most frequent class of the training rows
tfidf     logistic regression on words and pairs of neighbouring words; the two texts of a pair have separate columns
cls       logistic regression on the frozen encoder's output at [CLS]
mean      logistic regression on the mean of the frozen encoder's output over the tokens

For each task, the strength of regularization (C) with the best validation accuracy is chosen; the test split is used
for the final scores only. The run ends with one table, and each method writes a results.json that `metaeval compare`
reads. A stopped run keeps its finished tasks.

Exit codes: 0 done; 1 an error, reported in one line; 2 wrong usage; 128 + n stopped by signal n (130: Ctrl-C).
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from metaeval_datasets.metric.scores import accuracy, count_pairs
from metaeval_hub.encoders.base import LoadedEncoder
from metaeval_hub.results.results_json import task_to_json
from metaeval_hub.results.schema import Details, Regularization
from metaeval_training.data.rows import TaskRows
from metaeval_training.engine.evaluation import split_scores
from metaeval_training.runs import per_task
from metaeval_training.runs.lifecycle import DONE
from metaeval_training.runs.per_task import Answer, Job, Script, TaskMethod
from metaeval_training.runs.reporter import percent
from metaeval_training.runs.results import predict_majority, task_result
from metaeval_training.vectors.encoder_features import Features, open_encoder, text_features

METHODS = ("majority", "tfidf", "cls", "mean")
# Inverse strengths of regularization to try. Encoder features are scaled to variance 1; tf-idf features are not.
TFIDF_GRID = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
FEATURE_GRID = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1.0)
MAX_WORDS = 100_000  # columns per text field, the most frequent ones; only tasks with many rows have more
WORD = r"(?u)\b\w+\b|[^\w\s]"  # punctuation marks count as words, because they indicate irony and questions


def tfidf_features(task: TaskRows) -> dict[str, sparse.csr_matrix]:
    """Return words and pairs of neighbouring words of each split, weighted by tf-idf of the training rows.

    Returns:
        Split -> (rows, columns) sparse; the two texts of a pair have separate columns, with one vocabulary.
    """
    fields = [
        column for column in ("sentence", "sentence1", "sentence2") if column in task.splits["train"].column_names
    ]
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=MAX_WORDS, token_pattern=WORD)
    vectorizer.fit([text for field in fields for text in task.splits["train"][field][:]])
    return {
        split: sparse.csr_matrix(sparse.hstack([vectorizer.transform(rows[field][:]) for field in fields]))
        for split, rows in task.splits.items()
    }


def fit_probe(
    features: Mapping[str, Any], labels: Mapping[str, NDArray[np.int64]], grid: Sequence[float]
) -> tuple[dict[str, NDArray[np.int64]], Regularization]:
    """Fit a logistic regression on the training rows, with the C that is best on the validation rows.

    Args:
        features: by split, (rows, columns), dense or sparse.
        labels: by split, (rows,).
        grid: values of C, ascending. In a tie, the first is chosen, which is the strongest regularization.

    Returns:
        Predicted classes by split, without "train"; and the chosen C with the validation accuracies.
        Without validation rows, C is the value of the grid nearest to 1, scikit-learn's default.
    """
    if len(np.unique(labels["train"])) == 1:
        constant = {split: predict_majority(labels["train"], len(rows)) for split, rows in labels.items()}
        return {split: rows for split, rows in constant.items() if split != "train"}, Regularization(None, {})
    evaluated = [split for split in labels if split != "train"]
    if "validation" not in labels:
        grid = [min(grid, key=lambda value: abs(np.log(value)))]
    accuracies: dict[str, float] = {}
    best: tuple[float, float, dict[str, NDArray[np.int64]]] | None = None
    model = LogisticRegression(max_iter=1000, warm_start=True)  # starts from the solution of the previous C
    for strength in grid:
        model.set_params(C=strength)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the solution after 1,000 steps is scored
            model.fit(features["train"], labels["train"])
        predicted = {split: model.predict(features[split]) for split in evaluated}
        if "validation" not in labels:
            return predicted, Regularization(strength, {})
        validation = accuracy(labels["validation"], predicted["validation"])
        accuracies[f"{strength:g}"] = validation
        if best is None or validation > best[0]:
            best = (validation, strength, predicted)
    if best is None:
        raise ValueError("the grid of C is empty")
    return best[2], Regularization(best[1], accuracies)


def scaled(features: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Scale features to mean 0 and variance 1 over the training rows."""
    scaler = StandardScaler().fit(features["train"])
    return {split: scaler.transform(rows) for split, rows in features.items()}


def answer(
    task: TaskRows,
    labels: Mapping[str, NDArray[np.int64]],
    predicted: Mapping[str, NDArray[np.int64]],
    chosen: Regularization | None = None,
) -> Answer:
    """Return the task result with the chosen regularization, and the validation accuracy as text."""
    classes = len(task.labels)
    found = {split: split_scores(count_pairs(labels[split], rows, classes)) for split, rows in predicted.items()}
    result = task_result(labels, task.available, task.origin, classes, found)
    shown = result.validation or result.test
    stored = task_to_json(replace(result, more=Details(regularization=chosen)))
    return stored, percent(None if shown is None else shown.accuracy)


def load_encoder(job: Job) -> LoadedEncoder | None:
    """Load the encoder if a method uses it.

    Raises:
        ConfigError: it cannot be loaded.
    """
    used = {"cls", "mean"} & set(job.options["methods"])
    return open_encoder(job.config, per_task.all_texts(job.config)) if used else None


def make_methods(job: Job, encoder: LoadedEncoder | None = None) -> dict[str, TaskMethod]:
    """Return the methods to run. Methods share encoded texts.

    Args:
        job: the run.
        encoder: the encoder; None: it is loaded if a method uses it.

    Raises:
        ConfigError: the encoder cannot be loaded.
    """
    config, asked = job.config, job.options["methods"]
    encoder = encoder or load_encoder(job)  # before any task, because all of them would fail without it
    newest: dict[str, dict[str, Features]] = {}  # of the last task: cls and mean come from one pass

    def encoded(task: TaskRows) -> dict[str, Features]:
        if task.name not in newest:
            assert encoder is not None  # noqa: S101 - for the type checker
            newest.clear()
            newest[task.name] = {
                split: text_features(
                    encoder, rows, max_length=config.max_length, batch_size=config.eval_batch_size,
                    device=job.accelerator.device,
                )
                for split, rows in task.splits.items()
            }  # fmt: skip
        return newest[task.name]

    def majority(task: TaskRows, show: Callable[[str], None]) -> Answer:
        labels = labels_of(task)
        predicted = {s: predict_majority(labels["train"], len(rows)) for s, rows in labels.items() if s != "train"}
        return answer(task, labels, predicted)

    def tfidf(task: TaskRows, show: Callable[[str], None]) -> Answer:
        labels = labels_of(task)
        return answer(task, labels, *fit_probe(tfidf_features(task), labels, TFIDF_GRID))

    def linear(which: str, task: TaskRows, show: Callable[[str], None]) -> Answer:
        labels = labels_of(task)
        features = scaled({split: getattr(both, which) for split, both in encoded(task).items()})
        return answer(task, labels, *fit_probe(features, labels, FEATURE_GRID))

    every: dict[str, TaskMethod] = {
        "majority": majority,
        "tfidf": tfidf,
        "cls": partial(linear, "cls"),
        "mean": partial(linear, "mean"),
    }
    return {name: every[name] for name in asked}


def labels_of(task: TaskRows) -> dict[str, NDArray[np.int64]]:
    """Return the labels of each split, (rows,)."""
    return {split: np.asarray(rows["label"][:], dtype=np.int64) for split, rows in task.splits.items()}


def work(job: Job) -> int:
    """Run the probes on all tasks, write and show the results; return the exit code."""
    methods: list[str] = job.options["methods"]
    encoder = load_encoder(job)
    encoders = {} if encoder is None else dict.fromkeys(("cls", "mean"), encoder.base.to_dict())
    job.reporter.line("validation accuracies in %:")
    make = make_methods if job.workers > 1 else partial(make_methods, encoder=encoder)
    outcome = per_task.run_tasks(job, methods, make)
    for method, answers in outcome.found.items():
        per_task.write_results(
            job, method, per_task.parse_answers(answers), outcome.failed, encoder=encoders.get(method)
        )
    per_task.show_results(job, methods)
    return DONE


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags that are not settings of TrainConfig."""
    parser.add_argument(
        "--methods", nargs="+", choices=METHODS, default=argparse.SUPPRESS, help="probes to run (default: all four)"
    )


SCRIPT = Script(
    "probes", __doc__, per_task.SETTINGS, {"name": "probes"}, {"methods": list(METHODS)}, add_options, workers=True
)


def main(argv: list[str] | None = None) -> int:
    """Parse the command line, run the probes and report; return the exit code."""
    return per_task.launch(per_task.parse(SCRIPT, argv), work)
