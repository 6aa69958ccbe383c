"""Steps that run out of memory, which a planted error stands for."""

import json

import pytest
import torch
from metaeval_training.engine import loop
from metaeval_training.engine.step_parts import StepParts
from metaeval_training.runs.folder import RunFolder

from tests.training.commands.test_multitask import outcome

FLAGS = ("--steps", "8", "--step", "mixed", "--cap-by", "running", "--evaluate-every", "0", "--max-eval-rows", "8")


def test_the_parts_double_at_a_step_and_are_stored(tmp_path):
    parts = StepParts(1, RunFolder(tmp_path))
    assert [parts.double(5), parts.double(5), parts.double(9)] == [2, 4, 8]
    for known in (parts, StepParts(1, RunFolder(tmp_path))):
        assert [known.at(step) for step in (0, 4, 5, 8, 9, 100)] == [1, 1, 4, 4, 8, 8]
    (tmp_path / "step_parts.json").write_text("{")
    assert StepParts(3, RunFolder(tmp_path)).at(5) == 3
    assert StepParts(3, None).double(0) == 6


def limit_memory(monkeypatch, rows, first_step=0):
    """Let passes with gradients fail if they have more rows, from a step on; return the rows of those that did not."""
    losses, done = loop.Trainer._losses, []

    def limited(self, part, *rest):
        if torch.is_grad_enabled() and self.progress.step >= first_step:
            if len(part.rows) > rows:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
            done.append(len(part.rows))
        return losses(self, part, *rest)

    monkeypatch.setattr(loop.Trainer, "_losses", limited)
    return done


def train_lines(run):
    return [line for line in map(json.loads, (run / "metrics.jsonl").open()) if line["kind"] == "train"]


def test_a_step_that_runs_out_of_memory_is_done_in_more_parts_and_resumes_exactly(train, tmp_path, monkeypatch, capsys):
    assert train(*FLAGS, folder=tmp_path / "whole") == 0
    done = limit_memory(monkeypatch, 3, first_step=5)
    assert train(*FLAGS, folder=tmp_path / "limited") == 0
    assert done == [2] * 4 * 3
    printed = capsys.readouterr().out
    assert "step 6 does not fit into memory: from now on, steps are processed in 2 parts" in printed
    assert "step 6 does not fit into memory: from now on, steps are processed in 4 parts" in printed
    whole, limited = (tmp_path / name / "multitask-1" for name in ("whole", "limited"))
    for name in ("loss", "gradient_norm"):  # the planted error comes after the running means of the cap were updated
        found, expected = ([line[name] for line in train_lines(run)] for run in (limited, whole))
        assert found == pytest.approx(expected, rel=1e-4)
        assert found[:5] == expected[:5]

    step = loop.Trainer._step
    with monkeypatch.context() as crash:
        crash.setattr(loop.Trainer, "_step", lambda self, batch: 1 / (self.progress.step < 7) and step(self, batch))
        with pytest.raises(ZeroDivisionError):
            train(*FLAGS)
    monkeypatch.undo()  # resumed from step 4, before the memory ran out, with more memory
    run = tmp_path / "runs" / "multitask-1"
    assert train(*FLAGS, "--resume", str(run)) == 0
    assert outcome(run) == outcome(limited)


def test_a_row_that_does_not_fit_ends_the_run(train, tmp_path, monkeypatch, capsys):
    limit_memory(monkeypatch, 0)
    assert train(*FLAGS) == 1
    assert (
        "step 1 does not fit into memory, although each process computes one row at a time" in capsys.readouterr().out
    )


def test_other_errors_are_not_taken_for_a_lack_of_memory(train, monkeypatch):
    def failing(self, *arguments):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(loop.Trainer, "_losses", failing)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        train(*FLAGS)
