import json

import pytest

from training.config import TrainConfig
from training.runs import RunError, RunFolder, find_run, new_run, unfinished_run


def start(folder, name="demo"):
    run = new_run(folder, name)
    run.write_json(run.config, TrainConfig(name=name).to_dict())
    return run


def test_every_run_gets_a_folder_of_its_own(tmp_path):
    (tmp_path / "demo-7").mkdir()
    (tmp_path / "demo-x").mkdir()
    (tmp_path / "demo-2-3").mkdir()
    assert [new_run(tmp_path, "demo").path.name for _ in range(2)] == ["demo-8", "demo-9"]
    assert new_run(tmp_path, "other").path.name == "other-1"


def test_the_newest_unfinished_run_is_found(tmp_path):
    runs = [start(tmp_path) for _ in range(11)]
    runs[10].write_json(runs[10].results, {})
    assert unfinished_run(tmp_path, "demo").path.name == "demo-10"
    run, config = find_run("", tmp_path, "demo")
    assert (run.path.name, config.name) == ("demo-10", "demo")
    assert find_run(str(runs[2].path), tmp_path, "demo")[0].path.name == "demo-3"


def test_results_of_methods_in_sub_folders_finish_a_run(tmp_path):
    run = start(tmp_path)
    (run.path / "tfidf" / "tasks").mkdir(parents=True)
    assert not run.finished
    (run.path / "tfidf" / "results.json").touch()  # as a power cut may leave it
    assert not run.finished
    (run.path / "tfidf" / "results.json").write_text("{}")
    assert run.finished
    assert unfinished_run(tmp_path, "demo") is None


def test_nothing_to_resume_is_told(tmp_path):
    with pytest.raises(RunError, match="no unfinished run named 'demo'"):
        find_run("", tmp_path, "demo")
    with pytest.raises(RunError, match="there is no such folder"):
        find_run(str(tmp_path / "gone"), tmp_path, "demo")


def test_metrics_are_cut_to_what_a_checkpoint_stands_for(tmp_path):
    run = RunFolder(tmp_path)
    lines = [{"kind": "train", "step": step, "loss": 1.0} for step in range(1, 7)]
    lines.insert(4, {"kind": "evaluation", "step": 4, "scores": {}})
    lines.insert(2, {"kind": "evaluation", "step": 2, "scores": {}})
    run.append_metrics(lines)
    with run.metrics.open("a") as file:
        file.write('{"kind": "train", "st')  # killed while writing
    run.cut_metrics(4)
    left = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    assert [(line["kind"][0], line["step"]) for line in left] == [("t", 1), ("t", 2), ("e", 2), ("t", 3), ("t", 4)]
    run.cut_metrics(0)
    assert run.metrics.read_text() == ""


def test_cutting_metrics_that_are_not_there(tmp_path):
    RunFolder(tmp_path).cut_metrics(0)
    assert (tmp_path / "metrics.jsonl").read_text() == ""
