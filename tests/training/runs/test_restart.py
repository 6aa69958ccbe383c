"""The printed command starts a run again in the way in which it was started."""

import os
import shlex
import sys
from pathlib import Path

import pytest
from metaeval_training.runs import process
from metaeval_training.runs.folder import RunFolder
from metaeval_training.runs.restart import STARTED_WITH, resume_command

from tests.training.conftest import ROOT


@pytest.mark.parametrize(
    ("environment", "launched", "words"),
    [
        ({}, False, [".venv/bin/python"]),
        ({}, True, ["accelerate", "launch"]),
        ({"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}, True, ["torchrun", "--standalone", "--nproc_per_node", "2"]),
    ],
)
def test_scripts_and_modules_are_started_with_the_same_launcher(environment, launched, words, tmp_path, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(process, "LAUNCHED", launched)
    monkeypatch.setattr(sys, "orig_argv", [".venv/bin/python", "training/zero_shot.py"])
    run = RunFolder(tmp_path / "it's [a] run-1")
    module = shlex.split(resume_command(run, "task-vectors textemb"))
    assert module == [*words, "-m", "metaeval_training", "task-vectors", "textemb", "--resume", str(run.path)]
    monkeypatch.setattr(sys, "argv", [str(ROOT / "training" / "zero_shot.py")])
    script = shlex.split(resume_command(run, "task-vectors textemb"))
    assert script[: len(words)] == words
    assert Path(script[len(words)]) == Path(os.path.relpath(ROOT / "training" / "task_vectors.py"))
    assert script[len(words) + 1 :] == ["textemb", "--resume", str(run.path)]


def test_a_run_that_metaeval_train_started_is_resumed_with_it(monkeypatch):
    monkeypatch.setenv(STARTED_WITH, "'my env/bin/metaeval' train --processes 2")
    assert resume_command(None, "probes") == "'my env/bin/metaeval' train --processes 2 probes --resume"
