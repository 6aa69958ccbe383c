"""Transfer: gains agree with values computed by hand, planted agreement is found, and noise is at chance."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from metaeval_hub import TaskEmbeddings
from metaeval_hub.analysis.transfer import (
    Gains,
    agreement,
    gains_of_runs,
    gains_of_table,
    rank_sources,
    transfer,
)
from metaeval_hub.results.schema import SplitScores, TaskResult

RNG = np.random.default_rng(0)


def test_sources_are_ranked_by_cosine():
    embeddings = TaskEmbeddings(("a", "b", "c", "d"), np.array([[1, 0], [10, 1], [0, 1], [-1, 0]]))
    assert [name for name, _ in rank_sources(embeddings, "a")] == ["b", "c", "d"]


def test_gain_is_the_difference_between_runs_with_and_without_a_task():
    runs = [{"a": 0.8, "b": 0.6, "c": 0.5}, {"a": 0.7, "c": 0.6}, {"a": 0.6, "b": 0.5}, {"a": 0.5}]
    found = gains_of_runs(runs)
    assert found.targets == found.sources == ("a", "b", "c")
    gain = {(t, s): found.values[i, j] for i, t in enumerate("abc") for j, s in enumerate("abc")}
    assert gain["a", "b"] == pytest.approx((0.8 + 0.6) / 2 - (0.7 + 0.5) / 2)
    assert gain["c", "b"] == pytest.approx(0.5 - 0.6)
    assert gain["b", "c"] == pytest.approx(0.6 - 0.5)
    assert np.isnan(gain["b", "a"])  # no run has b and lacks a
    assert np.isnan(gain["a", "a"])


def test_runs_with_the_same_tasks_cannot_measure_gains():
    with pytest.raises(ValueError, match="2 runs with the same tasks cannot measure transfer"):
        gains_of_runs([{"a": 0.1}, {"a": 0.2}])


def test_agreement_with_gains_that_follow_the_embeddings_and_with_noise():
    names = tuple(f"t{i}" for i in range(20))
    embeddings = TaskEmbeddings(names, RNG.normal(size=(20, 8)))
    follow = Gains(names, names, embeddings.cosine() * 0.05)
    found = agreement(embeddings, follow, permutations=99)
    assert found.targets == 20
    assert found.correlation == pytest.approx(1.0)
    assert found.p_value == pytest.approx(0.01)
    assert found.first == pytest.approx(found.best)
    noise = agreement(embeddings, Gains(names, names, RNG.normal(size=(20, 20))), permutations=99)
    assert abs(noise.correlation) < 0.2
    assert noise.p_value > 0.05
    assert noise.average < noise.best


def test_unmeasured_gains_are_ignored():
    embeddings = TaskEmbeddings(("a", "b", "c", "d"), np.array([[1, 0], [1, 1], [0, 1], [-1, 0]]))
    values = np.array([[9.0, 0.3, 0.2, 0.1, 5.0], [np.nan, np.nan, 0.1, 0.2, 0.3]])
    found = agreement(embeddings, Gains(("a", "b"), ("a", "b", "c", "d", "unknown"), values), permutations=9)
    assert (found.targets, found.correlation, found.first) == (1, pytest.approx(1.0), pytest.approx(0.3))
    with pytest.raises(ValueError, match="no target has three sources"):
        agreement(embeddings, Gains(("b",), ("c", "d"), np.ones((1, 2))))
    with pytest.raises(ValueError, match=r"gains have shape \(1, 2\)"):
        Gains(("b",), ("c",), np.ones((1, 2)))


def test_rank_correlation_agrees_with_scipy():
    names = tuple(f"t{i}" for i in range(12))
    embeddings = TaskEmbeddings(names, RNG.normal(size=(12, 3)))
    gains = Gains(names[:1], names, RNG.integers(0, 4, (1, 12)).astype(float))
    expected = spearmanr(embeddings.cosine()[0, 1:], gains.values[0, 1:]).statistic
    assert agreement(embeddings, gains, permutations=9).correlation == pytest.approx(expected)
    constant = Gains(names[:1], names, np.ones((1, 12)))
    assert agreement(embeddings, constant, permutations=9).correlation == 0.0


def test_table_of_gains_is_parsed_and_errors_name_the_fault():
    found = gains_of_table("target,a,b\nx,0.01,\ny,-0.02,0.5\n", "g.csv")
    assert (found.targets, found.sources) == (("x", "y"), ("a", "b"))
    np.testing.assert_array_equal(found.values, [[0.01, np.nan], [-0.02, 0.5]])
    for text, message in (
        ("target,a\n", "expected a line with the names of the sources"),
        ("t,a,a\nx,1,2\n", "a task is repeated"),
        ("t,a,b\nx,1\n", "the line of x has 2 cells; expected 3"),
        ("t,a\nx,much\n", "x, a: 'much' is not a number"),
    ):
        with pytest.raises(ValueError, match=message):
            gains_of_table(text, "g.csv")


def row(accuracy, majority):
    return TaskResult(test=None if accuracy is None else SplitScores(accuracy), majority=majority)


def test_sources_have_their_accuracy_and_those_at_chance_are_named():
    embeddings = TaskEmbeddings(("a", "b", "c", "d"), np.array([[1, 0], [10, 1], [1, 1], [-1, 0]]))
    results = {"a": row(0.5, 0.6), "b": row(0.7, 0.7), "c": row(0.8, 0.5), "d": row(None, 0.5)}
    table = transfer("a", {"z": embeddings, "TextEmb": embeddings}, results={"z": results})
    assert [column.title for column in table.columns[:5]] == ["rank", "by z", "cosine", "test %", "majority %"]
    assert [line[1:5] for line in table.cells()] == [
        line[5:9] for line in table.cells()
    ]  # those of the only run that has results
    assert [(line[1], *line[3:5]) for line in table.cells()] == [
        ("b", "70.0", "70.0"), ("c", "80.0", "50.0"), ("d", "-", "-"),
    ]  # fmt: skip
    notes = " ".join(table.notes)
    assert "Not more accurate than their majority class, so unlikely to help: b." in notes
    assert "a itself is not more accurate than its majority class (50.0 %, majority 60.0 %)" in notes
    fine = transfer("c", {"z": embeddings.select(["c", "d"])}, results={"z": results})
    assert "above" not in " ".join(fine.notes)


def test_notes_explain_only_shown_columns():
    embeddings = TaskEmbeddings(("a", "b", "c"), np.array([[1, 0], [10, 1], [0, 1]]))
    table = transfer("a", {"z": embeddings})
    assert [column.title for column in table.columns] == ["rank", "by z", "cosine"]
    assert table.notes == ("Tasks are ordered by cosine, which is only a prediction of which tasks help.",)
    measured = transfer("a", {"z": embeddings}, Gains(("a",), ("b",), np.array([[0.01]])))
    assert "measured: test accuracy of the target with the task minus that without it" in measured.notes[0]
    assert transfer("c", {"z": embeddings}, Gains(("a",), ("b",), np.array([[0.01]]))).notes == table.notes
