"""Batches of rows of many tasks."""

import copy
import pickle

import pytest
import torch

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig, TaskCollator

TEXTS = ["a cat sat", "a dog ran on the mat"]


@pytest.fixture(scope="module")
def model():
    config = ConditionalConfig(adapter_size=4, dim_z=3, max_length=6)
    return ConditionalAdapterModel.create(
        "tiny", {"x/two": ("no", "yes"), "x/pairs": ("p", "q", "r")}, config, vocabulary=TEXTS
    )


def test_texts_pairs_and_tokens_make_the_batches_of_the_tokenizer(model):
    collate = TaskCollator(model)
    rows = [
        {"task": "x/pairs", "sentence": None, "sentence1": TEXTS[0], "sentence2": TEXTS[1], "label": 2, "idx": 7},
        {"task": "x/two", "sentence": TEXTS[0], "sentence1": None, "label": 1},
    ]
    batch = collate(rows)
    assert batch.pop("task_ids").tolist() == [1, 0]
    assert batch.pop("labels").tolist() == [2, 1]
    pair, text = model.tokenizer(*TEXTS, truncation=True), model.tokenizer(TEXTS[0])
    assert len(pair["input_ids"]) == 6  # cut
    expected = model.tokenizer.pad([pair, text], return_tensors="pt")
    assert batch.keys() == expected.keys()
    assert all(torch.equal(batch[name], expected[name]) for name in batch)
    tokens = [{**pair, "task_ids": 1}, {**text, "task_ids": 0}]
    again = pickle.loads(pickle.dumps(collate))(tokens)  # as a worker of a data loader receives it
    assert again.pop("task_ids").tolist() == [1, 0]
    assert again.keys() == expected.keys()  # no labels
    assert all(torch.equal(again[name], expected[name]) for name in again)


ROW = {"task": "x/two", "sentence": "a cat", "label": 1}


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"task": "x/tow"}, KeyError, "closest: x/two"),
        ({"task": None}, ValueError, "has task_ids None and the columns task, sentence, label; expected a column task"),
        ({"task": None, "task_ids": 2}, ValueError, "has task_ids 2 .* expected .* task_ids from 0 to 1"),
        ({"sentence": None}, ValueError, "columns task, sentence, label; expected sentence, sentence1 and"),
        ({"sentence": 3}, TypeError, "sentence is 3; expected a string"),
        ({"label": 2}, ValueError, "x/two: a row has the label 2; expected a number from 0 to 1"),
        ({"label": -1}, ValueError, "x/two: a row has the label -1"),
        ({"label": "yes"}, ValueError, "x/two: a row has the label 'yes'; expected a number from 0 to 1"),
        ({"label": None}, ValueError, "x/two: a row has the label None"),
    ],
)
def test_rows_that_fit_no_task_are_refused(model, changes, error, message):
    rows = [ROW, {**copy.copy(ROW), **changes}]
    with pytest.raises(error, match=message):
        TaskCollator(model)(rows)
