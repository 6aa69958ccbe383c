"""Classifiers that read the means of all layers: the computation, and the tasks of a model that use it."""

import numpy as np
import pytest
import torch

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig
from metaeval_hub.conditional.places import layers_of
from metaeval_hub.model.layer_readouts import LayerReadouts
from metaeval_hub.model.task_changes import add_tasks
from metaeval_hub.model.task_copies import copy_tasks
from metaeval_hub.safe_files.encoder_files import MODEL_TYPES
from tests.metaeval_hub.safe_files.test_hostile import tiny_encoder

LABELS = {"x/two": ("no", "yes"), "x/three": ("p", "q", "r")}
NEW = {"my/adapted": ("a", "b", "c"), "my/frozen": ("a", "b"), "my/last": ("a", "b")}
TEXTS = ["the cat sat on the mat", "a dog ran", "the dog sat very very still", "a mat", "a cat ran"]


def make(method="pilault", pooling="mean", **fields):
    config = ConditionalConfig(method, adapter_size=5, max_length=16, pooling=pooling, **fields)
    model = ConditionalAdapterModel.create("tiny", LABELS, config, vocabulary=TEXTS)
    torch.manual_seed(1)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn_like(parameter)
    add_tasks(model, NEW, frozen=["my/frozen", "my/last"], layered=["my/adapted", "my/frozen"])
    model.readouts.weight.normal_()
    for task in NEW:
        vectors = model.heads.table[model.task_id(task), : len(NEW[task])]
        model.heads.weight.data[vectors] = torch.eye(len(vectors), 128)
        model.heads.bias.data[vectors] = torch.randn(len(vectors))
    return model.eval()


def test_each_text_gets_the_scores_of_its_task():
    readouts, means = LayerReadouts(4, 6, {"one": 2, "two": 3}), torch.randn(5, 4, 6)
    readouts.weight.normal_()
    readouts.weight[0, 2] = 0  # the first task has two classes
    places = torch.tensor([0, 1, 1, 0, 1])
    found = readouts(means, places)
    assert found.shape == (5, 6)
    for row, place in enumerate(places):
        wanted = [(means[row] * readouts.weight[place, label]).sum() for label in range(3)]
        torch.testing.assert_close(found[row], torch.tensor([*wanted, 0, 0, 0]))
        torch.testing.assert_close(readouts(means, places[row : row + 1])[row], found[row])


def test_tasks_are_added_and_removed_without_changing_the_others():
    readouts = LayerReadouts(4, 6, {"one": 2, "two": 3})
    readouts.weight.normal_()
    before = readouts.weight.clone()
    readouts.append({"three": 5}, before.double())
    assert readouts.weight.dtype == torch.float64
    assert torch.equal(readouts.weight[:2, :3], before.double())
    assert not readouts.of_task("three").any()
    assert readouts.places(["x", "three", "two"]).tolist() == [0, 2, 1]
    readouts.remove(["one", "three", "x"])
    assert torch.equal(readouts.weight, before[1:].double())
    assert torch.equal(readouts.of_task("two"), readouts.weight[0])
    assert not readouts.weight.requires_grad
    readouts.remove(["two"])
    assert (dict(readouts.state_dict()), readouts.sizes) == ({}, {})
    with pytest.raises(ValueError, match="two reads all layers and has 7 classes; at most 6 are possible"):
        LayerReadouts(4, 6, {"one": 2, "two": 7})


