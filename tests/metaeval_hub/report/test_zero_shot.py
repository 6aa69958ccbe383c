"""Table 5, and zero-shot accuracy on further groups."""

import json

import numpy as np
import pytest

from metaeval_hub.report.inputs import read_inputs
from metaeval_hub.report.zero_shot import glue_table, group_table
from metaeval_hub.results import paper
from tests.metaeval_hub.report.runs import SOME, write_zero_shot


def test_tasks_without_a_result_are_listed_by_reason(tmp_path):
    for method in ("majority", "ridge_aspects"):
        write_zero_shot(tmp_path / "z", method, SOME[:2], [0.5, 0.6], "groups")
    place = tmp_path / "z" / "ridge_aspects" / "results.json"
    stored = json.loads(place.read_text())
    stored["unanswered"] = {name: f"no trained label row for {name}" for name in SOME[2:]}
    place.write_text(json.dumps(stored))
    table = group_table(read_inputs([str(tmp_path / "z")]).zero_shot["groups"])
    (note,) = (note for note in table.notes if note.startswith("Some methods"))
    assert note.startswith("Some methods have no result for 18 tasks")
    assert all(name in note for name in SOME[2:])


def test_papers_averages_in_table_5_are_over_the_shown_tasks(tmp_path):
    shown = paper.GLUE[:3]
    place = write_zero_shot(tmp_path / "z", "ridge_aspects", shown, [0.6, 0.7, 0.8])
    table = glue_table(read_inputs([str(place.parent)]).zero_shot["glue"])
    ours, theirs = table.records
    assert ours["average"] == pytest.approx(0.7)
    assert theirs["average"] == pytest.approx((0.762 + 0.920 + 0.676) / 3)
    assert "Our runs have no results for glue/qqp" in table.notes[1]


def test_averages_of_table_5_are_over_tasks_with_results_of_all_methods(tmp_path):
    """A method that cannot answer a task is not compared with others on it; nor is the paper."""
    shown = paper.GLUE[:3]
    write_zero_shot(tmp_path / "z", "majority", shown, [0.5, 0.6, 0.7])
    write_zero_shot(tmp_path / "z", "ridge_aspects", shown[:2], [0.6, 0.7])
    table = glue_table(read_inputs([str(tmp_path / "z")]).zero_shot["glue"])
    averages = {(row["method"], row["source"]): row["average"] for row in table.records}
    assert averages["majority class", "ours"] == pytest.approx(0.55)
    assert averages["offline ridge, aspects", "ours"] == pytest.approx(0.65)
    assert averages["offline ridge, aspects (features not stated)", "paper"] == pytest.approx((0.762 + 0.920) / 2)
    assert table.records[0][shown[2]] == 0.7
    assert f"the 2 tasks for which all our methods have results: {', '.join(shown[:2])}." in table.notes[0]


def test_groups_are_averaged_by_type_over_the_tasks_of_all_methods(tmp_path):
    for method, accuracy, tasks in (("ridge_aspects", 0.8, SOME), ("majority", 0.5, SOME[:-1])):
        write_zero_shot(tmp_path / "z", method, tasks, np.full(len(tasks), accuracy), "groups")
    table = group_table(read_inputs([str(tmp_path / "z")]).zero_shot["groups"])
    assert table.records[-1]["tasks"] == 19
    assert table.records[-1]["ridge_aspects"] == pytest.approx(0.8)
    assert table.records[-1]["majority"] == pytest.approx(0.5)


def test_tasks_that_the_encoder_has_seen_are_marked_and_left_out_of_a_further_average(tmp_path):
    for held_out, make in (("glue", glue_table), ("groups", group_table)):
        for method, accuracies in (("majority", [0.5] * 7), ("ridge_aspects", np.linspace(0.6, 0.9, 7))):
            folder = write_zero_shot(tmp_path / held_out, method, paper.GLUE, accuracies, held_out)
            file = folder / "results.json"
            file.write_text(json.dumps(json.loads(file.read_text()) | {"encoder": {"id": "minilm"}}))
        table = make(read_inputs([str(tmp_path / held_out)]).zero_shot[held_out])
        assert any(note.startswith("† The encoder minilm was trained on labelled data") for note in table.notes)
        kept = [0, 1, 2, 6]  # all but qqp, mnli and qnli
        expected = pytest.approx(np.linspace(0.6, 0.9, 7)[kept].mean())
        if held_out == "groups":
            assert (table.records[-1]["type"], table.records[-1]["tasks"]) == ("All without †", 4)
            assert table.records[-1]["ridge_aspects"] == expected
            continue
        titles = [column.title for column in table.columns]
        assert [title for title in titles if "†" in title] == ["qqp †", "mnli †", "qnli †", "avg without † %"]
        ours, theirs = table.records[1:3]
        assert ours["without_seen"] == expected
        assert theirs["without_seen"] == pytest.approx((0.762 + 0.920 + 0.676 + 0.686) / 4)
