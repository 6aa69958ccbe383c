"""Folds of the cross-validation that chooses C: rows of a group are on one side of each."""

import numpy as np
import pytest

from metaeval_hub.model import simple_models
from metaeval_hub.model.feature_choice import UNCHOSEN_C, Candidate, choose
from metaeval_hub.model.logistic import cross_validate, draw_folds
from metaeval_hub.model.simple_models import choose_probe, predict_tfidf


@pytest.fixture
def rows():
    """40 groups of 4 rows with equal features and one class, which is random: a leak, and nothing else to learn."""
    generator = np.random.default_rng(0)
    groups = np.arange(160) // 4
    features = generator.normal(size=(40, 64))[groups].astype(np.float32)
    return features, generator.integers(2, size=40)[groups], groups


def test_groups_do_not_leak_into_the_choice_of_c(rows):
    features, classes, groups = rows
    assert cross_validate(features, classes, 2).accuracy == 1.0
    found = cross_validate(features, classes, 2, groups=groups)
    assert abs(found.accuracy - 0.5) < 0.2
    assert found.strength == 0.01  # the strongest regularization, because there is nothing to learn
    assert choose_probe(features, classes, 2, groups=groups) == 0.01
    assert choose_probe(features, classes, 2) > 1
    names = np.zeros((2, 64), np.float32)
    candidate = Candidate("frozen", frozen=True)
    chosen_rows = np.arange(120)
    report = choose(
        [candidate], {"frozen": np.concatenate([features, names])}, classes, 2, chosen_rows=chosen_rows, groups=groups
    )[2]
    assert report.candidates["frozen"].accuracy < 0.7


def test_tfidf_is_chosen_by_groups_too(rows, monkeypatch):
    _, classes, groups = rows
    seen = []
    monkeypatch.setattr(simple_models, "draw_folds", lambda *given: seen.append(given) or given[2] % 2)
    texts = [f"word{group}" for group in groups]
    train = np.arange(80, 160)
    predict_tfidf(texts, classes, 2, train, np.arange(4), groups=groups)
    assert (seen[0][2] == groups[80:]).all()


@pytest.mark.parametrize("classes", [np.arange(40) % 2, np.arange(40)])
def test_folds_keep_groups_together_for_any_classes(classes):
    groups = np.arange(40) // 3
    folds = draw_folds(classes, np.random.default_rng(0), groups)
    assert len(set(folds.tolist())) == 5
    assert all(len(set(folds[groups == each].tolist())) == 1 for each in range(14))


def test_groups_that_say_nothing_change_no_fold():
    classes = np.arange(12) % 3
    for groups in (None, np.arange(12), np.zeros(12, np.int64)):
        folds = draw_folds(classes, np.random.default_rng(4), groups)
        assert (folds == draw_folds(classes, np.random.default_rng(4))).all()


def test_one_group_is_too_little_to_choose(rows):
    features, classes, groups = rows
    one = np.zeros(len(groups), np.int64)
    assert choose_probe(features, classes, 2, groups=one) == UNCHOSEN_C
    candidate = Candidate("frozen", frozen=True)
    report = choose([candidate], {"frozen": np.concatenate([features, features[:2]])}, classes, 2, groups=one)[2]
    assert (report.features, dict(report.candidates)) == ("frozen", {})
