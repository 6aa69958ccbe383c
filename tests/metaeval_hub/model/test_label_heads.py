"""Classifiers of all tasks in one matrix."""

import numpy as np
import pytest
import torch

from metaeval_datasets import get_task
from metaeval_hub import ConditionalAdapterModel, ConditionalConfig
from metaeval_hub.model.label_heads import TaskHeads

LABELS = {"one": ("a", "b"), "two": ("p", "q", "r")}


def make() -> TaskHeads:
    torch.manual_seed(0)
    heads = TaskHeads(4, LABELS).double()
    torch.nn.init.normal_(heads.bias)
    return heads


def test_each_task_has_its_own_linear_classifier():
    heads, pooled = make(), torch.randn(3, 4, dtype=torch.float64)
    expected = pooled @ heads.weight[2:5].T + heads.bias[2:5]
    torch.testing.assert_close(heads(pooled, torch.tensor([1])), expected)


def test_mixed_batch_equals_task_by_task_and_absent_classes_get_no_probability():
    heads, pooled = make(), torch.randn(3, 4, dtype=torch.float64)
    mixed = heads(pooled, torch.tensor([0, 1, 0]))
    assert mixed.shape == (3, 3)
    torch.testing.assert_close(mixed[[0, 2], :2], heads(pooled[[0, 2]], torch.tensor([0])))
    torch.testing.assert_close(mixed[1], heads(pooled[1:2], torch.tensor([1]))[0])
    assert (mixed[[0, 2], 2] == -torch.inf).all()
    assert (mixed.softmax(-1)[[0, 2], 2] == 0).all()


def test_columns_are_those_of_the_largest_task_in_the_batch():
    heads = make()
    assert heads(torch.randn(2, 4, dtype=torch.float64), torch.tensor([0, 0])).shape == (2, 2)


@pytest.mark.parametrize("task_ids", [[0], [0, 0, 0]])
def test_label_vectors_of_absent_tasks_get_no_gradient(task_ids):
    heads = make()
    loss = torch.nn.functional.cross_entropy(
        heads(torch.randn(3, 4, dtype=torch.float64), torch.tensor(task_ids)), torch.tensor([0, 1, 1])
    )
    loss.backward()
    assert heads.weight.grad[:2].abs().sum() > 0
    assert not heads.weight.grad[2:].any()
    assert not heads.bias.grad[2:].any()


SHARED = {"one": ("yes", "no"), "three": ("no", "maybe", "yes")}


def make_shared() -> TaskHeads:
    """Label vectors in the order of their first use: yes and no of "one", the three of "two", then maybe."""
    torch.manual_seed(0)
    heads = TaskHeads(4, {**LABELS, "three": ("x", "y", "z")}, SHARED).double()
    torch.nn.init.normal_(heads.bias)
    return heads


def test_classes_with_the_same_name_share_a_label_vector():
    heads, pooled = make_shared(), torch.randn(3, 4, dtype=torch.float64)
    assert heads.weight.shape == (6, 4)
    assert heads.shared == ("yes", "no", "maybe")
    positions = [1, 5, 0]  # no, maybe, yes
    expected = pooled @ heads.weight[positions].T + heads.bias[positions]
    torch.testing.assert_close(heads(pooled, torch.tensor([2])), expected)
    mixed = heads(pooled, torch.tensor([0, 2, 1]))
    torch.testing.assert_close(mixed[1], expected[1])
    torch.testing.assert_close(mixed[0, :2], pooled[0] @ heads.weight[:2].T + heads.bias[:2])
    assert mixed[0, 2] == -torch.inf
    loss = heads(pooled, torch.tensor([2])).pow(2).sum()
    (gradient,) = torch.autograd.grad(loss, [heads.weight])
    assert gradient.any(dim=1).tolist() == [True, True, False, False, False, True]


def test_shared_label_vectors_stay_while_a_task_uses_them():
    heads, pooled = make_shared(), torch.randn(3, 4, dtype=torch.float64)
    three, two = heads(pooled, torch.tensor([2])), heads(pooled, torch.tensor([1]))
    heads.remove(["one"])
    assert torch.equal(heads(pooled, torch.tensor([0])), two)
    assert torch.equal(heads(pooled, torch.tensor([1])), three)
    assert heads.shared == ("no", "maybe", "yes")  # in the order of the remaining tasks, as in a new model
    heads.append({"one": ("a", "b"), "four": ("p", "q")}, {"one": ("maybe", "new")})
    assert torch.equal(heads(pooled, torch.tensor([1])), three)
    assert torch.equal(heads(pooled, torch.tensor([2]))[:, 0], three[:, 1])
    assert not heads(pooled, torch.tensor([2]))[:, 1].any()
    assert not heads(pooled, torch.tensor([3])).any()
    heads.remove(["three", "two"])
    assert heads.shared == ("maybe", "new")


@pytest.mark.parametrize(
    ("label_vectors", "message"),
    [
        ({"one": ("yes", "yes")}, "one: label_vectors gives 'a' and 'b' the same vector 'yes'"),
        ({"one": ("yes",)}, r"one: label_vectors is \('yes',\); expected a name for each of \['a', 'b'\]"),
        ({"one": "no"}, "one: label_vectors is 'no'"),
        ({"one": ("yes", 1)}, "one: label_vectors is"),
        ({"zero": ("yes", "no")}, "'zero' has label_vectors but no labels"),
    ],
)
def test_names_of_label_vectors_that_do_not_match_the_classes_are_refused(label_vectors, message):
    with pytest.raises(ValueError, match=message):
        TaskHeads(4, LABELS, label_vectors)
    heads = make()
    before = heads.weight
    renamed = {task.replace("one", "new").replace("zero", "other"): each for task, each in label_vectors.items()}
    with pytest.raises(ValueError, match=message.replace("one", "new").replace("zero", "other")):
        heads.append({"new": ("a", "b")}, renamed)
    assert heads.weight is before


