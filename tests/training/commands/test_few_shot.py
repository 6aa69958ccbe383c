"""Few-shot curves: scores are those that a user gets, draws are shared, and a stopped run can be resumed."""

import json
import sys

import numpy as np
import pytest
import torch
from metaeval_training.commands import few_shot, multitask
from metaeval_training.commands.few_shot import DEFAULT_METHODS, main
from metaeval_training.commands.few_shot_methods import draw_examples
from metaeval_training.commands.held_out import assign, find_models
from metaeval_training.config import ConfigError
from metaeval_training.data.rows import RowChoice, load_task
from metaeval_training.engine.loop import Trainer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from metaeval_datasets import load_dataset
from metaeval_hub import ConditionalAdapterModel, ConditionalConfig
from metaeval_hub.encoders.encoder import load_encoder
from metaeval_hub.model.logistic import cross_validate
from metaeval_hub.model.zero_shot import Description
from metaeval_hub.report.inputs import read_inputs
from metaeval_hub.results.comparison import compare
from metaeval_hub.results.run_results import read_runs

TRAINED = ("demo/film_reviews", "demo/shop_reviews", "demo/picnic_nli", "demo/photo_nli")
HELD_OUT = ("demo/office_nli", "demo/feelings")  # no other task has the classes of the second
ROWS = ("--max-train-rows", "60", "--max-eval-rows", "30", "--threads", "1")
FLAGS = (*ROWS, "--shots", "0", "4", "16", "--draws", "2", "--full-steps", "4")


@pytest.fixture(scope="module", autouse=True)
def _settings():
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run that held two tasks out, labels shared."""
    folder = tmp_path_factory.mktemp("trained")
    flags = ("--tasks", *TRAINED, *HELD_OUT, "--held-out", *HELD_OUT, "--share-labels", "--steps", "40")
    assert multitask.main([*flags, *ROWS, "--batch-size", "8", "--adapter-size", "8", "--output-dir", str(folder)]) == 0
    return folder / "multitask-1"


@pytest.fixture(scope="module")
def finished(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("few")
    assert main(["--model", str(trained), *FLAGS, "--output-dir", str(folder)]) == 0
    return folder / "few_shot-1"


@pytest.fixture
def task():
    return load_task("demo/office_nli", RowChoice("careful", 60, 30, 0))


def results(run, name):
    return json.loads((run / name / "results.json").read_text(encoding="utf-8"))


def outcome(run):
    """All scores of a run, without times."""
    found = {}
    for file in sorted(run.glob("*/results.json")):
        rows = json.loads(file.read_text(encoding="utf-8"))["tasks"]
        found[file.parent.name] = {name: {**row, "seconds": None} for name, row in rows.items()}
    return found


def texts(rows):
    return list(zip(rows["sentence1"][:], rows["sentence2"][:], strict=True))


def share(model, name, task):
    """Test accuracy of a task, computed with the model's public predict method."""
    test = task.splits["test"]
    predicted = model.predict(name, texts(test)).labels
    return np.mean([a == task.labels[b] for a, b in zip(predicted, test["label"][:], strict=True)])


# --- figures ---


def test_every_method_answers_at_every_number_of_examples(finished):
    names = {path.parent.name for path in finished.glob("*/results.json")}
    assert names == {"zero_shot-0", *(f"{method}-{k}" for method in DEFAULT_METHODS for k in (4, 16))}
    for name in names:
        found = results(finished, name)
        assert (found["experiment"], f"{found['answered_by']}-{found['shots']}") == ("few_shot", name)
        answered = {"demo/office_nli"} if "zero_shot" in name else set(HELD_OUT)
        assert set(found["tasks"]) == answered
        for row in found["tasks"].values():
            assert len(row["draws"]) == (1 if name == "zero_shot-0" else 2)
            assert row["test"]["accuracy"] == pytest.approx(np.mean(row["draws"]))
            assert all(accuracy * 30 == pytest.approx(round(accuracy * 30)) for accuracy in row["draws"])
    assert (
        "at least two classes with a trained label vector"
        in (results(finished, "zero_shot-4")["unanswered"]["demo/feelings"])
    )
    compared = compare(read_runs(finished))
    assert compared.tasks == ("demo/office_nli",)
    assert {run.path.parent.name for run in read_inputs([str(finished)]).few_shot[str(finished)]} == names


