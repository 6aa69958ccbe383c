"""Fitting a new task to a few examples changes only its z and its classifier."""

import inspect
from importlib.metadata import version

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Value
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from metaeval_datasets import load_dataset
from metaeval_hub import ConditionalAdapterModel, ConditionalConfig
from metaeval_hub.model import feature_choice, few_shot, logistic
from metaeval_hub.model.feature_choice import Candidate, choose
from metaeval_hub.model.few_shot import fit_task
from metaeval_hub.model.labelled_rows import _columns, _index, read_rows
from metaeval_hub.task_data.origins import TaskOrigin

LABELS = {"x/one": ("no", "yes"), "x/three": ("p", "q", "r")}
WORDS = ["good", "fine", "great", "bad", "awful", "poor", "film", "book", "meal", "the", "was", "a"]
EXAMPLES = [
    (f"the {thing} was {word}", "negative" if word in ("bad", "awful", "poor") else "positive")
    for thing in ("film", "book", "meal")
    for word in ("good", "fine", "great", "bad", "awful", "poor")
]
TEXTS, CLASSES = [text for text, _ in EXAMPLES], [label for _, label in EXAMPLES]


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
    classifier = model.fit_task("my/reviews", EXAMPLES)
    assert model.labels["my/reviews"] == ("negative", "positive")
    assert model.predict("my/reviews", TEXTS).labels == CLASSES
    assert torch.equal(model.logits("x/three", ["the film was good"]), logits)
    of_function = list(inspect.signature(fit_task).parameters)[1:]
    assert list(inspect.signature(model.fit_task).parameters) == [*of_function, "earlier"]
    for name, tensor in before.items():
        assert torch.equal(model.state_dict()[name][: len(tensor)], tensor), name
    assert classifier.config.id2label == {0: "negative", 1: "positive"}
    assert all(parameter.requires_grad for group in model.trainable_groups().values() for parameter in group)


def test_task_is_fitted_for_a_model_in_half_precision(model):
    model.bfloat16().fit_task("my/reviews", EXAMPLES)
    assert model.predict("my/reviews", TEXTS).labels == CLASSES
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


def test_task_is_fitted_for_a_model_that_projects_its_table_to_z():
    config = ConditionalConfig(adapter_size=8, dim_z=5, max_length=16, pooling="mean", dim_table=9)
    model = ConditionalAdapterModel.create("tiny", LABELS, config, vocabulary=[" ".join(WORDS)])
    for layer in model.adapter.conditional_layers():
        for weight in layer.maps():
            torch.nn.init.normal_(weight, std=0.2)
    before, start = model.logits("x/three", ["the film was good"]), model.expected_embeddings()[0]
    model.fit_task("my/reviews", EXAMPLES)
    assert model.predict("my/reviews", [text for text, _ in EXAMPLES]).labels == [label for _, label in EXAMPLES]
    assert model.task_embeddings["my/reviews"] == pytest.approx(start, abs=1e-4)
    assert torch.equal(model.logits("x/three", ["the film was good"]), before)
    assert model.conditioning.task_embedding.shape == (3, 9)


def test_same_seed_same_task(model):
    reports = [model.fit_task(f"my/{i}", EXAMPLES, seed=seed).fit_report for i, seed in enumerate((3, 3, 4))]
    assert reports[0] == reports[1] != reports[2]
    assert torch.equal(model.logits("my/0", TEXTS), model.logits("my/1", TEXTS))


