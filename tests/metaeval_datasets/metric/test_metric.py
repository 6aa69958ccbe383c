"""The metric that `evaluate` loads from the package."""

import sys
from importlib.util import find_spec

import numpy as np
import pytest

from metaeval_datasets import UnknownTaskError, load_metric, task_from
from metaeval_datasets.catalog import registered
from metaeval_datasets.metric.scores import scores

needs_evaluate = pytest.mark.skipif(find_spec("evaluate") is None, reason="evaluate is not installed")
COUNTS = np.array([[5, 1, 0], [2, 3, 4], [0, 0, 6]])


@needs_evaluate
def test_the_metric_and_training_give_the_same_numbers(hub):
    """Training scores exact counts; ``compute`` gets them as weights, or as one pair per row."""
    metric = load_metric("demo/shop_reviews")
    true, predicted = np.nonzero(COUNTS)
    weight = COUNTS[true, predicted]
    expected = scores(COUNTS)
    assert metric.compute(references=true, predictions=predicted, sample_weight=weight) == expected
    for i, count in enumerate(weight):
        metric.add_batch(references=[true[i]] * count, predictions=[predicted[i]] * count)
    assert metric.compute() == expected
    assert not hub.requests, "nothing is fetched"


@needs_evaluate
def test_classes_are_names_or_numbers():
    rows = {"predictions": ["acceptable", "unacceptable", "acceptable"], "references": [1, 1, 0]}
    assert load_metric("glue/cola", keep_in_memory=True).compute(**rows)["accuracy"] == pytest.approx(1 / 3)
    assert load_metric().compute(predictions=[7, 2], references=[7, 3])["accuracy"] == 0.5


@needs_evaluate
def test_classes_that_the_task_does_not_have_are_refused():
    metric = load_metric("glue/cola")
    with pytest.raises(ValueError, match="Class label 2 greater than configured num_classes 2"):
        metric.compute(predictions=[2], references=[0])


@needs_evaluate
def test_a_task_registered_later_has_its_classes():
    """The module of the metric is imported by the first ``load_metric``, before this task is registered."""
    load_metric("glue/cola")
    rows = [{"text": f"text {i}", "topic": name} for i, name in enumerate(("bug", "bill", "bug"))]
    with registered([task_from(rows, name="acme/metric", text="text", label="topic")]):
        metric = load_metric("acme/metric", keep_in_memory=True)
        found = metric.compute(predictions=["bug", "bug"], references=["bug", "bill"])
    assert (found["accuracy"], found["macro_f1"]) == (0.5, pytest.approx(1 / 3))


def test_an_unknown_task_is_refused_with_the_nearest_names():
    with pytest.raises(UnknownTaskError, match="closest: glue/cola"):
        load_metric("glue/colla")


def test_a_missing_evaluate_is_one_command_away(monkeypatch):
    monkeypatch.setitem(sys.modules, "evaluate", None)
    with pytest.raises(ImportError, match=r"pip install 'metaeval\[evaluate\]'"):
        load_metric("glue/cola")
