"""Describe a fitted task in facts that fit_report.json contains: accuracies, confusions, doubtful rows, near tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaeval_datasets.metric.scores import count_pairs, scores
from metaeval_hub.encoders.text_vectors import count_tokens, domain_vector, text_embedding
from metaeval_hub.encoders.tokens import Text, TextEncoder
from metaeval_hub.model.core import ModelCore
from metaeval_hub.model.feature_choice import FitReport
from metaeval_hub.model.fit_comparison import FIT, MAJORITY, PROBE, TFIDF, FitComparison
from metaeval_hub.model.labelled_rows import LabelledRows
from metaeval_hub.results.intervals import paired_difference, wilson
from metaeval_hub.task_data.task_embeddings import TaskEmbeddings
from metaeval_hub.task_data.z_prediction import nearest_to

FORMAT = "metaeval-fit-report"
NEAREST = 5
MOST_TEXTS = 1000  # whose mean is compared with the known tasks
TITLES = {  # from the simplest to the fit itself
    MAJORITY: "most frequent class",
    TFIDF: "TF-IDF + logistic regression",
    PROBE: "logistic regression on the frozen encoder",
    FIT: "this fit",
}


def describe_fit(
    name: str, rows: LabelledRows, report: FitReport, comparison: FitComparison, *, wrong: int = 10
) -> dict[str, Any]:
    """Return the facts of a fit, ready for JSON.

    Args:
        name: of the task.
        rows: its labelled rows.
        report: result of ``add_fitted``.
        comparison: result of ``compare_fit``.
        wrong: maximum number of rows in "confidently_wrong".
    """
    return {
        "format": FORMAT,
        "task": name,
        "classes": list(rows.names),
        "rows": len(rows.texts),
        "rows_per_class": np.bincount(rows.classes, minlength=len(rows.names)).tolist(),
        "features": report.features,
        "candidates": {each: dict(vars(found)) for each, found in report.candidates.items()},
        "cross_validation": {
            "rows": len(comparison.rows), "folds": comparison.folds, "nested": comparison.nested,
            "intervals": "accuracy: Wilson, 95 %; difference: paired, Agresti and Min, 95 %",
        },
        "methods": _methods(comparison),
        **_errors(rows, comparison, wrong),
        "conclusions": conclusions(comparison),
    }  # fmt: skip


def describe_cut(model: ModelCore, texts: Sequence[Text]) -> dict[str, Any]:
    """Count the texts that are too long for a model.

    Args:
        model: any model.
        texts: texts or pairs that ``as_texts`` returned.

    Returns:
        "rows": number of texts with more tokens than the model reads; "max_length": number of tokens that it reads;
        "side": "right" if the end of these texts is left out, or else "left".
    """
    size = model.config.max_length
    rows = TextEncoder(model.tokenizer, size).count_cut(texts)
    return {"rows": rows, "max_length": size, "side": model.tokenizer.truncation_side}


def _methods(comparison: FitComparison) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in TITLES:
        if name in comparison.methods:
            each = comparison.methods[name]
            found[name] = _share(each.correct)
            if name != FIT:
                found[name]["difference"] = _difference(comparison, name)
            if each.test is not None and len(each.test):
                found[name]["test"] = _share(each.test)
    return found


def _share(correct: NDArray[np.bool_]) -> dict[str, Any]:
    accuracy = float(correct.mean())
    return {"accuracy": accuracy, "interval": list(wilson(accuracy, len(correct))), "rows": len(correct)}


def _difference(comparison: FitComparison, name: str) -> dict[str, Any]:
    """Return the accuracy of the fit minus that of a simple model, on the same rows."""
    fit, other = comparison.methods[FIT].correct, comparison.methods[name].correct
    only_fit, only_other = int((fit & ~other).sum()), int((other & ~fit).sum())
    return {
        "value": (only_fit - only_other) / len(fit),
        "interval": list(paired_difference(only_fit, only_other, len(fit))),
    }


def conclusions(comparison: FitComparison) -> list[str]:
    """Return what the comparison with simple models shows, in sentences for users."""
    if not comparison.methods:
        return [
            "There are too few rows to estimate how accurate this fit is: that needs four or more different texts, of "
            "two or more classes."
        ]
    found = {name: _difference(comparison, name) for name in TITLES if name in comparison.methods and name != FIT}
    rows = len(comparison.rows)
    better = [name for name, each in found.items() if each["interval"][1] < 0]
    equal = [name for name, each in found.items() if each["interval"][0] <= 0 <= each["interval"][1]]
    sentences = [
        f"{_title(name)} is more accurate than this fit by {_points(found[name], -1)}. Use it instead."
        for name in better
    ]
    if equal:
        name = equal[0]
        advice = "Label more rows before you use this task." if name == MAJORITY else "Consider the simpler model."
        sentences.append(
            f"{_title(name)} is as good as this fit, as far as {rows:,} rows can show: the advantage of this fit is "
            f"{_points(found[name])}. {advice}"
        )
    if not sentences:
        sentences.append(f"This fit is more accurate than every simpler model, on {rows:,} rows.")
    if not comparison.nested:
        sentences.append(
            "The accuracy of this fit is slightly optimistic: its features and C were chosen once on all rows, not in "
            "each fold, to save time."
        )
    return sentences


def _title(name: str) -> str:
    title = TITLES[name]
    return ("The " if name == MAJORITY else "") + title[0].upper() * (name != MAJORITY) + title[name != MAJORITY :]


def _points(difference: dict[str, Any], sign: int = 1) -> str:
    low, high = sorted(sign * bound for bound in difference["interval"])
    return f"{sign * difference['value'] * 100:.1f} points (95 %: {low * 100:.1f} to {high * 100:.1f})"


def _errors(rows: LabelledRows, comparison: FitComparison, wrong: int) -> dict[str, Any]:
    """Return the scores and the confusion matrix of the fit, and the rows that it gets most confidently wrong."""
    if not comparison.methods:
        return {"confusion": None, "confidently_wrong": []}
    probabilities, truth = comparison.methods[FIT].probabilities, rows.classes[comparison.rows]
    predicted = probabilities.argmax(axis=1)
    counts = count_pairs(truth, predicted, len(rows.names))
    highest = probabilities.max(axis=1)
    order = [i for i in np.argsort(-highest, kind="stable") if predicted[i] != truth[i]][:wrong]
    found = [
        {
            "place": int(comparison.rows[i]), "text": rows.texts[comparison.rows[i]],
            "given": rows.names[truth[i]], "predicted": rows.names[predicted[i]], "probability": float(highest[i]),
        }
        for i in order
    ]  # fmt: skip
    return {"scores": scores(counts), "confusion": counts.tolist(), "confidently_wrong": found}


def nearest_tasks(model: ModelCore, texts: Sequence[Text], without: str = "") -> dict[str, Any] | None:
    """Find the tasks of a model whose texts are most similar to some texts.

    Similarity is the cosine of TextEmb, if the model stores that of its tasks, or else of the mean vector of their
    words. The mean over the tasks is subtracted first, because the vectors of all texts have a large part in common.

    Args:
        model: any model.
        texts: texts or pairs; the first 1,000 are used.
        without: a task to leave out.

    Returns:
        "by": "texts" or "words"; "tasks": pairs of name and cosine, nearest first. None if the model does not store
        the features of three or more tasks.
    """
    known = model.features
    if known is None or len(known.names) < 3:
        return None
    tokens = model.tokenize(texts[:MOST_TEXTS])
    if known.texts is not None:
        by, values, vector = "texts", known.texts, text_embedding(model.encoder, model.tokenizer, tokens)
    else:
        size = model.encoder.get_input_embeddings().weight.shape[0]
        counts = count_tokens(tokens["input_ids"], size, model.tokenizer.all_special_ids)
        if not counts.any():
            return None
        by, values, vector = "words", known.words, domain_vector(model.encoder, counts)
    mean = values.mean(axis=0)
    found = nearest_to(TaskEmbeddings(known.names, values - mean), vector - mean, NEAREST + 1)
    return {"by": by, "tasks": [[name, cosine] for name, cosine in found if name != without][:NEAREST]}
