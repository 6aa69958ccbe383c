"""One task as a standard sequence classifier."""

import copy
import logging
import math
import pickle

import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file
from transformers import Trainer, TrainingArguments, pipeline

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig, UnsafeRepositoryError

TEXTS = ["a cat sat", "a dog ran on the mat"]


@pytest.fixture(scope="module")
def model():
    config = ConditionalConfig(adapter_size=4, dim_z=3, max_length=16)
    labels = {"x/one": ("no", "yes"), "x/three": ("p", "q", "r")}
    return ConditionalAdapterModel.create("tiny", labels, config, vocabulary=TEXTS)


def test_pipeline_gives_the_models_predictions_without_warnings(model, caplog):
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


def test_old_classifier_refuses_a_task_added_again_with_other_classes():
    config = ConditionalConfig(adapter_size=4, dim_z=3, max_length=16)
    model = ConditionalAdapterModel.create("tiny", {"a": ("no", "yes"), "b": ("p", "q")}, config, vocabulary=TEXTS)
    classifier, batch = model.for_task("a"), model.tokenizer(TEXTS, padding=True, return_tensors="pt")
    model.remove_task("a")
    model.add_task("a", ("yes", "no"))
    with pytest.raises(ValueError, match=r"its classes were no, yes and are yes, no; call for_task\('a'\) again"):
        classifier(**batch)
    assert model.for_task("a")(**batch).logits.shape == (2, 2)


def test_loss_is_the_mean_cross_entropy(model):
    batch = model.tokenizer(TEXTS, padding=True, return_tensors="pt")
    out = model.for_task("x/one")(**batch, labels=torch.tensor([0, 1]))
    expected = -out.logits.log_softmax(-1)[[0, 1], [0, 1]].mean()
    torch.testing.assert_close(out.loss, expected)


def test_weights_are_shared_and_saved_whole(model, tmp_path):
    classifier = model.for_task("x/one")
    assert classifier.model is model
    classifier.save_pretrained(tmp_path)
    loaded = ConditionalAdapterModel.from_pretrained(tmp_path)
    assert torch.equal(loaded.logits("x/three", TEXTS), model.logits("x/three", TEXTS))


def test_trainer_trains_saves_and_resumes(tmp_path):
    config = ConditionalConfig(adapter_size=4, dim_z=3, max_length=16)

    def train(steps, **options):
        model = ConditionalAdapterModel.create("tiny", {"x/one": ("no", "yes")}, config, vocabulary=TEXTS)
        classifier = model.for_task("x/one")
        data = Dataset.from_dict({**classifier.tokenizer(TEXTS * 4, truncation=True), "labels": [0, 1] * 4})
        arguments = TrainingArguments(
            tmp_path / "out", max_steps=steps, save_steps=2, per_device_train_batch_size=2, report_to=[], use_cpu=True,
            disable_tqdm=True, learning_rate=0.01, gradient_accumulation_steps=2, lr_scheduler_type="constant",
            logging_steps=1,
        )  # fmt: skip
        trainer = Trainer(classifier, arguments, train_dataset=data, processing_class=classifier.tokenizer)
        trainer.train(**options)
        return model, [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]

    whole, losses = train(4)
    assert losses[0] == pytest.approx(math.log(2), abs=0.2)  # the mean of two batches, not their sum
    model, _ = train(4, resume_from_checkpoint=str(tmp_path / "out/checkpoint-2"))
    torch.testing.assert_close(model.logits("x/one", TEXTS), whole.logits("x/one", TEXTS))
    for pickled in [path for end in ("bin", "pt", "pth") for path in (tmp_path / "out/checkpoint-4").glob(f"*.{end}")]:
        with pytest.raises(UnsafeRepositoryError, match="contains code, or a pickle"):
            ConditionalAdapterModel.from_pretrained(tmp_path / "out/checkpoint-4")
        pickled.unlink()
    loaded = ConditionalAdapterModel.from_pretrained(tmp_path / "out/checkpoint-4")
    assert torch.equal(loaded.logits("x/one", TEXTS), model.logits("x/one", TEXTS))


