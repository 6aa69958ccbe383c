"""The results of a model as the training left it, recovered from those of its finished tasks."""

import json

import numpy as np
import pytest

from metaeval_hub.report.as_trained import as_trained
from metaeval_hub.report.inputs import read_inputs
from metaeval_hub.results.run_results import read_results
from tests.metaeval_hub.embedded import write_results

TASKS = ("a/one", "a/two")


@pytest.fixture
def finished(tmp_path):
    """A run whose first task was finished alone: test accuracy 0.8 after, 0.6 before."""
    config = {"conditioning": "pilault", "private_rank": 4, "refit": True, "seed": 3}
    sizes = {"adapter": 1000, "private": 400}
    folder = write_results(tmp_path / "run", TASKS, [0.8, 0.7], config=config, parameters=sizes, seed=3)
    stored = json.loads((folder / "results.json").read_text())
    stored["tasks"]["a/one"]["finish"] = {"before": {"test": 0.6}, "C": 1.0, "private": True}
    (folder / "results.json").write_text(json.dumps(stored))
    return folder


def test_finished_tasks_get_their_accuracy_before_and_the_others_keep_theirs(finished):
    before = as_trained(read_results(finished / "results.json", "run"))
    assert [before.tasks[task].test.accuracy for task in TASKS] == [0.6, 0.7]
    assert before.tasks["a/one"].test.macro_f1 is None  # it was not stored
    assert (before.facts.settings["private_rank"], before.facts.settings["refit"]) == (0, False)
    assert before.facts.parameters == {"adapter": 1000}
    assert as_trained(before) is None


def test_a_run_without_a_finish_has_nothing_to_recover(tmp_path):
    folder = write_results(tmp_path, TASKS, np.full(2, 0.5), config={"refit": True})
    assert as_trained(read_results(folder / "results.json", "run")) is None


def test_both_are_methods_of_the_report(finished):
    methods = read_inputs([str(finished)]).methods
    means = {key: run.tasks["a/one"].test.accuracy for key, (run,) in methods.items()}
    assert means == {"pilault": 0.6, "pilault, private part of rank 4, classifiers refitted": 0.8}
