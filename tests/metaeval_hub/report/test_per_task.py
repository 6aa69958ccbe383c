"""The section with the accuracy of every method on every task."""

import json

import numpy as np
import pytest

from tests.metaeval_hub.report.runs import SOME


def test_every_task_has_its_accuracies_and_missing_splits(report):
    table = json.loads((report / "tasks.json").read_text(encoding="utf-8"))
    rows = {row["task"]: row for row in table["rows"]}
    assert set(rows) == set(SOME)
    means = [np.mean([row[method] for row in rows.values()]) for method in ("pilault", "full")]
    assert means == pytest.approx([0.71, 0.65], abs=0.01)
    assert rows[SOME[1]]["lacks"] == "test"
    assert rows[SOME[0]]["lacks"] is None
