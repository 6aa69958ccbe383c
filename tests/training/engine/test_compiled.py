"""Training with a compiled encoder."""

import time

import pytest
import torch
from metaeval_training.engine.checkpoint import checkpoints
from metaeval_training.engine.compiled import compiled, not_compiled
from safetensors.numpy import load_file
from torch import nn

from tests.training.commands.test_multitask import outcome
from tests.training.conftest import SMALL, kill, script, start


@pytest.fixture
def traced(monkeypatch):
    """Replace the compiler's backend, which takes seconds, by one that counts and runs the graphs as they are."""
    graphs, compile_ = [], torch.compile

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", lambda function, **options: compile_(function, backend=backend, **options))
    yield graphs
    torch.compiler.reset()


def test_only_the_block_runs_compiled_code_and_one_compilation_serves_all_lengths(traced):
    layer = nn.Linear(3, 2)
    texts = [torch.ones(2, length, 3) for length in (4, 5, 7)]
    expected = [layer(each) for each in texts]
    with compiled(layer):
        assert all(torch.equal(layer(each), right) for each, right in zip(texts, expected, strict=True))
        with not_compiled(True):
            layer(torch.ones(3))  # another shape, which would be compiled again
    layer(torch.ones(3))
    assert len(traced) == 1


@pytest.mark.slow
def test_compiled_training_gives_the_same_model_and_resumes_to_the_same_bits(train, tmp_path):
    """After 24 steps weights are within 1 % of their largest; a killed run ends like one that was not stopped."""
    runs = [tmp_path / name / "multitask-1" for name in ("ordinary", "whole", "killed")]
    assert train(*SMALL, folder=runs[0].parent) == 0
    whole = start(script(*SMALL, "--compile", folder=runs[1].parent))
    output, _ = whole.communicate(timeout=400)
    assert whole.returncode == 0, output
    killed = start(script(*SMALL, "--compile", folder=runs[2].parent))
    while not list(checkpoints(runs[2] / "checkpoints")):
        time.sleep(0.01)
    kill(killed)
    killed.communicate()
    resumed = start(script("--resume", str(runs[2]), folder=runs[2].parent))
    output, _ = resumed.communicate(timeout=400)
    assert resumed.returncode == 0, output
    assert "resuming after step" in output
    assert outcome(runs[2]) == outcome(runs[1])
    ordinary, compiled_weights = (load_file(run / "model" / "model.safetensors") for run in runs[:2])
    for name, expected in ordinary.items():
        assert abs(compiled_weights[name] - expected).max() <= 0.01 * abs(expected).max(), name
