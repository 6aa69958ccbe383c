"""Leave-one-out predictions are those of scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.model_selection import LeaveOneOut as Folds

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


GROUPS = np.repeat(np.arange(9), (14, 8, 6, 4, 3, 2, 1, 1, 1))


@pytest.mark.parametrize("classes", [2, 3, 8])
@pytest.mark.parametrize(("dim", "scale"), [(6, 0.2), (6, 3.0), (90, 0.3)])
def test_predictions_of_groups_are_those_of_scikit_learn(classes, dim, scale):
    values, labels = planted(classes, 1.0, dim=dim, scale=scale)
    labels[np.flatnonzero(GROUPS == 0)[:2]] = classes  # a class that only one group has
    order = np.random.default_rng(1).permutation(40)
    values, labels, groups = values[order], labels[order], GROUPS[order]
    exact = LogisticRegression(tol=1e-8, max_iter=10_000)
    expected = cross_val_predict(exact, values, labels, groups=groups, cv=LeaveOneGroupOut())
    assert LeaveOneOut(values).predict_groups(labels, groups).tolist() == expected.tolist()


def test_group_with_all_points_of_the_other_class():
    values, labels = planted(2, 2.0)
    labels = (GROUPS == 0).astype(int)
    found = LeaveOneOut(values).predict_groups(labels, GROUPS)
    assert (found[GROUPS == 0] == 0).all()
    with pytest.raises(ValueError, match="in 1 groups"):
        LeaveOneOut(values).predict_groups(labels, np.zeros(40, int))
