"""``--from MODEL``: new tasks are added to a trained model, and the old ones are kept or trained on."""

import json

import pytest
import torch
from metaeval_training.commands.multitask import main
from metaeval_training.config import ConfigError, TrainConfig, read_config
from metaeval_training.runs.continued import add_new_tasks, continue_settings, load_old, model_digest

from metaeval_datasets import get_task
from metaeval_hub import ConditionalAdapterModel, ConditionalConfig
from metaeval_hub.model.task_changes import add_tasks
from metaeval_hub.model.task_copies import copy_tasks

OLD = ("demo/film_reviews", "demo/feelings")
TEXTS = ["The film was great.", "I am so sad today.", "win a prize now"]


def make_model(folder, tasks=OLD, **options):
    config = ConditionalConfig(**{"adapter_size": 8, "dim_z": 6, "max_length": 32, "private_rank": 2, **options})
    labels = {name: get_task(name).names for name in tasks}
    model = ConditionalAdapterModel.create("tiny", labels, config, vocabulary=TEXTS)
    torch.manual_seed(1)
    with torch.no_grad():
        for group in model.trainable_groups().values():
            for parameter in group:
                parameter += 0.1 * torch.randn_like(parameter)
    return str(model.save_pretrained(folder))


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("old"))


def settings(old, **given):
    values = {"from_model": old, "tasks": ("demo/spam",), "old_tasks": "keep", **given}
    return continue_settings(TrainConfig(**values), values)


def flags(old, *tasks):
    return ["--from", old, "--tasks", *tasks, "--steps", "6", "--checkpoint-every", "3", "--max-train-rows", "40",
            "--evaluate-every", "0", "--private-epochs", "1"]  # fmt: skip


def test_keep_leaves_old_tasks_bit_identical_and_trains_new_ones(train, old, tmp_path):
    assert train(*flags(old, "demo/spam", "demo/topics"), "--old-tasks", "keep", "--refit") == 0
    run = tmp_path / "runs" / "multitask-1"
    before, after = ConditionalAdapterModel.from_pretrained(old), ConditionalAdapterModel.from_pretrained(run / "model")
    assert after.task_names == (*OLD, "demo/spam", "demo/topics")
    for name in OLD:
        assert torch.equal(before.logits(name, TEXTS), after.logits(name, TEXTS))
    for name, tensor in before.state_dict().items():
        assert torch.equal(after.state_dict()[name][: len(tensor)], tensor), name
    assert len({float(each) for each in after.logits("demo/spam", TEXTS).flatten()}) > 2  # the classifier is trained
    results = json.loads((run / "results.json").read_text())
    assert {*results["tasks"]} == {"demo/spam", "demo/topics"}
    config = read_config(run / "config.json")
    assert (config.from_model, config.from_sha256) == (old, model_digest(before))
    assert (config.adapter_size, config.dim_z, config.max_length, config.private_rank) == (8, 6, 32, 2)


def test_rehearse_trains_old_tasks_too_and_resumes_with_the_same_bits(train, old, tmp_path):
    assert train(*flags(old, "demo/spam", *OLD)) == 0
    run = tmp_path / "runs" / "multitask-1"
    results = json.loads((run / "results.json").read_text())
    assert [*results["tasks"]] == [*OLD, "demo/spam"]
    before, after = ConditionalAdapterModel.from_pretrained(old), ConditionalAdapterModel.from_pretrained(run / "model")
    assert not torch.equal(before.logits(OLD[0], TEXTS), after.logits(OLD[0], TEXTS))
    (run / "results.json").unlink()
    for path in sorted((run / "checkpoints").glob("step-*"))[1:]:  # as if it had been killed after step 3
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    assert main(["--resume", str(run)]) == 0
    again = ConditionalAdapterModel.from_pretrained(run / "model")
    for name in after.task_names:
        assert torch.equal(again.logits(name, TEXTS), after.logits(name, TEXTS))


