import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from metaeval_training.atomic_files import DamagedFileError
from metaeval_training.engine import loop
from metaeval_training.engine.checkpoint import checkpoints
from metaeval_training.runs import process
from metaeval_training.runs.folder import RunFolder
from metaeval_training.runs.provenance import check_or_write_data
from safetensors.torch import load_file

from metaeval_datasets import get_task, load_dataset
from metaeval_hub import ConditionalAdapterModel, TaskEmbeddings
from tests.training.conftest import SMALL, kill, script, start

ACCELERATE = (sys.executable, "-m", "accelerate.commands.launch")


def outcome(run: Path) -> tuple[list[str], dict, dict]:
    """What must not depend on kills: the lines of metrics, the scores, the weights."""
    results = json.loads((run / "results.json").read_text())
    weights = {
        name: tensor.numpy().tobytes() for name, tensor in load_file(run / "model" / "model.safetensors").items()
    }
    return (
        (run / "metrics.jsonl").read_text().splitlines(),
        {"tasks": results["tasks"], "mean": results["mean"]},
        weights,
    )


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    """One run through ``accelerate launch``, from start to end: its folder and its output."""
    folder = tmp_path_factory.mktemp("launched")
    done = subprocess.run(
        script(*SMALL, folder=folder, launcher=ACCELERATE), capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "multitask-1", done.stdout


def test_a_launched_run_writes_all_it_promises(launched):
    run, output = launched
    for name in ("model", "task_embeddings", "results.json", "checkpoints"):
        assert (run / name).exists()
        assert str(run / name) in output
    assert "1 process on cpu, 1 thread, precision fp32" in output
    assert "step 12/24  validation accuracy: demo/film_reviews 0." in output
    for task in ("demo/film_reviews", "demo/feelings", "mean of 2"):
        assert task in output


def test_results_say_what_made_them(launched):
    results = json.loads((launched[0] / "results.json").read_text())
    assert results["config"]["steps"] == results["steps"] == 24
    assert results["versions"]["torch"] == torch.__version__
    assert results["encoder"]["sha256"]
    task = results["tasks"]["demo/feelings"]
    assert task["rows"]["train"]["kept"] == task["rows"]["train"]["available"] == 400
    assert (task["rows"]["test"]["kept"], task["rows"]["test"]["available"]) == (40, 200)
    assert task["classes"] == 6
    assert results["mean"]["test"] == pytest.approx(np.mean([t["test"]["accuracy"] for t in results["tasks"].values()]))


def test_the_written_model_scores_what_the_results_say(launched):
    """Through the public way: load the model folder, predict texts, compare with the labels of the rows."""
    run, _ = launched
    results = json.loads((run / "results.json").read_text())
    model = ConditionalAdapterModel.from_pretrained(run / "model")
    assert model.fields == {name: get_task(name).num_text_fields for name in model.task_names}
    assert {origin.license for origin in model.origins.values()} == {"mit"}
    name = "demo/feelings"
    from metaeval_training.data.rows import keep_rows

    rows = keep_rows(load_dataset("metaeval", name, split="test"), 40, 0, name, "test")
    predicted = model.predict(name, rows["sentence"][:]).labels
    right = np.mean([a == model.labels[name][b] for a, b in zip(predicted, rows["label"][:], strict=True)])
    assert right == pytest.approx(results["tasks"][name]["test"]["accuracy"])
    stored = TaskEmbeddings.load(run / "task_embeddings")
    assert np.array_equal(stored.values, model.task_embeddings.values)


def test_z_and_the_maps_from_z_have_moved(launched):
    """The maps start at zero (eq. 2), z at random."""
    assert json.loads((launched[0] / "results.json").read_text())["mean"]["cos_z_z0"] < 0.95
    maps = {name: t for name, t in load_file(launched[0] / "model" / "model.safetensors").items() if "z_scale" in name}
    assert maps
    assert all(tensor.any() for tensor in maps.values())


def test_mixed_steps_train_resume_and_say_so(train, tmp_path, monkeypatch):
    """Killed after step 8, as a crash in the step after it, and resumed: the same bits as in one go."""
    mixed = ("--step", "mixed", "--bucket-batches", "3", "--sampling", "temperature", "--temperature", "3")
    mixed += ("--matmul-precision", "medium")
    assert train(*mixed, folder=tmp_path / "whole") == 0
    lines = [json.loads(line) for line in (tmp_path / "whole" / "multitask-1" / "metrics.jsonl").open()]
    assert {line["task"] for line in lines if line["kind"] == "train"} == {None}
    step = loop.Trainer._step
    monkeypatch.setattr(loop.Trainer, "_step", lambda self, batch: 1 / (self.progress.step < 9) and step(self, batch))
    with pytest.raises(ZeroDivisionError):
        train(*mixed)
    monkeypatch.undo()
    assert train("--resume", str(tmp_path / "runs" / "multitask-1")) == 0
    assert outcome(tmp_path / "runs" / "multitask-1") == outcome(tmp_path / "whole" / "multitask-1")


@pytest.mark.parametrize("cap_by", ["step", "running"])
def test_a_step_in_parts_is_the_same_step(cap_by, train, tmp_path, monkeypatch):
    """Up to rounding, which Adam enlarges where a gradient is near zero; no pass has more rows than a part."""
    counts = []
    losses = loop.Trainer._losses

    def counted(self, part, *rest):
        counts.append(len(part.rows))
        return losses(self, part, *rest)

    monkeypatch.setattr(loop.Trainer, "_losses", counted)
    flags = ("--steps", "6", "--step", "mixed", "--cap-by", cap_by, "--evaluate-every", "0", "--max-eval-rows", "8")
    found = []
    for name, parts in (("whole", "1"), ("parts", "3")):
        counts.clear()
        assert train(*flags, "--accumulate", parts, folder=tmp_path / name) == 0
        assert max(counts) == {"1": 8, "3": 3}[parts]
        run = tmp_path / name / "multitask-1"
        lines = [line for line in map(json.loads, (run / "metrics.jsonl").open()) if line["kind"] == "train"]
        found.append((lines, load_file(run / "model" / "model.safetensors")))
    (lines, weights), (of_parts, weights_of_parts) = found
    for name in ("loss", "gradient_norm"):
        assert [line[name] for line in of_parts] == pytest.approx([line[name] for line in lines], rel=1e-4)
    for name, expected in weights.items():
        torch.testing.assert_close(weights_of_parts[name], expected, rtol=0, atol=2e-3, msg=name)


@pytest.mark.parametrize("method", ["adapter", "full"])
def test_a_baseline_without_z_trains_by_the_same_command(method, train, tmp_path, capsys):
    assert train("--conditioning", method, "--adapter-lr", "1e-3") == 0
    run = tmp_path / "runs" / "multitask-1"
    results = json.loads((run / "results.json").read_text())
    assert results["mean"]["cos_z_z0"] is None
    assert not (run / "task_embeddings").exists()
    output = capsys.readouterr().out
    assert ("in the encoder" if method == "full" else "in adapters") in output
    assert " in z" not in output
    model = ConditionalAdapterModel.from_pretrained(run / "model")
    assert model.config.conditioning == method


def test_maps_of_z_have_a_rate_of_their_own(train, tmp_path):
    """With a rate of nearly zero they stay at their start, which is zero, while the bottlenecks move."""
    assert train("--map-lr", "1e-12") == 0
    tensors = load_file(tmp_path / "runs" / "multitask-1" / "model" / "model.safetensors")
    assert max(tensor.abs().max() for name, tensor in tensors.items() if ".z_" in name) < 1e-9
    assert min(tensor.abs().max() for name, tensor in tensors.items() if "adapter_up.bias" in name) > 1e-3


def test_half_precision_runs_on_a_cpu_too(launched, train, tmp_path, capsys):
    AcceleratorState._reset_state(True)  # Accelerate keeps the precision of a process
    try:
        assert train("--mixed-precision", "bf16") == 0
    finally:
        AcceleratorState._reset_state(True)
    assert "precision bf16" in capsys.readouterr().out
    losses = [
        [line["loss"] for line in map(json.loads, (run / "metrics.jsonl").open()) if line["kind"] == "train"]
        for run in (launched[0], tmp_path / "runs" / "multitask-1")
    ]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_matrices_are_multiplied_as_asked(launched, train, tmp_path, capsys):
    """Attention in one piece only where products have all their digits; on a CPU it is slower elsewhere."""
    for precision, fused in (("medium", False), ("highest", True)):
        assert train("--matmul-precision", precision, folder=tmp_path / precision) == 0
        assert torch.get_float32_matmul_precision() == precision
        assert torch.backends.cuda.flash_sdp_enabled() == fused
        told = capsys.readouterr().out
        assert ("medium matmul precision" in told) == (precision == "medium")
    losses = [
        [line["loss"] for line in map(json.loads, (run / "metrics.jsonl").open()) if line["kind"] == "train"]
        for run in (launched[0], tmp_path / "medium" / "multitask-1")
    ]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_the_same_command_gives_the_same_bits(launched, train, tmp_path):
    assert train() == 0
    assert outcome(tmp_path / "runs" / "multitask-1") == outcome(launched[0])


def test_a_killed_run_goes_on_to_the_same_bits(launched, tmp_path):
    process = start(script(*SMALL, folder=tmp_path))
    run = tmp_path / "multitask-1"
    deadline = time.monotonic() + 120
    while not list(checkpoints(run / "checkpoints")) and time.monotonic() < deadline:
        time.sleep(0.002)
    kill(process)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (run / "results.json").exists()
    resumed = start(script("--resume", str(run), folder=tmp_path))
    output, _ = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, output
    assert "resuming after step" in output
    assert outcome(run) == outcome(launched[0])


@pytest.mark.slow
def test_twenty_kills_at_random_moments(launched, tmp_path):
    """Kills from the start of the process to its end, in data loading, training, saving and evaluation."""
    random = np.random.default_rng(0)
    run = tmp_path / "multitask-1"
    kills = 0
    started = time.monotonic()
    process = start(script(*SMALL, folder=tmp_path))
    while not run.exists():
        time.sleep(0.01)
    before_training = time.monotonic() - started
    while kills < 20:
        time.sleep(random.uniform(0.0, 1.5) if kills == 0 else before_training + random.uniform(-0.5, 2.5))
        kill(process)
        process.communicate()
        if (run / "results.json").exists():  # finished: start another run, the count continues
            assert outcome(run) == outcome(launched[0])
            run = run.with_name(f"multitask-{int(run.name.rsplit('-', 1)[1]) + 1}")
            process = start(script(*SMALL, folder=tmp_path))
        else:
            kills += 1
            flags = ("--resume", str(run)) if (run / "config.json").exists() else SMALL
            process = start(script(*flags, folder=tmp_path))
    process.communicate()
    assert process.returncode == 0
    assert outcome(run) == outcome(launched[0])


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), ("the launcher ends", 143)],
)
def test_an_interrupted_run_stops_after_a_step_and_goes_on(
    number, code, launched, train, tmp_path, monkeypatch, capsys
):
    taken = []
    step = loop.Trainer._step
    hangup = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may run under nohup

    def interrupted(self, batch):
        taken.append(batch)
        if len(taken) == 7 and number == "the launcher ends":
            monkeypatch.setattr(process, "LAUNCHED", True)
            monkeypatch.setattr(process, "PARENT", 0)
        elif len(taken) == 7:
            signal.raise_signal(number)
        return step(self, batch)

    monkeypatch.setattr(loop.Trainer, "_step", interrupted)
    run = tmp_path / "runs" / "multitask-1"
    assert train() == code
    assert f"--resume {run}" in capsys.readouterr().out
    assert [path.name for path in checkpoints(run / "checkpoints")] == ["step-00000007", "step-00000004"]
    signal.signal(signal.SIGHUP, hangup)
    monkeypatch.undo()
    assert train("--resume", str(run)) == 0
    assert outcome(run) == outcome(launched[0])


