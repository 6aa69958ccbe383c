"""`metaeval overlap`, called like the console script, on demo tasks and planted ones."""

import csv
import json
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict

import metaeval_datasets
from metaeval_hub.cli import main

LONG = "The quick brown fox jumps over the lazy dog"
TASKS = ("demo/manners", "demo/film_reviews")


@pytest.fixture
def planted(monkeypatch):
    """Put a test text of film_reviews into the training split of manners; loading ``name`` raises ``fail[name]``."""
    load, fail = metaeval_datasets.load_dataset, {}

    def load_planted(path, name, **options):
        if name in fail:
            raise fail[name]
        loaded = load(path, name, **options)
        split = {"demo/manners": "train", "demo/film_reviews": "test"}.get(name)
        row = {"sentence": f"{LONG} [1]", "label": 0, "idx": 0}
        if split:
            rows = [row if number == 3 else entry for number, entry in enumerate(loaded[split])]
            loaded = DatasetDict({**loaded, split: Dataset.from_list(rows, info=loaded[split].info)})
        return loaded

    monkeypatch.setattr(metaeval_datasets, "load_dataset", load_planted)
    return fail


def test_the_planted_text_is_found_shown_and_written(planted, tmp_path, capsys):
    assert main(["overlap", *TASKS, "--out", str(tmp_path / "out"), "--min-length", "20"]) == 0
    printed = capsys.readouterr().out
    line = next(line for line in printed.splitlines() if line.startswith("demo/film_reviews  demo/manners"))
    assert line.split()[2:6] == ["1", "0.3%", "1", "1"]
    assert f"{LONG} [1]" in line
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("overlap.csv", "overlap.json", "overlap_matrix.csv", "overlap_matrix.png")
    ]
    facts = json.loads((tmp_path / "out" / "overlap.json").read_text(encoding="utf-8"))
    assert facts["rules"] == {"min_length": 20, "max_repeats": 10, "sentences": True}
    assert facts["failed"] == {}
    assert facts["tasks"]["demo/manners"]["rows"] == {"train": 400, "validation": 150, "test": 200}
    with (tmp_path / "out" / "overlap.csv").open(encoding="utf-8", newline="") as file:
        rows = {(row["evaluation_task"], row["training_task"]): row for row in csv.DictReader(file)}
    row = rows["demo/film_reviews", "demo/manners"]
    assert (row["evaluation_rows"], row["shared_rows"], row["test_rows"], row["whole_rows"]) == ("350", "1", "1", "1")
    assert row["example_evaluation_row"] == row["example_training_row"] == "3"
    with (tmp_path / "out" / "overlap_matrix.csv").open(encoding="utf-8", newline="") as file:
        matrix = {row["evaluation_task"]: row for row in csv.DictReader(file)}
    assert matrix["demo/film_reviews"]["demo/manners"] == "1"
    assert (tmp_path / "out" / "overlap_matrix.png").read_bytes()[:4] == b"\x89PNG"


def test_groups_and_limits_are_applied(planted, capsys):
    assert main(["overlap", "demo", "--min-length", "1000"]) == 0
    printed = capsys.readouterr().out
    assert "0 pairs of tasks share texts" in printed
    assert "0 share a text with the training split of their own task" in printed


def test_failed_tasks_are_listed_with_reasons_and_set_the_exit_status(planted, tmp_path, capsys):
    planted["demo/tense"] = OSError("task demo/tense: the source\nis on fire")
    assert main(["overlap", *TASKS, "demo/tense", "--out", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert "not loaded: demo/tense: OSError: the source is on fire" in printed
    assert "1 of 3 tasks could not be loaded" in printed
    assert "demo/film_reviews  demo/manners" in printed  # the others are still compared
    facts = json.loads((tmp_path / "overlap.json").read_text(encoding="utf-8"))
    assert facts["failed"] == {"demo/tense": "OSError: the source is on fire"}


def test_no_files_are_written_if_no_task_loads(planted, tmp_path, capsys):
    planted["demo/manners"] = OSError("gone")
    assert main(["overlap", "demo/manners", "--out", str(tmp_path / "out")]) == 1
    assert "1 of 1 tasks could not be loaded" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["/proc/no-such-place", "file", "file/below"])
def test_unwritable_folder_is_reported_before_anything_is_read(place, planted, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    planted["demo/film_reviews"] = AssertionError("was read")
    assert main(["overlap", *TASKS, "--out", place]) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith(f"metaeval overlap: --out {place}: files cannot be written into ")
    assert printed.out == ""


def test_interrupted_it_leaves_nothing_and_says_so(planted, tmp_path, capsys):
    planted["demo/film_reviews"] = KeyboardInterrupt()
    assert main(["overlap", *TASKS, "--out", str(tmp_path / "out")]) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "interrupted"
    assert not (tmp_path / "out").exists()


def test_errors_for_unknown_names_suggest_the_nearest(capsys):
    assert main(["overlap", "demo/maners"]) == 1
    assert "no task or group 'demo/maners'; closest: demo/manners" in capsys.readouterr().err
