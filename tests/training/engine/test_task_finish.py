from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from datasets import Dataset
from metaeval_training.config import TrainConfig
from metaeval_training.data.encoding import TaskData, encode_rows
from metaeval_training.engine import task_finish
from metaeval_training.engine.evaluation import evaluate_tasks
from metaeval_training.engine.task_finish import TaskFinisher, can_finish
from metaeval_training.runs.process import Interrupted

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig

WORDS = ("red", "green", "blue", "one", "two", "six", "cat", "dog", "cow")
ORIGIN = {"source": "org/rows", "commit": "c0ffee", "edition": "careful", "missing": []}
OPTIONS = {"batch_size": 16, "accelerator": Accelerator(cpu=True)}


def rows_of(seed, count=60):
    """Rows of three words whose class is that of the middle word: a colour, a number or an animal."""
    random = np.random.default_rng(seed)
    words = random.integers(0, len(WORDS), (count, 3))
    return Dataset.from_dict(
        {"sentence": [" ".join(WORDS[i] for i in row) for row in words], "label": (words[:, 1] // 3).tolist()}
    )


@pytest.fixture(scope="module")
def trained():
    """A model with random classifiers, two tasks with the same rows, and one task with shared label vectors."""
    labels = dict.fromkeys(("x/one", "x/two", "x/shared", "x/sharing"), ("colour", "number", "animal"))
    vectors = {name: labels[name] for name in ("x/shared", "x/sharing")}
    model = ConditionalAdapterModel.create(
        "tiny", labels, ConditionalConfig(pooling="mean"), vocabulary=WORDS, label_vectors=vectors
    )
    splits = {
        split: encode_rows(rows_of(seed), model.tokenizer, 16)
        for seed, split in enumerate(("train", "validation", "test"))
    }
    tasks = [TaskData(name, classes, splits, dict.fromkeys(splits, 60), ORIGIN) for name, classes in labels.items()]
    return model, tasks


def finish(model, tasks, **settings):
    return TaskFinisher(model, TrainConfig(**settings), OPTIONS["accelerator"]).finish(tasks, ("validation", "test"))


def test_the_refitted_classifier_is_the_logistic_regression_and_its_scores_are_those_of_the_model(trained):
    model, tasks = trained
    before = {name: tensor.clone() for name, tensor in model.trained_state().items()}
    found = finish(model, tasks, refit=True)
    scored = evaluate_tasks(model, tasks, ("validation", "test"), pad=model.tokenizer.pad_token_id, **OPTIONS)
    assert {task: each.scores for task, each in found.items()} == scored
    assert found["x/one"].scores["test"].accuracy > found["x/one"].before["test"].accuracy + 0.2
    changed = [name for name, tensor in model.trained_state().items() if not torch.equal(tensor, before[name])]
    assert changed == ["heads.weight", "heads.bias"]


def test_shared_label_vectors_and_tasks_without_validation_rows_stay(trained):
    model, tasks = trained
    assert [can_finish(model, task) for task in tasks] == [True, True, False, False]
    bare = TaskData("x/one", tasks[0].labels, {"train": tasks[0].train}, {"train": 60}, ORIGIN)
    assert not can_finish(model, bare)
    found = finish(model, tasks, refit=True)
    assert found["x/shared"].strength is None
    assert found["x/shared"].before == found["x/shared"].scores


def test_a_private_part_is_kept_where_it_is_better_on_validation_and_nothing_shared_changes(trained):
    _, tasks = trained
    labels = {task.name: task.labels for task in tasks[:2]}
    config = ConditionalConfig(pooling="mean", private_rank=4)
    model = ConditionalAdapterModel.create("tiny", labels, config, vocabulary=WORDS)
    before = {name: tensor.clone() for name, tensor in model.trained_state().items()}
    found = finish(model, tasks[:2], private_rank=4, private_epochs=6, private_lr=1e-2)
    assert [each.private for each in found.values()] == [True, True]
    assert model.private_tasks == set(labels)
    assert all(parameter.grad is None for parameter in model.parameters())  # none is computed
    assert any(parameter.requires_grad for parameter in model.parameters())  # as before
    scored = evaluate_tasks(model, tasks[:2], ("validation", "test"), pad=model.tokenizer.pad_token_id, **OPTIONS)
    assert {task: each.scores for task, each in found.items()} == scored
    changed = {name for name, tensor in model.trained_state().items() if not torch.equal(tensor, before[name])}
    assert changed == {"heads.weight", "heads.bias", "adapter.private.down", "adapter.private.up"}


def test_a_private_part_that_does_not_help_is_dropped(trained):
    _, tasks = trained
    # the classes of the training rows are exchanged, so that whatever is learned from them is wrong
    exchanged = replace(tasks[0].train, labels=(tasks[0].train.labels + 1) % 3)
    task = replace(tasks[0], splits={**tasks[0].splits, "train": exchanged})
    model = ConditionalAdapterModel.create(
        "tiny", {task.name: task.labels}, ConditionalConfig(pooling="mean", private_rank=4), vocabulary=WORDS
    )
    start = model.adapter.private.down.clone()
    found = finish(model, [task], private_rank=4, private_epochs=6, private_lr=1e-2)
    assert not found[task.name].private
    assert model.private_tasks == set()
    assert not model.adapter.private.up.any()
    assert torch.equal(model.adapter.private.down, start)


def test_an_interrupt_in_one_process_stops_all(trained, monkeypatch):
    model, tasks = trained
    elsewhere = Interrupted(2, 7)
    monkeypatch.setattr(task_finish, "gather_object", lambda found: [*found, elsewhere])
    with pytest.raises(Interrupted) as stopped:
        finish(model, tasks[:1], refit=True)
    assert stopped.value is elsewhere


def test_a_private_part_that_diverged_is_dropped_and_leaves_the_model_finite(trained):
    _, tasks = trained
    labels = {task.name: task.labels for task in tasks[:1]}
    config = ConditionalConfig(pooling="mean", private_rank=1)
    model = ConditionalAdapterModel.create("tiny", labels, config, vocabulary=WORDS)
    before = model.adapter.private.down.clone()
    found = finish(model, tasks[:1], private_rank=1, private_epochs=1, private_lr=1e30, clip_norm=0.0, refit=True)
    assert not found["x/one"].private
    assert torch.equal(model.adapter.private.down, before)
    assert all(tensor.isfinite().all() for tensor in model.trained_state().values())


def test_a_task_with_an_empty_validation_split_is_not_finished(trained):
    model, tasks = trained
    empty = encode_rows(rows_of(0, 0), model.tokenizer, 16)
    assert not can_finish(model, replace(tasks[0], splits={**tasks[0].splits, "validation": empty}))
