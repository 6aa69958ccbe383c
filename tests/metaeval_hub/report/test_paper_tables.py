"""Tables 1 to 4 of the report."""

import json
from dataclasses import replace

import pytest

from metaeval_hub.cli import main
from metaeval_hub.report.document import Shown
from metaeval_hub.report.inputs import read_inputs
from metaeval_hub.report.paper_tables import compare_methods, table_1
from tests.metaeval_hub.embedded import TASKS, write_results, write_run


def test_runs_on_other_tasks_get_their_own_tables(tmp_path):
    places = []
    for name, tasks, of_seed in (("a", TASKS[:12], 0.6), ("a2", TASKS[:10], 0.7), ("b", TASKS[20:32], 0.8)):
        places.append(write_results(tmp_path / f"{name}-full", tasks, [of_seed] * len(tasks), method="full"))
        places.append(write_run(tmp_path / f"{name}-1", tasks=tasks, seed=len(name)))
    inputs = read_inputs(list(map(str, places)))
    found = [compare_methods(group) for group in inputs.groups]
    assert [each.tasks for each in found] == [TASKS[:10], TASKS[20:32]]
    assert {key: len(runs) for key, runs in inputs.groups[1].methods.items()} == {"full": 1, "pilault": 1}
    assert set(inputs.single[0].tasks) <= set(inputs.features.names)
    assert set(replace(inputs, embedded=inputs.embedded[2:]).features.names) == {*TASKS[20:32]}
    arguments = [*map(str, places), "--out", str(tmp_path / "out"), "--permutations", "1"]
    assert main(["report", *arguments]) == 0
    rows = json.loads((tmp_path / "out" / "table1_2.json").read_text(encoding="utf-8"))["rows"]
    ours = {row["method"]: row["ours"] for row in rows if "spread" in row}
    assert ours["full fine-tuning, one model per task"] == pytest.approx(0.8)
    assert {row["task"] for row in json.loads((tmp_path / "out" / "tasks_2.json").read_text())["rows"]} == {
        *TASKS[20:32]
    }


def test_a_model_with_private_parts_is_compared_but_is_not_a_method_of_the_paper(tmp_path):
    """The numbers of private parts count as those of one task."""
    sizes = {"adapter": 1000, "task_embedding": 64, "private": 400, "head": 9}
    config = {"conditioning": "pilault", "private_rank": 4}
    places = [
        write_results(tmp_path / "full", TASKS[:12], [0.7] * 12, method="full"),
        write_results(tmp_path / "private", TASKS[:12], [0.8] * 12, config=config, parameters=sizes),
    ]
    inputs = read_inputs(list(map(str, places)))
    found = compare_methods(inputs)
    assert found.reference == "pilault, private part of rank 4"
    (shown,) = (block for block in table_1(inputs, found).blocks if isinstance(block, Shown))
    record = next(row for row in shown.table.records if row["method"].startswith("conditional"))
    assert record["method"] == "conditional adapter (Pilault), private part of rank 4"
    assert (record["paper"], record["parameters"]) == (None, "1K (38.7)")  # (64 + 400) / 12
