"""Results are read back unchanged, and means agree with values computed by hand."""

from pathlib import Path

import pytest

from metaeval_hub.results.run_results import read_results, write_results
from metaeval_hub.results.schema import (
    RunFacts,
    RunResult,
    SplitRows,
    SplitScores,
    TaskResult,
    mean_scores,
    parse_task,
    task_to_json,
)

WHOLE = TaskResult(
    majority=0.5,
    validation=SplitScores(0.5, 0.25, -0.5),
    test=SplitScores(0.75, 0.5, 0.25),
    rows={"train": SplitRows(8, 9, "aa", "bb"), "test": SplitRows(4, 4, "cc")},
    classes=2,
    source="org/rows",
    commit="c0ffee",
    edition="paper",
    cos_z_z0=0.5,
    rate=1e-4,
    parameters={"adapter": 5},
    draws=(0.5, 1.0),
    spread=0.25,
)
FACTS = RunFacts(
    *("m", "few_shot", "glue", "ridge", 8, ("A note.",), {"g/b": "no label"}, "tiny", 3, "c0ffee", "1", 20, 1.5),
    {"adapter": 5},
    {"batch_size": 8, "tasks": ["g"], "adapter_lr": 0.1, "name": None},
)


@pytest.mark.parametrize("facts", [FACTS, RunFacts()])
def test_results_are_read_back_unchanged(tmp_path: Path, facts):
    file = tmp_path / "results.json"
    write_results(file, {"g/a": WHOLE}, facts)
    assert read_results(file, "run") == RunResult("run", file, {"g/a": WHOLE}, facts)


def test_an_unscored_task_is_read_back_unchanged():
    bare = TaskResult(rows={"train": SplitRows(2, 2)})
    assert parse_task(task_to_json(bare)) == bare


def test_accuracies_have_wilson_intervals_where_their_rows_are_known():
    found = task_to_json(WHOLE)
    assert found["test"]["accuracy_interval"] == pytest.approx([0.300642, 0.954413], abs=1e-6)  # 3 of 4 rows
    assert "accuracy_interval" not in found["validation"]


def test_means_leave_out_tasks_without_the_score():
    other = TaskResult(majority=0.25, test=SplitScores(0.25))
    found = mean_scores([WHOLE, other, TaskResult()])
    assert (found.majority, found.validation, found.test) == (0.375, 0.5, 0.5)
    assert (found.over_majority, found.test_macro_f1, found.test_matthews, found.cos_z_z0) == (0.125, 0.5, 0.25, 0.5)
    assert found.over_majority_interval == pytest.approx((-1, 1))  # Student's t with one degree of freedom
    assert mean_scores([]).test is None
