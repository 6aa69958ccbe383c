"""All tasks of a model under transformers.Trainer."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import Trainer, TrainingArguments

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig, TaskCollator

TEXTS = ["a cat sat", "a dog ran on the mat"]
LABELS = {"x/two": ("no", "yes"), "x/pairs": ("p", "q", "r")}
ROWS = [
    {"task": "x/two", "sentence": TEXTS[0], "label": 0}, {"task": "x/two", "sentence": TEXTS[1], "label": 1},
    {"task": "x/two", "sentence": "a mat", "label": 1}, {"task": "x/pairs", "sentence1": "a", "sentence2": "cat ran",
    "label": 2}, {"task": "x/pairs", "sentence1": "the dog", "sentence2": "sat", "label": 0},
]  # fmt: skip


def make():
    config = ConditionalConfig(adapter_size=4, dim_z=3, max_length=16)
    return ConditionalAdapterModel.create("tiny", LABELS, config, vocabulary=TEXTS)


def trainer_of(model, folder, **options):
    arguments = TrainingArguments(
        folder, save_steps=2, per_device_train_batch_size=2, per_device_eval_batch_size=3, report_to=[], use_cpu=True,
        disable_tqdm=True, learning_rate=0.01, lr_scheduler_type="constant", remove_unused_columns=False, **options,
    )  # fmt: skip
    return Trainer(
        model.for_trainer(), arguments, data_collator=TaskCollator(model), train_dataset=ROWS, eval_dataset=ROWS
    )


def test_trainer_trains_saves_and_resumes_many_tasks(tmp_path):
    whole = make()
    before = whole.task_embeddings.values
    trainer_of(whole, tmp_path / "out", max_steps=4).train()
    assert (np.abs(whole.task_embeddings.values - before).max(axis=1) > 0.01).all()  # of both tasks
    model = make()
    trainer_of(model, tmp_path / "out", max_steps=4).train(resume_from_checkpoint=str(tmp_path / "out/checkpoint-2"))
    for name, tensor in whole.trained_state().items():
        assert torch.equal(model.trained_state()[name], tensor), name
    names = {path.name for path in (tmp_path / "out/checkpoint-4").iterdir()}
    assert names - {"chat_template.jinja"} == {
        "README.md", "config.json", "model.safetensors", "tokenizer", "encoder",  # ours
        "optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin", "trainer_state.json",
    }  # fmt: skip
    stored = load_file(tmp_path / "out/checkpoint-4/model.safetensors")
    assert stored.keys() == model.trained_state().keys()


def test_trainer_joins_predictions_of_tasks_with_different_classes(tmp_path):
    """The first batch has a task of two classes only."""
    model = make()
    found = trainer_of(model, tmp_path).predict(ROWS)
    expected = np.full((5, 3), -np.inf, np.float32)
    expected[:3, :2] = model.logits("x/two", [row["sentence"] for row in ROWS[:3]])
    expected[3:] = model.logits("x/pairs", [(row["sentence1"], row["sentence2"]) for row in ROWS[3:]])
    np.testing.assert_allclose(found.predictions, expected, rtol=1e-5, atol=1e-6)
    assert found.label_ids.tolist() == [0, 1, 1, 2, 0]
    right = np.exp(expected) / np.exp(expected).sum(axis=1, keepdims=True)
    losses = -np.log(right[range(5), found.label_ids])
    assert found.metrics["test_loss"] == pytest.approx(losses.mean(), rel=1e-5)


def test_a_batch_without_tasks_is_refused():
    with pytest.raises(ValueError, match=r"no task_ids; give Trainer data_collator=metaeval_hub.TaskCollator\(model\)"):
        make().for_trainer()(torch.tensor([[0, 1]]))
