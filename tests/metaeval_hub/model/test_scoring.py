"""``model.evaluate`` gives the scores of the metric, for rows in any form."""

import pandas as pd
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Value

from metaeval_datasets.metric.scores import score_predictions
from metaeval_hub import ConditionalAdapterModel, ConditionalConfig

TEXTS, CLASSES = ["a cat", "a dog", "the cat", "the dog", "cat dog"], ["no", "yes", "yes", "yes", "no"]


@pytest.fixture(scope="module")
def model():
    labels = {"x/one": ("no", "yes"), "x/pair": ("no", "yes")}
    config = ConditionalConfig(adapter_size=4, dim_z=3, max_length=16)
    model = ConditionalAdapterModel.create(
        "tiny", labels, config, vocabulary=["a the cat dog"], fields={"x/one": 1, "x/pair": 2}
    )
    with torch.no_grad():
        model.heads.weight += 1.0
        model.heads.weight[0] = -1.0
        logits = model.logits("x/one", TEXTS)
        model.heads.bias[0] = (logits[:, 1] - logits[:, 0]).median()  # both classes are predicted
    return model


def test_scores_are_those_of_the_predictions_for_every_form_of_rows(model):
    numbers = [("no", "yes").index(each) for each in CLASSES]
    predicted = [("no", "yes").index(each) for each in model.predict("x/one", TEXTS).labels]
    assert len({*predicted}) == 2
    expected = score_predictions(numbers, predicted, 2)
    assert list(expected) == ["accuracy", "macro_f1", "matthews"]
    features = Features(sentence=Value("string"), label=ClassLabel(names=["yes", "no"]))  # in another order
    other = Dataset.from_dict({"sentence": TEXTS, "label": [1 - each for each in numbers]}, features=features)
    rows = [{"text": text, "label": label} for text, label in zip(TEXTS, CLASSES, strict=True)]
    for data in (other, rows, pd.DataFrame(rows), list(zip(TEXTS, numbers, strict=True))):
        assert model.evaluate("x/one", data) == expected


def test_wrong_rows_are_refused(model):
    with pytest.raises(TypeError, match="x/pair is a task over pairs of texts"):
        model.evaluate("x/pair", [("a cat", "no")])
    with pytest.raises(ValueError, match="example 0 has class 'maybe'; expected one of"):
        model.evaluate("x/one", [("a cat", "maybe")])
    with pytest.raises(KeyError, match="closest: x/one"):
        model.evaluate("x/onee", [("a cat", "no")])
