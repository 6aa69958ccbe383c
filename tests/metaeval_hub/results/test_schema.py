"""Means over tasks agree with those computed by hand."""

import pytest

from metaeval_hub.results.schema import SplitScores, TaskResult, mean_scores

ONE = TaskResult(0.5, SplitScores(0.5, 0.25, -0.5), SplitScores(0.75, 0.5, 0.25), cos_z_z0=0.5)


def test_means_leave_out_tasks_without_the_score():
    other = TaskResult(majority=0.25, test=SplitScores(0.25))
    found = mean_scores({"a/x": ONE, "b/x": other, "c/x": TaskResult()})
    assert (found.majority, found.validation, found.test) == (0.375, 0.5, 0.5)
    assert (found.over_majority, found.test_macro_f1, found.test_matthews, found.cos_z_z0) == (0.125, 0.5, 0.25, 0.5)
    assert found.over_majority_interval == pytest.approx((-1, 1))  # Student's t with one degree of freedom
    assert mean_scores({}).test is None


def test_means_are_unweighted_and_have_intervals():
    tasks = {f"g/{accuracy}": TaskResult(0.25, test=SplitScores(accuracy)) for accuracy in (0.5, 1.0, 0.75)}
    found = mean_scores(tasks)
    assert found.test == 0.75
    # Student's t with two degrees of freedom; an accuracy is at most 1
    assert found.test_interval == pytest.approx((0.75 - 4.303 * 0.25 / 3**0.5, 1.0), abs=1e-3)
    assert found.over_majority == 0.5
    assert found.over_majority_interval == pytest.approx((0.5 - 4.303 * 0.25 / 3**0.5, 1.0), abs=1e-3)
