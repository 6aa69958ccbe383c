"""Suggested texts are different, uncertain and new."""

import numpy as np
import pytest

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig
from metaeval_hub.model.suggestion import choose_texts, suggest, uncertainty, usable_places

TEXTS = [f"{word} {thing}" for word in ("good", "bad", "fine", "poor") for thing in ("film", "book", "meal")]


@pytest.fixture(scope="module")
def model():
    config = ConditionalConfig(adapter_size=4, dim_z=3, max_length=8)
    return ConditionalAdapterModel.create("tiny", {"x/one": ("no", "yes")}, config, vocabulary=TEXTS)


@pytest.fixture
def groups():
    """Features of 60 texts in three groups of 30, 20 and 10, far from each other."""
    generator = np.random.default_rng(0)
    centres = np.repeat(np.eye(3, 5), [30, 20, 10], axis=0)
    return centres + 0.05 * generator.normal(size=(60, 5))


def test_without_a_classifier_each_group_gives_its_most_typical_text(groups):
    found, scores = choose_texts(groups, 3)
    assert [np.searchsorted([30, 50], place, side="right") for place in found] == [0, 1, 2]
    assert scores.tolist() == [30 / 60, 20 / 60, 10 / 60]
    centred = groups - groups.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    first = centred[:30]
    assert found[0] == ((first - first.mean(axis=0)) ** 2).sum(axis=1).argmin()


def test_with_a_classifier_certain_groups_give_no_text(groups):
    probabilities = np.tile([1.0, 0.0], (60, 1))
    probabilities[30:50] = (0.6, 0.4)
    found, scores = choose_texts(groups, 4, probabilities)
    assert sum(30 <= place < 50 for place in found) >= 3
    assert scores[:3] == pytest.approx([0.8] * 3)
    assert (np.diff(scores) <= 0).all()
    assert uncertainty(np.array([[0.7, 0.2, 0.1], [0.1, 0.45, 0.45]])) == pytest.approx([0.5, 1.0])


def test_texts_with_equal_features_are_chosen_once_each():
    found, _ = choose_texts(np.ones((6, 4)), 5)
    assert len(set(found.tolist())) == 5
    found, _ = choose_texts(np.ones((4, 2)), 3, np.array([[0.9, 0.1], [0.5, 0.5], [0.8, 0.2], [0.6, 0.4]]))
    assert set(found[:2].tolist()) == {1, 3}
    assert len(set(found.tolist())) == 3


def test_repeated_and_labelled_texts_are_not_suggested(model):
    texts = ["Good  FILM", *TEXTS, "bad meal"]
    assert usable_places(texts, {("good film",)}, 1).tolist() == list(range(2, 13))
    assert usable_places([("a", "b"), ("a", "c"), ("A", "b ")], set(), 2).tolist() == [0, 1]
    found = suggest(model, texts, 11, without=["good film"])
    assert sorted(each.place for each in found) == list(range(2, 13))
    assert found[0].classes == ()


def test_labelled_rows_give_the_uncertain_texts_without_changing_the_model(model):
    labelled = [("good film", "yes"), ("good meal", "yes"), ("poor film", "no"), ("poor meal", "no")]
    found = model.suggest(TEXTS, 3, labelled=labelled, seed=1)
    assert found == suggest(model, TEXTS, 3, labelled=labelled, seed=1)
    assert not {each.text for each in found} & {text for text, _ in labelled}
    for each in found:
        assert TEXTS[each.place] == each.text
        (first, high), (second, low) = each.classes
        assert {first, second} == {"no", "yes"}
        assert each.score == pytest.approx(1 - (high - low))
    assert model.task_names == ("x/one",)


def test_a_task_of_the_model_gives_its_probabilities(model):
    [first] = model.suggest(TEXTS, 1, task="x/one")
    prediction = model.predict("x/one", [first.text])
    assert dict(first.classes)[prediction.labels[0]] == pytest.approx(prediction.probabilities.max(), abs=1e-6)


def test_a_model_of_full_fine_tuning_suggests_with_its_own_features():
    config = ConditionalConfig(conditioning="full", max_length=8)
    full = ConditionalAdapterModel.create("tiny", {"x/one": ("no", "yes")}, config, vocabulary=TEXTS)
    assert len({each.place for each in full.suggest(TEXTS, 4)}) == 4
    assert len({each.place for each in full.suggest(TEXTS, 4, labelled=[("good film", "a"), ("bad film", "b")])}) == 4


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"count": 0}, ValueError, "the number of suggestions must be at least 1, got 0"),
        ({"count": 2.5}, TypeError, "the number of suggestions must be a whole number, got 2.5"),
        ({"seed": -1}, ValueError, "seed must be from 0 to 4294967295, got -1"),
        ({"seed": "a"}, TypeError, "seed must be a whole number, got 'a'"),
        ({"without": "abc"}, TypeError, "without is one string"),
        ({"labels": ["a", "b"]}, ValueError, "labels= are the class names of labelled rows; give labelled="),
        (
            {"labelled": [(("a", "b"), "x"), (("c", "d"), "y")]},
            TypeError,
            "the texts are single texts ('good film'), and the labelled rows are pairs (('a', 'b'))",
        ),
        ({"count": 13}, ValueError, "13 suggestions are wanted, and 12 of 12 texts can be suggested (0 repeat"),
        ({"texts": ["a", "  "]}, ValueError, "text 1 is empty; leave texts without words out"),
        ({"task": "x/two"}, KeyError, "x/two"),
        ({"task": "x/one", "labelled": [("a", "b")]}, ValueError, "both task='x/one' and labelled rows are given"),
        ({"labelled": [("a", "b"), ("c", "b")]}, ValueError, "two or more different class names"),
    ],
)
def test_errors(model, options, error, message):
    options = {"texts": TEXTS, "count": 1, **options}
    with pytest.raises(error) as raised:
        suggest(model, **options)
    assert message in str(raised.value)
