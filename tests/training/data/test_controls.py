"""Twins get disjoint halves of a task's training rows, and permuted tasks its labels in another order."""

import pytest
from datasets import ClassLabel, Dataset, Features, Value
from metaeval_training.config import TrainConfig
from metaeval_training.data.controls import add_controls, make_permuted, make_twins
from metaeval_training.data.rows import DataError, TaskRows, rows_digest


def task(name="g/t", count=21):
    features = Features({"sentence": Value("string"), "label": ClassLabel(names=["no", "yes"])})
    train = Dataset.from_dict({"sentence": [f"text {i}" for i in range(count)], "label": [i % 2 for i in range(count)]})
    splits = {"train": train.cast(features), "test": train.cast(features)}
    digests = {split: rows_digest(rows) for split, rows in splits.items()}
    return TaskRows(name, ("no", "yes"), splits, {"train": count, "test": count}, {}, digests=digests, prepared="known")


def test_twins_have_disjoint_halves_and_the_same_test_rows():
    whole = task()
    one, other = make_twins([whole], seed=0)
    assert (one.name, other.name) == ("g/t~1", "g/t~2")
    texts = [set(twin.splits["train"]["sentence"][:]) for twin in (one, other)]
    assert not texts[0] & texts[1]
    assert texts[0] | texts[1] == set(whole.splits["train"]["sentence"][:])
    assert [len(each) for each in texts] == [10, 11]
    assert one.splits["test"] is other.splits["test"] is whole.splits["test"]
    assert one.splits["train"].features == whole.splits["train"].features
    assert len({twin.digests["train"] for twin in (whole, one, other)}) == 3
    assert one.prepared == ""
    assert one.catalogue_name == "g/t"


def test_halves_depend_on_the_seed_and_the_task_only():
    halves = [make_twins([task(name)], seed)[0].splits["train"]["sentence"][:] for name, seed in
              (("g/t", 0), ("g/t", 0), ("g/t", 1), ("g/u", 0))]  # fmt: skip
    assert halves[0] == halves[1]
    assert halves[0] != halves[2]
    assert halves[0] != halves[3]


def test_a_permuted_task_has_the_same_texts_and_as_many_labels_of_each_class():
    whole = task(count=100)
    (permuted,) = make_permuted([whole], 5, seed=0)
    train, before = permuted.splits["train"], whole.splits["train"]
    assert permuted.name == "g/t~permuted"
    assert train["sentence"][:] == before["sentence"][:]
    assert train.features == before.features
    assert sorted(train["label"][:]) == sorted(before["label"][:])
    agree = sum(a == b for a, b in zip(train["label"][:], before["label"][:], strict=True))
    assert 30 < agree < 70
    assert permuted.splits["test"] is whole.splits["test"]  # scored on the true labels, at about chance


def test_as_many_tasks_as_asked_for_are_permuted():
    tasks = [task(f"g/{i}") for i in range(6)]
    chosen = [each.name for each in make_permuted(tasks, 3, seed=0)]
    assert len(chosen) == 3
    assert chosen == sorted(chosen)
    assert chosen != [each.name for each in make_permuted(tasks, 3, seed=3)]


def test_settings_ask_for_controls():
    names = [each.name for each in add_controls([task()], TrainConfig(twins=True, permuted_tasks=1))]
    assert names == ["g/t~1", "g/t~2", "g/t~permuted"]
    assert [each.name for each in add_controls([task()], TrainConfig())] == ["g/t"]


def test_a_task_of_one_row_has_no_twins():
    with pytest.raises(DataError, match="g/t has one training row, which cannot be divided between twins"):
        make_twins([task(count=1)], seed=0)
