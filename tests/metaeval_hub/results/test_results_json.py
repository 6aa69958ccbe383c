"""Results that were written are read back unchanged."""

from dataclasses import replace

import pytest

from metaeval_hub.results.results_json import parse_run, parse_task, run_to_json, task_to_json
from metaeval_hub.results.schema import (
    Details,
    Regularization,
    RunFacts,
    RunRecord,
    SplitRows,
    SplitScores,
    TaskResult,
    Timing,
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
    seconds=1.5,
    more=Details(
        steps=3,
        validation_by_rate={"1e-4": 0.5, "1e0": None},
        regularization=Regularization(0.1, {"0.1": 0.5}),
        nearest=(("g/b", 0.75),),
        explained=-2.0,
    ),
)
SETTINGS = {"batch_size": 8, "tasks": ["g"], "adapter_lr": 0.1, "name": None}
RECORD = RunRecord(
    config={"settings": SETTINGS}, versions={"metaeval": "1", "torch": "2"}, git={"commit": "c0ffee"}, threads=2,
    device="cpu", skipped={"g/c": "no rows"}, encoder={"id": "tiny"},
)  # fmt: skip
# the last five are those of the record
FACTS = RunFacts(
    *("m", "few_shot", "glue", "ridge", 8, ("A note.",), {"g/b": "no label"}, "tiny", 3, "c0ffee", "1", 20, 1.5),
    {"adapter": 5},
    0.25,
    SETTINGS,
)


def test_the_facts_of_an_experiment_are_read_back_unchanged(tmp_path):
    found = parse_run("run", tmp_path, run_to_json({"g/a": WHOLE}, FACTS, RECORD))
    assert (found.tasks, found.facts) == ({"g/a": WHOLE}, FACTS)


def test_a_multitask_run_stores_the_cosine_of_a_model_without_z_as_null():
    task, facts = replace(WHOLE, cos_z_z0=None), RunFacts(steps=20)
    found = run_to_json({"g/a": task}, facts, replace(RECORD, timing=Timing(1, 4, 2, 7), examples=8))
    assert found["tasks"]["g/a"]["cos_z_z0"] is found["mean"]["cos_z_z0"] is None
    assert (found["seconds"], found["examples_per_second"]) == (
        {"data": 1, "training": 4, "evaluation": 2, "this_process": 7},
        2.0,
    )
    assert "method" not in found
    assert "cos_z_z0" not in run_to_json({"g/a": task}, RunFacts(method="full"), RECORD)["mean"]


def test_the_time_of_a_run_is_that_of_training_and_evaluation(tmp_path):
    found = run_to_json({}, RunFacts(), replace(RECORD, timing=Timing(1, 4, 2, 7)))
    assert parse_run("run", tmp_path, found).facts.seconds == 6


def test_an_unscored_task_is_read_back_unchanged():
    bare = TaskResult(rows={"train": SplitRows(2, 2)})
    assert parse_task(task_to_json(bare)) == bare


def test_a_task_with_only_a_vector_is_read_back_unchanged():
    bare = TaskResult(seconds=0.5, more=Details(averaged_rows=64))
    assert task_to_json(bare) == {"rows": 64, "seconds": 0.5}
    assert parse_task(task_to_json(bare)) == bare


def test_accuracies_have_wilson_intervals_where_their_rows_are_known():
    found = task_to_json(WHOLE)
    assert found["test"]["accuracy_interval"] == pytest.approx([0.300642, 0.954413], abs=1e-6)  # 3 of 4 rows
    assert "accuracy_interval" not in found["validation"]
