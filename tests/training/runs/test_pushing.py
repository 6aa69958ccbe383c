import json
import threading
import time

import numpy as np
import pytest
import torch
from metaeval_training.runs.pushing import CheckpointPusher

from metaeval_hub import ConditionalAdapterModel, TaskEmbeddings
from metaeval_hub.hub import retry


@pytest.fixture
def no_waits(monkeypatch):
    """The client's attempts follow each other at once."""
    monkeypatch.setattr(retry, "sleep", lambda seconds: None)


def test_a_finished_run_is_pushed_whole(hub, train, tmp_path, capsys):
    repo = hub.name("multitask")
    assert train("--steps", "2", "--push-to-hub", repo, "--private") == 0
    output = capsys.readouterr().out
    assert f"pushed to {repo}: " in output
    assert f"pushed to {repo}-task-embeddings: " in output
    run = tmp_path / "runs" / "multitask-1"
    pushed = ConditionalAdapterModel.from_pretrained(repo).trained_state()
    local = ConditionalAdapterModel.from_pretrained(run / "model").trained_state()
    assert all(torch.equal(pushed[name], tensor) for name, tensor in local.items())
    assert json.loads(hub.repo(repo).read("results.json")) == json.loads((run / "results.json").read_text())
    assert "task_features.json" in hub.repo(repo).files()
    card = hub.repo(repo).read("README.md").decode()
    assert f'from_pretrained("{repo}")' in card
    table = TaskEmbeddings.from_hub(f"{repo}-task-embeddings")
    assert np.array_equal(table.values, TaskEmbeddings.load(run / "task_embeddings").values)
    assert hub.repo(repo).private


@pytest.mark.parametrize("fault", [{"reset": True}, {"status": 500}, {"status": 403}])
def test_a_hub_that_fails_costs_the_push_and_not_the_run(fault, hub, train, tmp_path, capsys, no_waits):
    repo = hub.name("multitask")
    hub.faults.add(repo.split("/")[1], times=None, **fault)
    hub.faults.add("/api/repos/create", times=None, **fault)
    flags = ("--steps", "4", "--push-to-hub", repo, "--push-every-checkpoint", "--checkpoint-every", "2")
    assert train(*flags) == 3
    output = capsys.readouterr().out
    assert "could not be pushed, the run continues: HubError: " in output
    assert f"error: the push to {repo} failed: HubError: " in output
    run = tmp_path / "runs" / "multitask-1"
    assert (run / "results.json").exists()
    assert not (run / ".waiting").exists()
    assert "push it later with: " in output
    hub.faults.clear()
    assert train(*flags, "--resume", str(run)) == 0
    assert f"pushed to {repo}: " in capsys.readouterr().out


def test_checkpoints_are_pushed_while_the_run_goes_on(hub, train, tmp_path, capsys):
    repo = hub.name("multitask")
    assert train("--push-to-hub", repo, "--push-every-checkpoint") == 0
    titles = [commit.title for commit in hub.repo(repo).history()]
    steps = [int(title.removeprefix("Step ")) for title in titles if title.startswith("Step ")]
    assert titles[:2] == ["Upload results", "Upload conditional adapter model"]
    assert steps == sorted(steps, reverse=True)
    assert steps
    assert set(steps) <= {4, 8, 12, 16, 20, 24}
    assert f"pushed step {steps[0]}: " in capsys.readouterr().out


class Model:
    """Writes a file that says which model it is."""

    def __init__(self, name):
        self.name = name

    def save_pretrained(self, folder):
        folder.mkdir(parents=True)
        (folder / "README.md").write_text("---\nlicense: mit\n---\n")
        (folder / "name.txt").write_text(self.name)


def test_a_slow_hub_makes_nobody_wait_and_gets_the_newest(hub, tmp_path):
    """The first push takes three seconds and more, so that of the next three only the last is sent."""
    repo, told = hub.name("slow"), []
    hub.faults.add("/api/repos/create", delay=3.0)
    started = time.monotonic()
    with CheckpointPusher(repo, False, tmp_path / "waiting", told.append) as pusher:
        pusher.push(Model("first"), 1)
        while pusher._waiting is not None:
            time.sleep(0.01)
        for step in (2, 3, 4):
            pusher.push(Model(f"of {step}"), step)
        assert time.monotonic() - started < 2
        while len(told) < 2 and time.monotonic() - started < 30:
            time.sleep(0.01)
    assert [line.split(":")[0] for line in told] == ["pushed step 1", "pushed step 4"]
    assert [c.title for c in hub.repo(repo).history()][:2] == ["Step 4", "Step 1"]
    assert hub.repo(repo).read("name.txt") == b"of 4"
    assert not (tmp_path / "waiting").exists()
    assert not [thread for thread in threading.enumerate() if thread.name == "push-checkpoints"]


def test_who_stops_a_run_does_not_wait_for_the_hub(hub, tmp_path):
    hub.faults.add("/api/repos/create", delay=3.0)
    started = time.monotonic()
    pusher = CheckpointPusher(hub.name("stop"), False, tmp_path / "waiting", print)
    pusher.push(Model("first"), 1)
    pusher.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert time.monotonic() - started < 2


def test_a_full_disk_costs_the_push_of_a_checkpoint_and_not_the_run(tmp_path):
    class Full(Model):
        def save_pretrained(self, folder):
            raise OSError(28, "No space left on device")

    told = []
    with CheckpointPusher("org/x", False, tmp_path / "waiting", told.append) as pusher:
        pusher.push(Full("first"), 1)
    assert told == [
        "the model of step 1 could not be saved for its push, the run continues: [Errno 28] No space left on device"
    ]


def test_a_missing_login_is_reported_at_the_start(train, capsys, monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    train("--steps", "2", "--push-to-hub", "org/x", "--tasks", "no/such")
    assert "not logged in to the Hub: the push to org/x will fail" in capsys.readouterr().out
