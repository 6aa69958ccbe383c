"""Classifiers of all tasks in one matrix."""

import pytest
import torch

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
def test_rows_of_absent_tasks_get_no_gradient(task_ids):
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
    """Rows by first mention: yes, no of "one"; the three of "two", its own; then maybe."""
    torch.manual_seed(0)
    heads = TaskHeads(4, {**LABELS, "three": ("x", "y", "z")}, SHARED).double()
    torch.nn.init.normal_(heads.bias)
    return heads


def test_classes_of_the_same_row_name_share_a_row():
    heads, pooled = make_shared(), torch.randn(3, 4, dtype=torch.float64)
    assert heads.weight.shape == (6, 4)
    assert heads.shared == ("yes", "no", "maybe")
    rows = [1, 5, 0]  # no, maybe, yes
    expected = pooled @ heads.weight[rows].T + heads.bias[rows]
    torch.testing.assert_close(heads(pooled, torch.tensor([2])), expected)
    mixed = heads(pooled, torch.tensor([0, 2, 1]))
    torch.testing.assert_close(mixed[1], expected[1])
    torch.testing.assert_close(mixed[0, :2], pooled[0] @ heads.weight[:2].T + heads.bias[:2])
    assert mixed[0, 2] == -torch.inf
    loss = heads(pooled, torch.tensor([2])).pow(2).sum()
    (gradient,) = torch.autograd.grad(loss, [heads.weight])
    assert gradient.any(dim=1).tolist() == [True, True, False, False, False, True]


def test_shared_rows_stay_while_a_task_uses_them():
    heads, pooled = make_shared(), torch.randn(3, 4, dtype=torch.float64)
    three, two = heads(pooled, torch.tensor([2])), heads(pooled, torch.tensor([1]))
    heads.remove(["one"])
    assert torch.equal(heads(pooled, torch.tensor([0])), two)
    assert torch.equal(heads(pooled, torch.tensor([1])), three)
    assert heads.shared == ("no", "maybe", "yes")  # the order in which the tasks left name them, as in a new model
    heads.append({"one": ("a", "b"), "four": ("p", "q")}, {"one": ("maybe", "new")})
    assert torch.equal(heads(pooled, torch.tensor([1])), three)
    assert torch.equal(heads(pooled, torch.tensor([2]))[:, 0], three[:, 1])
    assert not heads(pooled, torch.tensor([2]))[:, 1].any()
    assert not heads(pooled, torch.tensor([3])).any()
    heads.remove(["three", "two"])
    assert heads.shared == ("maybe", "new")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"one": ("yes", "yes")}, "one: label_vectors gives 'a' and 'b' the same vector 'yes'"),
        ({"one": ("yes",)}, r"one: label_vectors is \('yes',\); expected a name for each of \['a', 'b'\]"),
        ({"one": "no"}, "one: label_vectors is 'no'"),
        ({"one": ("yes", 1)}, "one: label_vectors is"),
        ({"zero": ("yes", "no")}, "'zero' has label_vectors but no labels"),
    ],
)
def test_row_names_that_do_not_fit_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        TaskHeads(4, LABELS, rows)
    heads = make()
    before = heads.weight
    with pytest.raises(ValueError, match=message.replace("one", "new").replace("zero", "other")):
        heads.append({"new": ("a", "b")}, {task.replace("one", "new").replace("zero", "other"): row
                                           for task, row in rows.items()})  # fmt: skip
    assert heads.weight is before


@pytest.mark.parametrize("names", [("only",), ("same", "same")])
def test_labels_that_make_no_task_are_refused(names):
    with pytest.raises(ValueError, match="bad/task: expected two or more different class names"):
        TaskHeads(4, {"bad/task": names})