def test_trainer_restores_the_best_model(tmp_path):
    config = ConditionalConfig(adapter_size=4, dim_z=3, max_length=16)
    model = ConditionalAdapterModel.create("tiny", {"x/one": ("no", "yes")}, config, vocabulary=TEXTS)
    classifier, chosen = model.for_task("x/one"), iter([1.0, 0.0])
    data = Dataset.from_dict({**classifier.tokenizer(TEXTS, truncation=True), "labels": [0, 1]})
    arguments = TrainingArguments(
        tmp_path / "out", max_steps=2, save_steps=1, eval_steps=1, eval_strategy="steps", report_to=[], use_cpu=True,
        disable_tqdm=True, learning_rate=0.1, load_best_model_at_end=True, metric_for_best_model="chosen",
    )  # fmt: skip
    trainer = Trainer(
        classifier, arguments, train_dataset=data, eval_dataset=data, processing_class=classifier.tokenizer,
        compute_metrics=lambda _: {"chosen": next(chosen)},
    )  # fmt: skip
    trainer.train()
    stored = [load_file(tmp_path / f"out/checkpoint-{step}/model.safetensors") for step in (1, 2)]
    name = "adapter.conditioning.task_embedding"
    assert not torch.equal(stored[0][name], stored[1][name])
    assert torch.equal(model.trained_state()[name], stored[0][name])


def test_texts_that_another_tokenizer_made_unreadable_are_refused(model):
    classifier = model.for_task("x/one")
    with pytest.raises(ValueError, match="texts are padded on the left; pad them on the right"):
        classifier(torch.tensor([[0, 2, 3], [2, 5, 3]]), torch.tensor([[0, 1, 1], [1, 1, 1]]))
    pipe = pipeline("text-classification", model=classifier, tokenizer=classifier.tokenizer, device="cpu")
    with pytest.raises(
        ValueError, match=r"a text has 201 tokens, and the encoder takes at most 128; .*truncation=True"
    ):
        pipe("a " * 199)


@pytest.mark.parametrize("method", ["pilault", "adapter", "full"])
@pytest.mark.parametrize("way", ["pickle", "torch", "deepcopy"])
def test_models_are_pickled_and_copied(method, way, tmp_path):
    config = ConditionalConfig(conditioning=method, adapter_size=4, dim_z=3, max_length=16)
    model = ConditionalAdapterModel.create("tiny", {"x/a": ("no", "yes")}, config, vocabulary=TEXTS, fields={"x/a": 1})
    model.add_task("x/b", ("p", "q", "r"))
    view = model.bfloat16().for_task("x/b")
    model.train().heads.bias.requires_grad = False

    def through(value):
        if way == "torch":
            torch.save(value, tmp_path / "value")
            return torch.load(tmp_path / "value", weights_only=False)
        return copy.deepcopy(value) if way == "deepcopy" else pickle.loads(pickle.dumps(value))

    classifier = through(view)
    for again in (through(model), classifier.model):
        assert again.training
        assert (again.dtype, again.labels, again.fields) == (torch.bfloat16, model.labels, {"x/a": 1})
        assert torch.equal(again.logits("x/b", TEXTS), model.logits("x/b", TEXTS))
        assert {n for n, p in again.named_parameters() if p.requires_grad} == {
            n for n, p in model.named_parameters() if p.requires_grad
        }
        again.heads.weight.data += 1  # must not share memory
        assert not torch.equal(again.heads.weight, model.heads.weight)
    assert classifier.task == "x/b"


def test_repr_is_one_line(model):
    described = "encoder: tiny, conditioning: pilault, z of 3"
    assert repr(model.for_task("x/three")) == f"TaskClassifier('x/three', classes: p, q, r; {described})"
    assert repr(model) == f"ConditionalAdapterModel(2 tasks: x/one, x/three; {described})"
    many = ConditionalAdapterModel.create(
        "tiny", {"x/many": [str(i) for i in range(9)]}, ConditionalConfig(conditioning="full"), vocabulary=TEXTS
    )
    described = "encoder: tiny, conditioning: full"
    assert repr(many) == f"ConditionalAdapterModel(1 task: x/many; {described})"
    assert repr(many.for_task("x/many")) == f"TaskClassifier('x/many', classes: 0, 1, 2, 3, 4 and 4 more; {described})"


def test_an_unknown_task_names_the_closest(model):
    with pytest.raises(KeyError, match="closest: x/three"):
        model.for_task("x/thre")
