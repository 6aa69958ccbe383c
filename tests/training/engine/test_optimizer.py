import pytest
import torch
from metaeval_training.engine import optimizer as optim
from metaeval_training.engine.optimizer import RowLazyAdamW, cap_factors, rate_factor
from torch import nn

from metaeval_hub.conditional.conditioning import TaskConditioning

OPTIONS = {"lr": 0.05, "betas": (0.9, 0.98), "eps": 1e-8, "weight_decay": 0.0}


def row_gradients(steps, rows, width, seed=0):
    """Random gradients (steps, rows, width); in each step about half of the rows have none (all zero)."""
    random = torch.Generator().manual_seed(seed)
    grads = torch.randn(steps, rows, width, generator=random)
    return grads * (torch.rand(steps, rows, 1, generator=random) < 0.5)


@pytest.mark.parametrize("picks", [True, False])  # as on a CPU, as on a GPU
@pytest.mark.parametrize("width", [1, 5])
def test_rows_move_as_parameters_of_their_own_in_torch(width, picks, monkeypatch):
    """Compare with torch.optim.AdamW on one parameter per row, with grad None for rows without a gradient."""
    monkeypatch.setattr(optim, "_picks_rows", lambda device: picks)
    grads = row_gradients(60, 4, width)
    start = torch.randn(4, width)
    table = nn.Parameter(start.clone())
    rows = [nn.Parameter(row.clone()) for row in start]
    ours = RowLazyAdamW([{"params": [table], "by_row": True}], **OPTIONS)
    reference = torch.optim.AdamW(rows, **OPTIONS)
    for grad in grads:
        table.grad = grad.clone()
        for row, row_grad in zip(rows, grad, strict=True):
            row.grad = row_grad.clone() if row_grad.any() else None
        ours.step()
        reference.step()
    torch.testing.assert_close(table.detach(), torch.stack([row.detach() for row in rows]), rtol=2e-6, atol=2e-6)


def test_a_vector_moves_entry_by_entry():
    grads = row_gradients(30, 6, 1)
    vector, table = nn.Parameter(torch.ones(6)), nn.Parameter(torch.ones(6, 1))
    optimizer = RowLazyAdamW([{"params": [vector, table], "by_row": True}], **OPTIONS)
    for grad in grads:
        vector.grad, table.grad = grad[:, 0].clone(), grad.clone()
        optimizer.step()
    assert torch.equal(vector, table[:, 0])


def test_absent_rows_do_not_drift():
    """A plain AdamW moves them on by their momentum: the trap this class is for."""
    lazy, plain = nn.Parameter(torch.zeros(2, 3)), nn.Parameter(torch.zeros(2, 3))
    optimizers = [RowLazyAdamW([{"params": [lazy], "by_row": True}], **OPTIONS), torch.optim.AdamW([plain], **OPTIONS)]
    for step in range(10):
        for parameter, optimizer in zip((lazy, plain), optimizers, strict=True):
            parameter.grad = torch.tensor([[1.0] * 3, [float(step == 0)] * 3])
            optimizer.step()
            if step == 0:
                after_one = {id(lazy): lazy[1].clone(), **({id(plain): plain[1].clone()} if parameter is plain else {})}
    assert torch.equal(lazy[1], after_one[id(lazy)])
    assert not torch.equal(plain[1], after_one[id(plain)])


def test_other_groups_are_torchs_adamw_with_decay():
    options = {**OPTIONS, "weight_decay": 0.1}
    ours, theirs, table = nn.Parameter(torch.ones(3, 2)), nn.Parameter(torch.ones(3, 2)), nn.Parameter(torch.ones(2, 2))
    mixed = RowLazyAdamW([{"params": [table], "by_row": True, "weight_decay": 0.0}, {"params": [ours]}], **options)
    reference = torch.optim.AdamW([theirs], **options)
    for grad in row_gradients(20, 3, 2):
        ours.grad, theirs.grad = grad.clone(), grad.clone()
        mixed.step()
        reference.step()
    assert torch.equal(ours, theirs)
    assert torch.equal(table, torch.ones(2, 2))  # never had a gradient


