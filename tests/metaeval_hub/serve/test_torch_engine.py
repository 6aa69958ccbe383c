"""A pass over several tasks gives the answers of ``predict``."""

import numpy as np
import pytest
import torch

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig
from metaeval_hub.serve.limits import Limits
from metaeval_hub.serve.torch_engine import TorchEngine
from tests.metaeval_hub.serve.running import running

LABELS = {"x/one": ("no", "yes"), "x/pair": ("same", "other", "none"), "x/any": ("a", "b")}
WORDS = ["a", "cat", "sat", "and", "a", "dog", "ran", "in", "the", "rain"]


def make(**config):
    values = {"adapter_size": 4, "dim_z": 3, "max_length": 16, **config}
    model = ConditionalAdapterModel.create(
        "tiny", LABELS, ConditionalConfig(**values), vocabulary=[" ".join(WORDS)], fields={"x/one": 1, "x/pair": 2}
    )
    with torch.no_grad():  # z and the classifiers have to matter
        for parameter in (*model.trainable_groups()["map"], *model.trainable_groups()["head"]):
            parameter.normal_()
    return model


def questions(count=24):
    tasks = [tuple(LABELS)[i % 3] for i in range(count)]
    texts = [" ".join(WORDS[: 1 + i * 7 % 10]) for i in range(count)]
    return tasks, [(text, "a dog") if task == "x/pair" else text for task, text in zip(tasks, texts, strict=True)]


def expected(model, tasks, texts):
    return [model.predict(task, [text]).probabilities[0] for task, text in zip(tasks, texts, strict=True)]


@pytest.mark.parametrize(
    "config",
    [{}, {"conditioning": "layernorm"}, {"conditioning": "mahabadi"}, {"conditioning": "adapter"}, {"pooling": "mean"}],
    ids=str,
)
def test_mixed_tasks_equal_predict(config):
    model = make(**config)
    engine = TorchEngine(model)
    tasks, texts = questions()
    found = engine.probabilities(engine.rows(tasks, texts))
    for one, other in zip(found, expected(model, tasks, texts), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_weights_that_compute_nan_are_an_error():
    model = make()
    with torch.no_grad():
        model.heads.bias.fill_(torch.nan)
    engine = TorchEngine(model)
    with pytest.raises(FloatingPointError, match="not finite"):
        engine.probabilities(engine.rows(["x/one"], ["a cat"]))


def test_answers_over_http_equal_predict():
    model = make()
    engine = TorchEngine(model)
    engine.held = None
    tasks, texts = questions()
    with running(engine, Limits(batch=8)) as client:
        inputs = [{"task": task, "text": text} for task, text in zip(tasks, texts, strict=True)]
        status, answer = client.predict({"inputs": inputs})
    assert status == 200
    for task, prediction, other in zip(tasks, answer["predictions"], expected(model, tasks, texts), strict=True):
        assert prediction["task"] == task
        assert list(prediction["probabilities"]) == list(LABELS[task])
        np.testing.assert_allclose(list(prediction["probabilities"].values()), other, atol=1e-5)
        assert prediction["label"] == LABELS[task][int(other.argmax())]
