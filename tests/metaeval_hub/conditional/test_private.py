import pytest
import torch

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig
from metaeval_hub.conditional.private import PrivateUpdates, low_rank

LABELS = {"x/one": ("a", "b"), "x/two": ("a", "b", "c"), "x/three": ("a", "b")}
TEXTS = ["red green blue", "one two", "cat dog cow red one", "six"]


def create(seed=0, **config):
    return ConditionalAdapterModel.create(
        "tiny", LABELS, ConditionalConfig(pooling="mean", private_rank=2, **config), vocabulary=TEXTS, seed=seed
    )


def give_private_part(model, task, seed=0):
    generator = torch.Generator().manual_seed(seed)
    up = model.adapter.private.up
    with torch.no_grad():
        up[model.task_id(task)] = torch.randn(up.shape[1:], generator=generator) * 0.1
    model.find_private_tasks()


@pytest.fixture
def model():
    made = create()
    give_private_part(made, "x/one")
    give_private_part(made, "x/two", seed=1)
    return made


def test_the_update_is_the_product_of_two_matrices():
    torch.manual_seed(0)
    hidden, down, up = torch.randn(3, 5, 8), torch.randn(3, 2, 8), torch.randn(3, 8, 2)
    expected = torch.einsum("bhr,brk,btk->bth", up, down, hidden)
    assert torch.allclose(low_rank(hidden, down, up), expected, atol=1e-5)
    alone = torch.stack([low_rank(hidden[i : i + 1], down[i : i + 1], up[i : i + 1])[0] for i in range(3)])
    assert torch.allclose(alone, expected, atol=1e-5)


def test_a_private_part_that_was_not_trained_changes_nothing():
    plain = ConditionalAdapterModel.create("tiny", LABELS, ConditionalConfig(pooling="mean"), vocabulary=TEXTS)
    assert torch.equal(create().logits("x/two", TEXTS), plain.logits("x/two", TEXTS))
    assert create().private_tasks == set()


def test_it_changes_its_task_alone_and_a_mixed_batch_gives_the_same_answers(model):
    plain = create()
    assert (model.logits("x/one", TEXTS) - plain.logits("x/one", TEXTS)).abs().max() > 1e-3
    assert torch.allclose(model.logits("x/three", TEXTS), plain.logits("x/three", TEXTS), atol=1e-6)
    together = model.predict_tasks(list(LABELS), TEXTS)
    for task in LABELS:
        alone = model.predict(task, TEXTS).probabilities
        assert together[task].probabilities == pytest.approx(alone, abs=1e-6)


@pytest.mark.parametrize("conditioning", ["pilault", "adapter"])
def test_it_is_stored_with_the_model(tmp_path, conditioning):
    model = create(conditioning=conditioning)
    give_private_part(model, "x/two")
    model.save_pretrained(tmp_path / "model")
    loaded = ConditionalAdapterModel.from_pretrained(tmp_path / "model")
    assert loaded.private_tasks == {"x/two"}
    assert torch.equal(loaded.logits("x/two", TEXTS), model.logits("x/two", TEXTS))
    together = loaded.predict_tasks(list(LABELS), TEXTS)
    assert together["x/two"].probabilities == pytest.approx(model.predict("x/two", TEXTS).probabilities, abs=1e-6)


def test_added_and_removed_tasks_leave_the_others_as_they_are(model):
    before = model.logits("x/two", TEXTS)
    model.add_task("x/new", ("a", "b"))
    assert model.private_tasks == {"x/one", "x/two"}
    model.remove_task("x/one")
    assert model.private_tasks == {"x/two"}
    assert torch.equal(model.logits("x/two", TEXTS), before)
    assert len(model.adapter.private.up) == 3


def test_the_numbers_per_task_are_counted(model):
    private = PrivateUpdates(n_tasks=5, places=12, hidden_size=384, rank=4)
    assert private.numbers_per_task() == 36_864
    own = model.adapter.private.numbers_per_task()
    assert model.trained_numbers()["private"] == 2 * own
    assert "private" not in model.trainable_groups()
    shared = {id(parameter) for group in model.trainable_groups().values() for parameter in group}
    assert not shared & {id(parameter) for parameter in model.adapter.private.parameters()}


@pytest.mark.parametrize(("conditioning", "rank"), [("full", 2), ("pilault", -1), ("pilault", True)])
def test_ranks_that_do_not_fit_are_refused(conditioning, rank):
    with pytest.raises(ValueError, match="private_rank"):
        ConditionalConfig(conditioning, private_rank=rank)
