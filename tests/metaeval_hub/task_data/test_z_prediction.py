"""Predicted task embeddings: scikit-learn's ridge, leave-one-out by brute force, planted maps found, noise not."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge as Reference
from sklearn.linear_model import RidgeCV

from metaeval_hub import TaskEmbeddings
from metaeval_hub.task_data.z_prediction import PENALTIES, cosines, fit_ridge, mean_of_type, nearest_to, predict_each

RNG = np.random.default_rng(0)


def unit(features):
    return np.mean(np.linalg.svd(features - features.mean(axis=0), compute_uv=False) ** 2)


@pytest.mark.parametrize("width", [5, 60])
def test_the_map_is_scikit_learn_s(width):
    features, values = RNG.normal(size=(30, width)), RNG.normal(size=(30, 4))
    found = fit_ridge(features, values, [0.3])
    expected = Reference(alpha=0.3 * unit(features)).fit(features, values)
    np.testing.assert_allclose(found.weights, expected.coef_.T, atol=1e-9)
    np.testing.assert_allclose(found.predict(features), expected.predict(features), atol=1e-9)


def test_the_error_is_that_of_leaving_each_task_out():
    features, values = RNG.normal(size=(12, 20)), RNG.normal(size=(12, 3))
    found = fit_ridge(features, values, [0.5])
    alpha, errors, means = 0.5 * unit(features), [], []
    for row in range(12):
        others = np.arange(12) != row
        predicted = Reference(alpha=alpha).fit(features[others], values[others]).predict(features[row : row + 1])[0]
        errors.append(((values[row] - predicted) ** 2).sum())
        means.append(((values[row] - values[others].mean(axis=0)) ** 2).sum())
    assert found.error == pytest.approx(np.mean(errors))
    assert found.mean_error == pytest.approx(np.mean(means))
    assert found.explained == pytest.approx(1 - np.mean(errors) / np.mean(means))


def test_the_penalty_is_the_one_that_scikit_learn_chooses():
    features = RNG.normal(size=(40, 25))
    values = features @ RNG.normal(size=(25, 6)) + 4 * RNG.normal(size=(40, 6))
    scale = unit(features)
    chosen = RidgeCV(alphas=[scale * penalty for penalty in PENALTIES]).fit(features, values).alpha_
    assert fit_ridge(features, values).penalty * scale == pytest.approx(chosen)


def test_a_planted_map_is_found_and_noise_becomes_the_mean():
    features = RNG.normal(size=(60, 10))
    values = features @ RNG.normal(size=(10, 8)) + 0.1 * RNG.normal(size=(60, 8))
    assert fit_ridge(features, values).explained > 0.95
    assert cosines(predict_each(features, values), values).mean() > 0.9
    noise = fit_ridge(features, RNG.normal(size=(60, 8)))
    assert noise.explained < 0.1
    np.testing.assert_allclose(noise.predict(features[:1])[0], noise.predict(features).mean(axis=0), atol=0.3)


def test_each_prediction_knows_nothing_of_its_task():
    features, values = RNG.normal(size=(10, 4)), RNG.normal(size=(10, 2))
    changed = values.copy()
    changed[3] += 100
    assert np.array_equal(predict_each(features, values)[3], predict_each(features, changed)[3])


@pytest.mark.parametrize(
    ("features", "values", "penalties", "message"),
    [
        (np.ones((2, 2)), np.ones((2, 2)), PENALTIES, "expected the same 3 or more"),
        (np.ones((4, 2)), np.ones((5, 2)), PENALTIES, "features of 4 tasks and embeddings of 5"),
        (np.ones((4, 2)), np.ones((4, 2)), [0.0], "penalties must be above 0"),
    ],
)
def test_what_cannot_be_fitted_is_refused(features, values, penalties, message):
    with pytest.raises(ValueError, match=message):
        fit_ridge(features, values, penalties)


def test_features_that_say_nothing_give_the_mean():
    values = RNG.normal(size=(5, 2))
    np.testing.assert_allclose(fit_ridge(np.ones((5, 3)), values).predict(np.ones((1, 3)))[0], values.mean(axis=0))


def test_mean_of_the_tasks_of_a_type():
    values = np.array([[1.0, 0.0], [3.0, 2.0], [9.0, 9.0]])
    assert mean_of_type(values, ["nli", "nli", "other"], "nli").tolist() == [2.0, 1.0]
    with pytest.raises(ValueError, match="no task of type 'emotion' among 3; there are nli, other"):
        mean_of_type(values, ["nli", "nli", "other"], "emotion")


def test_nearest_tasks_of_a_vector():
    embeddings = TaskEmbeddings(("a", "b", "c"), np.array([[1, 0], [0, 1], [0, 0]]))
    assert nearest_to(embeddings, np.array([0.1, 2.0]), 2) == [
        ("b", pytest.approx(0.99875, abs=1e-4)),
        ("a", pytest.approx(0.0499, abs=1e-3)),
    ]
    with pytest.raises(ValueError, match=r"z has shape \(3,\); expected \(2,\)"):
        nearest_to(embeddings, np.ones(3))