def test_a_torn_checkpoint_is_named_and_the_one_before_is_used(launched, train, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(loop.Trainer, "evaluate", lambda *arguments, **options: 1 / 0 if crash else {})
    crash = True
    with pytest.raises(ZeroDivisionError):
        train("--evaluate-every", "12")
    monkeypatch.undo()
    run = tmp_path / "runs" / "multitask-1"
    file = run / "checkpoints" / "step-00000012" / "optimizer.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    assert train("--resume", str(run), "--evaluate-every", "12") == 0
    output = capsys.readouterr().out
    assert f"skipped a damaged checkpoint: {file} has 1000 bytes" in output
    assert "resuming after step 8" in output
    assert outcome(run)[1:] == outcome(launched[0])[1:]


def test_resume_without_a_folder_takes_the_newest_unfinished_run(train, tmp_path, capsys):
    assert train("--steps", "2") == 0
    assert train("--steps", "2") == 0
    (tmp_path / "runs" / "multitask-1" / "results.json").unlink()
    assert train("--steps", "2", "--resume") == 0
    assert (tmp_path / "runs" / "multitask-1" / "results.json").exists()
    assert "resuming after step 2" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["multitask-1", "multitask-2"]
    assert train("--resume") == 1
    assert "no unfinished run named 'multitask'" in capsys.readouterr().out


def test_a_finished_run_is_left_as_it_is(train, tmp_path, capsys):
    assert train("--steps", "2") == 0
    run = tmp_path / "runs" / "multitask-1"
    before = (run / "results.json").read_bytes()
    assert train("--steps", "2", "--resume", str(run)) == 0
    assert "is finished" in capsys.readouterr().out
    assert (run / "results.json").read_bytes() == before


def test_other_rows_than_at_the_start_are_refused(train, tmp_path, capsys):
    assert train("--steps", "2") == 0
    run = tmp_path / "runs" / "multitask-1"
    (run / "results.json").unlink()
    facts = json.loads((run / "data.json").read_text())
    facts["tasks"]["demo/feelings"]["digests"]["train"] = "0" * 16
    (run / "data.json").write_text(json.dumps(facts))
    assert train("--steps", "2", "--resume", str(run)) == 1
    assert "1 tasks are missing, or have other rows or labels than when it was started: demo/feelings" in (
        capsys.readouterr().out
    )


def test_other_versions_than_at_the_start_are_reported(train, tmp_path, capsys):
    assert train("--steps", "2") == 0
    run = tmp_path / "runs" / "multitask-1"
    (run / "results.json").unlink()
    facts = json.loads((run / "data.json").read_text())
    assert facts["versions"]["torch"] == torch.__version__
    facts["versions"]["torch"] = "1.0.0"
    (run / "data.json").write_text(json.dumps(facts))
    assert train("--steps", "2", "--resume", str(run)) == 0
    assert f"may not be bit-identical: torch 1.0.0 then, {torch.__version__} now" in capsys.readouterr().out


@pytest.mark.parametrize(
    "damage",
    [
        lambda facts: "[]",
        lambda facts: "null",
        lambda facts: json.dumps(facts)[:-9],
        lambda facts: json.dumps({**facts, "tasks": None}),
        lambda facts: json.dumps({**facts, "encoder": []}),
        lambda facts: json.dumps({**facts, "git": 5}),
        lambda facts: json.dumps(facts).replace("false", "1e999", 1) + " ",
        lambda facts: json.dumps({**facts, "processes": "\udcff"}).replace("\\udcff", "\xff").encode("latin-1"),
    ],
)
def test_a_damaged_data_file_is_named(damage, tmp_path):
    run = RunFolder(tmp_path)
    facts = {"tasks": {}, "encoder": {"sha256": "0", "revision": None}, "versions": {}, "git": {"changed_files": False}}
    check_or_write_data(run, facts, False, None)
    check_or_write_data(run, facts, True, None)
    text = damage(facts)
    run.data.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DamagedFileError, match=rf"^{re.escape(str(run.data))} is damaged: .*start a new run$"):
        check_or_write_data(run, facts, True, None)