@pytest.mark.parametrize("names", [("only",), ("same", "same")])
def test_labels_need_two_different_names(names):
    with pytest.raises(ValueError, match="bad/task: expected two or more different class names"):
        TaskHeads(4, {"bad/task": names})


MODEL_LABELS = {"x/nli": ("entails", "does not"), "x/own": ("p", "q", "r"), "x/rte": ("no", "yes")}


MODEL_VECTORS = {"x/nli": ("entailment", "not_entailment"), "x/rte": ("not_entailment", "entailment")}


TEXTS = ["the cat sat on the mat", "a dog ran", "the dog sat"]


def make_model(method: str = "pilault", label_vectors=MODEL_VECTORS) -> ConditionalAdapterModel:
    config = ConditionalConfig(conditioning=method, adapter_size=8, dim_z=5, max_length=16)
    model = ConditionalAdapterModel.create("tiny", MODEL_LABELS, config, vocabulary=TEXTS, label_vectors=label_vectors)
    torch.manual_seed(1)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.2 * torch.randn_like(parameter)
    return model


def test_tasks_share_a_label_vector():
    model = make_model()
    assert model.heads.weight.shape[0] == 2 + 3
    assert model.shared_labels == {"entailment": ("x/nli", "x/rte"), "not_entailment": ("x/nli", "x/rte")}
    assert model.label_vectors == MODEL_VECTORS
    z = torch.from_numpy(model.task_embeddings["x/nli"][None])
    pooled = model.encode(model.tokenizer(TEXTS, padding=True, return_tensors="pt"), z)
    one, other = model.heads(pooled, torch.tensor([0])), model.heads(pooled, torch.tensor([2]))
    assert torch.equal(one, other.flip(1))  # the same label vectors, in the order of each task's classes
    assert model.predict("x/rte", TEXTS).names == ("no", "yes")


@pytest.mark.parametrize("method", ["pilault", "adapter", "full"])
def test_shared_label_vectors_are_loaded_bit_identically_in_a_new_process(method, tmp_path, run_python):
    model = make_model(method)
    model.remove_task("x/nli")  # its label vectors stay, so the order in the file differs from that of creation
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


def test_earlier_key_rows_in_config_json_is_read(tmp_path):
    model = make_model()
    model.save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    text = file.read_text()
    assert '"label_vectors"' in text
    file.write_text(text.replace('"label_vectors"', '"rows"'))
    assert ConditionalAdapterModel.from_pretrained(tmp_path).label_vectors == MODEL_VECTORS


def test_new_task_with_known_labels_needs_no_training():
    model = make_model()
    before = {task: model.logits(task, TEXTS) for task in MODEL_LABELS}
    z = np.linspace(-1, 1, 5)
    model.add_task("x/unseen", ("same", "other"), z, label_vectors=("entailment", "not_entailment"))
    batch = model.tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        pooled = model.encode(batch, torch.from_numpy(z[None]).float())
        expected = torch.nn.functional.linear(pooled, model.heads.weight[:2], model.heads.bias[:2])
    torch.testing.assert_close(model.logits("x/unseen", TEXTS), expected, rtol=1e-5, atol=1e-6)
    assert all(torch.equal(model.logits(task, TEXTS), before[task]) for task in MODEL_LABELS)
    model.remove_task("x/unseen")
    assert all(torch.equal(model.logits(task, TEXTS), before[task]) for task in MODEL_LABELS)


def test_few_shot_classifier_starts_from_shared_label_vectors_without_changing_them():
    model = make_model()
    before = {task: model.logits(task, TEXTS) for task in MODEL_LABELS}
    classes = {"labels": ("same", "other"), "label_vectors": ("entailment", "not_entailment")}
    report = model.fit_task("my/fitted", [("the cat", "same"), ("a dog", "other")], **classes).fit_report
    assert report.features == "expected z, known classifier"
    assert "my/fitted" not in model.label_vectors
    assert model.predict("my/fitted", ["the cat", "a dog"]).labels == ["same", "other"]
    assert all(torch.equal(model.logits(task, TEXTS), before[task]) for task in MODEL_LABELS)
    with pytest.raises(
        ValueError, match=r"no label vector 'entailmen' among the 2 that tasks share; closest: entailment"
    ):
        model.fit_task("my/odd", [("a", "same"), ("b", "other")], ("same", "other"), label_vectors=("entailmen", "x"))


def test_canonical_names_of_the_catalogue_are_shared():
    tasks = [get_task(name) for name in ("glue/rte", "glue/mnli", "glue/cola")]
    model = ConditionalAdapterModel.create(
        "tiny", {task.name: task.names for task in tasks}, ConditionalConfig(adapter_size=2), vocabulary=TEXTS,
        label_vectors={task.name: task.canonical for task in tasks},
    )  # fmt: skip
    assert model.shared_labels["entailment"] == ("glue/rte", "glue/mnli")


def test_two_classes_of_a_task_cannot_share_a_label_vector():
    twice, model = ("entailment", "entailment"), make_model()
    with pytest.raises(ValueError, match="x/rte: label_vectors gives 'no' and 'yes' the same vector 'entailment'"):
        make_model(label_vectors={"x/rte": twice})
    with pytest.raises(ValueError, match="x/new: label_vectors gives 'a' and 'b' the same vector 'entailment'"):
        model.add_task("x/new", ("a", "b"), label_vectors=twice)
    assert model.task_names == tuple(MODEL_LABELS)
