"""Leave-one-out predictions are those of scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneOut as Folds
from sklearn.model_selection import cross_val_predict

from metaeval_hub.analysis.leave_one_out import LeaveOneOut


def planted(classes, strength, n=40, dim=16, scale=1.0, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    return scale * (rng.normal(size=(n, dim)) + strength * rng.normal(size=(classes, dim))[labels]), labels


@pytest.mark.parametrize("classes", [2, 3, 8])
@pytest.mark.parametrize("strength", [0.0, 1.0])
@pytest.mark.parametrize(("dim", "scale"), [(6, 0.2), (6, 3.0), (90, 0.3)])
def test_predictions_are_those_of_scikit_learn(classes, strength, dim, scale):
    values, labels = planted(classes, strength, dim=dim, scale=scale)
    exact = LogisticRegression(tol=1e-8, max_iter=10_000)
    expected = cross_val_predict(exact, values, labels, cv=Folds())
    assert LeaveOneOut(values).predict(labels).tolist() == expected.tolist()


def test_only_task_of_its_class_cannot_be_predicted():
    values, labels = planted(3, 2.0)
    labels = np.where(labels == 2, 1, labels)
    labels[7] = 5
    found = LeaveOneOut(values).predict(labels)
    assert found[7] == -1
    others = np.arange(40) != 7
    expected = cross_val_predict(LogisticRegression(tol=1e-8, max_iter=10_000), values, labels, cv=Folds())
    assert found[others].tolist() == expected[others].tolist()


def test_influential_points_are_refitted():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(24, 4))
    values[3] *= 40  # an influential point
    labels = rng.integers(0, 3, 24)
    expected = cross_val_predict(LogisticRegression(tol=1e-8, max_iter=100_000), values, labels, cv=Folds())
    assert LeaveOneOut(values).predict(labels).tolist() == expected.tolist()
