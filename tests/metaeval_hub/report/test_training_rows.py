"""The section on accuracy by number of training rows."""

import json

import numpy as np
import pytest

from metaeval_hub.cli import main
from metaeval_hub.report.inputs import read_inputs
from metaeval_hub.report.training_rows import compare_by_rows, rows_table
from tests.metaeval_hub.embedded import write_results
from tests.metaeval_hub.report.runs import SOME


def write(folder, method, rows, accuracies, seed=0, tasks=SOME, **settings):
    """Results of single-task training with a maximum number of training rows."""
    config = {"max_train_rows": rows, "epochs": 3, **settings}
    return str(write_results(folder, tasks, accuracies, method=method, seed=seed, config=config))


@pytest.fixture
def places(tmp_path):
    flat = np.ones(len(SOME))
    return [
        write(tmp_path / "full-600", "full", 600, 0.8 * flat),
        write(tmp_path / "full-600-1", "full", 600, 0.7 * flat, seed=1),
        write(tmp_path / "full-60", "full", 60, 0.5 * flat),
        write(tmp_path / "full-all", "full", 0, 0.9 * flat),
        write(tmp_path / "adapter-600", "adapter", 600, 0.72 * flat),
        write(tmp_path / "adapter-60", "adapter", 60, 0.6 * flat[1:], tasks=SOME[1:]),
        write(tmp_path / "other-60", "adapter", 60, 0.1 * flat, epochs=9),  # differs in more than its rows
    ]


def test_runs_that_differ_in_their_rows_alone_are_compared_at_each_number_of_rows(places):
    inputs = read_inputs(places)
    assert {name: len(runs) for name, runs in inputs.methods.items()} == {
        "full": 2, "adapter": 1, "adapter; max_train_rows 60, epochs 9": 1,
    }  # fmt: skip
    found = compare_by_rows(inputs.by_rows)
    assert list(found) == [60, 600, np.inf]
    assert {len(each.tasks) for each in found.values()} == {19}
    records = {(row["rows"], row["method"].split(",")[0]): row for row in rows_table(found).records}
    assert set(records) == {
        ("60", "full fine-tuning"), ("60", "adapter"), ("600", "full fine-tuning"), ("600", "adapter"),
        ("all", "full fine-tuning"),
    }  # fmt: skip
    of_600 = records["600", "full fine-tuning"]
    assert (of_600["runs"], of_600["mean"]) == (2, pytest.approx(0.75))
    assert of_600["spread"] == pytest.approx(np.std([0.8, 0.7], ddof=1))
    assert records["60", "adapter"]["difference"].startswith("+10.0")
    assert records["60", "adapter"]["better"] == "19 / 0"
    assert records["600", "adapter"]["difference"].startswith("-3.0")


def test_the_report_shows_the_section_before_the_paper_tables_that_need_z(places, tmp_path):
    out = tmp_path / "out"
    assert main(["report", *places, "--out", str(out), "--permutations", "1"]) == 0
    text = (out / "report.md").read_text(encoding="utf-8")
    assert text.index("(training_rows.png)") < text.index("Table 2")
    assert (out / "training_rows.png").stat().st_size > 5000
    assert len(json.loads((out / "training_rows.json").read_text())["rows"]) == 5


def test_of_equally_frequent_numbers_of_rows_the_larger_one_is_compared(places):
    """Whatever the order of the folders; 0 stands for all rows."""
    inputs = read_inputs([places[2], places[0]])
    assert [run.facts.settings["max_train_rows"] for run in inputs.methods["full"]] == [600]
    assert [run.facts.settings["max_train_rows"] for run in read_inputs([places[2], places[3]]).methods["full"]] == [0]


def test_without_such_runs_the_report_has_no_such_section(places):
    assert compare_by_rows(read_inputs([places[0], places[4]]).by_rows) == {}
