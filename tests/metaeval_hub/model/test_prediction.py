"""Several tasks over the same texts: the same probabilities as separately, in fewer and fuller batches."""

import numpy as np
import pytest
import torch

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig
from metaeval_hub.conditional.places import can_repeat_inside
from metaeval_hub.safe_files.encoder_files import MODEL_TYPES
from tests.metaeval_hub.safe_files.test_hostile import tiny_encoder

LABELS = {"x/two": ("no", "yes"), "x/three": ("p", "q", "r"), "x/four": tuple("abcd")}
TEXTS = ["the cat sat on the mat", "a dog ran", "the dog sat very very very still on a mat", "the cat", "a mat"]
PAIRS = [(text, "the cat") for text in TEXTS]
METHODS = ["pilault", "layernorm", "mahabadi", "adapter", "full"]


def make(encoder="tiny", method="pilault", pooling="cls"):
    config = ConditionalConfig(conditioning=method, adapter_size=4, dim_z=5, max_length=16, pooling=pooling)
    options = {"vocabulary": TEXTS} if encoder == "tiny" else {}
    model = ConditionalAdapterModel.create(encoder, LABELS, config, fields={"x/four": 1}, **options)
    torch.manual_seed(1)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.2 * torch.randn_like(parameter)
    return model.double()  # so that rounding, which depends on padding, is far below the tolerance


def rows_seen(model, call):
    """Return the numbers of rows that passed the embedding layer and the encoder."""
    seen = []
    model.encoder.embeddings.register_forward_hook(lambda *parts: seen.append(len(parts[-1])))
    model.encoder.register_forward_hook(lambda *parts: seen.append(len(parts[-1].last_hidden_state)))
    call()
    return seen


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("method", METHODS)
def test_several_tasks_together_agree_with_each_alone(method, pooling):
    model = make(method=method, pooling=pooling)
    for batch_size in (1, 2, 4, 64):
        found = model.predict_tasks(list(LABELS), TEXTS, batch_size=batch_size)
        assert list(found) == list(LABELS)
        for task, prediction in found.items():
            alone = model.predict(task, TEXTS)
            np.testing.assert_allclose(prediction.probabilities, alone.probabilities, atol=1e-6)
            assert (prediction.labels, prediction.names) == (alone.labels, alone.names)


@pytest.mark.parametrize("kind", sorted(MODEL_TYPES))
def test_encoders_of_each_type(kind, tmp_path):
    tiny_encoder(tmp_path / "encoder", kind)
    model = make(tmp_path / "encoder")
    for task, prediction in model.predict_tasks(["x/three", "x/two"], PAIRS, batch_size=5).items():
        np.testing.assert_allclose(prediction.probabilities, model.predict(task, PAIRS).probabilities, atol=1e-6)
    first, last = rows_seen(model, lambda: model.predict_tasks(["x/three", "x/two"], PAIRS[:2], batch_size=4))
    assert last == 4
    assert first == (2 if can_repeat_inside(model.encoder) else 4)  # what precedes the first adapter is computed once


def test_baseline_without_task_embeddings_encodes_each_text_once():
    model = make(method="full")
    assert rows_seen(model, lambda: model.predict_tasks(list(LABELS), TEXTS)) == [5, 5]


def test_predicting_leaves_the_model_unchanged():
    model = make().train()
    before = model.logits("x/two", TEXTS)
    model.predict_tasks(list(LABELS), TEXTS)
    assert model.training
    assert torch.equal(model.logits("x/two", TEXTS), before)


def test_invalid_predictions_are_refused():
    model = make()
    assert model.predict_tasks([], TEXTS) == {}
    assert model.predict_tasks(["x/two"], [])["x/two"].labels == []
    with pytest.raises(TypeError, match=r"names is one string; expected a list of tasks, such as \['x/two'\]"):
        model.predict_tasks("x/two", TEXTS)
    with pytest.raises(ValueError, match="names that come more than once: x/two"):
        model.predict_tasks(["x/two", "x/two"], TEXTS)
    with pytest.raises(KeyError, match="no task 'x/twoo'"):
        model.predict_tasks(["x/two", "x/twoo"], TEXTS)
    with pytest.raises(TypeError, match="x/four is a task over texts"):
        model.predict_tasks(["x/two", "x/four"], PAIRS)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        model.predict_tasks(["x/two"], TEXTS, batch_size=0)
