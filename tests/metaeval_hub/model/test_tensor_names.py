"""Models that earlier releases stored, attached with `adapters`, give the same bits."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig, UnsafeRepositoryError
from metaeval_hub.model.tensor_names import current_name
from metaeval_hub.model.trained_tensors import add_attention_biases
from metaeval_hub.safe_files.encoder_files import MODEL_TYPES
from tests.metaeval_hub.safe_files.test_hostile import tiny_encoder

LABELS = {"x/two": ("no", "yes"), "x/three": ("p", "q", "r")}
TEXTS = ["the cat sat on the mat", "a dog ran"]
PLACES = {
    "distilbert": ("transformer.layer", "attention_adapters", "output_adapters"),
    "modernbert": ("layers", "attention_adapters", "output_adapters"),
}


def old_name(kind: str, name: str) -> str:
    """Return the name that `adapters` gave a tensor."""
    if name.startswith("adapter.conditioning."):
        return name.replace("adapter.conditioning.", "encoder.shared_parameters.metaeval.")
    if not name.startswith("adapter.layers."):
        return name
    layers, attention, output = PLACES.get(kind, ("encoder.layer", "attention.output", "output"))
    number, place, rest = name.removeprefix("adapter.layers.").split(".", 2)
    return f"encoder.{layers}.{number}.{attention if place == 'attention' else output}.adapters.metaeval.{rest}"


@pytest.fixture
def model(request, tmp_path):
    tiny_encoder(tmp_path / "encoder", request.param)
    config = ConditionalConfig(adapter_size=4, dim_z=3, max_length=16)
    model = ConditionalAdapterModel.create(tmp_path / "encoder", LABELS, config)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter) * parameter.requires_grad
    return model


def store_as_before(model, folder):
    """Save a model with the tensor names of earlier releases."""
    kind = model.encoder.config.model_type
    model.save_pretrained(folder)
    tensors = {old_name(kind, name): tensor for name, tensor in load_file(folder / "model.safetensors").items()}
    words = model.encoder.get_input_embeddings().weight.detach().clone()
    save_file({**tensors, "encoder.prompt_tuning.base_model_embeddings.weight": words}, folder / "model.safetensors")
    return tensors


@pytest.mark.parametrize("model", sorted(MODEL_TYPES), indirect=True)
def test_a_model_stored_before_gives_the_same_bits(model, tmp_path):
    tensors = store_as_before(model, tmp_path / "old")
    assert {current_name(name) for name in tensors} == set(model.trained_state())
    assert "encoder.shared_parameters.metaeval.task_embedding" in tensors
    loaded = ConditionalAdapterModel.from_pretrained(tmp_path / "old")
    for task in LABELS:
        assert torch.equal(loaded.logits(task, TEXTS), model.logits(task, TEXTS))
    loaded.save_pretrained(tmp_path / "new")
    assert set(load_file(tmp_path / "new/model.safetensors")) == set(model.trained_state())


@pytest.mark.parametrize("model", ["modernbert"], indirect=True)
def test_attention_biases_that_a_model_was_trained_with_are_kept(model, tmp_path):
    """Earlier releases gave ModernBERT's attention random biases and stored them."""
    without = model.logits("x/two", TEXTS)
    add_attention_biases(model.encoder)
    for layer in model.encoder.layers:
        torch.nn.init.normal_(layer.attn.Wqkv.bias)
    expected = model.logits("x/two", TEXTS)
    assert not torch.allclose(expected, without)
    tensors = store_as_before(model, tmp_path / "old")
    assert "encoder.layers.0.attn.Wqkv.bias" in tensors
    folder = tmp_path / "old"
    for again in ("once", "twice"):
        loaded = ConditionalAdapterModel.from_pretrained(folder)
        assert torch.equal(loaded.logits("x/two", TEXTS), expected)
        assert not any(layer.attn.Wqkv.bias.requires_grad for layer in loaded.encoder.layers)
        folder = loaded.save_pretrained(tmp_path / again)


@pytest.mark.parametrize("model", ["bert"], indirect=True)
def test_biases_are_refused_in_another_encoder(model, tmp_path):
    tensors = store_as_before(model, tmp_path)
    save_file({**tensors, "encoder.layers.0.attn.Wqkv.bias": torch.zeros(3)}, tmp_path / "model.safetensors")
    with pytest.raises(UnsafeRepositoryError, match=r"1 unknown \(encoder\.layers\.0\.attn\.Wqkv\.bias\)"):
        ConditionalAdapterModel.from_pretrained(tmp_path)