def test_settings_that_changed_since_the_checkpoint_are_refused(train, tmp_path, capsys):
    assert train("--steps", "2") == 0
    run = tmp_path / "runs" / "multitask-1"
    (run / "results.json").unlink()
    config = run / "config.json"
    config.write_text(config.read_text().replace('"z_lr": 0.1', '"z_lr": 0.2'))
    assert train("--resume", str(run), "--steps", "2") == 1
    assert "changed since the checkpoint of step 2: z_lr was 0.1 and is 0.2. Restore config" in capsys.readouterr().out


def test_a_run_that_is_going_cannot_be_resumed(launched, train, tmp_path, monkeypatch, capsys):
    run = tmp_path / "runs" / "multitask-1"
    step, codes = loop.Trainer._step, []

    def resumed_meanwhile(self, batch):
        if self.progress.step == 5:
            codes.append(train("--resume", str(run)))
            assert f"{run} is in use by process {os.getpid()} on " in capsys.readouterr().out
        return step(self, batch)

    monkeypatch.setattr(loop.Trainer, "_step", resumed_meanwhile)
    assert train() == 0
    assert codes == [1]
    assert outcome(run) == outcome(launched[0])
    assert not (run / ".lock").exists()


@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(28, "No space left on device")])
def test_output_that_fails_ends_no_run(error, launched, train, tmp_path, monkeypatch):
    """As `| head -1`, a terminal that was closed, or output into a full disk."""

    class Failing(io.StringIO):
        def flush(self):
            if self.getvalue().count("\n") > 1:
                raise error

    monkeypatch.setattr(sys, "stdout", Failing())
    assert train() == 0
    assert outcome(tmp_path / "runs" / "multitask-1") == outcome(launched[0])