def test_state_survives_a_round_trip():
    grads = row_gradients(20, 4, 3)

    def make():
        parameters = [nn.Parameter(torch.ones(4, 3)), nn.Parameter(torch.ones(4, 3))]
        return parameters, RowLazyAdamW(
            [{"params": parameters[:1], "by_row": True}, {"params": parameters[1:]}], **OPTIONS
        )

    def run(parameters, optimizer, grads):
        for grad in grads:
            for parameter in parameters:
                parameter.grad = grad.clone()
            optimizer.step()

    whole, optimizer = make()
    run(whole, optimizer, grads)
    first, before = make()
    run(first, before, grads[:9])
    second, after = make()
    for parameter, value in zip(second, first, strict=True):
        parameter.data.copy_(value)
    after.load_state_dict(before.state_dict())
    run(second, after, grads[9:])
    assert all(torch.equal(a, b) for a, b in zip(whole, second, strict=True))


def test_rows_refuse_decay_and_scalars():
    with pytest.raises(ValueError, match=r"a by_row group has no weight decay, got 0[.]1"):
        RowLazyAdamW([{"params": [nn.Parameter(torch.ones(2, 2))], "by_row": True, "weight_decay": 0.1}], lr=1.0)
    with pytest.raises(ValueError, match="contains a scalar, which has no rows"):
        RowLazyAdamW([{"params": [nn.Parameter(torch.tensor(1.0))], "by_row": True, "weight_decay": 0.0}], lr=1.0)


@pytest.mark.parametrize(
    ("mean", "cap", "factor"), [(0.4, 1.0, 1.0), (4.0, 1.0, 0.25), (4.0, 2.0, 0.5), (4.0, 0.0, 1.0), (0.0, 1.0, 1.0)]
)
@pytest.mark.parametrize("examples", [1, 8])
def test_the_cap_is_on_the_mean_loss_of_a_task(mean, cap, factor, examples):
    assert cap_factors(torch.tensor([mean * examples]), torch.tensor([float(examples)]), cap).item() == factor


def test_absent_tasks_have_factor_1_and_a_nan_stays_with_the_loss():
    sums = torch.tensor([0.0, 2.0, float("nan")])
    assert cap_factors(sums, torch.tensor([0.0, 1.0, 1.0]), 1.0).tolist() == [1.0, 0.5, 1.0]


def test_an_embedding_that_a_step_did_not_use_stays():
    """With K embeddings per task, only the drawn embeddings of the tasks in the batch change."""
    torch.manual_seed(0)
    conditioning = TaskConditioning(3, 4, embeddings_per_task=2)
    optimizer = RowLazyAdamW([{"params": conditioning.table(), "lr": 0.1, "weight_decay": 0.0, "by_row": True}])

    def step(task: int, draw: int) -> set[int]:
        before = conditioning.task_embedding.detach().clone()
        optimizer.zero_grad()
        conditioning(torch.tensor([task]), draw).pow(2).sum().backward()
        optimizer.step()
        return set((conditioning.task_embedding.detach() != before).any(dim=1).nonzero().flatten().tolist())

    assert step(1, 1) == {3}  # i * K + k
    assert step(1, 0) == {2}  # row 3 has momentum by now
    assert step(2, 1) == {5}


def test_rate_rises_then_falls():
    """6 % of 100 steps up, the rest down to 0, which the step after the last would have."""
    factors = [rate_factor(step, 100, 0.06, "linear") for step in range(100)]
    assert factors[:6] == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1])
    assert factors[6] == 1.0
    assert factors[53] == pytest.approx(0.5)
    assert factors[99] == pytest.approx(1 / 94)
    assert [rate_factor(step, 100, 0, "constant") for step in (0, 50, 99)] == [1.0, 1.0, 1.0]
    assert rate_factor(0, 1, 0.06, "linear") == 1.0