def test_the_features_that_separate_the_classes_are_chosen(model):
    """The frozen encoder gets no information about the class, or the adapters remove it, or the last layer does."""
    model.add_task("my/start", ("negative", "positive"))
    names = ["frozen", "expected z", "z of my/start", "frozen, all layers", "z of my/start, all layers"]

    def outputs(informative):
        def features(model, tokens, candidates):
            found = []
            for each in candidates:
                width = 128 * (4 if each.all_layers else 1)
                values = np.random.default_rng(0).normal(size=(len(tokens["input_ids"]), width))
                if each.name == informative and len(values) == len(CLASSES):
                    values += 9 * (np.array(CLASSES) == "positive")[:, None]
                found.append(values.astype(np.float32))
            return found

        return features

    for informative in names:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(feature_choice, "_encode", outputs(informative))
            report = model.fit_task("my/reviews", EXAMPLES, start="my/start").fit_report
        assert (report.features, report.rows) == (informative, len(EXAMPLES))
        assert list(report.candidates) == ["z of my/start, known classifier", *names]
        accuracies = {name: found.accuracy for name, found in report.candidates.items()}
        assert accuracies.pop(informative) > 0.9 > max(accuracies.values())
        assert ("my/reviews" in model.frozen_tasks) == informative.startswith("frozen")
        assert ("my/reviews" in model.layered_tasks) == informative.endswith("all layers")
        if informative.startswith("z of my/start"):
            assert np.array_equal(model.task_embeddings["my/reviews"], model.task_embeddings["my/start"])
        model.remove_task("my/reviews")


def test_a_frozen_task_is_a_logistic_regression_on_the_mean_of_the_plain_encoder(model, monkeypatch):
    monkeypatch.setattr(few_shot, "_candidates", lambda *_: [Candidate("frozen", frozen=True)])
    report = model.fit_task("my/reviews", EXAMPLES).fit_report
    batch = model.tokenizer([*TEXTS, "negative", "positive"], padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden, mask = model.encoder(**batch).last_hidden_state, batch["attention_mask"].unsqueeze(-1)
    means = ((hidden * mask).sum(1) / mask.sum(1)).double().numpy()
    scaled = StandardScaler().fit_transform(means) / np.sqrt(means.shape[1])
    strength = report.candidates["frozen"].strength * 2  # the model divides the difference between both classes
    wanted = LogisticRegression(C=strength, tol=1e-8, max_iter=1000).fit(scaled, [*CLASSES, "negative", "positive"])
    found = model.predict("my/reviews", TEXTS).probabilities
    np.testing.assert_allclose(found, wanted.predict_proba(scaled)[:-2], atol=0.02)


@pytest.mark.parametrize("place", [0, 1], ids=["frozen", "adapted"])
def test_a_fit_of_all_layers_is_a_logistic_regression_on_their_means(model, monkeypatch, place):
    candidates = few_shot._candidates
    monkeypatch.setattr(
        few_shot, "_candidates", lambda *given: [each for each in candidates(*given) if each.all_layers]
    )
    layered = candidates(model, "my/x", read_rows("my/x", EXAMPLES, None), None, None, None)[-2:]
    monkeypatch.setattr(
        few_shot, "choose", lambda given, *rest, **options: choose(given[place : place + 1], *rest, **options)
    )
    report = model.fit_task("my/reviews", EXAMPLES).fit_report
    assert report.features == layered[place].name
    features = feature_choice.encode_texts(model, TEXTS, layered[place])
    assert features.shape == (len(TEXTS), 4 * 128)  # the embeddings and three layers
    logits = model.logits("my/reviews", TEXTS).numpy()
    names = feature_choice.encode_texts(model, ["negative", "positive"], layered[place])
    strength = report.candidates[report.features].strength
    classes = np.array([name == "positive" for name in (*CLASSES, "negative", "positive")], np.int64)
    wanted = logistic.fit_logistic(np.concatenate([features, names]), classes, 2, strength)
    np.testing.assert_allclose(logits, wanted.logits(features), atol=1e-3)
    monkeypatch.undo()
    again = model.fit_task("my/again", EXAMPLES, start="my/reviews", labels=("positive", "negative"))
    known = next(iter(again.fit_report.candidates))
    assert known.endswith(("known classifier", "classifier of my/reviews"))
    assert again.fit_report.candidates[known].accuracy == 1


def test_few_examples_are_not_read_from_all_layers(model):
    report = model.fit_task("my/reviews", EXAMPLES[: few_shot.ENOUGH_FOR_LAYERS - 1]).fit_report
    assert list(report.candidates) == ["frozen", "expected z"]
    assert not model.layered_tasks


@pytest.mark.parametrize("conditioning", ["pilault", "adapter"])
def test_a_fit_from_a_task_with_a_private_part_uses_and_copies_it(conditioning):
    config = ConditionalConfig(conditioning, adapter_size=8, max_length=16, pooling="mean", private_rank=2)
    model = ConditionalAdapterModel.create("tiny", LABELS, config, vocabulary=[" ".join(WORDS)])
    model.add_task("my/start", ("negative", "positive"))
    place = model.task_id("my/start")
    torch.nn.init.normal_(model.adapter.private.up[place], std=0.3)
    model.find_private_tasks()
    with pytest.MonkeyPatch.context() as patch:
        candidates = few_shot._candidates
        patch.setattr(
            few_shot, "_candidates", lambda *given: [each for each in candidates(*given) if each.private_of][:1]
        )
        model.fit_task("my/reviews", EXAMPLES, start="my/start")
    assert model.private_tasks == {"my/start", "my/reviews"}
    own = model.encode_for_tasks(model.tokenizer(TEXTS[:1], return_tensors="pt"), torch.tensor([place]))
    copy = model.task_id("my/reviews")
    assert torch.equal(
        model.encode_for_tasks(model.tokenizer(TEXTS[:1], return_tensors="pt"), torch.tensor([copy])), own
    )
    assert model.predict("my/reviews", TEXTS).labels == CLASSES


def test_few_examples_do_not_undo_a_known_classifier(model):
    """Names of classes say less than a classifier, so they do not count where one is known."""
    model.fit_task("my/start", EXAMPLES[:15])
    model.fit_task("my/two", EXAMPLES[2:4], start="my/start")
    assert model.predict("my/two", TEXTS).labels == CLASSES
    known = few_shot._candidates(model, "my/x", read_rows("my/x", EXAMPLES[:4], None), None, None, "my/start")[0]
    rows: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feature_choice, "fit_logistic", lambda found, *rest, **_: rows.append(len(found)) or known.prior)
        model.fit_task("my/again", EXAMPLES[2:4], start="my/start")
        model.fit_task("my/unknown", EXAMPLES[2:4])
    assert rows == [2, 4]