@pytest.mark.parametrize(("method", "pooling"), [("pilault", "cls"), ("adapter", "mean")])
def test_tasks_read_the_means_of_all_layers(method, pooling, tmp_path):
    model = make(method, pooling, private_rank=2)
    model.adapter.private.up.data[2].normal_()  # of my/adapted
    model.find_private_tasks()
    batch = model.tokenizer(TEXTS, padding=True, return_tensors="pt")
    outputs = {}
    for task in ("my/adapted", "my/frozen"):
        ids = torch.tensor([model.task_id(task)])
        if task == "my/frozen":
            states = model.encoder(**batch, output_hidden_states=True).hidden_states
        else:
            with model.adapter.active(model.encoder, model.embed_tasks(ids), 1, model.private_parts(ids)):
                states = model.encoder(**batch, output_hidden_states=True).hidden_states
        mask = batch["attention_mask"].unsqueeze(-1)
        means = torch.stack([(each * mask).sum(1) / mask.sum(1) for each in states], dim=1)
        weight = model.readouts.weight[["my/adapted", "my/frozen"].index(task), : len(NEW[task])]
        bias = model.heads.bias[model.heads.table[int(ids), : len(NEW[task])]]
        outputs[task] = torch.einsum("blh,clh->bc", means, weight) + bias
        for found in (model(**batch, task_ids=ids).logits, model.logits(task, TEXTS)):
            torch.testing.assert_close(found, outputs[task], rtol=1e-4, atol=1e-4)
    tasks = ["my/frozen", "my/adapted", "x/two", "my/last", "my/adapted"]
    mixed = model(**batch, task_ids=torch.tensor([model.task_id(task) for task in tasks])).logits
    for row, task in enumerate(tasks):
        wanted = model.logits(task, TEXTS)[row]
        torch.testing.assert_close(mixed[row, : len(wanted)], wanted, rtol=1e-4, atol=1e-4)
    together = model.predict_tasks(list(model.labels), TEXTS)
    for task, found in together.items():
        np.testing.assert_allclose(found.probabilities, model.predict(task, TEXTS).probabilities, atol=1e-5)
    loaded = ConditionalAdapterModel.from_pretrained(model.save_pretrained(tmp_path / "saved"))
    assert loaded.layered_tasks == {"my/adapted", "my/frozen"}
    for task in model.labels:
        assert torch.equal(loaded.logits(task, TEXTS), model.logits(task, TEXTS)), task


def test_removed_and_copied_tasks_keep_their_answers():
    model, other = make(), make()
    answers = {task: model.logits(task, TEXTS) for task in model.labels}
    other.remove_tasks(["my/adapted", "my/last"])
    assert other.layered_tasks == {"my/frozen"}
    assert other.readouts.weight.shape[:2] == (1, 2)
    torch.testing.assert_close(other.logits("my/frozen", TEXTS), answers["my/frozen"])
    copy_tasks(model, other, ["my/adapted"])
    torch.testing.assert_close(other.logits("my/adapted", TEXTS), answers["my/adapted"])
    torch.testing.assert_close(other.logits("my/frozen", TEXTS), answers["my/frozen"])
    other.remove_tasks(["my/adapted", "my/frozen"])
    assert not other.layered_tasks
    with pytest.raises(ValueError, match="my/many reads all layers and has 129 classes; at most 128 are possible"):
        add_tasks(other, {"my/many": [f"c{i}" for i in range(129)]}, layered=["my/many"])
    torch.testing.assert_close(other.logits("x/two", TEXTS), answers["x/two"])
    assert len(other.task_embeddings.values) == len(other.labels)


@pytest.mark.parametrize("kind", sorted(MODEL_TYPES))
def test_every_encoder_gives_the_means_of_all_its_layers(kind, tmp_path):
    tiny_encoder(tmp_path, kind)
    config = ConditionalConfig(adapter_size=4, dim_z=3, max_length=16, pooling="mean")
    model = ConditionalAdapterModel.create(tmp_path, LABELS, config)
    batch = model.tokenizer(TEXTS, padding=True, return_tensors="pt")
    z = torch.from_numpy(model.expected_embeddings())
    pooled, means = model.encode_layers(batch, z)
    assert means.shape[:2] == (len(TEXTS), len(layers_of(model.encoder)) + 1)
    for found, wanted in (
        (pooled, model.encode(batch, z)),
        (means[:, -1], pooled),
        (model.encode_layers(batch, frozen=True)[0], model.encode_frozen(batch)),
    ):
        torch.testing.assert_close(found, wanted)
    add_tasks(model, {"my/new": ("a", "b")}, layered=["my/new"])
    assert model.readouts.weight.shape == (1, 2, *means.shape[1:])