def test_fitting_gives_what_a_user_gets(finished, trained, task):
    model = ConditionalAdapterModel.from_pretrained(trained / "model")
    whole = load_dataset("metaeval", "demo/office_nli")["train"]
    description = Description("nli", texts(task.splits["train"]), train_rows=len(whole))
    model.zero_shot("mine", description, ["entailment", "not_entailment"])
    assert results(finished, "zero_shot-0")["tasks"][task.name]["draws"] == [share(model, "mine", task)]
    for draw in (0, 1):
        order = draw_examples(0, task.name, draw, 60)
        for k in (4, 16):
            examples = task.splits["train"].select(order[:k])
            model.fit_task("described", examples, task.labels, start="mine", seed=draw)
            model.fit_task("alone", examples, seed=draw)
            for name, method in (("described", "zero_shot"), ("alone", "fit")):
                assert results(finished, f"{method}-{k}")["tasks"][task.name]["draws"][draw] == share(model, name, task)
                model.remove_task(name)


def test_probe_and_majority_by_another_computation(finished, trained, task):
    """The probe on the encoder inside the trained model, without the adapter, one text at a time."""
    model = ConditionalAdapterModel.from_pretrained(trained / "model")

    def features(rows):
        found = []
        with torch.inference_mode():
            for first, second in texts(rows):
                tokens = model.tokenizer(first, second, return_tensors="pt", truncation=True, max_length=64)
                found.append(model.encoder(**tokens).last_hidden_state[0].mean(dim=0).numpy())
        return np.array(found)

    wanted = np.array(task.splits["test"]["label"][:])
    chosen = task.splits["train"].select(draw_examples(0, task.name, 1, 60)[:16])
    labels = np.array(chosen["label"][:])
    scaler = StandardScaler().fit(features(chosen))
    rows, width = (
        [scaler.transform(features(each)) for each in (chosen, task.splits["test"])],
        features(chosen).shape[1],
    )
    strength = cross_validate(features(chosen), labels, 2).strength * 2 / width  # as scikit-learn counts it
    accuracy = np.mean(LogisticRegression(C=strength, max_iter=1000).fit(rows[0], labels).predict(rows[1]) == wanted)
    assert results(finished, "probe-16")["tasks"][task.name]["draws"][1] == pytest.approx(accuracy)
    most = np.mean(wanted == np.bincount(labels).argmax())
    assert results(finished, "majority-16")["tasks"][task.name]["draws"][1] == pytest.approx(most)


def test_the_baselines_start_from_the_encoder_the_model_stands_on(finished, trained):
    model = ConditionalAdapterModel.from_pretrained(trained / "model")
    encoder = load_encoder(finished / "encoder")
    assert encoder.base.sha256 == model.base.sha256
    assert encoder.tokenizer.get_vocab() == model.tokenizer.get_vocab()


def test_full_fine_tuning_learns_from_the_examples_alone(trained, tmp_path, monkeypatch):
    """Every step is over the drawn rows, and steps enough fit them."""
    seen, step = [], Trainer._step

    def watched(self, batch):
        seen.append(
            (len(self.tasks[0].train), self.config.pooling, self.config.max_length, sorted(batch.rows.tolist()))
        )
        return step(self, batch)

    monkeypatch.setattr(Trainer, "_step", watched)
    flags = ("--methods", "full", "--tasks", "demo/office_nli", *ROWS, "--shots", "4", "--draws", "1")
    assert main(["--model", str(trained), *flags, "--full-steps", "6", "--output-dir", str(tmp_path)]) == 0
    assert seen == [(4, "cls", 64, [0, 1, 2, 3])] * 6


