"""Evaluators that know a task. Expected scores are those of the predictions of the model itself."""

import pytest
from datasets import Dataset, DatasetDict
from transformers import pipeline

from metaeval_datasets import UnknownTaskError, get_task
from metaeval_datasets.metric.scores import score_predictions
from metaeval_hub import ConditionalAdapterModel, ConditionalConfig, evaluation_suite, evaluator
from metaeval_hub.model import evaluator as evaluator_module

TEXTS = ["a cat sat", "a dog ran on the mat", "the mat", "a cat ran"]
PAIR, SINGLE = "demo/picnic_nli", "demo/spam"
ROWS = {
    SINGLE: {"sentence": TEXTS, "label": [0, 1, 1, 0]},
    PAIR: {"sentence1": TEXTS, "sentence2": TEXTS[::-1], "label": [0, 1, 1, 0]},
}


@pytest.fixture(scope="module")
def model():
    config = ConditionalConfig(adapter_size=4, dim_z=3, max_length=16)
    labels = {task: get_task(task).names[::-1] for task in ROWS}  # another order than that of the task
    return ConditionalAdapterModel.create("tiny", labels, config, vocabulary=TEXTS)


def expected(model, task):
    rows, names = ROWS[task], get_task(task).names
    texts = rows["sentence"] if task == SINGLE else list(zip(rows["sentence1"], rows["sentence2"], strict=True))
    predicted = [names.index(label) for label in model.predict(task, texts).labels]
    return score_predictions(rows["label"], predicted, len(names))


def scores_of(found):
    return {name: found[name] for name in ("accuracy", "macro_f1", "matthews")}


@pytest.mark.parametrize("task", [SINGLE, PAIR])
def test_texts_and_pairs_are_scored_in_one_line(model, task):
    rows = Dataset.from_dict(ROWS[task])
    assert scores_of(evaluator(task).compute(model.for_task(task), data=rows)) == expected(model, task)


def test_a_model_a_pipeline_and_a_dataset_of_splits_are_accepted(model):
    rows = DatasetDict({"test": Dataset.from_dict(ROWS[SINGLE])})
    classifier = model.for_task(SINGLE)
    pipe = pipeline("text-classification", model=classifier, tokenizer=classifier.tokenizer, device="cpu")
    for given in (model, pipe):
        assert scores_of(evaluator(SINGLE).compute(given, data=rows)) == expected(model, SINGLE)


@pytest.fixture
def loaded(monkeypatch):
    """Rows in place of those that ``load_dataset`` would build; returns the calls."""
    calls = []

    def load_dataset(*arguments, **options):
        calls.append((*arguments, options))
        return Dataset.from_dict(ROWS[arguments[1]])

    monkeypatch.setattr(evaluator_module, "load_dataset", load_dataset)
    return calls


def test_a_suite_scores_each_task_with_its_classifier(model, loaded):
    suite = evaluation_suite([SINGLE, PAIR], split="validation")
    found = suite.run(model)
    assert loaded == [("metaeval", task, {"split": "validation"}) for task in (SINGLE, PAIR)]
    assert {result["task_name"]: scores_of(result) for result in found} == {
        task: expected(model, task) for task in ROWS
    }
    assert [scores_of(result) for result in suite.run({task: model.for_task(task) for task in ROWS})] == [
        scores_of(result) for result in found
    ]


def test_without_rows_the_test_split_of_the_task_is_scored(model, loaded):
    assert scores_of(evaluator(PAIR).compute(model)) == expected(model, PAIR)
    assert loaded == [("metaeval", PAIR, {"split": "test"})]


def test_a_model_with_other_classes_is_refused(model):
    with pytest.raises(ValueError, match="the model has the classes not_entailment, entailment, and the task"):
        evaluator(SINGLE).compute(model.for_task(PAIR), data=Dataset.from_dict(ROWS[SINGLE]))
    with pytest.raises(ValueError, match=r"no model is given; give model.for_task\('demo/spam'\)"):
        evaluator(SINGLE).compute()


def test_an_unknown_task_is_refused():
    with pytest.raises(UnknownTaskError, match="closest: demo/spam"):
        evaluator("demo/spamm")
