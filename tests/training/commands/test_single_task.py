import gc
import json
import weakref

import numpy as np
import pytest
import torch
from metaeval_training.commands import single_task
from metaeval_training.commands.single_task import main
from metaeval_training.config import resolve
from metaeval_training.data.rows import keep_rows
from metaeval_training.engine import loop
from metaeval_training.engine.loop import TrainingError
from metaeval_training.runs import per_task
from safetensors.torch import load_file

from metaeval_datasets import load_dataset
from metaeval_hub import ConditionalAdapterModel, TaskEmbeddings
from metaeval_hub.results.comparison import compare
from metaeval_hub.results.run_results import read_runs

TASKS = ("demo/spam", "demo/picnic_nli")
FLAGS = (
    "--tasks", *TASKS, "--max-train-rows", "64", "--max-eval-rows", "40", "--threads", "1", "--epochs", "2",
    "--batch-size", "8", "--adapter-size", "8", "--workers", "1",
)  # fmt: skip


def test_wrong_usage_ends_with_2_before_anything_is_made(tmp_path, capsys):
    for flags in (["--rates", "1e-5"], ["--head-ratio", "0"], ["--methods", "probe"]):
        with pytest.raises(SystemExit) as ended:
            main([*flags, "--output-dir", str(tmp_path)])
        assert ended.value.code == 2
    assert not list(tmp_path.iterdir())


