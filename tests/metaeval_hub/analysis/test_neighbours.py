"""Rates of kept neighbours: planted structure is found, noise is at chance, small cases agree with counting by hand."""

from itertools import combinations

import numpy as np
import pytest

from metaeval_hub.analysis.neighbours import (
    by_type,
    chance_across,
    chance_within,
    kept_across,
    kept_within,
    nearest_vectors,
)

RNG = np.random.default_rng(0)


def test_nearest_vectors_are_by_cosine():
    values = np.array([[1, 0], [10, 1], [0, 1], [-1, 0], [0, 0]])
    assert nearest_vectors(values, 2).tolist()[:2] == [
        [1, 2],
        [0, 2],
    ]  # tasks 2 and 4 both have cosine 0; the lower index comes first
    assert nearest_vectors(values, 4)[4].tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="cannot find 5 neighbours among 5 points; expected 1 to 4"):
        nearest_vectors(values, 5)


def test_close_embeddings_of_a_task_are_all_kept():
    centres = RNG.normal(size=(40, 1, 32))
    assert kept_within(centres + 0.1 * RNG.normal(size=(40, 3, 32))).tolist() == [1.0] * 40


def test_only_stable_tasks_have_high_rates():
    values = RNG.normal(size=(60, 3, 32))
    values[:20] = values[:20, :1] + 0.1 * RNG.normal(size=(20, 3, 32))
    rates = kept_within(values)
    assert rates[:20].mean() == 1.0
    assert rates[20:].mean() < 0.3


def test_a_rate_counts_embeddings_not_tasks():
    # three embeddings of task 0: two side by side, the third near those of task 1
    values = np.array([[[1, 0, 0], [1, 0.1, 0], [0, 0.9, 1]], [[0, 1, 1], [0, 1.1, 1], [0, 1, 0.9]]], float)
    assert kept_within(values, 1).tolist() == pytest.approx([2 / 3, 1.0])


def test_chance_within_agrees_with_random_embeddings():
    draws = [kept_within(np.random.default_rng(seed).normal(size=(101, 3, 32))).mean() for seed in range(30)]
    assert np.mean(draws) == pytest.approx(chance_within(101, 3), abs=3 * np.std(draws) / np.sqrt(30) + 1e-3)


def test_chance_within_agrees_with_counting_all_sets_of_neighbours():
    # 3 tasks with 2 embeddings: each has 5 others, one of them its twin; of the 10 sets of 2, 4 hold the twin
    sets = list(combinations(range(5), 2))
    assert chance_within(3, 2, 2) == pytest.approx(sum(0 in chosen for chosen in sets) / len(sets))


def test_stability_within_a_run_needs_several_embeddings_per_task():
    with pytest.raises(ValueError, match="two or more embeddings per task"):
        kept_within(RNG.normal(size=(5, 1, 4)))


def test_neighbourhoods_are_invariant_to_rotation_but_not_to_a_new_space():
    one = RNG.normal(size=(50, 8))
    turned = one @ np.linalg.qr(RNG.normal(size=(8, 8)))[0] * 3
    assert kept_across(one, turned).tolist() == [1.0] * 50
    assert kept_across(one, RNG.normal(size=(50, 8))).mean() < 0.25


def test_overlap_agrees_with_counting_by_hand():
    one = np.array([[1, 0], [0.9, 0.1], [0.8, 0.3], [-1, 0.1]])
    other = np.array([[1, 0], [0.9, 0.1], [-1, 0.1], [0.8, 0.3]])
    # task 0 has neighbours {1, 2} and {1, 3}: one of three in both
    assert kept_across(one, other, 2)[0] == pytest.approx(1 / 3)


def test_chance_across_agrees_with_counting_all_pairs_of_sets():
    sets = [set(chosen) for chosen in combinations(range(6), 3)]
    expected = np.mean([len(a & b) / len(a | b) for a in sets for b in sets])
    assert chance_across(7, 3) == pytest.approx(expected)


def test_chance_across_agrees_with_random_spaces():
    draws = [
        kept_across(rng.normal(size=(58, 32)), rng.normal(size=(58, 32))).mean()
        for rng in map(np.random.default_rng, range(30))
    ]
    assert np.mean(draws) == pytest.approx(chance_across(58), abs=3 * np.std(draws) / np.sqrt(30) + 1e-3)


def test_spaces_of_other_tasks_are_refused():
    with pytest.raises(ValueError, match="3 tasks in one space and 4 in the other"):
        kept_across(np.ones((3, 2)), np.ones((4, 2)), 1)


def test_rates_are_averaged_by_type_over_runs():
    rates = np.array([[1.0, 0.5, 0.0, 0.2], [1.0, 0.7, 0.2, 0.2]])
    first, second, last = by_type(rates, ["nli", "nli", "emotion", "emotion"])
    assert (first.kind, first.tasks, first.mean) == ("nli", 2, pytest.approx(0.8))
    assert first.std_runs == pytest.approx(0.1 / np.sqrt(2))  # of 0.75 and 0.85
    assert first.std_tasks == pytest.approx(0.4 / np.sqrt(2))  # of 1.0 and 0.6
    assert second.mean == pytest.approx(0.15)
    assert (last.kind, last.tasks, last.mean) == ("all", 4, pytest.approx(0.475))
    assert by_type(rates[:1, :1], ["nli"])[0].std_runs is None
    with pytest.raises(ValueError, match=r"shape \(2, 4\); expected \(runs, 3\)"):
        by_type(rates, ["a", "b", "c"])