def test_too_few_rows_to_choose_by(model):
    report = model.fit_task("my/two", EXAMPLES[2:4]).fit_report
    assert (report.features, report.candidates, report.rows) == ("frozen", {}, 2)
    assert model.predict("my/two", TEXTS[2:4]).labels == CLASSES[2:4]
    one = model.fit_task("my/one", [(text, "positive") for text in TEXTS], ("negative", "positive")).fit_report
    assert one.candidates == {}
    assert set(model.predict("my/one", TEXTS).labels) == {"positive"}


def test_numbers_of_a_dataset_are_read_by_its_own_class_names(model):
    """``start`` or ``labels`` may list the same classes in another order."""
    names = ["positive", "negative"]
    features = Features(sentence=Value("string"), label=ClassLabel(names=names))
    columns = {"sentence": [text for text, _ in EXAMPLES], "label": [names.index(label) for _, label in EXAMPLES]}
    dataset = Dataset.from_dict(columns, features=features)
    model.add_task("my/start", ["negative", "positive"])
    model.fit_task("my/from-start", dataset, start="my/start")
    model.fit_task("my/named", dataset, ["negative", "positive"])
    for name in ("my/from-start", "my/named"):
        assert model.labels[name] == ("negative", "positive")
        assert model.predict(name, [text for text, _ in EXAMPLES]).labels == [label for _, label in EXAMPLES]


def test_numbers_of_a_dataset_with_some_of_the_classes_are_read_by_its_own_class_names(model):
    features = Features(sentence=Value("string"), label=ClassLabel(names=["positive", "negative"]))
    columns = {"sentence": [text for text, _ in EXAMPLES], "label": [label == "negative" for _, label in EXAMPLES]}
    dataset = Dataset.from_dict(columns, features=features)
    texts, names = [text for text, _ in EXAMPLES], ["neutral", "negative", "positive"]

    def fitted(examples, labels):
        model.fit_task("my/own", examples, labels)
        logits = model.logits("my/own", texts)
        model.remove_task("my/own")
        return logits

    assert torch.equal(fitted(dataset, names), fitted(EXAMPLES, names))
    with pytest.raises(ValueError, match=r"example \d+ has class 'negative'; expected one of"):
        fitted(dataset, ["positive", "other"])
    renamed, own = fitted(dataset, ["good", "bad"]), fitted(dataset, None)  # in the same order
    assert torch.equal(renamed.argmax(dim=1), own.argmax(dim=1))


