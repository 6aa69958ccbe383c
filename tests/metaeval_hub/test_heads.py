"""Classifiers of all tasks in one matrix."""

import pytest
import torch

from metaeval_hub.heads import TaskHeads

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


@pytest.mark.parametrize("names", [("only",), ("same", "same")])
def test_labels_that_make_no_task_are_refused(names):
    with pytest.raises(ValueError, match="bad/task: expected two or more different class names"):
        TaskHeads(4, {"bad/task": names})
