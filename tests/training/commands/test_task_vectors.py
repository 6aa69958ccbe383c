import json

import numpy as np
import pytest
import torch
from metaeval_training.commands.task_vectors import main
from metaeval_training.config import TrainConfig
from metaeval_training.data.rows import keep_rows
from metaeval_training.runs import per_task
from metaeval_training.vectors.encoder_features import open_encoder

from metaeval_datasets import load_dataset
from metaeval_hub import TaskEmbeddings

TASKS = ("demo/spam", "demo/picnic_nli", "demo/tense")
FLAGS = ("--tasks", *TASKS, "--max-train-rows", "24", "--max-length", "16", "--threads", "1")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vectors")
    deterministic, threads = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    assert main(["textemb", *FLAGS, "--output-dir", str(folder)]) == 0
    torch.use_deterministic_algorithms(deterministic)
    torch.set_num_threads(threads)
    return folder / "textemb-1"


def test_textemb_is_that_of_a_hand_computation(finished):
    """One text at a time by the encoder's own call: the mean of the mean over its tokens."""
    config = TrainConfig(tasks=TASKS, max_train_rows=24)
    encoder = open_encoder(config, per_task.all_texts(config))
    found = TaskEmbeddings.load(finished / "textemb")
    assert found.names == TASKS
    for name in TASKS:
        rows = keep_rows(load_dataset("metaeval", name, split="train"), 24, 0, name, "train")
        fields = [column for column in ("sentence", "sentence1", "sentence2") if column in rows.column_names]
        means = []
        for row in rows:
            one = encoder.tokenizer(*(row[f] for f in fields), truncation=True, max_length=16, return_tensors="pt")
            with torch.no_grad():
                means.append(encoder.module(**one).last_hidden_state[0].mean(dim=0).double().numpy())
        assert np.allclose(found[name], np.mean(means, axis=0), atol=1e-5)


def test_labels_are_not_used(tmp_path, finished, monkeypatch):
    load = per_task.load

    def relabelled(config, name):
        task = load(config, name)
        for rows in (task.splits["train"],):
            task.splits["train"] = rows.remove_columns("label").add_column("label", [0] * len(rows))
        return task

    monkeypatch.setattr(per_task, "load", relabelled)
    assert main(["textemb", *FLAGS, "--output-dir", str(tmp_path)]) == 0
    found = TaskEmbeddings.load(tmp_path / "textemb-1" / "textemb")
    assert np.array_equal(found.values, TaskEmbeddings.load(finished / "textemb").values)


def test_it_says_what_made_it_and_goes_on_when_stopped(tmp_path, finished, monkeypatch, capsys):
    load = per_task.load

    def interrupted(config, name):
        if name == TASKS[1] and vocabulary_is_read:
            raise KeyboardInterrupt
        vocabulary_is_read.extend([name] if name == TASKS[2] else [])
        return load(config, name)

    vocabulary_is_read = []
    monkeypatch.setattr(per_task, "load", interrupted)
    assert main(["textemb", *FLAGS, "--output-dir", str(tmp_path)]) == 130
    monkeypatch.setattr(per_task, "load", load)
    assert main(["textemb", "--resume", str(tmp_path / "textemb-1")]) == 0
    printed = capsys.readouterr().out
    assert "1 of 3 tasks were already done" in printed
    assert "3 vectors of dimension 128" in printed
    found = TaskEmbeddings.load(tmp_path / "textemb-1" / "textemb")
    assert np.array_equal(found.values, TaskEmbeddings.load(finished / "textemb").values)
    results = json.loads((finished / "textemb" / "results.json").read_text())
    assert results["encoder"]["id"] == "tiny"
    assert results["tasks"]["demo/tense"]["rows"] == 24
    assert results["config"]["settings"]["max_length"] == 16


def test_fisher_is_that_of_the_single_task_script(tmp_path):
    """What it is of is tested in test_fisher.py."""
    flags = ("--tasks", *TASKS[:2], "--max-train-rows", "16", "--max-eval-rows", "8", "--threads", "1", "--steps", "2")
    assert main(["fisher", *flags, "--output-dir", str(tmp_path)]) == 0
    found = TaskEmbeddings.load(tmp_path / "fisher-1" / "full" / "fisher")
    assert found.names == TASKS[:2]
    assert found.values.shape == (2, 128)
    assert (tmp_path / "fisher-1" / "full" / "results.json").exists()
    assert not (tmp_path / "fisher-1" / "adapter").exists()
    assert main(["fisher", "--resume", str(tmp_path / "fisher-1")]) == 0


def test_another_word_is_wrong_usage(capsys):
    assert main(["textembs"]) == 2
    assert "expected textemb or fisher, got 'textembs'" in capsys.readouterr().out
    assert main([]) == 2
    assert main(["--help"]) == 0
    assert "task_vectors.py textemb" in capsys.readouterr().out
