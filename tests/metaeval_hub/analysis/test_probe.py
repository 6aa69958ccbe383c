"""Probes find planted classes, are at chance on noise, and have valid p-values."""

import numpy as np
import pytest

from metaeval_hub.analysis.leave_one_out import LeaveOneOut
from metaeval_hub.analysis.probe import majority, probe, probe_across
from tests.metaeval_hub.analysis.test_leave_one_out import planted


def test_planted_types_are_predicted_and_noise_is_not():
    values, labels = planted(4, 1.5)
    found = probe(values, labels, permutations=99)
    assert found.accuracy > 0.9
    assert found.p_value == pytest.approx(1 / 100)
    assert found.chance < 0.5
    noise = np.random.default_rng(9).normal(size=values.shape)
    found = probe(noise, labels, permutations=99)
    assert found.p_value > 0.05
    assert found.accuracy == pytest.approx(found.chance, abs=0.2)


def test_p_values_of_noise_are_uniform():
    """Under no relation P(p <= a) is at most a: of 40 draws about 8 lie at 0.2 or below."""
    found = [
        probe(rng.normal(size=(16, 3)), rng.permutation(16) % 2, permutations=19).p_value
        for rng in map(np.random.default_rng, range(40))
    ]
    assert 1 <= sum(value <= 0.2 for value in found) <= 15


def test_one_split_by_hand():
    """Two classes far apart on a line, one point on the wrong side: it alone is misread."""
    values = np.array([[-3.0], [-2.9], [-3.1], [3.0], [2.9], [3.1], [3.05]])
    labels = np.array([0, 0, 0, 1, 1, 1, 0])
    assert LeaveOneOut(values).predict(labels).tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert probe(values, labels, permutations=1).accuracy == pytest.approx(6 / 7)
    assert majority(labels) == pytest.approx(4 / 7)


def test_across_groups_by_hand():
    """Two groups on a line with the classes the other way round: each is read wrongly from the other, but for the third
    group, whose own class nobody else has.
    """
    values = np.array([[-3.0], [-2.9], [3.0], [-3.0], [3.0], [2.9], [9.0]])
    labels = np.array([0, 0, 1, 1, 0, 0, 2])
    groups = np.array([0, 0, 0, 1, 1, 1, 2])
    found = probe_across(values, labels, groups, reassignments=50)
    assert found.tasks == 6
    assert found.accuracy == 0.0
    assert found.majority == pytest.approx(4 / 6)
    assert 0.2 < found.chance < 0.8
    assert found.p_value == 1.0  # nothing is below 0
    with pytest.raises(ValueError, match="all tasks are in one group"):
        probe_across(values, labels, np.zeros(7, int))
    with pytest.raises(ValueError, match="reassignments must be at least 1, got 0"):
        probe_across(values, labels, groups, reassignments=0)
    assert probe_across(values, groups, groups).tasks == 0  # every class is of one group


def test_planted_classes_are_predicted_across_groups_and_noise_is_not():
    values, labels = planted(4, 1.5)
    groups = np.arange(len(labels)) // 5
    found = probe_across(values, labels, groups, reassignments=19)
    assert found.accuracy > 0.9
    assert found.p_value == pytest.approx(1 / 20)
    assert found.chance < 0.5
    noise = np.random.default_rng(9).normal(size=values.shape)
    found = probe_across(noise, labels, groups, reassignments=19)
    assert found.p_value > 0.05
    assert found.accuracy == pytest.approx(found.chance, abs=0.2)


@pytest.mark.parametrize(
    ("values", "labels", "message"),
    [
        (np.ones((4, 2)), np.zeros(4, int), "4 labels of 1 classes for 4 points"),
        (np.ones((4, 2)), np.array([0, 1, 0]), "3 labels of 2 classes for 4 points"),
        (np.full((4, 2), np.nan), np.array([0, 1, 0, 1]), "finite values"),
    ],
)
def test_invalid_probes_are_refused(values, labels, message):
    with pytest.raises(ValueError, match=message):
        probe(values, labels, permutations=1)


def test_permutations_are_at_least_one():
    with pytest.raises(ValueError, match="permutations must be at least 1, got 0"):
        probe(np.eye(4), np.array([0, 1, 0, 1]), permutations=0)