def test_setfit_gets_the_examples_and_its_answers_are_scored(trained, task, tmp_path):
    """The stand-in answers the first class; it stores what it was given."""
    script = tmp_path / "stand_in.py"
    script.write_text(
        "import json, pathlib, sys\n"
        "text = sys.stdin.read(); given = json.loads(text)\n"
        "pathlib.Path(sys.argv[1]).write_text(text)\n"
        "print('noise'); print(json.dumps({'predicted': [0] * len(given['test']), 'fit_seconds': 7.5}))\n"
    )
    flags = ("--methods", "setfit", "--tasks", task.name, *ROWS, "--shots", "4", "--draws", "1")
    command = f"{sys.executable} {script} {tmp_path / 'given.json'}"
    # two folders: the first does not know the task either, so it answers
    models = (str(trained), str(trained / "model"))
    assert main(["--model", *models, *flags, "--setfit", command, "--output-dir", str(tmp_path)]) == 0
    given = json.loads((tmp_path / "given.json").read_text())
    chosen = task.splits["train"].select(draw_examples(0, task.name, 0, 60)[:4])
    assert given["train"] == [" ".join(pair) for pair in texts(chosen)]
    assert (given["labels"], given["seed"]) == (chosen["label"][:], 0)
    accuracy = np.mean(np.array(task.splits["test"]["label"][:]) == 0)
    assert results(tmp_path / "few_shot-1", "setfit-4")["tasks"][task.name]["draws"] == [pytest.approx(accuracy)]
    assert json.loads((tmp_path / "few_shot-1/metrics.jsonl").read_text())["fit_seconds"] == 7.5


def test_draws_differ_and_larger_ones_hold_smaller():
    one = draw_examples(0, "demo/spam", 0, 50)
    assert sorted(one.tolist()) == list(range(50))
    others = [draw_examples(0, "demo/spam", 1, 50), draw_examples(1, "demo/spam", 0, 50)]
    others.append(draw_examples(0, "demo/claims", 0, 50))
    assert all(not np.array_equal(one, other) for other in others)
    assert np.array_equal(one, draw_examples(0, "demo/spam", 0, 50))


# --- stopped runs and refused requests ---


