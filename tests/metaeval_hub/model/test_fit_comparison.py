"""A fit is compared with simple models on rows that none of them learned from."""

import numpy as np
import pytest

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig
from metaeval_hub.model import fit_comparison, logistic
from metaeval_hub.model.few_shot import add_fitted, prepare_fit
from metaeval_hub.model.fit_comparison import compare_fit
from metaeval_hub.model.fit_facts import conclusions, describe_fit, nearest_tasks
from metaeval_hub.model.labelled_rows import LabelledRows


@pytest.fixture
def model():
    config = ConditionalConfig(adapter_size=4, dim_z=3, max_length=8)
    return ConditionalAdapterModel.create("tiny", {"x/one": ("no", "yes")}, config, vocabulary=["good bad film"])


@pytest.fixture(autouse=True)
def _few_folds(monkeypatch):
    monkeypatch.setattr(fit_comparison, "FOLDS_OF_FEW_ROWS", 3)
    monkeypatch.setattr(logistic, "REPEATS", 1)


def compared(model, texts, classes, signal, **options):
    """Fit with features that contain the class times ``signal``, and compare."""
    prepared = prepare_fit(model, "my/task", list(zip(texts, classes, strict=True)))
    values = np.random.default_rng(0).normal(size=(len(texts) + 2, 128))
    values[: len(texts)] += signal * (prepared.rows.classes * 2 - 1)[:, None]
    features = {each.name: values.astype(np.float32) for each in prepared.candidates}
    report = add_fitted(model, prepared, features)
    return prepared, report, compare_fit(model, prepared, features, report, **options)


def test_noise_is_at_chance_and_signal_is_found(model):
    """Choosing features and C on the scored rows would make the accuracy of noise exceed chance."""
    texts, classes = [f"film {i}" for i in range(60)], ["a", "b"] * 30
    found = compared(model, texts, classes, 1.0)[2]
    assert (found.folds, found.nested, len(found.rows)) == (3, True, 60)
    assert found.methods["fit"].correct.all()
    assert found.methods["probe"].correct.all()
    assert found.methods["majority"].correct.mean() == 0.5
    assert conclusions(found)[0].startswith("Logistic regression on the frozen encoder is as good as this fit, as far")
    model.remove_task("my/task")
    noise = compared(model, texts, classes, 0.0)[2]
    assert abs(noise.methods["fit"].correct.mean() - 0.5) < 0.2
    assert conclusions(noise)[0].startswith("The most frequent class is as good as this fit, as far as 60 rows can")
    assert conclusions(noise)[0].endswith("Label more rows before you use this task.")


def test_equal_texts_share_a_fold(model):
    """Otherwise TF-IDF would remember the class of a text that is in another fold."""
    texts = [f"word{i // 2}" for i in range(80)]
    classes = [str(each) for each in np.random.default_rng(0).integers(2, size=40).repeat(2)]
    found = compared(model, texts, classes, 0.0)[2]
    assert found.methods["tfidf"].correct.mean() < 0.75


def test_rows_of_a_group_share_a_fold():
    """Customers 0 and 1 wrote the same text, so they share a fold, too."""
    customers = np.arange(40) // 4
    texts = ["same" if i in (0, 4) else f"text {i}" for i in range(40)]
    rows = LabelledRows(texts, np.arange(40) % 2, ("a", "b"))
    folds = fit_comparison._folds(rows, np.arange(40), customers, 0)
    assert folds.max() == 2
    assert all(len(set(folds[customers == each])) == 1 for each in range(10))
    assert folds[0] == folds[4]
    assert min(np.bincount(folds[rows.classes == 0])) >= 4  # both classes are in all folds
    assert not fit_comparison._folds(rows, np.arange(40), np.zeros(40, np.int64), 0).any()


def test_with_much_work_the_choice_is_made_once_and_said_to_be_optimistic(model, monkeypatch):
    monkeypatch.setattr(fit_comparison, "MOST_WORK", 10)
    found = compared(model, [f"film {i}" for i in range(20)], ["a", "b"] * 10, 1.0)[2]
    assert not found.nested
    assert found.methods["fit"].correct.all()
    assert "slightly optimistic" in conclusions(found)[-1]


def test_test_rows_are_scored_with_the_fit_to_all_rows(model):
    test = LabelledRows(["bad bad", "good good"], np.array([0, 1]), ("a", "b"))
    texts = [f"{word} film" for word in ("bad", "good")] * 10
    found = compared(model, [f"{text} {i}" for i, text in enumerate(texts)], ["a", "b"] * 10, 1.0, test=test)[2]
    assert found.methods["tfidf"].test.tolist() == [True, True]
    assert found.methods["majority"].test.sum() == 1
    predicted = model.predict("my/task", test.texts).labels
    assert found.methods["fit"].test.tolist() == [each == true for each, true in zip(predicted, "ab", strict=True)]


@pytest.mark.parametrize(("texts", "classes"), [(["x", "y"], ["a", "b"]), (["same"] * 6, ["a", "b"] * 3)])
def test_too_few_rows_have_no_estimate(model, texts, classes):
    prepared, report, found = compared(model, texts, classes, 1.0)
    assert (found.folds, dict(found.methods)) == (0, {})
    facts = describe_fit("my/task", prepared.rows, report, found)
    assert facts["conclusions"][0].startswith("There are too few rows to estimate how accurate this fit is")
    assert (facts["methods"], facts["confusion"], facts["confidently_wrong"]) == ({}, None, [])


def test_the_rows_that_are_most_confidently_wrong_come_first(model):
    texts, classes = [f"film {i}" for i in range(40)], ["a", "b"] * 20
    prepared, report, found = compared(model, texts, classes, 0.3)
    wrong = describe_fit("my/task", prepared.rows, report, found, wrong=3)["confidently_wrong"]
    probabilities = [each["probability"] for each in wrong]
    assert probabilities == sorted(probabilities, reverse=True)
    for each in wrong:
        assert each["given"] != each["predicted"]
        assert each["given"] == classes[each["place"]]
        assert each["text"] == texts[each["place"]]


def test_a_model_without_stored_features_names_no_near_tasks(model):
    assert nearest_tasks(model, ["good film"]) is None
