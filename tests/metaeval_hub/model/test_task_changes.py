"""Adding and removing 10,000 tasks is fast and does not change other tasks."""

import time

import torch

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig

MANY = {f"t/{i}": ("a", "b") for i in range(10_000)}
TEXTS = ["the cat sat", "a dog ran"]
CONFIG = ConditionalConfig(adapter_size=4)
LIMIT = 20.0  # seconds; each takes less than one on an idle core, and minutes where its cost is quadratic


def test_ten_thousand_tasks_are_added_removed_and_stored(tmp_path):
    model = ConditionalAdapterModel.create("tiny", {"t/first": ("no", "yes", "maybe")}, CONFIG, vocabulary=TEXTS)
    before = model.logits("t/first", TEXTS)
    size = sum(parameter.numel() for parameter in model.parameters())

    started = time.process_time()
    model.add_tasks(MANY)
    # z has 32 numbers, and a classifier has 128 weights and a bias per class
    assert sum(parameter.numel() for parameter in model.parameters()) - size == 10_000 * (32 + 2 * (128 + 1))
    assert torch.equal(model.logits("t/first", TEXTS), before)
    last = model.logits("t/9999", TEXTS)
    model.save_pretrained(tmp_path)
    loaded = ConditionalAdapterModel.from_pretrained(tmp_path)
    assert torch.equal(loaded.logits("t/first", TEXTS), before)
    assert torch.equal(loaded.logits("t/9999", TEXTS), last)
    loaded.remove_tasks([name for name in MANY if name != "t/9999"])
    assert loaded.task_names == ("t/first", "t/9999")
    assert torch.equal(loaded.logits("t/first", TEXTS), before)
    assert torch.equal(loaded.logits("t/9999", TEXTS), last)
    assert time.process_time() - started < LIMIT


def test_ten_thousand_tasks_share_label_vectors():
    started = time.process_time()
    rows = dict.fromkeys(MANY, ("no", "yes"))
    model = ConditionalAdapterModel.create("tiny", MANY, CONFIG, vocabulary=TEXTS, label_vectors=rows)
    assert model.heads.weight.shape[0] == 2
    assert len(model.shared_labels["yes"]) == 10_000
    assert time.process_time() - started < LIMIT