def test_another_model_in_the_same_place_is_refused(tmp_path):
    folder = make_model(tmp_path / "model")
    config = settings(folder)
    assert load_old(config).task_names == OLD
    make_model(tmp_path / "model", tasks=("demo/feelings", "demo/topics"))
    with pytest.raises(ConfigError, match=r"the model has SHA-256 [0-9a-f]{64}, and [0-9a-f]{64} was expected"):
        load_old(config)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dim_z": 16}, "--dim-z 16 contradicts the model of --from, which has 6; leave the flag out"),
        ({"encoder": "minilm"}, "--encoder minilm contradicts the model of --from"),
        ({"pooling": "mean"}, "--pooling mean contradicts the model of --from, which has 'cls'"),
        (
            {"tasks": ("demo/spam", OLD[0])},
            "--old-tasks keep trains new tasks only, and the model of --from has demo/fi",
        ),
        ({"old_tasks": "rehearse"}, "--tasks does not name demo/film_reviews, demo/feelings of the model of --from"),
        (
            {"share_labels": True},
            "--share-labels would train label vectors of old tasks, so it does not go with --old-",
        ),
        ({"task_features": "aspects"}, "--task-features needs a new model, and --from continues a trained one"),
        ({"from_model": "nowhere/at/all"}, "--from nowhere/at/all: "),
        ({"from_model": ""}, "--old-tasks and --from-sha256 need --from MODEL"),
    ],
)
def test_settings_that_do_not_fit_are_refused(old, given, message):
    with pytest.raises(ConfigError) as caught:
        settings(old, **given)
    assert str(caught.value).startswith(message)


def test_models_that_cannot_be_continued_are_refused(tmp_path):
    labels = {name: get_task(name).names for name in OLD}
    config = ConditionalConfig(adapter_size=4, dim_z=3, max_length=16, z_from="both")
    features = {name: [float(i), 1.0 - i] for i, name in enumerate(OLD)}
    aware = ConditionalAdapterModel.create("tiny", labels, config, vocabulary=TEXTS, task_features=features)
    with pytest.raises(ConfigError, match="z of this model is computed from features of its tasks"):
        settings(str(aware.save_pretrained(tmp_path / "aware")))
    model = ConditionalAdapterModel.from_pretrained(make_model(tmp_path / "model"))
    model.fit_task("my/task", [("great film", "a"), ("sad day", "b")])
    with pytest.raises(ConfigError, match="--old-tasks rehearse cannot train my/task, which read the encoder without"):
        settings(str(model.save_pretrained(tmp_path / "fitted")), old_tasks="rehearse", tasks=(*OLD, "demo/spam"))
    model.remove_task("my/task")
    add_tasks(model, {"my/task": ("a", "b")}, layered=["my/task"])
    with pytest.raises(
        ConfigError, match="--old-tasks rehearse cannot train my/task, whose classifiers read all layers"
    ):
        settings(str(model.save_pretrained(tmp_path / "layered")), old_tasks="rehearse", tasks=(*OLD, "demo/spam"))


def test_private_parts_of_rehearsed_tasks_are_trained_again(old):
    """They belong to shared weights that change, and ``TaskFinisher`` compares with features without them."""
    model = load_old(TrainConfig(from_model=old))
    model.adapter.private.up[0] = 0.5
    model.find_private_tasks()
    assert model.private_tasks == {OLD[0]}
    add_new_tasks(TrainConfig(from_model=old, tasks=OLD), model, [])
    assert (model.private_tasks, model.task_names) == (set(), OLD)
    assert not model.adapter.private.up.any()


@pytest.mark.parametrize("options", [{}, {"dim_table": 9}, {"embeddings_per_task": 2}, {"conditioning": "adapter"}])
def test_copied_tasks_give_the_same_bits(tmp_path, options):
    source, target = (ConditionalAdapterModel.from_pretrained(make_model(tmp_path, **options)) for _ in range(2))
    if source.config.has_task_embeddings:
        source.adapter.private.up[1] = 0.5
        source.find_private_tasks()
    target.remove_task(OLD[1])
    copy_tasks(source, target, [OLD[1]])
    assert torch.equal(target.logits(OLD[1], TEXTS), source.logits(OLD[1], TEXTS))
    assert target.private_tasks == source.private_tasks
