"""Fitting a new task to a few examples changes only its z and its classifier."""

import inspect
from importlib.metadata import version

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Value

from metaeval_datasets import load_dataset
from metaeval_hub import ConditionalAdapterModel, ConditionalConfig
from metaeval_hub.model.few_shot import _columns, _index, fit_task
from metaeval_hub.task_data.origins import TaskOrigin

LABELS = {"x/one": ("no", "yes"), "x/three": ("p", "q", "r")}
WORDS = ["good", "fine", "great", "bad", "awful", "poor", "film", "book", "meal", "the", "was", "a"]
EXAMPLES = [
    (f"the {thing} was {word}", "negative" if word in ("bad", "awful", "poor") else "positive")
    for thing in ("film", "book", "meal")
    for word in ("good", "fine", "great", "bad", "awful", "poor")
]


@pytest.fixture
def model():
    config = ConditionalConfig(adapter_size=8, dim_z=5, max_length=16, pooling="mean")
    model = ConditionalAdapterModel.create("tiny", LABELS, config, vocabulary=[" ".join(WORDS)])
    torch.manual_seed(1)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model


def test_task_is_fitted_without_changing_the_model(model):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    logits = model.logits("x/three", ["the film was good"])
    start = model.task_embeddings.values.mean(axis=0)
    classifier = model.fit_task("my/reviews", EXAMPLES, steps=60)
    assert model.labels["my/reviews"] == ("negative", "positive")
    assert model.predict("my/reviews", [text for text, _ in EXAMPLES]).labels == [label for _, label in EXAMPLES]
    assert not np.allclose(model.task_embeddings["my/reviews"], start)
    assert torch.equal(model.logits("x/three", ["the film was good"]), logits)
    assert list(inspect.signature(model.fit_task).parameters) == list(inspect.signature(fit_task).parameters)[1:]
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor[: len(before[name])], before[name]), name
    assert classifier.config.id2label == {0: "negative", 1: "positive"}
    assert all(parameter.requires_grad for group in model.trainable_groups().values() for parameter in group)


def test_task_is_fitted_for_a_model_in_half_precision(model):
    model.bfloat16().fit_task("my/reviews", EXAMPLES, steps=60)
    assert model.predict("my/reviews", [text for text, _ in EXAMPLES]).labels == [label for _, label in EXAMPLES]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


def test_task_is_fitted_for_a_model_that_projects_its_table_to_z():
    config = ConditionalConfig(adapter_size=8, dim_z=5, max_length=16, pooling="mean", dim_table=9)
    model = ConditionalAdapterModel.create("tiny", LABELS, config, vocabulary=[" ".join(WORDS)])
    for layer in model.adapter.conditional_layers():
        for weight in layer.maps():
            torch.nn.init.normal_(weight, std=0.2)
    before, start = model.logits("x/three", ["the film was good"]), model.expected_embeddings()[0]
    model.fit_task("my/reviews", EXAMPLES, steps=60)
    assert model.predict("my/reviews", [text for text, _ in EXAMPLES]).labels == [label for _, label in EXAMPLES]
    assert not np.allclose(model.task_embeddings["my/reviews"], start, atol=1e-3)
    assert torch.equal(model.logits("x/three", ["the film was good"]), before)
    assert model.conditioning.task_embedding.shape == (3, 9)


def test_same_seed_same_task(model):
    model.fit_task("my/a", EXAMPLES, steps=5, batch_size=4, seed=3)
    model.fit_task("my/b", EXAMPLES, steps=5, batch_size=4, seed=4)
    model.remove_task("my/a")
    model.remove_task("my/b")
    z = {}
    for name, seed in (("my/c", 3), ("my/d", 3), ("my/e", 4)):
        model.fit_task(name, EXAMPLES, steps=5, batch_size=4, seed=seed)
        z[name] = model.task_embeddings[name]
        model.remove_task(name)
    assert np.array_equal(z["my/c"], z["my/d"])
    assert not np.array_equal(z["my/c"], z["my/e"])


