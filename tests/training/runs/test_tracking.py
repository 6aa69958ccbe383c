import json

import pytest
from metaeval_training.engine import loop

CURVES = ("--tracker", "tensorboard")


def read_curves(folder):
    """Curve -> [(step, value)], as TensorBoard itself reads them, from all files of a run together."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_curves_are_drawn_once_over_a_stop(train, tmp_path, monkeypatch):
    """Expected: the losses of metrics.jsonl, averaged over the steps since the point before."""
    save = loop.save_checkpoint
    monkeypatch.setattr(loop, "save_checkpoint", lambda *args: 1 / 0 if args[1] == 20 else save(*args))
    with pytest.raises(ZeroDivisionError):
        train(*CURVES)
    monkeypatch.undo()
    folder = tmp_path / "runs" / "multitask-1"
    assert train("--resume", str(folder)) == 0
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").open()]
    losses = {line["step"]: line["loss"] for line in lines if line["kind"] == "train"}
    curves = read_curves(folder)
    steps = [step for step, _ in curves["train/loss"]]
    assert steps == sorted(set(steps))
    assert steps[-1] == 24
    for before, (step, value) in zip([0, *steps], curves["train/loss"], strict=False):
        assert value == pytest.approx(sum(losses[s] for s in range(before + 1, step + 1)) / (step - before), rel=1e-5)
    assert [step for step, _ in curves["validation_accuracy/demo/feelings"]] == [6, 12, 18]
    results = json.loads((folder / "results.json").read_text())
    assert curves["test/accuracy"] == [(24, pytest.approx(results["mean"]["test"]))]


def test_a_tracker_that_fails_costs_the_curves_and_not_the_run(train, monkeypatch, capsys):
    from accelerate import Accelerator

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Accelerator, "log", full)
    assert train(*CURVES, "--steps", "12") == 0
    assert (
        capsys.readouterr().out.count(
            "the tracker failed and gets no more curves, the run continues: OSError: [Errno 28] No space left"
        )
        == 1
    )


def test_a_tracker_that_is_not_installed_is_named_before_anything_is_done(train, tmp_path, monkeypatch, capsys):
    from metaeval_training.runs import tracking

    monkeypatch.setitem(tracking.AVAILABLE, "wandb", lambda: False)
    assert train("--tracker", "wandb") == 1
    assert "error: --tracker wandb needs a package; install it with: pip install wandb" in capsys.readouterr().out
    assert not (tmp_path / "runs").exists()
