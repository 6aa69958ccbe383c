"""The definition of a score; expected numbers are scikit-learn's, or computed by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaeval_datasets.metric.scores import accuracy, count_pairs, score_predictions, scores

sklearn = pytest.importorskip("sklearn.metrics")
PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 10**6)), min_size=1, max_size=40)


@given(PAIRS.filter(lambda pairs: sum(weight for *_, weight in pairs)))
def test_scores_are_the_bits_of_scikit_learn(pairs):
    true, predicted, weight = np.array(pairs).T
    counted = {"y_true": true, "y_pred": predicted, "sample_weight": weight}
    counts = count_pairs(true, predicted, 5, weight)
    assert np.array_equal(counts, sklearn.confusion_matrix(**counted, labels=range(5)))
    kept = {name: values[weight > 0] for name, values in counted.items()}  # a class that never counts has no F1
    varied = len(set(kept["y_true"]) | set(kept["y_pred"])) > 1  # scikit-learn would warn of a single class
    assert scores(counts) == {
        "accuracy": sklearn.accuracy_score(**kept),
        "macro_f1": sklearn.f1_score(**kept, average="macro"),
        "matthews": sklearn.matthews_corrcoef(**kept) if varied else 0.0,
    }


def test_scores_by_hand():
    """Of 4 + 1 rows of class 0, 4 are found; of 2 + 3 rows of class 1, 3; class 2 occurs nowhere."""
    got = scores(np.array([[4, 1, 0], [2, 3, 0], [0, 0, 0]]))
    assert got["accuracy"] == 0.7
    assert got["macro_f1"] == pytest.approx((2 * 4 / (5 + 6) + 2 * 3 / (5 + 4)) / 2)
    assert got["matthews"] == pytest.approx((4 * 3 - 1 * 2) / (6 * 4 * 5 * 5) ** 0.5)


@pytest.mark.filterwarnings("error")
def test_a_constant_answer_has_a_score():
    """As the majority class has on a skewed task, or a model that collapsed: without a warning per task."""
    assert scores(np.array([[8, 0], [2, 0]])) == {"accuracy": 0.8, "macro_f1": pytest.approx(4 / 9), "matthews": 0.0}
    assert scores(np.array([[8, 0], [0, 0]])) == {"accuracy": 1.0, "macro_f1": 1.0, "matthews": 0.0}


def test_large_counts_do_not_overflow():
    """The product of the variances, 1e26, is beyond int64."""
    half = 5 * 10**6
    assert scores(np.array([[half, 0], [0, half]]))["matthews"] == 1.0


def test_accuracy_needs_no_number_of_classes():
    assert accuracy([0, 7, 2, 2], [0, 2, 2, 2]) == 0.75


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], [], 2), "no predictions were counted"),
        (([0], [2], 2), "predictions contain 2; expected whole numbers from 0 to 1"),
        (([-1], [0], 2), "labels contain -1"),
        (([0.5], [0], 2), "labels contain 0.5"),
        (([0], [0, 1], 2), "1 labels and 2 predictions"),
        (([0], [0], 2, [-1]), "sample_weight must contain 1 numbers of at least 0"),
        (([0], [0], 2, [1, 1]), "sample_weight must contain 1 numbers of at least 0"),
    ],
)
def test_what_cannot_be_scored_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        score_predictions(*arguments)