def test_numbers_of_a_dataset_are_read_by_its_own_class_names(model):
    """``start`` or ``labels`` may list the same classes in another order."""
    names = ["positive", "negative"]
    features = Features(sentence=Value("string"), label=ClassLabel(names=names))
    columns = {"sentence": [text for text, _ in EXAMPLES], "label": [names.index(label) for _, label in EXAMPLES]}
    dataset = Dataset.from_dict(columns, features=features)
    model.add_task("my/start", ["negative", "positive"])
    model.fit_task("my/from-start", dataset, start="my/start", steps=60)
    model.fit_task("my/named", dataset, ["negative", "positive"], steps=60)
    for name in ("my/from-start", "my/named"):
        assert model.labels[name] == ("negative", "positive")
        assert model.predict(name, [text for text, _ in EXAMPLES]).labels == [label for _, label in EXAMPLES]


def test_numbers_of_a_dataset_with_some_of_the_classes_are_read_by_its_own_class_names(model):
    features = Features(sentence=Value("string"), label=ClassLabel(names=["positive", "negative"]))
    columns = {"sentence": [text for text, _ in EXAMPLES], "label": [label == "negative" for _, label in EXAMPLES]}
    dataset = Dataset.from_dict(columns, features=features)
    texts, names = [text for text, _ in EXAMPLES], ["neutral", "negative", "positive"]

    def fitted(examples, labels):
        model.fit_task("my/own", examples, labels, steps=3)
        logits = model.logits("my/own", texts)
        model.remove_task("my/own")
        return logits

    assert torch.equal(fitted(dataset, names), fitted(EXAMPLES, names))
    with pytest.raises(ValueError, match=r"example \d+ has class 'negative'; expected one of"):
        fitted(dataset, ["positive", "other"])
    assert torch.equal(
        fitted(dataset, ["good", "bad"]), fitted(dataset, None)
    )  # all classes are renamed, in the same order


def test_dataset_brings_its_class_names_and_pairs(model):
    features = Features(sentence1=Value("string"), sentence2=Value("string"), label=ClassLabel(names=["same", "other"]))
    dataset = Dataset.from_dict(
        {"sentence1": ["the film", "a book"], "sentence2": ["the film", "a meal"], "label": [0, 1]}, features=features
    )
    model.fit_task("my/pairs", dataset, steps=2)
    assert model.labels["my/pairs"] == ("same", "other")
    assert len(model.predict("my/pairs", [("a film", "a film")]).labels) == 1
    with pytest.raises(TypeError, match="my/pairs is a task over pairs of texts"):
        model.predict("my/pairs", ["a film"])
    assert "my/pairs" not in model.origins


def test_a_task_of_the_catalogue_brings_its_origin(model):
    model.fit_task("my/spam", load_dataset("metaeval", "demo/spam", split="train"), steps=1)
    assert model.origins["my/spam"] == TaskOrigin(version("metaeval"), "careful", "metaeval_datasets.demo", None, "mit")
    assert model.fields["my/spam"] == 1


@pytest.mark.parametrize(
    ("examples", "labels", "error", "message"),
    [
        ([], None, ValueError, "my/task: examples is empty"),
        ([("a", 0), ("b", 1)], None, ValueError, "the classes are numbers; give their names with labels="),
        ([("a", "x"), ("b", "z")], ("x", "y"), ValueError, "example 1 has class 'z'; expected one of"),
        ([("a", 2)], ("x", "y"), ValueError, "example 0 has class 2"),
        ([("a", "x")], None, ValueError, "my/task: expected two or more different class names"),
        ([("a", "x"), ("b", "z")], "xz", TypeError, "my/task: labels is 'xz'; expected a list"),
        ([("a", None), ("b", "x")], None, ValueError, "my/task: example 0 has class None; give it a class, or"),
        ([("a", "x"), ("b", float("nan"))], ("x", "y"), ValueError, "my/task: example 1 has class nan"),
        (
            [("a", "x"), ("b", pd.NA)],
            None,
            ValueError,
            "my/task: example 1 has class <NA>; expected the name or number of a class",
        ),
        ([("a", True)], ("x", "y"), ValueError, "example 0 has class True; expected one of"),
        ([("a", np.bool_(True))], ("x", "y"), ValueError, "example 0 has class True; expected one of"),
        ([("a", torch.tensor(True))], ("x", "y"), ValueError, "example 0 has class True; expected one of"),
        ([("a", 1.0)], ("x", "y"), ValueError, r"example 0 has class 1\.0; expected the name or number of a class"),
        ([("a", torch.tensor([0, 1]))], ("x", "y"), ValueError, "example 0 has class tensor"),
        ([("a", "x"), (None, "y")], ("x", "y"), TypeError, r"texts\[1\] is None"),
        (pd.DataFrame({"a": ["x"]}), None, TypeError, "examples is a DataFrame; expected a Dataset or"),
        (["a", "b"], None, TypeError, r"examples\[0\] is 'a'; expected \(text, class\)"),
        ("text", None, TypeError, "examples is a str"),
        (Dataset.from_dict({"text": ["a"], "label": [0]}), None, TypeError, r"columns \['text', 'label'\]; expected"),
    ],
)
def test_invalid_examples_are_refused(model, examples, labels, error, message):
    with pytest.raises(error, match=message):
        model.fit_task("my/task", examples, labels)
    assert model.task_names == ("x/one", "x/three")


