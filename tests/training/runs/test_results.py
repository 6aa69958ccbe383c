import numpy as np
import pytest
from metaeval_training.runs.results import (
    labels_digest,
    majority_accuracy,
    means,
    predict_majority,
    task_result,
    vector_cosines,
)
from scipy import stats

ORIGIN = {"source": "org/rows", "commit": "c0ffee", "edition": "careful", "missing": []}


def row(train=(0, 0, 1), test=(0, 1, 1, 1), accuracy=0.75, **splits):
    labels = {"train": np.array(train), "test": np.array(test), **splits}
    scores = {"accuracy": accuracy, "macro_f1": 0.5, "matthews": 0.25}
    return task_result(labels, dict.fromkeys(labels, 9), ORIGIN, 2, {"test": scores})


def test_the_majority_is_that_of_the_training_rows():
    assert majority_accuracy(np.array([1, 1, 0]), np.array([0, 0, 0, 1])) == 0.25
    assert row()["majority"] == 0.25


def test_the_majority_of_a_tie_is_the_first():
    assert predict_majority(np.array([2, 1, 2, 1, 0]), 3).tolist() == [1, 1, 1]


def test_cosines_of_vectors():
    before = np.array([[1, 0], [1, 1], [0, 2]], dtype=np.float32)
    after = np.array([[2, 0], [1, -1], [0, -1]], dtype=np.float32)
    assert vector_cosines(before, after) == pytest.approx([1, 0, -1])


def test_a_row_of_a_task():
    got = row()
    assert got["classes"] == 2
    assert got["origin"] == {"source": "org/rows", "commit": "c0ffee", "edition": "careful"}
    assert got["validation"] is None
    assert got["test"]["accuracy"] == 0.75
    expected = stats.binomtest(3, 4).proportion_ci(method="wilson")
    assert got["test"]["accuracy_interval"] == pytest.approx(list(expected))
    assert got["rows"]["test"] == {"kept": 4, "available": 9, "labels": labels_digest(np.array([0, 1, 1, 1]))}


def test_the_digest_is_of_the_labels_in_their_order():
    one = labels_digest(np.array([0, 1, 1]))
    assert one == labels_digest(np.array([0, 1, 1], dtype=np.int32))
    assert len({one, labels_digest(np.array([1, 0, 1])), labels_digest(np.array([0, 1, 1, 0]))}) == 3


def test_means_are_unweighted_and_have_intervals():
    got = means([row(accuracy=0.5), row(accuracy=1.0), row(accuracy=0.75)])
    assert got["test"] == 0.75
    assert got["test_interval"] == pytest.approx((0.75 - 4.303 * 0.25 / 3**0.5, 1.0), abs=1e-3)  # Student's t, a share
    assert got["over_majority"] == 0.5
    assert got["over_majority_interval"] == pytest.approx((0.5 - 4.303 * 0.25 / 3**0.5, 1.0), abs=1e-3)
    assert (got["test_macro_f1"], got["test_matthews"], got["validation"]) == (0.5, 0.25, None)


def test_a_task_without_a_test_split_counts_for_validation_alone():
    bare = task_result({"train": np.array([0, 1])}, {"train": 2}, ORIGIN, 2, {})
    assert bare["majority"] is bare["test"] is None
    got = means([bare, row()])
    assert (got["test"], got["test_interval"]) == (0.75, None)