def test_dataset_brings_its_class_names_and_pairs(model):
    features = Features(sentence1=Value("string"), sentence2=Value("string"), label=ClassLabel(names=["same", "other"]))
    dataset = Dataset.from_dict(
        {"sentence1": ["the film", "a book"], "sentence2": ["the film", "a meal"], "label": [0, 1]}, features=features
    )
    model.fit_task("my/pairs", dataset)
    assert model.labels["my/pairs"] == ("same", "other")
    assert len(model.predict("my/pairs", [("a film", "a film")]).labels) == 1
    with pytest.raises(TypeError, match="my/pairs is a task over pairs of texts"):
        model.predict("my/pairs", ["a film"])
    assert "my/pairs" not in model.origins


def test_a_task_of_the_catalogue_brings_its_origin(model):
    model.fit_task("my/spam", load_dataset("metaeval", "demo/spam", split="train"))
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
        (pd.DataFrame({"a": ["x"]}), None, TypeError, r"the DataFrame has columns \['a'\]; expected"),
        (["a", "b"], None, TypeError, r"examples\[0\] is 'a'; expected \(text, class\)"),
        ("text", None, TypeError, "examples is a str"),
        (Dataset.from_dict({"words": ["a"], "label": [0]}), None, TypeError, r"columns \['words', 'label'\]; expected"),
        ([{"text": "a"}], None, TypeError, r"the list of dictionaries has columns \['text'\]; expected sentence"),
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
    "dictionaries": [{"text": TWO[0], "label": 1}, {"text": TWO[1], "label": 0}],
    "a data frame": pd.DataFrame({"text": TWO, "label": ["good", "bad"]}, index=[4, 2]),
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
    model.fit_task("my/task", pairs, start="my/pairs")
    model.fit_task("my/either", pairs, start="x/one")  # tasks without a known value


def test_invalid_numbers_are_refused(model):
    with pytest.raises(TypeError, match=r"batch_size must be a whole number, got 2\.5"):
        model.predict("x/one", ["a"], batch_size=2.5)
    with pytest.raises(TypeError, match=r"the task is \['x/one'\]; expected the name of one task"):
        model.predict(["x/one"], ["a"])


def test_a_name_that_is_taken_is_refused(model):
    with pytest.raises(ValueError, match=r"has a task 'x/one' already; remove_task\('x/one'\) first"):
        model.fit_task("x/one", EXAMPLES)


def test_arguments_of_the_earlier_fit_are_accepted_with_a_warning():
    model = ConditionalAdapterModel.create("tiny", {"x/one": ("a", "b")}, vocabulary=["red blue"])
    with pytest.warns(DeprecationWarning, match="steps, z_lr has no effect"):
        model.fit_task("x/new", [("red", "warm"), ("blue", "cold")], steps=2, z_lr=0.1)
    assert model.task_names == ("x/one", "x/new")
    with pytest.raises(TypeError, match="unexpected keyword argument 'step'"):
        model.fit_task("x/other", [("red", "warm"), ("blue", "cold")], step=2)


def test_groups_share_a_fold(model, monkeypatch):
    seen = []
    monkeypatch.setattr(
        logistic, "draw_folds", lambda classes, _, groups: seen.append(groups) or np.arange(len(classes)) % 2
    )
    examples = [(f"good film {i}", "a") for i in range(4)] + [(f"bad film {i}", "b") for i in range(4)]
    model.fit_task("my/task", examples, groups=[*"uuvvwwxx"])
    assert {tuple(sorted(np.bincount(each))) for each in seen} == {(2, 2, 2, 2)}
    with pytest.raises(ValueError, match="my/other: groups has 2 values for 8 examples; give one per example"):
        model.fit_task("my/other", examples, groups=["u", "v"])
    with pytest.raises(ValueError, match="my/other: groups is 5; give a list with one value per example"):
        model.fit_task("my/other", examples, groups=5)
    with pytest.raises(ValueError, match=r"my/other: groups contains \['u'\]; give a text or a number per example"):
        model.fit_task("my/other", examples, groups=[["u"]] * 8)