TWO = ["the film was good", "the book was bad"]
FORMS = {
    "numpy numbers": zip(np.array(TWO), np.array([1, 0]), strict=True),
    "torch numbers": zip(pd.Series(TWO, index=[4, 2]), torch.tensor([1, 0]), strict=True),
    "numbers of no dimension": [(TWO[0], np.array(1)), (TWO[1], torch.tensor(0))],
    "names of numpy": np.array([[TWO[0], "good"], [TWO[1], "bad"]]),
    "names of Arrow": zip(pa.array(TWO).to_pylist(), pa.array(["good", "bad"]), strict=True),
    "a generator": ((text, number) for text, number in zip(TWO, (1, 0), strict=True)),
    "a dataset of tensors": Dataset.from_dict({"sentence": TWO, "label": [1, 0]}).with_format("torch"),
    "a dataset of arrays": Dataset.from_dict({"sentence": TWO, "label": [1, 0]}).with_format("numpy"),
    "a dataset of Series": Dataset.from_dict({"sentence": TWO, "label": ["good", "bad"]}).with_format("pandas"),
    "a stream": Dataset.from_dict({"sentence": TWO, "label": [1, 0]}).to_iterable_dataset(),
}


@pytest.mark.parametrize("form", FORMS)
def test_examples_may_be_any_ordered_collection(form):
    texts, classes = _columns(FORMS[form])
    assert texts == TWO
    assert [_index("x", i, value, ("bad", "good")) for i, value in enumerate(classes)] == [1, 0]


def test_examples_of_another_form_than_the_start_task_are_refused(model):
    model.add_task("my/pairs", ("no", "yes"), fields=2)
    model.add_task("my/texts", ("no", "yes"), fields=1)
    single, pairs = [("a", "no"), ("b", "yes")], [(("a", "b"), "no"), (("b", "a"), "yes")]
    wrong = "my/task: the examples are single texts, and start='my/pairs' is a task over pairs of texts; give pairs"
    with pytest.raises(ValueError, match=wrong):
        model.fit_task("my/task", single, start="my/pairs")
    with pytest.raises(ValueError, match="the examples are pairs of texts, and start='my/texts' is a task over single"):
        model.fit_task("my/task", pairs, start="my/texts")
    with pytest.raises(ValueError, match=r"my/task: both start='my/pairs' and label_vectors are given; give only one"):
        model.fit_task("my/task", pairs, start="my/pairs", label_vectors=("no", "yes"))
    assert "my/task" not in model.task_names
    model.fit_task("my/task", pairs, start="my/pairs", steps=1)
    model.fit_task("my/either", pairs, start="x/one", steps=1)  # tasks without a known value


def test_invalid_numbers_are_refused(model):
    for options in ({"steps": 0}, {"batch_size": 0}):
        with pytest.raises(ValueError, match="must be at least 1, got 0"):
            model.fit_task("my/task", EXAMPLES, **options)
    with pytest.raises(TypeError, match=r"batch_size must be a whole number, got 2\.5"):
        model.predict("x/one", ["a"], batch_size=2.5)
    with pytest.raises(TypeError, match=r"the task is \['x/one'\]; expected the name of one task"):
        model.predict(["x/one"], ["a"])


def test_a_name_that_is_taken_is_refused(model):
    with pytest.raises(ValueError, match=r"has a task 'x/one' already; remove_task\('x/one'\) first"):
        model.fit_task("x/one", EXAMPLES)
