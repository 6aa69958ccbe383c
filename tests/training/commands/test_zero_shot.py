"""Zero-shot: held-out tasks are not trained on, each method answers, and a stopped run can be resumed."""

import json

import numpy as np
import pytest
from metaeval_training.commands.folds import make_folds
from metaeval_training.commands.zero_shot import main
from metaeval_training.config import ConfigError

from metaeval_datasets import list_tasks
from metaeval_hub import ConditionalAdapterModel
from metaeval_hub.report.inputs import read_inputs

TASKS = (
    "demo/film_reviews",
    "demo/shop_reviews",
    "demo/feelings",
    "demo/picnic_nli",
    "demo/photo_nli",
    "demo/office_nli",
)
HELD_OUT = ("demo/office_nli", "demo/feelings", "demo/film_reviews")
FLAGS = (
    "--tasks", *TASKS, "--held-out", *HELD_OUT, "--steps", "10", "--batch-size", "8", "--max-eval-rows", "30",
    "--max-train-rows", "60", "--adapter-size", "8", "--threads", "1",
)  # fmt: skip


@pytest.fixture
def experiment(tmp_path):
    import torch

    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield lambda *flags: main([*FLAGS, "--output-dir", str(tmp_path / "runs"), *flags])
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


def results(folder, method):
    return json.loads((folder / method / "results.json").read_text(encoding="utf-8"))


def test_every_method_answers_the_tasks_whose_labels_others_trained(experiment, tmp_path, capsys):
    assert experiment() == 0
    run = tmp_path / "runs" / "zero_shot-1"
    trained = json.loads(next(run.glob("train/held_out/table-1/results.json")).read_text())
    assert set(trained["tasks"]) == set(TASKS) - set(HELD_OUT)
    for method in ("mean", "same_type_mean", "ridge_aspects", "ridge_textemb", "aware_aspects", "aware_textemb"):
        found = results(run, method)
        assert (found["experiment"], found["held_out"]) == ("zero_shot", "groups")
        assert set(found["tasks"]) == {"demo/office_nli", "demo/film_reviews"}
        assert "no trained label vector for" in found["unanswered"]["demo/feelings"]
    assert set(results(run, "majority")["tasks"]) == set(results(run, "supervised")["tasks"]) == set(HELD_OUT)
    assert set(results(run, "same_type_full")["tasks"]) == {"demo/office_nli", "demo/film_reviews"}
    rows = results(run, "ridge_aspects")["tasks"]["demo/office_nli"]
    assert len(rows["nearest"]) == 3  # of the three trained tasks
    assert rows["test"]["accuracy"] == pytest.approx(round(30 * rows["test"]["accuracy"]) / 30)
    assert "No result for demo/feelings (no trained label vector for " in " ".join(capsys.readouterr().out.split())
    assert set(read_inputs([str(run)]).zero_shot["groups"]) >= {"ridge_aspects", "supervised", "majority"}


def test_the_score_is_that_of_the_classifier_that_users_get(experiment, tmp_path):
    from metaeval_training.data.rows import RowChoice, load_task

    from metaeval_datasets import load_dataset
    from metaeval_hub.model.zero_shot import Description

    assert experiment("--methods", "ridge_aspects") == 0
    run = tmp_path / "runs" / "zero_shot-1"
    model = ConditionalAdapterModel.from_pretrained(run / "train" / "held_out" / "table-1" / "model")
    task = load_task("demo/film_reviews", RowChoice("careful", 60, 30, 0))
    rows = load_dataset("metaeval", "demo/film_reviews")["train"]
    description = Description("emotion", list(task.splits["train"]["sentence"]), train_rows=len(rows))
    model.zero_shot("mine", description, ["negative", "positive"])
    test = task.splits["test"]
    names = [test.features["label"].names[label] for label in test["label"]]
    accuracy = np.mean(
        [a == b for a, b in zip(model.predict("mine", list(test["sentence"])).labels, names, strict=True)]
    )
    assert results(run, "ridge_aspects")["tasks"]["demo/film_reviews"]["test"]["accuracy"] == pytest.approx(accuracy)


def test_a_stopped_run_goes_on_where_it_was(experiment, tmp_path, monkeypatch, capsys):
    from metaeval_training.commands import zero_shot
    from metaeval_training.engine.loop import Trainer

    methods = ("--methods", "majority", "ridge_aspects", "aware_aspects")
    original = Trainer._save

    def stop(self):
        original(self)
        if "aware" in str(self.run.path):
            raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "_save", stop)
    assert experiment(*methods, "--checkpoint-every", "4") == 130
    run = tmp_path / "runs" / "zero_shot-1"
    assert "--resume" in capsys.readouterr().out
    assert not (run / "ridge_aspects" / "results.json").exists()
    monkeypatch.setattr(Trainer, "_save", original)
    table = (run / "train" / "held_out" / "table-1" / "results.json").stat().st_mtime_ns
    assert zero_shot.main(["--resume", str(run)]) == 0
    assert "resuming after step" in capsys.readouterr().out
    assert (run / "train" / "held_out" / "table-1" / "results.json").stat().st_mtime_ns == table
    assert len(list(run.glob("train/held_out/aware-aspects-*"))) == 1
    assert results(run, "aware_aspects")["tasks"]


def test_groups_are_held_out_once_each_in_whole_groups():
    names = list_tasks()
    folds = make_folds(names, ["groups"], 5)
    assert len(folds) == 5
    held = [name for fold in folds for name in fold.held_out]
    assert sorted(held) == sorted(names)
    for fold in folds:
        assert not {name.split("/")[0] for name in fold.held_out} & {name.split("/")[0] for name in fold.trained}
    sizes = [len(fold.held_out) for fold in folds]
    assert max(sizes) <= 25  # the largest group has 19 tasks or so
    assert [fold.name for fold in make_folds(names, ["groups"], 0)] == list(
        dict.fromkeys(n.split("/")[0] for n in names)
    )
    (glue,) = make_folds(names, ["glue"], 0)
    assert all(name.startswith("glue/") for name in glue.held_out)


@pytest.mark.parametrize(
    ("names", "held_out", "message"),
    [
        (["glue/cola", "glue/rte"], ["glue"], "leaves no task to train on"),
        (["glue/cola", "glue/rte"], ["groups"], "all tasks are of one group, glue"),
        (["glue/cola", "glue/rte"], ["pragmeval"], "none of these is among the tasks"),
    ],
)
def test_folds_that_hold_out_nothing_or_all_are_refused(names, held_out, message):
    with pytest.raises(ConfigError, match=message):
        make_folds(names, held_out, 0)
