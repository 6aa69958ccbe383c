"""Aspects by hand: counts, words, medians, quartiles, columns."""

import statistics

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from metaeval_datasets import aspects, get_task, list_tasks, load_dataset
from metaeval_datasets.aspects import (
    COLUMNS,
    Aspects,
    aspects_of,
    count_words,
    length_counts,
    median_of,
    one_hot,
    quartile_cuts,
    quartiles,
)
from metaeval_datasets.spec import TaskType

from .conftest import task


@pytest.mark.parametrize(
    ("text", "words"),
    [("one", 1), ("", 0), ("  two   words \n", 2), ("do n't , ever !", 5), ("a\u00a0b\u2003c\u0085d", 4), (None, 0)],
)
def test_words_are_what_white_space_separates(text, words):
    assert count_words(pa.array([text], pa.string())).tolist() == [words]


@given(st.lists(st.integers(0, 40), min_size=1))
def test_the_median_of_counts_is_the_median(values):
    assert median_of(np.bincount(values)) == statistics.median(values)


def test_no_rows_have_no_median():
    with pytest.raises(ValueError, match="no rows"):
        median_of(np.zeros(3, np.int64))


def test_lengths_are_summed_over_fields_and_batches(monkeypatch):
    rows = Dataset.from_dict(
        {"sentence1": ["a b", "a", "a b c d e", "", "a b"], "sentence2": ["c", "b c", "f", "a", "c"]}
    )
    expected = [0, 1, 0, 3, 0, 0, 1]  # 3, 3, 6, 1 and 3 words
    assert length_counts(rows, ["sentence1", "sentence2"]).tolist() == expected
    monkeypatch.setattr(aspects, "BATCH_ROWS", 1)
    assert length_counts(rows, ["sentence1", "sentence2"]).tolist() == expected


def test_aspects_of_a_task():
    pair = task(name="a/pair", sentence1="x", sentence2="y", type=TaskType.NLI)
    splits = {
        "train": Dataset.from_dict({"sentence1": ["a b", "a"], "sentence2": ["c", "b c d e"]}),
        "test": Dataset.from_dict({"sentence1": ["a b c d e f g"], "sentence2": ["h"]}),
    }
    assert aspects_of(splits, pair) == Aspects("a/pair", 2, 2, 4.0, TaskType.NLI)  # the median of 3 and 5


def test_a_task_without_training_rows_is_measured_on_its_test_split():
    rows = Dataset.from_dict({"sentence": ["one two three"]})
    found = aspects_of({"test": rows}, task(name="a/single", type=TaskType.GRAMMAR))
    assert found == Aspects("a/single", 0, 1, 3.0, TaskType.GRAMMAR)
    with pytest.raises(ValueError, match="a/single: the training and test splits have no rows"):
        aspects_of({"validation": rows}, task(name="a/single"))


def test_quartiles_by_hand():
    values = [1, 2, 3, 4, 5, 6, 7, 8]
    cuts = quartile_cuts(values)
    assert cuts.tolist() == [2.75, 4.5, 6.25]
    assert quartiles(values, cuts).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert quartiles([-5, 4.5, 100], cuts).tolist() == [0, 1, 3]  # values of tasks that were not in the set


def test_equal_values_are_in_one_quartile():
    values = [7, 7, 7, 7, 7, 30]
    assert quartiles(values, quartile_cuts(values)).tolist() == [0, 0, 0, 0, 0, 3]


FOUR = [
    Aspects("a/a", 100, 1, 9.0, TaskType.EMOTION),
    Aspects("a/b", 200, 2, 40.0, TaskType.NLI),
    Aspects("b/c", 3000, 1, 20.0, TaskType.OTHER),
    Aspects("b/d", 0, 2, 30.5, TaskType.ACCEPTABILITY),
]


def ones(values, names):
    return [{names[column] for column in np.flatnonzero(row)} for row in values]


def test_one_hot_by_hand():
    values, names = one_hot(FOUR)
    assert (values.shape, names) == ((4, 18), COLUMNS)
    assert set(np.unique(values)) == {0.0, 1.0}
    assert ones(values, names) == [
        {"train_rows:2", "text_fields:1", "median_words:1", "task_type:emotion"},
        {"train_rows:3", "text_fields:2", "median_words:4", "task_type:nli"},
        {"train_rows:4", "text_fields:1", "median_words:2", "task_type:other"},
        {"train_rows:1", "text_fields:2", "median_words:3", "task_type:acceptability"},
    ]


def test_unseen_tasks_are_coded_by_the_quartiles_of_the_reference():
    unseen = Aspects("c/e", 150, 2, 1000.0, TaskType.PARAPHRASE_DETECTION)
    values, names = one_hot([unseen], reference=FOUR)
    assert ones(values, names) == [
        {"train_rows:2", "text_fields:2", "median_words:4", "task_type:paraphrase_detection"}
    ]
    assert one_hot([], reference=FOUR)[0].shape == (0, 18)
    with pytest.raises(ValueError, match="no values"):
        one_hot([])


@pytest.mark.parametrize(
    ("fields", "message"),
    [((1, 3, 1.0), "text_fields must be 1 or 2, got 3"), ((-1, 1, 1.0), "train_rows must not be negative, got -1")],
)
def test_impossible_aspects_are_refused(fields, message):
    with pytest.raises(ValueError, match=f"a/a: {message}"):
        Aspects("a/a", *fields, TaskType.OTHER)


def test_a_loaded_task_by_a_plain_loop():
    name = list_tasks(group="demo", fields=2)[0]
    loaded = load_dataset("metaeval", name)
    lengths = [len(f"{row['sentence1']} {row['sentence2']}".split()) for row in loaded["train"]]
    found = aspects_of(loaded, get_task(name))
    assert (found.train_rows, found.text_fields, found.type) == (len(lengths), 2, get_task(name).type)
    assert found.median_words == statistics.median(lengths)