def test_the_tokenizer_is_stored_alike_whether_tokens_came_from_the_cache(train, tmp_path):
    stored = []
    for name in ("cold", "warm"):
        assert train("--steps", "2", "--cache-dir", str(tmp_path / "cache"), "--name", name) == 0
        files = sorted((tmp_path / "runs" / f"{name}-1" / "model" / "tokenizer").iterdir())
        stored.append({file.name: file.read_bytes() for file in files})
    assert stored[0] == stored[1]
    assert json.loads(stored[0]["tokenizer.json"])["truncation"] is None


def test_the_environments_number_of_threads_is_taken(train, monkeypatch, capsys):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert train("--steps", "1", "--threads", "0") == 0
    assert capsys.readouterr().out.startswith("1 process on cpu, 3 threads, ")


def test_an_unwritable_folder_is_reported_before_the_data_are_read(train, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("metaeval_training.runs.prepare.load_rows", None)
    (tmp_path / "file").touch()
    assert train(folder=tmp_path / "file") == 1
    assert f"error: --output-dir {tmp_path / 'file'}: {tmp_path / 'file'} is not a folder." in capsys.readouterr().out


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(train, tmp_path, monkeypatch, capsys):
    step = loop.Trainer._step

    def poisoned(self, batch):
        if self.progress.step == 9:
            self.model.heads.bias.data.fill_(float("nan"))
        return step(self, batch)

    monkeypatch.setattr(loop.Trainer, "_step", poisoned)
    assert train() == 1
    assert "the loss is nan at step 10 (task demo/" in capsys.readouterr().out
    run = tmp_path / "runs" / "multitask-1"
    assert [path.name for path in checkpoints(run / "checkpoints")] == ["step-00000008", "step-00000004"]


def test_a_full_disk_keeps_the_earlier_checkpoint_and_says_so(train, tmp_path, monkeypatch, capsys):
    save = loop.save_checkpoint

    def full(folder, step, *arguments):
        if step == 8:
            raise OSError(28, "No space left on device")
        return save(folder, step, *arguments)

    monkeypatch.setattr(loop, "save_checkpoint", full)
    assert train() == 1
    output = capsys.readouterr().out
    assert "the checkpoint of step 8 could not be written" in output
    assert "No space left on device" in output
    assert [path.name for path in checkpoints(tmp_path / "runs" / "multitask-1" / "checkpoints")] == ["step-00000004"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--tasks", "demo/film_review"], "error: --tasks: no task or group 'demo/film_review'; closest: demo/film_"),
        (["--held-out", "demo/film_review"], "error: --held-out: no task or group 'demo/film_review'; closest: demo/"),
        (["--encoder", "no/such folder"], "--encoder no/such folder: "),
        (["--max-length", "500"], "max_length is 500; the encoder tiny takes at most"),
        (["--mixed-precision", "fp16"], "--mixed-precision fp16: "),
        (["--resume", "runs/none-1"], "--resume runs/none-1: the folder does not exist"),
    ],
)
def test_errors_are_one_line_and_exit_code_1(flags, message, train, capsys):
    assert train(*flags) == 1
    assert [message in line for line in capsys.readouterr().out.splitlines() if line.startswith("error: ")] == [True]