def test_layer_norm_is_for_adapters_only(tmp_path, capsys):
    config = resolve({"layer_norm": True, "dim_table": 512})
    chosen = {method: single_task.settings_of(config, method) for method in ("adapter", "full")}
    assert {method: (each.layer_norm, each.dim_table) for method, each in chosen.items()} == {
        "adapter": (True, 0), "full": (False, 0),
    }  # fmt: skip
    assert main([*FLAGS, "--output-dir", str(tmp_path), "--layer-norm", "--methods", "full"]) == 1
    assert "--layer-norm changes adapters, which --methods leaves out" in capsys.readouterr().out
    preset = tmp_path / "with_norm.yaml"  # as the preset "paper"
    preset.write_text("layer_norm: true\n")
    place = ("--output-dir", str(tmp_path), "--max-train-rows", "20", "--epochs", "1", "--tasks", "demo/spam")
    assert main([*FLAGS, "--preset", str(preset), "--methods", "full", *place]) == 0


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run of both methods, with two rates for one of them, Fisher vectors and kept models."""
    folder = tmp_path_factory.mktemp("single")
    deterministic, threads = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    flags = (*FLAGS, "--rates", "full=1e-6,3e-4", "adapter=1e-3", "--fisher", "--keep-models")
    assert main([*flags, "--output-dir", str(folder)]) == 0
    torch.use_deterministic_algorithms(deterministic)
    torch.set_num_threads(threads)
    return folder / "single_task-1"


def outcome(run, method):
    """Task results without times, means and Fisher vectors, which interruptions must not change."""
    results = json.loads((run / method / "results.json").read_text())
    for row in results["tasks"].values():
        row.pop("seconds")
    return results["tasks"], results["mean"], TaskEmbeddings.load(run / method / "fisher").values.tolist()


def test_both_methods_have_results_that_can_be_compared(finished):
    found = compare(read_runs(finished))
    assert set(found.labels) == {"single_task-1/full", "single_task-1/adapter"}
    assert found.tasks == TASKS


def test_the_rate_is_the_one_that_is_best_on_validation(finished):
    results = json.loads((finished / "full" / "results.json").read_text())
    by_rate = results["validation_by_rate"]
    assert by_rate["3e-4"] > by_rate["1e-6"]
    for row in results["tasks"].values():
        assert row["rate"] == 3e-4
        assert row["steps"] == 2 * 64 / 8
        assert row["validation_by_rate"]["3e-4"] == row["validation"]["accuracy"]
    assert results["mean"]["validation"] == pytest.approx(by_rate["3e-4"])
    assert results["encoder"]["id"] == "tiny"


@pytest.mark.parametrize("method", ["full", "adapter"])
def test_every_task_says_how_many_numbers_its_model_trained(finished, method):
    for name, row in json.loads((finished / method / "results.json").read_text())["tasks"].items():
        (folder,) = (finished / method / "models" / name).iterdir()
        named = ConditionalAdapterModel.from_pretrained(folder).named_parameters()
        part = "encoder." if method == "full" else "adapter.layers."
        trained = [p for key, p in named if key.startswith(part)]
        assert row["parameters"]["adapter"] == sum(p.numel() for p in trained)


@pytest.mark.parametrize("method", ["full", "adapter"])
def test_kept_models_score_what_the_results_say(finished, method):
    """Load the model, predict the texts and compare with the labels, as a user would."""
    rows = json.loads((finished / method / "results.json").read_text())["tasks"]
    kept = sorted(path.parent for path in (finished / method / "models").rglob("model.safetensors"))
    kept = [folder for folder in kept if folder.name != "encoder"]
    rate = {"full": "3e-4", "adapter": "1e-3"}[method]
    assert kept == sorted(finished / method / "models" / name / rate for name in TASKS)
    name = TASKS[0]
    model = ConditionalAdapterModel.from_pretrained(finished / method / "models" / name / rate)
    assert model.config.conditioning == method
    test = keep_rows(load_dataset("metaeval", name, split="test"), 40, 0, name, "test")
    predicted = model.predict(name, test["sentence"][:]).labels
    right = np.mean([a == model.labels[name][b] for a, b in zip(predicted, test["label"][:], strict=True)])
    assert right == pytest.approx(rows[name]["test"]["accuracy"])


def test_fisher_vectors_are_stored_as_task_embeddings(finished):
    found = TaskEmbeddings.load(finished / "full" / "fisher")
    assert found.names == TASKS
    assert found.values.shape == (2, 128)
    assert (found.values > 0).mean() > 0.99
    tried = json.loads((finished / "full" / "tasks" / f"{TASKS[0]}.json").read_text())["tried"]
    assert np.allclose(found[TASKS[0]], tried["3e-4"]["fisher"])


def test_it_is_the_loop_of_the_multitask_script(train, tmp_path):
    """A model of one task, trained by the multitask script with the same settings, has the same bits."""
    flags = ["--tasks", TASKS[0], "--max-train-rows", "64", "--max-eval-rows", "40", "--batch-size", "8"]
    rates = ["--adapter-lr", "1e-3", "--head-lr", "1e-2", "--loss-cap", "0"]
    one = ["--output-dir", str(tmp_path / "one"), "--adapter-size", "8", "--threads", "1", "--epochs", "2"]
    assert main([*flags, *one, "--methods", "adapter", "--keep-models"]) == 0
    # two passes over 64 rows in batches of 8
    assert train(*flags, *rates, "--conditioning", "adapter", "--steps", "16", "--evaluate-every", "0") == 0
    kept = tmp_path / "one" / "single_task-1" / "adapter" / "models" / TASKS[0] / "1e-3"
    ours, theirs = (load_file(f / "model.safetensors") for f in (kept, tmp_path / "runs" / "multitask-1" / "model"))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_missing_encoder_is_reported_once_before_the_first_task(tmp_path, capsys):
    flags = (*FLAGS, "--output-dir", str(tmp_path), "--encoder", str(tmp_path / "missing"))
    assert main(flags) == 1
    output = capsys.readouterr().out
    assert output.count(f"--encoder {tmp_path / 'missing'}: ") == 1
    assert TASKS[0] not in output


def test_an_interrupted_run_resumes_with_the_unfinished_tasks(finished, tmp_path, monkeypatch, capsys):
    step, steps = loop.Trainer._step, []

    def interrupted(self, batch):
        steps.append(self.tasks[0].name)
        if len(steps) == 20:  # in the second task, in the middle of its training
            raise KeyboardInterrupt
        return step(self, batch)

    monkeypatch.setattr(loop.Trainer, "_step", interrupted)
    flags = (*FLAGS, "--methods", "adapter", "--fisher")
    assert main([*flags, "--output-dir", str(tmp_path)]) == 130
    run = tmp_path / "single_task-1"
    assert f"--resume {run}" in capsys.readouterr().out
    assert not (run / "adapter" / "results.json").exists()
    steps.clear()
    monkeypatch.setattr(
        loop.Trainer, "_step", lambda self, batch: steps.append(self.tasks[0].name) or step(self, batch)
    )
    assert main(["--resume", str(run)]) == 0
    assert set(steps) == {TASKS[1]}
    assert outcome(run, "adapter") == outcome(finished, "adapter")
    left = {path.name for path in run.rglob("*") if path.is_file()}
    assert left == {
        *("config.json", "results.json", "spam.json", "picnic_nli.json"),
        *("task_embeddings.json", "task_embeddings.safetensors"),
    }


def test_a_rate_that_diverges_is_skipped(tmp_path, monkeypatch, capsys):
    fit = loop.Trainer.fit

    def diverging(self):
        if self.config.adapter_lr > 1:
            raise TrainingError("the loss is nan at step 3")
        fit(self)

    monkeypatch.setattr(single_task.Trainer, "fit", diverging)
    flags = (*FLAGS, "--output-dir", str(tmp_path), "--methods", "adapter", "--steps", "2")
    assert main([*flags, "--rates", "5", "1e-3"]) == 0
    row = json.loads((tmp_path / "single_task-1" / "adapter" / "results.json").read_text())["tasks"][TASKS[0]]
    assert row["rate"] == 1e-3
    assert row["validation_by_rate"]["5e0"] is None
    assert "adapter failed / " in capsys.readouterr().out
    assert main([*flags, "--rates", "5"]) == 1
    assert "rate 5e0: the loss is nan at step 3" in capsys.readouterr().out


def test_a_loss_that_is_not_finite_fails_the_rate(tmp_path, capsys):
    """At this rate the weights really overflow."""
    flags = (*FLAGS, "--output-dir", str(tmp_path), "--methods", "full", "--epochs", "4", "--clip-norm", "0")
    assert main([*flags, "--rates", "1e30", "--tasks", TASKS[0]]) == 1
    assert "the loss is nan" in capsys.readouterr().out


def test_models_of_earlier_tasks_are_freed(tmp_path, monkeypatch):
    made, alive = [], []
    make = single_task.make_model

    def counting(*arguments):
        gc.collect()
        alive.append(sum(model() is not None for model in made))
        made.append(weakref.ref(model := make(*arguments)))
        return model

    monkeypatch.setattr(single_task, "make_model", counting)
    flags = (*FLAGS, "--output-dir", str(tmp_path), "--methods", "adapter", "--rates", "1e-3,2e-3")
    assert main([*flags, "--steps", "1"]) == 0
    assert alive == [0, 0, 0, 0]


def test_settings_of_a_preset_that_this_script_lacks_are_ignored(tmp_path):
    preset = tmp_path / "some.yaml"
    preset.write_text("epochs: 2\nstep: mixed\nloss_cap: 0.5\nadapter_lr: 7\nmax_length: 32\nweight_decay: 0.25\n")
    config = per_task.parse(single_task.SCRIPT, ["--preset", str(preset)]).config
    assert (config.epochs, config.steps, config.max_length, config.weight_decay) == (3.0, 0, 32, 0.25)
    assert (config.step, config.loss_cap, config.adapter_lr) == ("one-task", 1.0, 1e-3)
