"""One task as a stock classifier."""

import logging

import pytest
import torch
from transformers import pipeline

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig

TEXTS = ["a cat sat", "a dog ran on the mat"]


@pytest.fixture(scope="module")
def model():
    config = ConditionalConfig(adapter_size=4, dim_z=3, max_length=16)
    labels = {"x/one": ("no", "yes"), "x/three": ("p", "q", "r")}
    return ConditionalAdapterModel.create("tiny", labels, config, vocabulary=TEXTS)


def test_pipeline_gives_the_models_predictions_and_complains_of_nothing(model, caplog):
    classifier = model.for_task("x/three")
    with caplog.at_level(logging.WARNING, logger="transformers"):
        pipe = pipeline("text-classification", model=classifier, tokenizer=classifier.tokenizer, device="cpu")
    assert {record.message for record in caplog.records} <= {"Device set to use cpu"}
    expected = model.predict("x/three", TEXTS)
    for row, scores in zip(expected.probabilities, pipe(TEXTS, top_k=None), strict=True):
        assert {entry["label"]: entry["score"] for entry in scores} == pytest.approx(
            dict(zip(expected.names, row.tolist(), strict=True)), abs=1e-6
        )


def test_pairs_go_through_a_pipeline(model):
    classifier = model.for_task("x/one")
    pipe = pipeline("text-classification", model=classifier, tokenizer=classifier.tokenizer, device="cpu")
    expected = model.predict("x/one", [tuple(TEXTS)])
    found = pipe({"text": TEXTS[0], "text_pair": TEXTS[1]})
    assert found["label"] == expected.labels[0]
    assert found["score"] == pytest.approx(expected.probabilities.max(), abs=1e-6)


def test_loss_is_the_mean_cross_entropy(model):
    batch = model.tokenizer(TEXTS, padding=True, return_tensors="pt")
    out = model.for_task("x/one")(**batch, labels=torch.tensor([0, 1]))
    expected = -out.logits.log_softmax(-1)[[0, 1], [0, 1]].mean()
    torch.testing.assert_close(out.loss, expected)


def test_weights_are_shared_and_not_saved_apart(model, tmp_path):
    classifier = model.for_task("x/one")
    assert classifier.model is model
    with pytest.raises(RuntimeError, match="is a view of its model"):
        classifier.save_pretrained(tmp_path)


def test_it_is_shown_in_a_line(model):
    told = "encoder: tiny, conditioning: pilault, z of 3"
    assert repr(model.for_task("x/three")) == f"TaskClassifier('x/three', classes: p, q, r; {told})"
    assert repr(model) == f"ConditionalAdapterModel(2 tasks: x/one, x/three; {told})"
    many = ConditionalAdapterModel.create(
        "tiny", {"x/many": [str(i) for i in range(9)]}, ConditionalConfig(conditioning="full"), vocabulary=TEXTS
    )
    told = "encoder: tiny, conditioning: full"
    assert repr(many) == f"ConditionalAdapterModel(1 task: x/many; {told})"
    assert repr(many.for_task("x/many")) == f"TaskClassifier('x/many', classes: 0, 1, 2, 3, 4 and 4 more; {told})"


def test_an_unknown_task_names_the_closest(model):
    with pytest.raises(KeyError, match="closest: x/three"):
        model.for_task("x/thre")