def test_a_stopped_run_makes_only_what_is_missing(finished, trained, tmp_path, monkeypatch, capsys):
    made, probe = [], few_shot.FewShotTask.probe

    def stop(self, draw, shots, say):
        made.append((self.task.name, shots, draw))
        if len(made) == 4:  # the last draw of the first task
            raise KeyboardInterrupt
        return probe(self, draw, shots, say)

    monkeypatch.setattr(few_shot.FewShotTask, "probe", stop)
    assert main(["--model", str(trained), *FLAGS, "--output-dir", str(tmp_path)]) == 130
    run = tmp_path / "few_shot-1"
    assert f"--resume {run}" in capsys.readouterr().out
    with (run / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"kind": "draw", "meth')  # as a power cut leaves it
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[:-1]
    (run / "metrics.jsonl").write_text("\n".join([lines[0].replace('"draw": 0', '"draw": 1'), *lines[1:]]) + "\n{")
    assert main(["--resume", str(run)]) == 1
    assert f"{run / 'metrics.jsonl'} is damaged in line 1: its digest 'sha256' differs from" in capsys.readouterr().out
    (run / "metrics.jsonl").write_text("\n".join(lines) + '\n{"kind": "draw", "meth')
    made.clear()
    monkeypatch.setattr(
        few_shot.FewShotTask, "probe", lambda self, *a: made.append((self.task.name, *a[1::-1])) or probe(self, *a)
    )
    assert main(["--resume", str(run)]) == 0
    assert made == [("demo/office_nli", 16, 1), *(("demo/feelings", k, draw) for k in (4, 16) for draw in (0, 1))]
    assert outcome(run) == outcome(finished)
    kept = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert kept[: len(lines)] == lines
    # fit, probe, tfidf, full and majority at two numbers of examples; one task cannot be described
    assert len(kept) == 2 * 5 * 2 * 2 + 2 * 2 + 1
    assert all(
        (json.loads(line)["fit_seconds"] is None) == ("majority" in line or '"shots": 0' in line) for line in kept
    )
    assert main(["--resume", str(run)]) == 0
    assert "is finished" in capsys.readouterr().out


def test_more_examples_than_rows_are_reported(trained, tmp_path, capsys):
    flags = ("--methods", "majority", *ROWS, "--shots", "8", "61", "--draws", "1")
    assert main(["--model", str(trained / "model"), *flags, "--output-dir", str(tmp_path)]) == 0
    found = results(tmp_path / "few_shot-1", "majority-61")
    assert found["tasks"] == {}
    assert found["unanswered"] == dict.fromkeys(HELD_OUT, "60 training rows are fewer than 61")
    assert "demo/feelings has no result for majority-61: 60 training rows are fewer" in capsys.readouterr().out
    assert set(results(tmp_path / "few_shot-1", "majority-8")["tasks"]) == set(HELD_OUT)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "--model is missing"),
        (["--model", "nowhere"], "--model nowhere contains no trained model"),
        (["--model", "{run}", "--tasks", "demo/film_reviews"], "was trained on demo/film_reviews"),
        (["--model", "{run}", "--tasks", "demo/no_such"], "--tasks: "),
        (["--model", "{run}", "--shots", "0", "-8"], "--shots must be at least 0, got -8"),
        (["--model", "{run}", "--shots", "8", "8"], "--shots 8 8: expected each number once"),
        (["--model", "{run}", "--shots", "0"], "only --methods zero_shot works without examples"),
        (["--model", "{run}", "--methods", "setfit"], "--methods setfit needs --setfit COMMAND"),
        (["--model", "{run}", "--draws", "0"], "--draws must be at least 1, got 0"),
        (["--model", "{run}", "--full-lr", "nan"], "--full-lr must be above 0"),
    ],
)  # fmt: skip
def test_wrong_usage_ends_with_2_before_anything_is_made(trained, tmp_path, capsys, flags, message):
    given = [flag.replace("{run}", str(trained)) for flag in flags]
    with pytest.raises(SystemExit) as ended:
        main([*given, "--output-dir", str(tmp_path / "runs")])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_models_that_cannot_answer_are_refused(tmp_path, capsys):
    labels = {"demo/spam": ("ham", "spam")}
    model = ConditionalAdapterModel.create("tiny", labels, vocabulary=["a b c"])
    model.save_pretrained(tmp_path / "plain")
    with pytest.raises(SystemExit):
        main(["--model", str(tmp_path / "plain"), "--tasks", "demo/claims", "--output-dir", str(tmp_path)])
    assert "share no label vectors" in capsys.readouterr().err
    ConditionalAdapterModel.create(
        "tiny", labels, ConditionalConfig(conditioning="adapter"), vocabulary=["a b c"]
    ).save_pretrained(tmp_path / "baseline")
    with pytest.raises(SystemExit):
        main(["--model", str(tmp_path / "baseline"), "--tasks", "demo/claims", "--output-dir", str(tmp_path)])
    assert "a baseline without task embeddings (adapter)" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="does not record held-out tasks; name the tasks with --tasks"):
        assign(find_models(str(tmp_path / "plain")), [])


def test_of_several_folds_the_model_that_held_a_task_out_is_asked(trained, tmp_path):
    """Lay out folders as training/zero_shot.py --held-out groups does; each fold holds out other tasks."""
    folds = {"one": ["demo/office_nli"], "two": ["demo/feelings"]}
    for name, held in folds.items():
        run = tmp_path / "train" / name / "table-1"
        run.mkdir(parents=True)
        (run / "model").symlink_to(trained / "model")
        (run / "results.json").write_text("{}")
        (run / "data.json").write_text("{}")
        config = json.loads((trained / "config.json").read_text())
        (run / "config.json").write_text(json.dumps({**config, "held_out": held}))
    found = assign(find_models(str(tmp_path)), [])
    assert {task: model.folder.parent.parent.name for task, model in found.items()} == {
        "demo/office_nli": "one",
        "demo/feelings": "two",
    }