def test_tasks_that_fail_to_load(train, tmp_path, monkeypatch, capsys):
    from metaeval_training.data import rows

    real = rows.load_dataset

    def load(path, name, edition):
        if name == "demo/feelings":
            raise ConnectionError("no route to the source")
        return real(path, name, edition=edition)

    monkeypatch.setattr(rows, "load_dataset", load)
    new = ("--steps", "2", "--cache-dir", str(tmp_path / "cache"))
    assert train(*new) == 1
    assert "  demo/feelings: ConnectionError: no route to the source" in capsys.readouterr().out.splitlines()
    assert not (tmp_path / "runs").exists()  # nothing was started
    assert train(*new, "--skip-unavailable") == 0
    output = capsys.readouterr().out
    assert "left out demo/feelings: ConnectionError" in output
    assert "1 tasks (1 left out)" in output
    results = json.loads((tmp_path / "runs" / "multitask-1" / "results.json").read_text())
    assert list(results["skipped"]) == ["demo/feelings"]


def test_several_processes_asked_for_and_one_started_is_refused(train, monkeypatch, capsys):
    """``accelerate launch --cpu --num_processes 2`` sets these and starts one process."""
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    monkeypatch.setenv("MASTER_PORT", "29500")
    assert train() == 1
    assert "asked for several processes and started one" in capsys.readouterr().out
