"""Runs of two processes on this machine, which talk over gloo, against the same runs in one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from metaeval_training.data.rows import keep_rows
from metaeval_training.engine.checkpoint import checkpoints
from safetensors.numpy import load_file

from metaeval_datasets import load_dataset
from metaeval_hub import ConditionalAdapterModel
from tests.training.commands.test_multitask import outcome
from tests.training.conftest import SMALL, kill, script, start

TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
# Of the two tasks' 7 training rows, batches hold 2 or 1: then one process has no row. 41 rows do not halve.
FEW = ("--max-train-rows", "7", "--batch-size", "2", "--max-eval-rows", "41", "--checkpoint-every", "8")
MIXED = ("--step", "mixed", "--embeddings-per-task", "2", "--bucket-batches", "4")


def launch(folder, *flags):
    done = subprocess.run(
        script(*SMALL, *flags, folder=folder, launcher=TORCHRUN), capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "multitask-1", done.stdout


@pytest.mark.parametrize(
    ("flags", "parts"), [(FEW, ()), (MIXED, ("--accumulate", "2"))], ids=["one task", "mixed, in parts"]
)
def test_two_processes_train_what_one_does(flags, parts, train, tmp_path):
    """Over 24 steps losses are within 1e-4, gradients within 1e-3, weights within 1 % of their largest.

    (Adam divides by the root of the squared gradient, which makes much of the rounding of a gradient near zero.)
    Scores are of all rows, each once.
    """
    two, output = launch(tmp_path / "two", *flags, *parts)
    assert output.startswith("2 processes on cpu, 1 thread each")
    assert output.count("mean of 2") >= 1
    assert train(*flags, folder=tmp_path / "one") == 0
    one = tmp_path / "one" / "multitask-1"
    lines = [
        [line for line in map(json.loads, (run / "metrics.jsonl").open()) if line["kind"] == "train"]
        for run in (one, two)
    ]
    assert len(lines[0]) == 24
    for name, tolerance in (("loss", 1e-4), ("gradient_norm", 1e-3)):
        expected, got = ([line[name] for line in of_run] for of_run in lines)
        assert got == pytest.approx(expected, rel=tolerance, abs=1e-5)
    weights = [load_file(run / "model" / "model.safetensors") for run in (one, two)]
    for name, expected in weights[0].items():
        assert np.abs(weights[1][name] - expected).max() <= 1e-2 * max(np.abs(expected).max(), 1e-3), name
    results = json.loads((two / "results.json").read_text())
    assert results["processes"] == 2
    model, most = ConditionalAdapterModel.from_pretrained(two / "model"), results["config"]["max_eval_rows"]
    for name, row in results["tasks"].items():
        rows = keep_rows(load_dataset("metaeval", name, split="test"), most, 0, name, "test")
        predicted = model.predict(name, rows["sentence"][:]).labels
        right = [a == model.labels[name][b] for a, b in zip(predicted, rows["label"][:], strict=True)]
        assert row["test"]["accuracy"] == pytest.approx(np.mean(right))


@pytest.mark.slow
def test_two_processes_killed_together_go_on_to_the_same_bits(tmp_path):
    whole, _ = launch(tmp_path / "whole")
    run = tmp_path / "killed" / "multitask-1"
    process = start(script(*SMALL, folder=tmp_path / "killed", launcher=TORCHRUN))
    deadline = time.monotonic() + 120
    while not list(checkpoints(run / "checkpoints")) and time.monotonic() < deadline:
        time.sleep(0.002)
    workers = [int(number) for number in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    assert len(workers) == 2  # each in a session of its own
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    kill(process)
    process.communicate()
    assert not (run / "results.json").exists()
    resumed, output = launch(tmp_path / "killed", "--resume", str(run))
    assert "resuming after step" in output
    assert outcome(resumed) == outcome(whole)


@pytest.mark.slow
def test_two_processes_stop_together_with_a_checkpoint(tmp_path):
    """As Ctrl-C in a terminal: the launcher gets the signal, and hands it on."""
    process = start(script(*SMALL, "--steps", "4000", folder=tmp_path, launcher=TORCHRUN))
    run = tmp_path / "multitask-1"
    deadline = time.monotonic() + 120
    while not list(checkpoints(run / "checkpoints")) and time.monotonic() < deadline:
        time.sleep(0.05)
    kill(process, signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert "stopped by SIGINT after step" in output
    step = int(output.split("stopped by SIGINT after step ")[1].split(";")[0])
    assert next(checkpoints(run / "checkpoints")).name == f"step-{step:08d}"
