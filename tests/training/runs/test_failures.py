"""A run on a failing disk reports the failure in one line, loses nothing, and resumes bit-identically."""

import os
import resource
import subprocess

import pytest
from metaeval_training.engine.checkpoint import checkpoints
from metaeval_training.runs.folder import RunFolder
from safetensors import SafetensorError

from metaeval_hub import ConditionalAdapterModel
from tests.training.commands.test_multitask import outcome
from tests.training.conftest import SMALL, script


@pytest.fixture
def whole(train, tmp_path):
    """The outcome of an undisturbed run."""
    assert train(folder=tmp_path / "whole") == 0
    return outcome(tmp_path / "whole" / "multitask-1")


def test_writes_that_the_system_refuses(whole, train, tmp_path, capsys):
    """No file may be larger than 400 KiB in this process: the optimiser's state is."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (400 * 1024, resource.RLIM_INFINITY))

    done = subprocess.run(
        script(*SMALL, folder=tmp_path / "runs"), capture_output=True, text=True, check=False, timeout=300,
        preexec_fn=limit,
    )  # fmt: skip
    run = tmp_path / "runs" / "multitask-1"
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: the checkpoint of step 4 could not be written")
    assert "File too large" in line
    assert f"resume with --resume {run}" in line
    assert "Traceback" not in done.stdout + done.stderr
    assert os.listdir(run / "checkpoints") == []
    assert train("--resume", str(run)) == 0
    assert "no whole checkpoint: starting again from step 0" in capsys.readouterr().out
    assert outcome(run) == whole


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), SafetensorError("No space left on device")])
@pytest.mark.parametrize(
    ("owner", "name"),
    [(RunFolder, "append_metrics"), (ConditionalAdapterModel, "save_pretrained"), (RunFolder, "write_json")],
)
def test_a_disk_that_fills_up_at_any_moment(owner, name, error, whole, train, tmp_path, monkeypatch, capsys):
    """The third write of each kind fails: metrics of a later step, the last model, results."""
    original, calls = getattr(owner, name), []

    def full(self, *arguments, **options):
        calls.append(name)
        if len(calls) == (1 if name == "save_pretrained" else 3):
            raise error
        return original(self, *arguments, **options)

    monkeypatch.setattr(owner, name, full)
    assert train() == 1
    run = tmp_path / "runs" / "multitask-1"
    output = capsys.readouterr().out
    assert "No space left on device" in output
    assert f"--resume {run}" in output
    assert not (run / "results.json").exists()
    monkeypatch.undo()
    assert list(checkpoints(run / "checkpoints"))
    assert train("--resume", str(run)) == 0
    assert outcome(run) == whole


def test_a_malformed_pin_file_ends_the_run_before_it_starts(train, tmp_path, capsys):
    pins = tmp_path / "pins.json"
    pins.write_text('{"version": 7}')
    assert train("--pins", str(pins)) == 1
    assert f"error: --pins: the pin file {pins} is malformed: it has version 7, expected 1" in capsys.readouterr().out
    assert not (tmp_path / "runs" / "multitask-1").exists()
    assert "METAEVAL_PINS" not in os.environ


def test_a_wrong_task_file_ends_the_run_before_it_starts(train, tmp_path, capsys):
    (tmp_path / "tasks.yaml").write_text("acme/tickets:\n  files: tickets.csv\n  txt: message\n")
    (tmp_path / "bad.yaml").write_text("acme/tickets: {\n")
    assert train("--task-file", str(tmp_path / "bad.yaml")) == 1
    assert "error: --task-file: the task file" in capsys.readouterr().out
    assert train("--task-file", str(tmp_path / "tasks.yaml"), "--tasks", "demo/topics", "acme/tickets") == 1
    output = capsys.readouterr().out
    assert "error: --tasks: " in output
    assert "task acme/tickets: unknown field `txt`; closest: `text`" in output
    assert not (tmp_path / "runs" / "multitask-1").exists()
