"""`metaeval compare`, called like the console script."""

import json

import pytest

from metaeval_hub.cli import main
from tests.metaeval_hub.results.test_comparison import task, write


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "ours-1", {"demo/spam": task(0.8), "demo/tense": task(0.6), "demo/topics": task(0.4)})
    write(tmp_path / "ours-2", {"demo/spam": task(0.9), "demo/tense": task(0.7), "demo/topics": task(0.5)})
    write(tmp_path / "probes-1" / "tfidf", {"demo/spam": task(0.7), "demo/tense": task(0.7)})
    return tmp_path


def test_runs_are_compared_and_left_out_tasks_are_named(runs, capsys):
    assert main(["compare", "probes-1", "ours=ours-1", "ours=ours-2", "--out", "out/table.md"]) == 0
    printed = capsys.readouterr().out
    lines = [line.split() for line in printed.splitlines()]
    assert ["demo/spam", "50.0", "70.0", "85.0"] in lines
    assert ["mean", "of", "2", "50.0", "70.0", "75.0"] in lines
    ours = next(line for line in printed.splitlines() if line.startswith("ours "))
    assert ours.split()[1:5] == ["2", "75.0", "±", "7.1"]
    assert "Left out, not scored on test by probes-1/tfidf: demo/topics" in printed
    assert "| demo/spam | 50.0 | 70.0 | 85.0 |" in (runs / "out" / "table.md").read_text()


def test_json_and_a_choice_of_tasks(runs, capsys):
    arguments = ["compare", "ours-1", "ours-2", "--only", "demo/tense", "demo/spam", "--out", "table.json"]
    assert main(arguments) == 0
    found = json.loads((runs / "table.json").read_text())
    assert found["tasks"]["demo/tense"] == {"majority": 0.5, "ours-1": 0.6, "ours-2": 0.7}
    assert "demo/topics" not in found["tasks"]
    assert found["summaries"][1]["difference"] == pytest.approx(0.1)


def test_folders_with_the_same_name_are_labelled_by_path(runs, capsys):
    write(runs / "elsewhere" / "ours-1", {"demo/spam": task(0.5)})
    assert main(["compare", "ours-1", "elsewhere/ours-1"]) == 0
    assert "elsewhere/ours-1" in capsys.readouterr().out.splitlines()[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere is neither the folder of a run nor a results.json: it does not exist"),
        (["ours-1", "--out", "table.csv"], "expected a file name that ends in .md or .json"),
        (["ours-1", "--only", "demo/spm"], "demo/spam"),
        (["ours-1", "--reference", "theirs"], "no run is called 'theirs'"),
    ],
)
def test_user_errors_give_one_line(runs, capsys, arguments, message):
    assert main(["compare", *arguments]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
