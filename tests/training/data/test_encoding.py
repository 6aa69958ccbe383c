import os

import numpy as np
import pytest
from metaeval_training.data import encoding as module
from metaeval_training.data.cache import DataCache
from metaeval_training.data.encoding import collate, encode_rows, encode_task, encode_tasks, tokenizer_digest
from metaeval_training.data.rows import TaskRows, rows_digest
from metaeval_training.data.sampling import Batch

from metaeval_hub.encoders.tiny import word_tokenizer
from tests.training.rows import TEXTS, dataset


@pytest.fixture
def tokenizer():
    return word_tokenizer(TEXTS)


@pytest.mark.parametrize("pairs", [False, True])
def test_batches_hold_what_the_tokenizer_gives_padded(pairs, tokenizer):
    """Reference: the tokenizer's own padding of the same rows."""
    encoded = encode_rows(dataset(pairs=pairs), tokenizer, max_length=9)
    numbers = np.array([2, 0, 3])
    batch = collate({5: encoded}, Batch(np.array([5]), numbers), tokenizer.pad_token_id)
    fields = [[column[i] for i in numbers] for column in ((TEXTS, TEXTS[::-1]) if pairs else (TEXTS,))]
    expected = tokenizer(*fields, truncation=True, max_length=9, padding=True, return_tensors="pt")
    for name, tensor in expected.items():
        assert batch[name].tolist() == tensor.tolist()
    assert batch["labels"].tolist() == [0, 0, 1]
    assert batch["task_ids"].tolist() == [5]


def test_mixed_batches_take_each_row_from_its_task(tokenizer):
    """Compare with the tokenizer's own padding, for single texts and pairs in one batch."""
    splits = [encode_rows(dataset(), tokenizer, 9), encode_rows(dataset((1, 1, 0, 0), pairs=True), tokenizer, 9)]
    batch = collate(splits, Batch(np.array([1, 0, 1]), np.array([2, 1, 0])), tokenizer.pad_token_id)
    given = [(TEXTS[2], TEXTS[1]), TEXTS[1], (TEXTS[0], TEXTS[3])]
    ids = [tokenizer(*([t] if isinstance(t, str) else t), truncation=True, max_length=9) for t in given]
    expected = tokenizer.pad(ids, padding=True, return_tensors="pt")
    for name, tensor in expected.items():
        assert batch[name].tolist() == tensor.tolist()
    assert batch["labels"].tolist() == [0, 1, 1]
    assert batch["task_ids"].tolist() == [1, 0, 1]


def test_the_digest_changes_with_any_token_or_label(tokenizer):
    base = encode_rows(dataset(), tokenizer, 16).digest()
    assert base == encode_rows(dataset(), tokenizer, 16).digest()
    assert base != encode_rows(dataset(labels=(0, 1, 0, 0)), tokenizer, 16).digest()
    assert base != encode_rows(dataset(), tokenizer, 4).digest()


def test_encode_task_keeps_the_splits_apart(tokenizer):
    task = TaskRows(
        "x/y", ("no", "yes"), {"train": dataset(), "test": dataset().select([1])}, {"train": 4, "test": 1}, {}
    )
    encoded = encode_task(task, tokenizer, 16)
    assert (len(encoded.train), len(encoded.splits["test"])) == (4, 1)
    assert encoded.train.lengths.tolist() == [5, 3, 9, 5]


def task_rows(labels=(0, 1, 0, 1)):
    splits = {"train": dataset(labels, pairs=True), "test": dataset((1, 1, 0, 0), pairs=True)}
    digests = {split: rows_digest(rows) for split, rows in splits.items()}
    return TaskRows("x/y", ("no", "yes"), splits, {"train": 4, "test": 4}, {}, digests=digests)


def same(a, b):
    return all(
        np.array_equal(getattr(a, name), getattr(b, name)) for name in ("tokens", "segments", "offsets", "labels")
    )


def test_kept_tokens_are_those_of_the_texts(tokenizer, tmp_path, monkeypatch):
    task, cache = task_rows(), DataCache(tmp_path)
    fresh = encode_task(task, tokenizer, 9)
    first = encode_tasks([task], tokenizer, 9, cache)[0]
    monkeypatch.setattr(module, "encode_rows", None)  # nothing is tokenised again
    again = encode_tasks([task], tokenizer, 9, cache)[0]
    for split, rows in fresh.splits.items():
        assert same(rows, first.splits[split])
        assert same(rows, again.splits[split])
        assert rows.digest() == again.splits[split].digest() == again.splits[split].known_digest
    assert not again.train.tokens.flags.writeable  # mapped, not read
    assert not again.train.tokens.flags.owndata
    assert {file.suffix for file in tmp_path.rglob("*") if file.is_file()} == {".arrow"}


@pytest.mark.parametrize("change", ["length", "tokenizer", "texts", "labels"])
def test_tokens_of_something_else_are_not_taken(change, tokenizer, tmp_path):
    cache = DataCache(tmp_path)
    encode_tasks([task_rows()], tokenizer, 9, cache)
    changed = word_tokenizer(TEXTS[:1]) if change == "tokenizer" else tokenizer
    rows = task_rows((1, 1, 1, 1)) if change == "labels" else task_rows()
    if change == "texts":
        turned = {name: split.rename_columns({"sentence1": "sentence2", "sentence2": "sentence1"})
                  for name, split in rows.splits.items()}  # fmt: skip
        rows = TaskRows("x/y", ("no", "yes"), turned, {}, {}, digests={n: rows_digest(s) for n, s in turned.items()})
    length = 5 if change == "length" else 9
    got = encode_tasks([rows], changed, length, cache)[0]
    assert same(got.train, encode_task(rows, changed, length).train)


def test_a_tokenizer_is_the_same_whatever_it_was_used_for(tokenizer):
    before = tokenizer_digest(tokenizer)
    tokenizer(TEXTS, truncation=True, max_length=3, padding=True)
    assert tokenizer_digest(tokenizer) == before
    assert tokenizer_digest(word_tokenizer(TEXTS[:1])) != before


def test_damaged_tokens_are_made_again(tokenizer, tmp_path):
    task, cache = task_rows(), DataCache(tmp_path)
    encode_tasks([task], tokenizer, 9, cache)
    for file in tmp_path.rglob("*.arrow"):
        file.write_bytes(file.read_bytes()[: os.path.getsize(file) // 2])
    assert same(encode_tasks([task], tokenizer, 9, cache)[0].train, encode_task(task, tokenizer, 9).train)
    assert all(cache.read_table("tokens", file.stem) is not None for file in tmp_path.rglob("*.arrow"))


def test_an_encoder_without_segments(tokenizer, tmp_path):
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    rows = encode_tasks([task_rows()], tokenizer, 9, DataCache(tmp_path))[0].train
    assert rows.segments is None
    assert rows.lengths.tolist() == encode_task(task_rows(), tokenizer, 9).train.lengths.tolist()
