"""A training pass leaves out what no classifier reads, and computes the same function."""

import numpy as np
import pytest
import torch

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig
from metaeval_hub.encoders.last_layer import CUT
from metaeval_hub.safe_files.encoder_files import MODEL_TYPES
from tests.metaeval_hub.safe_files.test_hostile import tiny_encoder

LABELS = {"x/two": ("no", "yes"), "x/three": ("p", "q", "r")}
TEXTS = ["the cat sat on the mat", "a dog ran", "a mat"]


def make(encoder="tiny", **fields):
    options = {"vocabulary": TEXTS} if encoder == "tiny" else {}
    config = ConditionalConfig(adapter_size=4, dim_z=5, max_length=16, **fields)
    model = ConditionalAdapterModel.create(encoder, LABELS, config, **options)
    torch.manual_seed(1)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.2 * torch.randn_like(parameter)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model.double()  # so that rounding stays far below what is compared


def tokens_behind(model, call):
    """Hidden states that leave the encoder, (B, T or 1, H)."""
    seen = []
    handle = model.encoder.register_forward_hook(lambda *parts: seen.append(parts[-1].last_hidden_state.shape[1]))
    call()
    handle.remove()
    return seen


def gradients(model, training):
    """Of all that is trained, in one mode or the other; without dropout the modes differ in the cut alone."""
    model.train(training)
    batch = model.tokenizer(TEXTS, padding=True, return_tensors="pt")
    model.zero_grad()
    model(**batch, task_ids=torch.tensor([0, 1, 1]), labels=torch.tensor([1, 2, 0])).loss.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.requires_grad])


@pytest.mark.parametrize("kind", sorted(MODEL_TYPES))
@pytest.mark.parametrize("method", ["pilault", "layernorm", "mahabadi", "adapter", "full"])
def test_gradients_are_those_of_the_whole_pass(kind, method, tmp_path):
    tiny_encoder(tmp_path / "encoder", kind)
    model = make(tmp_path / "encoder", conditioning=method)
    found, expected = (gradients(model, training).numpy() for training in (True, False))
    np.testing.assert_allclose(found, expected, atol=1e-12 * np.abs(expected).max(), rtol=1e-9)
    (left,) = tokens_behind(model, lambda: gradients(model, training=True))
    assert (left == 1) is (kind in CUT)


def test_only_training_with_the_first_token_is_cut():
    assert tokens_behind(model := make(), lambda: gradients(model, training=False)) == [8]
    assert tokens_behind(model, lambda: model.train().logits("x/two", TEXTS)) == [8]
    assert tokens_behind(model := make(pooling="mean"), lambda: gradients(model, training=True)) == [8]


def test_checkpointing_computes_the_layers_whole():
    model = make(encoder_dropout=True)  # layers checkpoint in training mode alone
    expected = gradients(model, training=True)
    model.encoder.gradient_checkpointing_enable({"use_reentrant": False})
    torch.testing.assert_close(gradients(model, training=True), expected)
