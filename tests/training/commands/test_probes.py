import json

import numpy as np
import pytest
from datasets import Dataset
from metaeval_training.commands import probes
from metaeval_training.commands.probes import fit_probe, main, scaled, tfidf_features
from metaeval_training.data.rows import TaskRows
from metaeval_training.runs import per_task
from metaeval_training.runs.folder import RunFolder
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from metaeval_hub.results.comparison import compare
from metaeval_hub.results.run_results import read_runs
from metaeval_hub.results.schema import Regularization

TASKS = ("demo/manners", "demo/picnic_nli", "demo/tense")
FLAGS = ("--tasks", *TASKS, "--max-train-rows", "60", "--max-eval-rows", "40", "--threads", "1")


def pairs(**splits):
    made = {
        split: Dataset.from_dict({"sentence1": first, "sentence2": second, "label": [0] * len(first)})
        for split, (first, second) in splits.items()
    }
    return TaskRows("x/y", ("a", "b"), made, {}, {})


def test_the_texts_of_a_pair_have_columns_of_their_own():
    found = tfidf_features(pairs(train=(["a cat!", "a dog"], ["a dog", "no"]), test=(["dog dog"], ["unseen"])))
    words = ("a", "cat", "!", "dog", "no", "a cat", "cat !", "a dog")
    train = found["train"].toarray()
    assert train.shape == (2, 2 * len(words))
    half = train.shape[1] // 2
    assert np.allclose(train[0, half:], train[1, :half])  # "a dog", second and first
    test = found["test"].toarray()
    assert (test[0, :half] > 0).sum() == 1
    assert not test[0, half:].any()  # no word of the test rows is known that is not in the training rows


def made(rows=120, columns=6, classes=3, seed=0):
    random = np.random.default_rng(seed)
    truth = random.normal(size=(columns, classes))
    features = {split: random.normal(size=(rows, columns)) for split in ("train", "validation", "test")}
    noise = 3
    labels = {s: (x @ truth + noise * random.gumbel(size=(rows, classes))).argmax(axis=1) for s, x in features.items()}
    return features, labels


def test_the_strength_is_chosen_on_validation_and_the_rest_follows():
    """Expected: a fit of scikit-learn from scratch for every C."""
    features, labels = made()
    grid = (1e-4, 1e-2, 1.0, 100.0)
    predicted, chosen = fit_probe(features, labels, grid)
    accuracies = {}
    for strength in grid:
        model = LogisticRegression(C=strength, max_iter=1000, tol=1e-6).fit(features["train"], labels["train"])
        accuracies[strength] = model.score(features["validation"], labels["validation"])
        if strength == chosen.strength:
            assert np.mean(predicted["test"] == model.predict(features["test"])) > 0.97
    assert chosen.accuracies == pytest.approx({f"{c:g}": value for c, value in accuracies.items()}, abs=0.02)
    assert chosen.accuracies[f"{chosen.strength:g}"] == max(chosen.accuracies.values())
    assert predicted.keys() == {"validation", "test"}


def test_in_a_tie_the_strongest_regularization_is_chosen():
    features = {split: np.array([[-1.0], [1.0]]) for split in ("train", "validation", "test")}
    labels = dict.fromkeys(features, np.array([0, 1]))
    assert fit_probe(features, labels, (0.01, 1.0, 100.0))[1].strength == 0.01


def test_the_labels_of_the_test_rows_do_not_affect_the_choice():
    features, labels = made()
    other = {**labels, "test": (labels["test"] + 1) % 3}
    one, two = (fit_probe(features, each, (0.01, 1.0)) for each in (labels, other))
    assert one[1] == two[1]
    assert np.array_equal(one[0]["test"], two[0]["test"])


def test_without_validation_rows_the_strength_is_the_default():
    features, labels = made()
    del features["validation"], labels["validation"]
    predicted, chosen = fit_probe(features, labels, (0.001, 0.1, 3.0, 30.0))
    assert chosen == Regularization(3.0, {})
    assert predicted.keys() == {"test"}


def test_training_rows_of_one_class_give_that_class():
    features, labels = made()
    labels["train"] = np.full_like(labels["train"], 2)
    predicted, chosen = fit_probe(features, labels, (1.0,))
    assert set(predicted["test"]) == {2}
    assert chosen.strength is None


