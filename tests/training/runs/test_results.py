import numpy as np
import pytest
from metaeval_training.runs.results import (
    card_results,
    labels_digest,
    majority_accuracy,
    predict_majority,
    task_result,
    vector_cosines,
)

from metaeval_hub.results.schema import SplitRows, SplitScores

ORIGIN = {"source": "org/rows", "commit": "c0ffee", "edition": "careful", "missing": []}


def result(train=(0, 0, 1), test=(0, 1, 1, 1), accuracy=0.75, **splits):
    labels = {"train": np.array(train), "test": np.array(test), **splits}
    return task_result(labels, dict.fromkeys(labels, 9), ORIGIN, 2, {"test": SplitScores(accuracy, 0.5, 0.25)})


def test_the_majority_is_that_of_the_training_rows():
    assert majority_accuracy(np.array([1, 1, 0]), np.array([0, 0, 0, 1])) == 0.25
    assert result().majority == 0.25


def test_the_majority_of_a_tie_is_the_first():
    assert predict_majority(np.array([2, 1, 2, 1, 0]), 3).tolist() == [1, 1, 1]


def test_cosines_of_vectors():
    before = np.array([[1, 0], [1, 1], [0, 2]], dtype=np.float32)
    after = np.array([[2, 0], [1, -1], [0, -1]], dtype=np.float32)
    assert vector_cosines(before, after) == pytest.approx([1, 0, -1])


def test_the_result_of_a_task():
    got = result()
    assert got.classes == 2
    assert (got.source, got.commit, got.edition) == ("org/rows", "c0ffee", "careful")
    assert got.validation is None
    assert got.test == SplitScores(0.75, 0.5, 0.25)
    assert got.rows["test"] == SplitRows(4, 9, labels_digest(np.array([0, 1, 1, 1])))


def test_the_digest_is_of_the_labels_in_their_order():
    one = labels_digest(np.array([0, 1, 1]))
    assert one == labels_digest(np.array([0, 1, 1], dtype=np.int32))
    assert len({one, labels_digest(np.array([1, 0, 1])), labels_digest(np.array([0, 1, 1, 0]))}) == 3


def test_a_task_without_evaluation_rows_has_no_majority():
    bare = task_result({"train": np.array([0, 1])}, {"train": 2}, ORIGIN, 2, {})
    assert bare.majority is bare.test is None


def test_the_card_gets_accuracies_and_null_where_there_are_none():
    assert card_results({"g/a": result()}) == {"g/a": {"majority": 0.25, "validation": None, "test": 0.75}}
