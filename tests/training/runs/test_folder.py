import json
import os
import shlex
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from metaeval_training.atomic_files import DamagedFileError
from metaeval_training.config import TrainConfig
from metaeval_training.engine.checkpoint import save_checkpoint
from metaeval_training.engine.train_run import Training
from metaeval_training.runs.folder import (
    RunError,
    RunFolder,
    check_output_dir,
    command_line,
    find_folder,
    new_run,
    unfinished_run,
)


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
    assert find_folder("", tmp_path, "demo").path.name == "demo-10"
    assert find_folder(str(runs[2].path), tmp_path, "demo").path.name == "demo-3"


def test_results_of_methods_in_sub_folders_finish_a_run(tmp_path):
    run = start(tmp_path)
    (run.path / "tfidf" / "tasks").mkdir(parents=True)
    assert not run.finished
    (run.path / "tfidf" / "results.json").touch()  # as a power cut may leave it
    assert not run.finished
    (run.path / "tfidf" / "results.json").write_text("{}")
    assert run.finished
    assert unfinished_run(tmp_path, "demo") is None


def test_a_missing_run_to_resume_is_reported(tmp_path):
    with pytest.raises(RunError, match="no unfinished run named 'demo'"):
        find_folder("", tmp_path, "demo")
    with pytest.raises(RunError, match="the folder does not exist"):
        find_folder(str(tmp_path / "gone"), tmp_path, "demo")


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


TRAIN = [{"kind": "train", "step": step, "task": "a", "loss": 1.0} for step in range(1, 5)]
WHOLE = [json.dumps(line).encode() for line in TRAIN]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([WHOLE[0], b"5", *WHOLE[2:]], "damaged in line 2: it contains 5 instead of a JSON object"),
        ([b"[]", *WHOLE], "damaged in line 1: it contains "),
        ([*WHOLE[:2], b'{"kind": "train", "step": \xff}', WHOLE[3]], "damaged in line 3: 'utf-8' codec can't decode"),
        ([WHOLE[0], b'{"kind": "train", "step": null, "loss": 1}', *WHOLE[2:]], "damaged in line 2"),
        ([WHOLE[0], b'{"kind": "train", "step": 2, "loss": 1e999}', *WHOLE[2:]], "damaged in line 2: .*not finite"),
        ([WHOLE[0], b'{"kind": "train", "step": 2, "loss": "1"}', *WHOLE[2:]], "damaged in line 2"),
        ([WHOLE[0], b'{"kind": "other", "step": 2}', *WHOLE[2:]], "damaged in line 2"),
        ([WHOLE[0], *WHOLE[2:]], "record 2 is of step 3"),
        ([*WHOLE[:3], WHOLE[2], WHOLE[3]], "record 4 is of step 3"),
        (WHOLE[:2], "record 3 is missing"),
    ],
)
def test_metrics_that_are_damaged_are_refused_by_file_and_line(lines, message, tmp_path):
    """Four steps were done; the files were written by one process too many, or damaged by a disk."""
    run = RunFolder(tmp_path)
    before = b"\n".join(lines) + b"\n"
    run.metrics.write_bytes(before)
    with pytest.raises(DamagedFileError, match=message) as error:
        run.cut_metrics(4)
    assert str(run.metrics) in str(error.value)
    assert run.metrics.read_bytes() == before


@pytest.mark.parametrize("tail", [b'{"kind": "tra', b"\0\0\0\0", b"5", b"\xff\n"])
def test_a_torn_line_at_the_end_of_metrics_is_dropped(tail, tmp_path):
    run = RunFolder(tmp_path)
    run.metrics.write_bytes(b"\n".join(WHOLE) + b"\n" + tail)
    run.cut_metrics(4)
    assert run.metrics.read_bytes() == b"\n".join(WHOLE) + b"\n"


@pytest.mark.parametrize(
    "name", ["exp[a]", "lr=1e-3", "a b", "it's", '"q"', "~x", "a*?", "$HOME;ls", "-x", "a\\b", "naïve"]
)
def test_names_with_characters_that_shells_and_globs_read(name, tmp_path, monkeypatch):
    assert start(tmp_path, name).path.name == f"{name}-1"
    assert start(tmp_path, name).path.name == f"{name}-2"
    assert find_folder("", tmp_path, name).path.name == f"{name}-2"
    monkeypatch.chdir(tmp_path)  # where the path of a run may begin with a dash or a tilde
    run = find_folder("", Path(), name)
    words = shlex.split(command_line("python", "train.py", "--resume", run.path))
    assert words[:3] == ["python", "train.py", "--resume"]
    assert words[3][0] not in "-~"
    assert Path(words[3]) == run.path
    assert Path(os.path.expanduser(words[3])).is_dir()


def test_a_folder_that_takes_no_runs_names_the_setting(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "runs"):
        with pytest.raises(
            RunError, match=rf"--output-dir {folder}: {tmp_path / 'file'} is not a folder. Choose an --output"
        ):
            new_run(folder, "demo")
    with pytest.raises(RunError, match=r"cannot be created there \(File name too long"):
        new_run(tmp_path, "n" * 300)
    check_output_dir(tmp_path / "new" / "runs")
    assert not (tmp_path / "new").exists()
    monkeypatch.setattr(os, "access", lambda path, how: False)  # root may write everywhere
    with pytest.raises(RunError, match=rf"--output-dir {tmp_path}/new: {tmp_path} is not writable"):
        new_run(tmp_path / "new", "demo")


def test_a_sealed_file_with_other_content_counts_as_none(tmp_path):
    run, file = RunFolder(tmp_path), tmp_path / "answer.json"
    assert run.read_sealed(file) is None
    run.write_sealed(file, {"accuracy": 0.75, "by": {"a": [1, None]}})
    assert run.read_sealed(file) == {"accuracy": 0.75, "by": {"a": [1, None]}}
    text = file.read_text()
    for before, after in (
        ("0.75", "0.76"),
        ("null", "0"),
        ('"a"', '"b"'),
        ("sha256", "sha257"),
        (text, "[]"),
        (text, ""),
    ):
        file.write_text(text.replace(before, after))
        assert run.read_sealed(file) is None


def test_a_resume_that_is_refused_leaves_the_metrics(tmp_path):
    run = RunFolder(tmp_path)
    save_checkpoint(run.checkpoints, 1, {"model": {"weight": torch.zeros(1)}}, {}, keep=1)
    run.append_metrics({"kind": "train", "step": step, "loss": 1.0} for step in (1, 2))
    before = run.metrics.read_bytes()
    training = Mock(run=run, accelerator=Mock(is_main_process=True))
    with pytest.raises(RunError, match="other settings"):
        Training._restore(training, Mock(resume=Mock(side_effect=RunError("other settings"))))
    assert run.metrics.read_bytes() == before
    Training._restore(training, Mock())
    assert before.startswith(run.metrics.read_bytes())
    assert run.metrics.read_bytes().count(b"\n") == 1