def test_a_class_without_training_rows_is_no_error():
    features, labels = made()
    labels["train"] = labels["train"].clip(max=1)
    assert set(fit_probe(features, labels, (1.0,))[0]["test"]) <= {0, 1}


def test_sparse_features_do():
    features, labels = made()
    dense, _ = fit_probe(features, labels, (1.0,))
    some, _ = fit_probe({split: sparse.csr_matrix(rows) for split, rows in features.items()}, labels, (1.0,))
    assert np.mean(dense["test"] == some["test"]) > 0.97


def test_features_are_scaled_by_the_training_rows():
    random = np.random.default_rng(0)
    features = {"train": random.normal(5, 3, (50, 2)), "test": random.normal(0, 1, (9, 2))}
    got = scaled(features)
    assert np.allclose(got["train"].mean(axis=0), 0)
    assert np.allclose(got["train"].std(axis=0), 1)
    expected = (features["test"] - features["train"].mean(axis=0)) / features["train"].std(axis=0)
    assert np.allclose(got["test"], expected)


# --- the script ---


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of all probes from start to end."""
    import torch

    folder = tmp_path_factory.mktemp("probes")
    deterministic, threads = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    assert main([*FLAGS, "--output-dir", str(folder)]) == 0
    torch.use_deterministic_algorithms(deterministic)
    torch.set_num_threads(threads)
    return folder / "probes-1"


def answers(run):
    """What must not depend on interruptions: all but the seconds."""
    found = {}
    for path in sorted(run.glob("*/results.json")):
        results = json.loads(path.read_text())
        for row in results["tasks"].values():
            row.pop("seconds")
        found[path.parent.name] = {"tasks": results["tasks"], "mean": results["mean"]}
    return found


def test_all_methods_have_results_that_can_be_compared(finished):
    found = compare(read_runs(finished))
    assert set(found.labels) == {f"probes-1/{method}" for method in probes.METHODS}
    assert found.tasks == TASKS
    majority = found.values[:, found.labels.index("probes-1/majority")]
    assert np.allclose(majority, found.majority)
    by_label = {summary.label: summary.mean for summary in found.summaries}
    assert by_label["probes-1/tfidf"] > by_label["probes-1/majority"] + 0.1


def test_results_say_what_made_them(finished):
    results = json.loads((finished / "cls" / "results.json").read_text())
    assert results["method"] == "cls"
    assert results["config"]["settings"]["max_train_rows"] == 60
    assert results["encoder"]["id"] == "tiny"
    row = results["tasks"]["demo/tense"]
    assert (row["rows"]["train"]["kept"], row["rows"]["test"]["kept"], row["classes"]) == (60, 40, 3)
    assert row["C"] in probes.FEATURE_GRID
    assert row["test"]["accuracy_interval"][0] < row["test"]["accuracy"] < row["test"]["accuracy_interval"][1]
    assert "encoder" not in json.loads((finished / "tfidf" / "results.json").read_text())


def test_an_interrupted_run_resumes_with_the_unfinished_tasks(finished, tmp_path, monkeypatch, capsys):
    load, loaded = per_task.load, []

    def interrupted(config, name):
        if name == TASKS[2]:
            raise KeyboardInterrupt
        return load(config, name)

    flags = (*FLAGS, "--output-dir", str(tmp_path), "--methods", "majority", "tfidf")
    monkeypatch.setattr(per_task, "load", interrupted)
    assert main([*flags]) == 130
    run = tmp_path / "probes-1"
    assert f"--resume {run}" in capsys.readouterr().out
    assert not (run / "tfidf" / "results.json").exists()

    folder = RunFolder(run)  # as an earlier version wrote it, which did not have this setting yet
    stored = folder.read_sealed(folder.config)
    del stored["settings"]["task_file"]
    folder.write_sealed(folder.config, stored)
    monkeypatch.setattr(per_task, "load", lambda config, name: loaded.append(name) or load(config, name))
    assert main(["--resume", "--output-dir", str(tmp_path)]) == 0
    assert loaded == [TASKS[2]]
    assert "2 of 3 tasks were already done" in capsys.readouterr().out
    expected = answers(finished)
    assert answers(run) == {method: expected[method] for method in ("majority", "tfidf")}
    assert main(["--resume", str(run)]) == 0
    assert "is finished" in capsys.readouterr().out


def test_a_task_that_fails_costs_none_of_the_others(tmp_path, monkeypatch, capsys):
    load = per_task.load

    def failing(config, name):
        if name == TASKS[0]:
            raise ConnectionError("no route to host")  # an OSError, as those of a full disk are
        return load(config, name)

    monkeypatch.setattr(per_task, "load", failing)
    flags = (*FLAGS, "--output-dir", str(tmp_path), "--methods", "majority")
    assert main([*flags]) == 1
    printed = capsys.readouterr().out
    assert "1 of 3 tasks failed; the others are done; add --skip-unavailable" in printed
    assert "demo/manners: ConnectionError: no route to host" in printed
    run = tmp_path / "probes-1"
    assert (run / "majority" / "tasks" / "demo" / "tense.json").exists()
    assert main(["--resume", str(run), "--skip-unavailable"]) == 0
    results = json.loads((run / "majority" / "results.json").read_text())
    assert results["tasks"].keys() == set(TASKS[1:])
    assert results["skipped"] == {"demo/manners": "ConnectionError: no route to host"}


@pytest.mark.parametrize("damage", ["", "null", "[1", "a changed digit"])
def test_a_task_whose_file_is_damaged_is_done_again(damage, finished, tmp_path, capsys):
    """As the empty file that a power cut may leave."""
    flags = (*FLAGS, "--output-dir", str(tmp_path), "--methods", "majority")
    assert main([*flags]) == 0
    run = tmp_path / "probes-1"
    (run / "majority" / "results.json").unlink()
    file = run / "majority" / "tasks" / f"{TASKS[1]}.json"
    file.write_text(file.read_text().replace('"accuracy": 0.', '"accuracy": 0.1') if "digit" in damage else damage)
    assert main(["--resume", str(run)]) == 0
    assert "2 of 3 tasks were already done" in capsys.readouterr().out
    assert answers(run)["majority"] == answers(finished)["majority"]


def test_a_full_disk_ends_the_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(per_task.RunFolder, "write_json", write_until(per_task.RunFolder.write_json, 2))
    assert main([*FLAGS, "--output-dir", str(tmp_path), "--methods", "majority"]) == 1
    printed = capsys.readouterr().out
    assert "OSError: [Errno 28] No space left" in printed
    assert f"--resume {tmp_path / 'probes-1'}" in printed


def write_until(write, most):
    counted = []

    def counting(self, path, values):
        counted.append(path)
        if len(counted) > most:
            raise OSError(28, "No space left on device")
        write(self, path, values)

    return counting


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--tasks", "demo/manner"], "closest"),
        (["--encoder", "no-such-thing!", "--tasks", "demo/tense"], "--encoder no-such-thing!"),
        (["--resume", "nowhere"], "--resume nowhere: the folder does not exist"),
        (["--resume", "."], "is not the folder of a run of this script"),
        (["--resume"], "no unfinished run named 'probes'"),
    ],
)
def test_mistakes_are_reported_in_one_line(flags, message, tmp_path, capsys):
    assert main([*flags, "--output-dir", str(tmp_path)]) == 1
    errors = [line for line in capsys.readouterr().out.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert message in errors[0]


def test_a_resumed_run_keeps_its_settings(finished, tmp_path, capsys):
    run = tmp_path / "probes-1"
    run.mkdir()
    (run / "config.json").write_text((finished / "config.json").read_text())
    assert main(["--resume", str(run), "--max-length", "9"]) == 1
    assert "--max-length 9 (the run has 64)" in capsys.readouterr().out
    assert main(["--resume", str(run), "--methods", "tfidf"]) == 1
    assert "--methods ['tfidf']" in capsys.readouterr().out
    (run / "config.json").write_text('{"preset": "demo"}')  # as training/multitask.py stores it
    assert main(["--resume", str(run)]) == 1
    assert "not the folder of a run of this script" in capsys.readouterr().out


def test_several_processes_are_refused(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main([*FLAGS, "--output-dir", str(tmp_path)]) == 1
    assert "one task after the other in one process, but 2 processes were started" in capsys.readouterr().out
