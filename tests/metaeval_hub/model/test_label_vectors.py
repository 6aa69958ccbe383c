"""Label vectors that tasks share by name, through a whole model."""

import numpy as np
import pytest
import torch

from metaeval_datasets import get_task
from metaeval_hub import ConditionalAdapterModel, ConditionalConfig

LABELS = {"x/nli": ("entails", "does not"), "x/own": ("p", "q", "r"), "x/rte": ("no", "yes")}
ROWS = {"x/nli": ("entailment", "not_entailment"), "x/rte": ("not_entailment", "entailment")}
TEXTS = ["the cat sat on the mat", "a dog ran", "the dog sat"]


def make(method: str = "pilault", rows=ROWS) -> ConditionalAdapterModel:
    config = ConditionalConfig(conditioning=method, adapter_size=8, dim_z=5, max_length=16)
    model = ConditionalAdapterModel.create("tiny", LABELS, config, vocabulary=TEXTS, label_vectors=rows)
    torch.manual_seed(1)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.2 * torch.randn_like(parameter)
    return model


def test_one_row_serves_both_tasks_and_it_shows():
    model = make()
    assert model.heads.weight.shape[0] == 2 + 3
    assert model.shared_labels == {"entailment": ("x/nli", "x/rte"), "not_entailment": ("x/nli", "x/rte")}
    assert model.label_vectors == ROWS
    z = torch.from_numpy(model.task_embeddings["x/nli"][None])
    pooled = model.encode(model.tokenizer(TEXTS, padding=True, return_tensors="pt"), z)
    one, other = model.heads(pooled, torch.tensor([0])), model.heads(pooled, torch.tensor([2]))
    assert torch.equal(one, other.flip(1))  # the same rows, in the order of each task's own classes
    assert model.predict("x/rte", TEXTS).names == ("no", "yes")


@pytest.mark.parametrize("method", ["pilault", "adapter", "full"])
def test_shared_rows_are_stored_and_loaded_in_a_new_process_to_the_last_bit(method, tmp_path, run_python):
    model = make(method)
    model.remove_task("x/nli")  # its rows stay: the order on disk is not that of creation
    model.add_task("x/three", ("e", "n", "c"), label_vectors=("entailment", "neutral", "contradiction"))
    model.save_pretrained(tmp_path)
    loaded = ConditionalAdapterModel.from_pretrained(tmp_path)
    assert loaded.label_vectors == model.label_vectors
    assert loaded.shared_labels == model.shared_labels
    code = f"""
from metaeval_hub import ConditionalAdapterModel
model = ConditionalAdapterModel.from_pretrained({str(tmp_path)!r})
print([v.hex() for task in model.task_names for row in model.logits(task, {TEXTS!r}).double().tolist() for v in row])
"""
    expected = [
        v.hex() for task in model.task_names for row in model.logits(task, TEXTS).double().tolist() for v in row
    ]
    assert run_python(code).stdout.strip().splitlines()[-1] == str(expected)


def test_the_old_name_of_the_key_in_config_json_is_read(tmp_path):
    model = make()
    model.save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    text = file.read_text()
    assert '"label_vectors"' in text
    file.write_text(text.replace('"label_vectors"', '"rows"'))
    assert ConditionalAdapterModel.from_pretrained(tmp_path).label_vectors == ROWS


def test_an_unseen_task_of_known_labels_is_answered_untrained():
    model = make()
    before = {task: model.logits(task, TEXTS) for task in LABELS}
    z = np.linspace(-1, 1, 5)
    model.add_task("x/unseen", ("same", "other"), z, label_vectors=("entailment", "not_entailment"))
    batch = model.tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        pooled = model.encode(batch, torch.from_numpy(z[None]).float())
        expected = torch.nn.functional.linear(pooled, model.heads.weight[:2], model.heads.bias[:2])
    torch.testing.assert_close(model.logits("x/unseen", TEXTS), expected, rtol=1e-5, atol=1e-6)
    assert all(torch.equal(model.logits(task, TEXTS), before[task]) for task in LABELS)
    model.remove_task("x/unseen")
    assert all(torch.equal(model.logits(task, TEXTS), before[task]) for task in LABELS)


def test_few_shot_classifier_starts_from_shared_rows_and_leaves_them_alone():
    model = make()
    before = {task: model.logits(task, TEXTS) for task in LABELS}
    rows = {"labels": ("same", "other"), "label_vectors": ("entailment", "not_entailment")}
    model.fit_task("my/start", [("the cat", "same"), ("a dog", "other")], steps=1, head_lr=0.0, z_lr=0.0, **rows)
    model.add_task("my/shared", ("same", "other"), **{"label_vectors": rows["label_vectors"]})
    assert torch.equal(model.logits("my/start", TEXTS), model.logits("my/shared", TEXTS))
    assert "my/start" not in model.label_vectors
    model.fit_task("my/fitted", [("the cat", "same"), ("a dog", "other")], steps=60, **rows)
    assert model.predict("my/fitted", ["the cat", "a dog"]).labels == ["same", "other"]
    assert all(torch.equal(model.logits(task, TEXTS), before[task]) for task in LABELS)
    with pytest.raises(
        ValueError, match=r"no label vector 'entailmen' among the 2 that tasks share; closest: entailment"
    ):
        model.fit_task("my/odd", [("a", "same"), ("b", "other")], ("same", "other"), label_vectors=("entailmen", "x"))


def test_canonical_names_of_the_catalogue_fit():
    tasks = [get_task(name) for name in ("glue/rte", "glue/mnli", "glue/cola")]
    model = ConditionalAdapterModel.create(
        "tiny", {task.name: task.names for task in tasks}, ConditionalConfig(adapter_size=2), vocabulary=TEXTS,
        label_vectors={task.name: task.canonical for task in tasks},
    )  # fmt: skip
    assert model.shared_labels["entailment"] == ("glue/rte", "glue/mnli")


def test_two_classes_on_one_row_are_refused_by_name():
    twice, model = ("entailment", "entailment"), make()
    with pytest.raises(ValueError, match="x/rte: label_vectors gives 'no' and 'yes' the same vector 'entailment'"):
        make(rows={"x/rte": twice})
    with pytest.raises(ValueError, match="x/new: label_vectors gives 'a' and 'b' the same vector 'entailment'"):
        model.add_task("x/new", ("a", "b"), label_vectors=twice)
    assert model.task_names == tuple(LABELS)
