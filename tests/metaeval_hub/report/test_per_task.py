"""The section with the accuracy of every method on every task."""

import json

import numpy as np
import pytest

from metaeval_hub.report.inputs import read_inputs
from metaeval_hub.report.paper_tables import compare_methods
from metaeval_hub.report.per_task import by_task
from tests.metaeval_hub.embedded import write_results
from tests.metaeval_hub.report.runs import SOME


def test_every_task_has_its_accuracies_and_missing_splits(report):
    table = json.loads((report / "tasks.json").read_text(encoding="utf-8"))
    rows = {row["task"]: row for row in table["rows"]}
    assert set(rows) == set(SOME)
    means = [np.mean([row[method] for row in rows.values()]) for method in ("pilault", "full")]
    assert means == pytest.approx([0.71, 0.65], abs=0.01)
    assert rows[SOME[1]]["lacks"] == "test"
    assert rows[SOME[0]]["lacks"] is None


def test_tasks_that_the_encoder_has_seen_are_marked(tmp_path):
    tasks = ["glue/qqp", "glue/rte"]
    place = write_results(tmp_path / "run", tasks, [0.6, 0.7], method="full", encoder={"id": "minilm"})
    inputs = read_inputs([str(place)])
    table = by_task(inputs, compare_methods(inputs)).blocks[0].table
    assert [line[0] for line in table.cells()] == ["glue/rte", "glue/qqp †"]
    assert table.notes[0].startswith("† The encoder minilm was trained on labelled data of this task: glue/qqp (Quora")
