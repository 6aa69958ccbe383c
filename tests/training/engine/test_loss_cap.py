"""The factor that limits a task's loss, against values computed by hand."""

import math

import pytest
import torch
from metaeval_training.engine.loss_cap import RUNNING_DECAY, LossCap

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("mean", "cap", "factor"), [(0.4, 1.0, 1.0), (4.0, 1.0, 0.25), (4.0, 2.0, 0.5), (4.0, 0.0, 1.0), (0.0, 1.0, 1.0)]
)
@pytest.mark.parametrize("examples", [1, 8])
def test_the_cap_is_on_the_mean_loss_of_a_task(mean, cap, factor, examples):
    limit = LossCap(cap, "step", [2], CPU)
    assert limit.factors(torch.tensor([mean * examples]), torch.tensor([float(examples)])).item() == factor


@pytest.mark.parametrize("cap_by", ["step", "running", "classes"])
def test_absent_tasks_have_factor_1_and_a_nan_stays_with_the_loss(cap_by):
    sums = torch.tensor([0.0, 200.0, float("nan")])
    factors = LossCap(1.0, cap_by, [2, 2, 2], CPU).factors(sums, torch.tensor([0.0, 100.0, 1.0]))
    assert factors.tolist() == pytest.approx([1.0, math.log(2) / 2 if cap_by == "classes" else 0.5, 1.0])


def test_a_cap_by_classes_is_in_multiples_of_the_loss_of_a_uniform_guess():
    """At that loss no task is scaled down, whatever its number of classes; a task with one class has a loss of 0."""
    classes = [1, 2, 3, 18]
    uniform = torch.tensor([math.log(count) for count in classes])
    limit = LossCap(1.0, "classes", classes, CPU)
    assert limit.factors(uniform, torch.ones(4)).tolist() == pytest.approx([1.0] * 4)
    assert limit.factors(2 * uniform, torch.ones(4)).tolist() == pytest.approx([1.0, 0.5, 0.5, 0.5])
    assert LossCap(0.5, "classes", classes, CPU).factors(uniform * 3, torch.full((4,), 3.0))[3].item() == pytest.approx(
        0.5
    )


def test_a_running_cap_compares_the_mean_over_the_steps_of_a_task():
    limit = LossCap(1.0, "running", [2, 2], CPU)
    assert limit.factors(torch.tensor([8.0, 0.0]), torch.tensor([2.0, 0.0])).tolist() == [0.25, 1.0]
    mean = RUNNING_DECAY * 4.0 + (1 - RUNNING_DECAY) * 0.5  # one easy example does not undo a history of hard ones
    factors = limit.factors(torch.tensor([0.5, 6.0]), torch.tensor([1.0, 3.0])).tolist()
    assert factors == pytest.approx([1 / mean, 0.5])
    again = limit.factors(torch.tensor([0.0, 0.0]), torch.tensor([0.0, 0.0])).tolist()
    assert again == [1.0, 1.0]  # absent tasks; their running means stay
    assert limit.running.tolist() == pytest.approx([mean, 2.0])


def test_the_running_means_survive_a_checkpoint():
    first, second = (LossCap(1.0, "running", [2, 2], CPU) for _ in range(2))
    first.factors(torch.tensor([8.0, 0.0]), torch.tensor([2.0, 0.0]))
    second.restore(first.state())
    step = torch.tensor([3.0, 3.0]), torch.tensor([1.0, 1.0])
    assert torch.equal(first.factors(*step), second.factors(*step))
    with pytest.raises(KeyError):
        second.restore({})
    assert LossCap(1.0, "step", [2], CPU).state() == {}
