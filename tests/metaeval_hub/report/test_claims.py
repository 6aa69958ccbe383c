"""The section on the claims of the paper."""

import json

import pytest

from metaeval_hub.report.claims import claims
from metaeval_hub.report.inputs import read_inputs
from metaeval_hub.report.zero_shot import glue_table
from metaeval_hub.results import paper
from tests.metaeval_hub.report.runs import write_zero_shot


def test_claims_of_zero_shot_are_the_differences_of_table_5(tmp_path):
    """Over the tasks of its averages: one that is not in the table, and one that a method lacks, stay out."""
    tasks = [*paper.GLUE[:4], "glue/wnli"]
    write_zero_shot(tmp_path / "z", "aware_aspects", tasks, [0.6, 0.7, 0.8, 0.9, 0.9])
    write_zero_shot(tmp_path / "z", "same_type_full", tasks, [0.6, 0.6, 0.7, 0.7, 0.1])
    write_zero_shot(tmp_path / "z", "majority", tasks[1:], [0.5, 0.5, 0.5, 0.5])
    inputs = read_inputs([str(tmp_path / "z")])
    averages = {(row["method"], row["source"]): row["average"] for row in glue_table(inputs.zero_shot["glue"]).records}
    (row,) = claims(inputs, None, {}).blocks[0].table.records
    better, worse = "features-aware, aspects", "same-type full fine-tuning"
    assert row["claim"] == f"zero-shot on GLUE: {better} above {worse}"
    assert row["count"] == "3 tasks"
    assert row["ours"] == pytest.approx(averages[better, "ours"] - averages[worse, "ours"]) == pytest.approx(0.4 / 3)
    assert row["paper"] == pytest.approx(averages[better, "paper"] - averages[worse, "paper"])


def test_claims_have_intervals_and_verdicts(report):
    rows = {row["claim"]: row for row in json.loads((report / "claims.json").read_text())["rows"]}
    claim = rows["conditional adapter (Pilault) above full fine-tuning, one model per task"]
    assert claim["paper"] == pytest.approx(0.028)
    assert claim["ours"] == pytest.approx(0.06, abs=0.01)
    assert claim["verdict"] == "holds"
    claim = rows["zero-shot on GLUE: offline ridge, aspects above same-type mean embedding"]
    assert (claim["ours"], claim["verdict"]) == (pytest.approx(0.1), "holds")
    assert rows["stability within a run above chance"]["verdict"] == "holds"
