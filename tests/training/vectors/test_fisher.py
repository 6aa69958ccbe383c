import numpy as np
import pytest
import torch
from metaeval_training.data.encoding import EncodedRows
from metaeval_training.vectors.fisher import fisher_information

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig

VOCABULARY = ["one two three four five six seven eight nine ten"]


def make(conditioning="full", pooling="cls", seed=0):
    """A model with two tasks and classifiers far from zero, and rows of the second task."""
    model = ConditionalAdapterModel.create(
        "tiny",
        labels={"x/first": ("a", "b"), "x/second": ("a", "b", "c")},
        config=ConditionalConfig(conditioning=conditioning, pooling=pooling, adapter_size=4, max_length=16),
        vocabulary=VOCABULARY,
        seed=seed,
    )
    torch.nn.init.normal_(model.heads.weight, std=0.5)
    random = np.random.default_rng(seed)
    lengths = random.integers(2, 9, 23)
    offsets = np.concatenate([[0], lengths.cumsum()])
    tokens = random.integers(5, 15, offsets[-1]).astype(np.int32)
    segments = np.zeros(offsets[-1], dtype=np.int8)
    return model, EncodedRows(tokens, segments, offsets, random.integers(0, 3, 23))


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("conditioning", ["full", "adapter", "pilault"])
def test_the_diagonal_is_that_of_a_hand_computation(conditioning, pooling):
    """One example at a time, without padding: the gradient of log softmax(W h + b)_y is W^T (1_y - p)."""
    model, rows = make(conditioning, pooling)
    model.eval()
    weight = model.heads.weight[2:].detach().double().numpy()  # the rows of the second task, (3, H)
    expected = np.zeros(weight.shape[1])
    for i in range(len(rows)):
        tokens = torch.from_numpy(rows.tokens[rows.offsets[i] : rows.offsets[i + 1]].astype(np.int64))[None]
        batch = {"input_ids": tokens, "token_type_ids": torch.zeros_like(tokens), "attention_mask": None}
        with torch.no_grad():
            logits = model(**batch, task_ids=torch.tensor([1])).logits.double().numpy()[0]
        share = np.exp(logits - logits.max())
        share /= share.sum()
        expected += (weight.T @ (np.eye(3)[rows.labels[i]] - share)) ** 2
    expected /= len(rows)
    got = fisher_information(model, rows, 1, batch_size=5)
    assert expected.min() > 0
    assert got == pytest.approx(expected, rel=1e-4)


def test_it_does_not_depend_on_the_batches_and_leaves_no_gradients():
    model, rows = make()
    assert fisher_information(model, rows, 1, 1) == pytest.approx(fisher_information(model, rows, 1, 64), rel=1e-5)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model.training


def test_a_model_that_is_sure_and_right_has_none():
    model, rows = make()
    with torch.no_grad():
        model.heads.weight.zero_()
        model.heads.bias.copy_(torch.tensor([0.0, 0.0, 0.0, 60.0, 0.0]))
    sure = EncodedRows(rows.tokens, rows.segments, rows.offsets, np.ones_like(rows.labels))
    assert fisher_information(model, sure, 1, 8) == pytest.approx(np.zeros(128), abs=1e-12)
